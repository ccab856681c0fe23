"""Whatever a library is built of, inside the crate's folder or not: after a change of it no way
to build uses the old library, and the sdist holds what it needs of it."""

import re
import shutil
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

from support import (
    BIN,
    CARGO,
    NAME,
    PACKAGE,
    ROOT,
    Environment,
    Project,
    build_without_network,
    clean_environment,
    commit,
    ffiwheel,
    git,
    run,
)
from test_artefacts import members
from test_decisions import no_cargo, packed  # noqa: F401

SOURCE = """
const ORIGIN: &str = concat!("file ", include_str!("../../origin.txt"), ", script ",
    env!("ORIGIN_SCRIPT"), ", setting ", env!("ORIGIN_SETTING"), ", variable ",
    env!("ORIGIN_VARIABLE"));
fn greeting(who: &str) -> Result<String, Error> {
    std::hint::black_box((ORIGIN, origin::CRATE));
"""
BUILD = """
fn main() {
    println!("cargo:rerun-if-changed=../script.txt");
    let text = std::fs::read_to_string("../script.txt").unwrap();
    println!("cargo:rustc-env=ORIGIN_SCRIPT={text}");
}
"""
CRATE = """
#[cfg(feature = "other")]
pub const CRATE: &str = concat!("feature on, crate ", include!("value.in"));
#[cfg(not(feature = "other"))]
pub const CRATE: &str = concat!("feature off, crate ", include!("value.in"));
"""
MANIFEST = """
[package]
name = "origin"
version = "0.1.0"
edition = "2021"
[features]
default = []
other = []
"""


class Origins:
    """A project whose library says what it was built of, one value for each kind of input."""

    def __init__(self, folder):
        self.project = project = Project(folder / "project")
        self.root = root = project.root
        manifest = root / "rust/Cargo.toml"
        project.edit(manifest, "[dependencies]", '[dependencies]\norigin = { path = "../origin" }')
        project.edit(
            project.source, "\nfn greeting(who: &str) -> Result<String, Error> {\n", SOURCE
        )
        (root / "rust/build.rs").write_text(BUILD)
        (root / "origin/src").mkdir(parents=True)
        (root / "origin/src/lib.rs").write_text(CRATE)
        (root / ".cargo").mkdir()
        for kind in ("crate", "feature", "file", "script", "setting"):
            self.set(kind, "0")
        self.environment = clean_environment(ORIGIN_VARIABLE="0", CARGO_NET_OFFLINE="true")
        run(CARGO, "generate-lockfile", "--offline", cwd=root / "rust")

    def set(self, kind, value):
        root = self.root
        if kind == "variable":
            self.environment["ORIGIN_VARIABLE"] = value
        elif kind == "feature":
            default = '"other"' if value == "on" else ""
            text = MANIFEST.replace("default = []", f"default = [{default}]")
            (root / "origin/Cargo.toml").write_text(text)
        elif kind == "setting":
            text = f'[env]\nORIGIN_SETTING = "{value}"\n'
            (root / ".cargo/config.toml").write_text(text)
        else:
            names = {"crate": "origin/src/value.in", "file": "origin.txt", "script": "script.txt"}
            (root / names[kind]).write_text(f'"{value}"' if kind == "crate" else value)


KINDS = ["crate", "feature", "file", "script", "setting", "variable"]


@pytest.fixture(scope="module")
def origins(tmp_path_factory):
    return Origins(tmp_path_factory.mktemp("origins"))


@pytest.fixture
def change(origins, tmp_path):
    """change(kind) changes that input, and gives what the library then has to hold."""

    def change(kind):
        value = "on" if kind == "feature" else tmp_path.name
        origins.set(kind, value)
        return f"{kind} {value}".encode()

    yield change
    for kind in KINDS:
        origins.set(kind, "off" if kind == "feature" else "0")


# ---- A library that was put into lib/ ------------------------------------------------------


@pytest.fixture(scope="module")
def left(origins, tmp_path_factory):
    """What `make lib` left in lib/."""
    ffiwheel(origins.project, "lib", env=origins.environment)
    folder = tmp_path_factory.mktemp("left")
    for path in (origins.project.library, origins.project.stamp):
        shutil.copy(path, folder)
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_what_make_lib_left_is_used_until_an_input_changes(
    origins, left, change, failing_cargo, kind
):
    project = origins.project
    shutil.copytree(left, project.lib, dirs_exist_ok=True)
    cargo = {"PATH": failing_cargo.environment["PATH"]}
    wheel = project.wheel(env={**origins.environment, **cargo})
    assert packed(wheel) == project.library.read_bytes() and failing_cargo.calls == []
    change(kind)
    text = project.setup("bdist_wheel", env={**origins.environment, **cargo}, fails=True)
    assert f"lib{PACKAGE}.so was built " in text and "cargo failed (exit code 99)" in text


