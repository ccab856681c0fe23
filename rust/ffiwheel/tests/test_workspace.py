"""A crate that is a member of a workspace of cargo's, in a project of another author."""

import tarfile

import pytest

from adopter import make
from support import CARGO, build_without_network, commit, ffiwheel, long, named_interpreter, run
from test_crate_folder import CHECK, findings, names_in

VIRTUAL = """\
[workspace]
members = [
    "crates/*", # every crate
    "tool",
]
exclude = ["crates/old"]
resolver = "2"

[workspace.package]
version = "1.2.0-rc.3"
edition = "2021"
license = "MIT"

[profile.release]
strip = "symbols"
"""
ROOT_PACKAGE = """\
[package]
name = "thing"
version = "1.2.0-rc.3"
edition = "2021"

[workspace]
members = ["crates/thing-ffi", "tool"]

[workspace.package]
version = "1.2.0-rc.3"

[profile.release]
strip = "symbols"
"""
MEMBER = """\
[package]
name = "c"
version.workspace = true
edition = "2021"
license = "MIT"

[lib]
crate-type = ["cdylib"]

[dependencies]
thing = {{ path = "{thing}" }}
"""
OTHER = '[package]\nname = "{}"\nversion = "0.1.0"\nedition = "2021"\n{}'


def write(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def workspace(folder, kind, needs=""):
    """A project whose crate is a member of a workspace, of which only crates, or the root, too, is
    a package. needs: what the crate does not need, but another member."""
    settings = "crate = ../crates/thing-ffi\n"
    project = make(folder, "d", "m", "c", place="crates/thing-ffi", settings=settings)
    thing = {"virtual": "../thing", "package": "../.."}[kind]
    files = {
        "Cargo.toml": {"virtual": VIRTUAL, "package": ROOT_PACKAGE}[kind],
        "crates/thing-ffi/Cargo.toml": MEMBER.format(thing=thing),
        "tool/Cargo.toml": OTHER.format("tool", needs),
        "tool/src/main.rs": "fn main() {}\n",
        "notes/more.txt": "",
    }
    source = "pub fn halve(number: u32) -> u32 {\n    number / 2\n}\n"
    if kind == "virtual":
        files["crates/thing/Cargo.toml"] = OTHER.format("thing", "")
        files["crates/thing/src/lib.rs"] = source
        files["crates/old/Cargo.toml"] = OTHER.format("old", "")
    else:
        files["src/lib.rs"] = source
    write(project.root, files)
    project.edit(project.source, "number / 2", "thing::halve(number)")
    (project.crate / "Cargo.lock").unlink()
    run(CARGO, "generate-lockfile", *([] if needs else ["--offline"]), cwd=project.root)
    commit(project)
    ffiwheel(project, "header")
    commit(project)
    return project


@pytest.mark.parametrize("kind", ["virtual", *long("package")])
@pytest.mark.parametrize("version", ["2.7", "3.13"])
def test_the_sdist_holds_the_workspace_unchanged(kind, version, request, tmp_path):
    project = workspace(tmp_path / "project", kind)
    environment = named_interpreter(request.config, version).environment(tmp_path / "venv")
    if version == "2.7":
        run(environment.python, "setup.py", "--quiet", "sdist", cwd=project.python)
        (sdist,) = (project.python / "dist").glob("*.tar.gz")
    else:
        environment.pip("install", "--quiet", "setuptools")
        ffiwheel(project, "sdist")
        ffiwheel(project, "wheels")
        assert findings(project) == []
        (sdist,) = (project.root / "dist").glob("*.tar.gz")
    names = names_in(sdist)
    more = {"crates/thing/src/lib.rs"} if kind == "virtual" else {"src/lib.rs"}
    assert {"Cargo.toml", "Cargo.lock", "tool/src/main.rs", "tool/Cargo.toml"} | more < names
    assert "crates/thing-ffi/Cargo.lock" not in names
    assert not [name for name in names if "old" in name or "notes" in name or "target" in name]
    with tarfile.open(sdist) as archive:
        for name in ["Cargo.toml", "Cargo.lock"]:
            member = archive.extractfile(f"d-1.2.0rc3/{name}")
            assert member.read() == (project.root / name).read_bytes()
    environment.pip("install", "--quiet", "--no-build-isolation", sdist)
    run(environment.python, "-c", CHECK, cwd=tmp_path)
    environment.pip("uninstall", "--quiet", "--yes", "d")
    environment.pip("install", "--quiet", "--no-build-isolation", "-e", project.python)
    run(environment.python, "-c", CHECK, cwd=tmp_path)
    assert (project.root / "target").is_dir()


def test_another_crate_of_the_workspace_makes_the_library_stale(tmp_path):
    project = workspace(tmp_path / "project", "virtual")
    ffiwheel(project, "lib")
    assert "cargo" not in project.setup("build_library", "--inplace")
    project.edit(project.root / "crates/thing/src/lib.rs", "number / 2", "number / 2 + 1")
    text = project.setup("build_library", "--inplace")
    assert "was built from another ../crates/thing; building it" in text


def test_a_version_of_the_workspace_is_the_crates(tmp_path):
    project = workspace(tmp_path / "project", "virtual")
    assert "1.2.0rc3" in (project.python / "m/_ffi.py").read_text()
    (project.root / "CHANGELOG.md").write_text("## Unreleased\n- All.\n")
    text = ffiwheel(project, "bump", "1.2.0")
    assert "changed Cargo.toml" in text and "changed Cargo.lock" in text
    assert 'version = "1.2.0"' in (project.root / "Cargo.toml").read_text()
    assert "VERSION = '1.2.0'" in (project.python / "m/_ffi.py").read_text()


@pytest.mark.slow
def test_a_vendored_sdist_of_a_workspace_builds_without_a_network(tmp_path):
    project = workspace(tmp_path / "project", "virtual", '[dependencies]\nitoa = "=1.0.15"\n')
    ffiwheel(project, "sdist", "--vendor")
    (sdist,) = (project.root / "dist").glob("*.tar.gz")
    assert "crates/thing-ffi/vendor/itoa/Cargo.toml" in names_in(sdist)
    ffiwheel(project, "audit", sdist)
    build_without_network(sdist, tmp_path)


def test_a_manifest_that_is_not_read_is_named(tmp_path):
    project = make(tmp_path / "project", "d", "m", "c")
    ffiwheel(project, "header")
    with (project.crate / "Cargo.toml").open("a") as file:
        file.write("\n[workspace.x]\na = 'x' 2\n")
    number = len((project.crate / "Cargo.toml").read_text().splitlines())
    text = project.setup("sdist", fails=True)
    assert f"rust/Cargo.toml: line {number} is not" in text and "cannot read " in text
