"""The crate stands where setup.cfg says, and what it says of the crate's files counts for all."""

import tarfile

import pytest

from adopter import make
from support import commit, ffiwheel, long, named_interpreter, run

CHECK = "import m; assert m.halve(8)[0] == 4"


def names_in(sdist):
    with tarfile.open(sdist) as archive:
        names = [member.name.split("/", 1)[1] for member in archive if member.isfile()]
        assert len(names) == len(set(names))
        return set(names)


def findings(project):
    """What the judge says of dist/, which holds an sdist and a wheel."""
    text = ffiwheel(project, "audit", "--release", fails=True)
    return [line for line in text.splitlines() if line.startswith("error[") and "X801" not in line]


@pytest.mark.parametrize("place", ["crates/thing-ffi", *long("python/native", ".")])
@pytest.mark.parametrize("version", ["2.7", "3.13"])
def test_the_crate_stands_anywhere_in_the_project(place, version, request, tmp_path):
    """In the sdist at the same place, where all verbs find it, and so does setup.py."""
    setting = {"python/native": "native", ".": ".."}.get(place, "../" + place)
    project = make(
        tmp_path / "project", "d", "m", "c", place=place, settings=f"crate = {setting}\n"
    )
    if version == "3.13":
        commit(project)
        ffiwheel(project, "header")
        commit(project)
        ffiwheel(project, "sdist")
        ffiwheel(project, "wheels")
        assert findings(project) == []
        (sdist,) = (project.root / "dist").glob("*.tar.gz")
    else:
        ffiwheel(project, "header")
        project.setup("--quiet", "sdist")
        (sdist,) = (project.python / "dist").glob("*.tar.gz")
    names = names_in(sdist)
    below = "" if place == "." else place + "/"
    assert {f"{below}Cargo.toml", f"{below}Cargo.lock", f"{below}src/ffi.rs", "setup.py"} < names
    assert not {name for name in names if name.startswith("rust/")}
    environment = named_interpreter(request.config, version).environment(tmp_path / "venv")
    if version == "3.13":
        environment.pip("install", "--quiet", "setuptools")
    environment.pip("install", "--quiet", "--no-build-isolation", sdist)
    run(environment.python, "-c", CHECK, cwd=tmp_path)
    environment.pip("uninstall", "--quiet", "--yes", "d")
    environment.pip("install", "--quiet", "--no-build-isolation", "-e", project.python)
    run(environment.python, "-c", CHECK, cwd=tmp_path)


def test_a_crate_that_is_not_there_or_outside_is_named(tmp_path):
    project = make(tmp_path / "project", "d", "m", "c", settings="crate = ../other\n")
    assert "other/Cargo.toml: this tool builds" in ffiwheel(project, "header", fails=True)
    project.edit(project.python / "setup.cfg", "../other", "../../c")
    assert "which is outside the project" in project.setup("--version", fails=True)
    assert "which is outside the project" in ffiwheel(project, "header", fails=True)


def test_what_is_excluded_is_neither_packed_nor_a_source(tmp_path):
    project = make(
        tmp_path / "project",
        "d",
        "m",
        "c",
        settings="exclude =\n    tools/\n    *.big\n    src/old.rs\n",
    )
    left_out = ["tools/big/x.rs", "src/data.big", "table.big", "src/old.rs"]
    for name in [*left_out, "src/data.small", "more/tools/x"]:
        path = project.crate / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    commit(project)
    ffiwheel(project, "header")
    commit(project)
    ffiwheel(project, "sdist")
    ffiwheel(project, "wheels")
    (sdist,) = (project.root / "dist").glob("*.tar.gz")
    names = names_in(sdist)
    assert {"rust/src/data.small", "rust/more/tools/x"} < names
    assert not {f"rust/{name}" for name in left_out} & names
    assert findings(project) == []
    ffiwheel(project, "lib")
    for name in left_out:
        (project.crate / name).write_text("changed")
    assert "cargo" not in project.setup("build_library", "--inplace")
    (project.crate / "src/data.small").write_text("changed")
    assert "built from other sources" in project.setup("build_library", "--inplace")