def test_of_another_machines_library_what_is_here_is_compared(origins, left, no_cargo, tmp_path):  # noqa: F811
    """As CI hands it on: to another folder, and where there is no Rust."""
    other = Project(tmp_path / "project", origins.root)
    shutil.copytree(left, other.lib, dirs_exist_ok=True)
    assert packed(other.wheel(env=no_cargo)) == other.library.read_bytes()
    (other.root / "script.txt").unlink()
    packed(other.wheel(env=no_cargo))
    (other.root / "origin.txt").write_text("another")
    text = other.setup("bdist_wheel", env=no_cargo, fails=True)
    assert f"lib{PACKAGE}.so was built from another ../origin.txt" in text


def test_another_compiler_makes_the_library_stale(origins, left, failing_cargo, tmp_path):
    shutil.copytree(left, origins.project.lib, dirs_exist_ok=True)
    real = shutil.which("rustc")
    rustc = tmp_path / "rustc"
    rustc.write_text(f"#!/bin/sh\n'{real}' \"$@\" | sed 's/^release: .*/release: 1.0.0/'\n")
    rustc.chmod(0o755)
    path = f"{tmp_path}:{failing_cargo.environment['PATH']}"
    environment = {**origins.environment, "PATH": path}
    text = origins.project.setup("bdist_wheel", env=environment, fails=True)
    assert "by another version of Rust" in text


# ---- Every way to build --------------------------------------------------------------------


@pytest.fixture(scope="module")
def venv(tmp_path_factory):
    """An environment that has setuptools and cffi from this one."""
    folder = tmp_path_factory.mktemp("venv")
    run(sys.executable, "-m", "venv", "--system-site-packages", folder / "venv", cwd=folder)
    return Environment(folder / "venv")


def installed(venv):
    code = f"import {PACKAGE}._native as it; print(it.__file__)"
    environment = clean_environment(PYTHONPATH=sysconfig.get_path("purelib"))
    module = Path(run(venv.python, "-c", code, cwd=venv.folder, env=environment).strip())
    return (module.parent / f"lib/lib{PACKAGE}.so").read_bytes()


def kinds(slow):
    """All kinds: one of the fast tests, one of the slow ones, the others of the long ones."""
    marks = {"crate": (), slow: pytest.mark.slow}
    return [pytest.param(kind, marks=marks.get(kind, pytest.mark.long)) for kind in KINDS]


@pytest.mark.parametrize("kind", kinds(slow="file"))
@pytest.mark.parametrize("way", [["--editable"], []], ids=["editable", "copied"])
def test_pip_builds_again_when_an_input_changes(origins, venv, change, kind, way):
    """The library that lies in lib/ is one that setup.py built: cargo is asked."""

    def install():
        words = ["--no-build-isolation", "--no-deps", "--force-reinstall", *way]
        environment = {**origins.environment, "PYTHONPATH": sysconfig.get_path("purelib")}
        venv.pip("install", *words, origins.project.python, env=environment)
        return installed(venv)

    if way:
        origins.project.library.unlink(missing_ok=True)
    install()
    expected = change(kind)
    assert expected in install()


@pytest.mark.parametrize("kind", kinds(slow="feature"))
def test_make_wheels_builds_again_when_an_input_changes(origins, change, kind):
    def wheels():
        text = ffiwheel(origins.project, "wheels", env=origins.environment)
        (wheel,) = (origins.root / "dist").glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            return text, archive.read(f"{PACKAGE}/lib/lib{PACKAGE}.so")

    wheels()
    assert "up to date" in wheels()[0]
    expected = change(kind)
    text, library = wheels()
    assert expected in library and "up to date" not in text


APP = f"""
[project]
name = "app"
version = "0"
requires-python = ">=3.8"
dependencies = ["{NAME}"]
[tool.uv.sources]
{NAME} = {{ path = "../python", editable = true }}
"""


