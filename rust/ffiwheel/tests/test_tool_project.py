"""The tool's own project, which scripts/tool_project.py makes."""

import re
import shutil
import sys
import tarfile

import pytest

from support import CARGO, ROOT, Tree, commit, ffiwheel, run
from test_release import make
from test_targets import foreign  # noqa: F401 (a fixture)


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
    stray = tool.root / "source/rust/ffiwheel/src/stray.rs"
    stray.touch()
    main = tool.root / "source/rust/ffiwheel/src/main.rs"
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
    crate = tmp_path / sdist.name.removesuffix(".tar.gz") / "source/rust/ffiwheel"
    run(CARGO, "check", "--quiet", "--locked", "--offline", cwd=crate)
    shutil.rmtree(crate / "target")


@pytest.mark.long
def test_its_release_is_gathered_and_rehearsed(project, foreign):  # noqa: F811
    """As the job of the release does it, for this machine alone."""
    environment = foreign("musllinux_x86_64")
    rows = '"linux_aarch64", "macosx_x86_64", "macosx_arm64", "win_amd64"'
    project.edit(project.root / "scripts/tool_project.py", rows, "")
    commit(project)
    make(project, "release-tool", env=environment, timeout=3600)
    (sdist,) = (project.root / "build/tool/dist").glob("*.tar.gz")
    (wheel,) = (project.root / "build/tool/dist").glob("*.whl")
    sums = (project.root / "build/tool/build/release/SHA256SUMS").read_text()
    assert wheel.name in sums and sdist.name in sums
    make(project, "checksums", "FOLDER=build/tool")
