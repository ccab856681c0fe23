"""The SBOM in a wheel: which crates it names, in a form that others can read."""

import json
import zipfile

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from support import CARGO, NAME, PACKAGE, Project, ffiwheel, run
from test_targets import foreign  # noqa: F401 (a fixture)

# A crate of each kind, small ones. `libc` has no dependencies; `shlex` comes with `cc`.
MANIFEST = """
[dependencies]
local = { path = "local" }
cfg-if = "=1.0.4"
macros = { package = "paste", version = "=1.0.15" } # a procedural macro
[target.'cfg(unix)'.dependencies]
libc = "=0.2.177"
[target.'cfg(windows)'.dependencies]
windows-link = "=0.2.1"
[build-dependencies]
cc = "=1.2.16"
# Only a build script gets `itoa` of it.
local = { path = "local", features = ["numbers"] }
[dev-dependencies]
fastrand = "=2.3.0"
"""
LOCAL = """
[package]
name = "local"
version = "0.3.0+extra"
edition = "2021"
license = "MIT/Apache-2.0"
[dependencies]
hex = "=0.4.3"
itoa = { version = "=1.0.15", optional = true }
[features]
numbers = ["dep:itoa"]
"""


def sbom_of(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".cdx.json")]
        assert name.endswith(f".dist-info/sboms/{PACKAGE}.cdx.json")
        text = archive.read(name).decode()
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    assert error is None, error
    return text


def with_dependencies(folder):
    project = Project(folder)
    project.edit(project.root / "rust/Cargo.toml", "[dependencies]", MANIFEST)
    (project.root / "rust/local/src").mkdir(parents=True)
    (project.root / "rust/local/Cargo.toml").write_text(LOCAL)
    (project.root / "rust/local/src/lib.rs").write_text("")
    run(CARGO, "generate-lockfile", cwd=project.root / "rust")
    return project


def names(sbom):
    return {component["name"] for component in sbom["components"]}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The text of the SBOM of a library with dependencies, for this machine."""
    project = with_dependencies(tmp_path_factory.mktemp("sbom") / "project")
    ffiwheel(project, "wheels")
    (wheel,) = (project.root / "dist").iterdir()
    return sbom_of(wheel)


def test_the_wheels_own(wheel):
    sbom = json.loads(sbom_of(wheel))
    assert sbom["metadata"]["component"]["purl"] == f"pkg:cargo/{NAME}@0.1.0"
    assert names(sbom) == {"rust-std"}, "it has no dependencies"


def test_what_is_linked_is_listed_and_nothing_else(made):
    sbom = json.loads(made)
    assert names(sbom) == {"rust-std", "local", "hex", "cfg-if", "libc"}
    found = {component["name"]: component for component in sbom["components"]}
    assert found["libc"]["purl"] == "pkg:cargo/libc@0.2.177"
    assert len(found["libc"]["hashes"][0]["content"]) == 64
    assert found["local"]["purl"] == "pkg:cargo/local@0.3.0%2Bextra"
    assert found["local"]["licenses"] == [{"expression": "MIT OR Apache-2.0"}]
    depends = {one["ref"]: one.get("dependsOn") for one in sbom["dependencies"]}
    std = found["rust-std"]["bom-ref"]
    assert depends[found["local"]["bom-ref"]] == ["pkg:cargo/hex@0.4.3", std]
    assert set(depends) == {one["bom-ref"] for one in found.values()} | {
        sbom["metadata"]["component"]["bom-ref"]
    }


def test_it_is_the_same_wherever_it_is_made(made, tmp_path):
    project = with_dependencies(tmp_path / "another place")
    ffiwheel(project, "wheels")
    (wheel,) = (project.root / "dist").iterdir()
    assert sbom_of(wheel) == made


@pytest.mark.long
def test_each_target_has_its_own(made, foreign, project):  # noqa: F811
    environment = foreign("win_amd64", "macosx_universal2")
    other = with_dependencies(project.root / "with dependencies")
    (other.root / ".venv").symlink_to((project.root / ".venv").resolve())
    (project.root / "build").rename(other.root / "build")
    ffiwheel(other, "wheels", "win_amd64", "macosx_universal2", env=environment, timeout=1800)
    mac, windows = sorted((other.root / "dist").iterdir())
    assert names(json.loads(sbom_of(windows))) == {
        *["rust-std", "local", "hex", "cfg-if", "windows-link"]
    }
    assert names(json.loads(sbom_of(mac))) == {"rust-std", "local", "hex", "cfg-if", "libc"}