@pytest.mark.long
def test_uv_builds_again_when_the_crate_changes_and_else_when_it_is_told(origins, change):
    app = origins.root / "app"
    app.mkdir()
    (app / "pyproject.toml").write_text(APP)

    def sync(*words):
        environment = {
            **origins.environment,
            "UV_PYTHON": sys.executable,
            "UV_PYTHON_DOWNLOADS": "never",
            "UV_LINK_MODE": "copy",
        }
        text = run(BIN / "uv", "--no-progress", "sync", *words, cwd=app, env=environment)
        return f"Built {NAME}" in text

    library = origins.project.library
    assert sync() and not sync()
    for path in ("src/lib.rs", "Cargo.toml", "Cargo.lock", "build.rs", ".cargo/config.toml"):
        (origins.root / "rust" / path).parent.mkdir(exist_ok=True)
        with (origins.root / "rust" / path).open("a") as file:
            file.write("\n")
        assert sync(), path
    origins.environment["CFLAGS"] = "-O2"
    assert sync() and not sync()
    del origins.environment["CFLAGS"]
    sync()
    # What the README says of the rest.
    expected = change("file")
    assert not sync()
    assert sync("--reinstall-package", NAME) and expected in library.read_bytes()


# ---- The toolchain -------------------------------------------------------------------------

# What the Makefile passes on where the user asks for nothing; and rustup stays offline.
UNASKED = {
    "ASKED_CARGO": "cargo",
    "ASKED_TOOLCHAIN": "",
    "RUSTUP_AUTO_INSTALL": "0",
    "RUSTUP_DIST_SERVER": "http://127.0.0.1:9",
}


@pytest.fixture(scope="module")
def other_toolchain():
    """(name, `rustc -vV`) of a toolchain that is installed and not the default one."""
    if not shutil.which("rustup"):
        pytest.skip("this machine has no rustup")
    names = run("rustup", "toolchain", "list", cwd=ROOT).splitlines()
    for name in [name for name in names if name.startswith("nightly") and "default" not in name]:
        return name, run("rustup", "run", name, "rustc", "-vV", cwd=ROOT)
    pytest.skip("rustup has no nightly toolchain")


def commit_hash(rustc):
    return re.search("^commit-hash: (.*)$", rustc, re.MULTILINE).group(1).encode()


def test_make_and_setup_py_honour_the_crates_toolchain_file(project, other_toolchain):
    name, rustc = other_toolchain
    text = f'[toolchain]\nchannel = "{name}"\n'
    (project.root / "rust/rust-toolchain.toml").write_text(text)
    environment = clean_environment(**UNASKED)
    environment.pop("RUSTUP_TOOLCHAIN", None)
    text = ffiwheel(project, "doctor", env=environment)
    assert f"{name} (overridden by " in text and "rust-toolchain.toml" in text
    ffiwheel(project, "lib", env=environment)
    assert commit_hash(rustc) in project.library.read_bytes()
    project.library.unlink()
    project.setup("build_library", "--inplace", env=environment)
    assert commit_hash(rustc) in project.library.read_bytes()
    # Who asks for one by name gets that.
    default = run("rustc", "-vV", cwd=ROOT)
    environment["ASKED_TOOLCHAIN"] = "stable"
    assert default.splitlines()[0] in ffiwheel(project, "doctor", env=environment)


def test_a_toolchain_that_is_not_installed_is_one_sentence(project, other_toolchain):
    (project.root / "rust/rust-toolchain.toml").write_text('[toolchain]\nchannel = "1.64.0"\n')
    environment = clean_environment(**UNASKED)
    environment.pop("RUSTUP_TOOLCHAIN", None)
    environment.pop("CARGO_PROFILE_RELEASE_LTO")  # which would have a note
    text = ffiwheel(project, "doctor", env=environment, fails=True)
    assert len(text.splitlines()) == 1 and "1.64.0" in text and "rustup toolchain install" in text


def test_make_says_what_the_user_has_asked_for():
    environment = clean_environment(RUSTUP_TOOLCHAIN="", CARGO="/some/cargo")
    text = run("make", "--dry-run", "doctor", cwd=ROOT, env=environment)
    assert 'ASKED_CARGO="/some/cargo" ASKED_TOOLCHAIN="$RUSTUP_TOOLCHAIN" /some/cargo run' in text


# ---- The sdist ----------------------------------------------------------------------------------

NEEDED = {
    "origin/Cargo.toml",
    "origin/src/lib.rs",
    "origin/src/value.in",
    "origin.txt",
    "script.txt",
}


def test_the_sdist_holds_what_the_crate_needs_beside_it(origins, tmp_path):
    ffiwheel(origins.project, "sdist", env=origins.environment)
    (sdist,) = (origins.root / "dist").glob("*.tar.gz")
    names = members(sdist)
    assert NEEDED < set(names)
    ffiwheel(origins.project, "audit", sdist)
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path)
    (tree,) = tmp_path.iterdir()
    environment = {**origins.environment, "ORIGIN_SETTING": "none"}
    run(sys.executable, "setup.py", "bdist_wheel", "sdist", cwd=tree, env=environment)
    (wheel,) = (tree / "dist").glob("*.whl")
    assert b"feature off, crate 0" in packed(wheel)
    (again,) = (tree / "dist").glob("*.tar.gz")
    assert members(again) == names


