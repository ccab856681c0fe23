"""The tool's own project, which scripts/tool_project.py makes."""

import re
import shutil
import sys
import tarfile

import pytest

from support import CARGO, ROOT, Tree, ffiwheel, run


@pytest.fixture(scope="module")
def tool(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tool") / "project"
    run(sys.executable, ROOT / "scripts/tool_project.py", folder, cwd=ROOT)
    return Tree(folder, "ffiwheel")


def version_in(path):
    return re.search('(?m)^version = "(.*)"', path.read_text())[1]


def test_the_tool_has_the_version_of_the_repository(tool):
    assert version_in(ROOT / "rust/ffiwheel/Cargo.toml") == version_in(ROOT / "rust/Cargo.toml")


def test_it_is_a_project_with_a_good_sdist(tool):
    assert run("git", "status", "--porcelain", cwd=tool.root) == ""
    ffiwheel(tool, "sdist")
    (sdist,) = (tool.root / "dist").iterdir()
    assert ffiwheel(tool, "audit").strip() == f"ok dist/{sdist.name}"


def test_it_follows_the_repository_and_keeps_what_was_built(tool):
    stray = tool.root / "rust/ffiwheel/src/stray.rs"
    stray.touch()
    main = tool.root / "rust/ffiwheel/src/main.rs"
    before = main.stat().st_mtime_ns
    kept = tool.root / "build/kept"
    kept.parent.mkdir(exist_ok=True)
    kept.touch()
    run(sys.executable, ROOT / "scripts/tool_project.py", tool.root, cwd=ROOT)
    assert not stray.exists() and kept.exists() and main.stat().st_mtime_ns == before


@pytest.mark.long
def test_its_sdist_compiles(tool, tmp_path):
    ffiwheel(tool, "sdist")
    (sdist,) = (tool.root / "dist").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    crate = tmp_path / sdist.name.removesuffix(".tar.gz") / "rust/ffiwheel"
    run(CARGO, "check", "--quiet", "--locked", "--offline", cwd=crate)
    shutil.rmtree(crate / "target")