def test_the_judge_misses_a_file_of_a_local_crate(origins, tmp_path):
    project = Project(tmp_path / "project", origins.root)
    commit(project)
    (project.root / "origin/src/gone.rs").write_text("")
    git(project, "add", "--all")
    (project.root / "origin/src/gone.rs").unlink()
    text = ffiwheel(project, "sdist")
    (sdist,) = (project.root / "dist").glob("*.tar.gz")
    text = ffiwheel(project, "audit", sdist, fails=True)
    assert "S703" in text and "origin/src/gone.rs" in text


def refused(project, manifest, old, new):
    project.edit(manifest, old, new)
    return project.setup("sdist", fails=True)


def test_what_an_sdist_cannot_hold_is_refused_by_name(project, tmp_path):
    manifest = project.root / "rust/Cargo.toml"
    crate = tmp_path / "outside"
    crate.mkdir()
    (crate / "Cargo.toml").write_text("")
    needed = '[dependencies]\noutside = { path = "../../outside" }'
    text = refused(project, manifest, "[dependencies]", needed)
    assert "../rust/Cargo.toml names ../../outside, which is outside" in text
    # A comment names nothing.
    project.edit(manifest, "\noutside =", "\n# outside =")
    project.setup("sdist")
    include = 'const README: &str = include_str!("../../README.md");\nfn greeting('
    text = refused(project, project.source, "fn greeting(", include)
    assert "../rust/src/lib.rs names ../../README.md, but the sdist has another file" in text
    project.edit(project.source, "../../README.md", "../..")
    assert "a folder that contains the crate" in project.setup("sdist", fails=True)


def test_a_member_of_a_workspace_outside_the_project_is_refused_by_name(project):
    manifest = project.root / "rust/Cargo.toml"
    (project.root.parent / "Cargo.toml").write_text('[workspace]\nmembers = ["*/rust"]\n')
    (project.root / "rust/Cargo.lock").unlink()
    text = refused(project, manifest, "\n[workspace]", "")
    assert "the crate belongs to the workspace of ../../Cargo.toml, which is outside" in text


def test_what_a_local_crate_inherits_from_its_workspace_is_packed(project, tmp_path):
    root = project.root
    (root / "Cargo.toml").write_text(
        '[workspace]\nmembers = ["origin", "more", "cli"]\nexclude = ["rust"]\nresolver = "2"\n'
        '[workspace.package]\nedition = "2021"\n'
        '[workspace.dependencies]\nmore = { path = "more" }\n'
    )
    for name, more in [
        ("origin", "[dependencies]\nmore.workspace = true\n"),
        ("more", ""),
        ("cli", ""),
    ]:
        (root / name / "src").mkdir(parents=True)
        (root / name / "src/lib.rs").write_text("")
        head = f'[package]\nname = "{name}"\nversion = "0.1.0"\nedition.workspace = true\n'
        (root / name / "Cargo.toml").write_text(head + more)
    dependency = '[dependencies]\norigin = { path = "../origin" }'
    project.edit(root / "rust/Cargo.toml", "[dependencies]", dependency)
    run(CARGO, "generate-lockfile", "--offline", cwd=root / "rust")
    ffiwheel(project, "sdist")
    (sdist,) = (root / "dist").glob("*.tar.gz")
    assert {"Cargo.toml", "origin/Cargo.toml", "more/Cargo.toml"} < set(members(sdist))
    ffiwheel(project, "audit", sdist)
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "unpacked")
    (tree,) = (tmp_path / "unpacked").iterdir()
    run(sys.executable, "setup.py", "bdist_wheel", cwd=tree)


@pytest.mark.slow
def test_a_vendored_sdist_holds_local_crates_too(project, tmp_path):
    root = project.root
    (root / "origin/src").mkdir(parents=True)
    (root / "origin/Cargo.toml").write_text(MANIFEST + '[dependencies]\nitoa = "=1.0.15"\n')
    (root / "origin/src/lib.rs").write_text("")
    dependency = '[dependencies]\norigin = { path = "../origin" }'
    project.edit(root / "rust/Cargo.toml", "[dependencies]", dependency)
    run(CARGO, "generate-lockfile", cwd=root / "rust")
    ffiwheel(project, "sdist", "--vendor")
    (sdist,) = (root / "dist").glob("*.tar.gz")
    assert {"origin/src/lib.rs", "rust/vendor/itoa/Cargo.toml"} < set(members(sdist))
    ffiwheel(project, "audit", sdist)
    build_without_network(sdist, tmp_path)
