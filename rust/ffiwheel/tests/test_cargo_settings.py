"""Cargo's settings, from wherever it takes them: setup.py builds with the user's, and a wheel of
the pipeline is built with the repository's alone.
https://doc.rust-lang.org/cargo/reference/config.html"""

import re
import shutil
import sys

import pytest

from support import (
    CARGO,
    PACKAGE,
    ROOT,
    clean_environment,
    link_tools,
    needs_standard_libraries,
    run,
    smoke,
)

HOST = "x86_64-unknown-linux-gnu"
FOREIGN = "aarch64-unknown-linux-gnu"
HOST_VARIABLE = f"CARGO_TARGET_{HOST.upper().replace('-', '_')}_RUSTFLAGS"


def flags(name):
    """Flags that leave a text in the library of `marked`."""
    return ["--cfg", name]


def listed(name):
    return f'["--cfg", "{name}"]'


@pytest.fixture
def marked(project):
    """The project, with a library that says by which flags it was built, and is never without
    one of them."""
    project.edit(
        project.source, "#![deny(unsafe_code)]", "#![allow(unexpected_cfgs)]\n#![deny(unsafe_code)]"
    )
    body = 'text(format_args!("Hello {who} from Rust!"))'
    marks = "".join(
        f'if cfg!({name}) {{ std::hint::black_box("/{name}"); }} '
        for name in ("needed", "wanted", "personal")
    )
    project.edit(project.source, body, marks + body)
    path = project.root / "rust/.cargo/config.toml"
    path.parent.mkdir()
    path.write_text(f"[target.'cfg(unix)']\nrustflags = {listed('needed')}\n")
    return project


@pytest.fixture
def settings(project):
    """Writes cargo's settings into a folder above the project, or into CARGO_HOME."""

    def write(text, place="above"):
        folder = project.root.parent / {"above": ".cargo", "home": "cargo home"}[place]
        folder.mkdir(exist_ok=True)
        path = folder / "config.toml"
        path.write_text(text)
        return path

    return write


# ---- setup.py ----------------------------------------------------------------------------

FILES = [
    f'[build]\ntarget = "{FOREIGN}"',
    f'[build]\ntarget = ["{FOREIGN}", "{HOST}"]',
    '[build]\ntarget-dir = "elsewhere"\nbuild-dir = "between"',
    '[build]\nrustflags = "-D warnings"',
    f'[target.{HOST}]\nrustflags = "-D warnings"\nlinker = "cc"',
    '[target."cfg(unix)"]\nrustflags = ["-D", "warnings"]',
    '[profile.release]\npanic = "abort"\nstrip = "none"\ndebug = true',
    '[env]\nCARGO_BUILD_TARGET = "none"',
]
VARIABLES = [
    {"CARGO_BUILD_TARGET": ""},
    {"CARGO_TARGET_DIR": "elsewhere"},
    {"CARGO_BUILD_TARGET_DIR": "elsewhere", "CARGO_BUILD_BUILD_DIR": "between"},
    {"CARGO_PROFILE_RELEASE_PANIC": "abort", "CARGO_INCREMENTAL": "1"},
    {"RUSTFLAGS": ""},
    {"RUSTFLAGS": " -D  warnings "},
    {"CARGO_ENCODED_RUSTFLAGS": ""},
    {"CARGO_ENCODED_RUSTFLAGS": '--cfg\x1fa="b c"', "RUSTFLAGS": "--nonsense"},
    {"CARGO_BUILD_RUSTFLAGS": "-D warnings"},
    {HOST_VARIABLE: "-D warnings"},
    {"CARGO_TERM_VERBOSE": "true", "CARGO_TERM_COLOR": "always"},
]


def check_setup(marked, **variables):
    marked.library.unlink(missing_ok=True)
    variables["CARGO_PROFILE_RELEASE_OPT_LEVEL"] = "0"  # quicker
    text = marked.setup("build_library", "--inplace", env=clean_environment(**variables))
    assert "building it: cargo build" in text
    environment = clean_environment(PYTHONPATH=str(marked.python))
    smoke(sys.executable, cwd=marked.root, env=environment)
    assert b"/needed" in marked.library.read_bytes()


def test_setup_py_builds_with_every_setting_of_a_file(marked, settings):
    for i, text in enumerate(FILES):
        path = settings(text, "home" if i % 2 else "above")
        check_setup(marked, CARGO_HOME=str(marked.root.parent / "cargo home"))
        path.unlink()


def test_setup_py_builds_with_every_variable(marked):
    for variables in VARIABLES:
        check_setup(marked, **variables)


@pytest.mark.parametrize("name", ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"])
def test_flags_of_the_environment_are_joined_to_those_that_the_crate_needs(marked, name):
    separator = "\x1f" if "ENCODED" in name else " "
    check_setup(marked, **{name: separator.join(flags("wanted"))})
    assert b"/wanted" in marked.library.read_bytes()


@pytest.mark.parametrize(
    ("triple", "needed"),
    [
        ("x86_64-unknown-linux-musl", "target-feature=-crt-static"),
        ("aarch64-apple-darwin", f"link-arg=-Wl,-install_name,@rpath/lib{PACKAGE}.dylib"),
    ],
)
@pytest.mark.parametrize("place", ["environment", "target", "build"])
def test_a_foreign_library_keeps_what_it_needs(project, settings, triple, needed, place):
    """As far as the command for the compiler, whether or not the standard library is here."""
    if place != "environment":
        table = "build" if place == "build" else "target.'cfg(unix)'"
        settings(f"[{table}]\nrustflags = {listed('wanted')}\n")
    environment = clean_environment(CARGO_BUILD_TARGET=triple, CARGO_TERM_VERBOSE="true")
    if place == "environment":
        environment["RUSTFLAGS"] = "--cfg wanted"
    environment["RUSTC"] = str(project.root.parent / "rustc")
    rustc = shutil.which("rustc")
    script = f'#!/bin/sh\ncase "$*" in *"crate-name {PACKAGE}"*) exit 1; esac\nexec {rustc} "$@"\n'
    (project.root.parent / "rustc").write_text(script)
    (project.root.parent / "rustc").chmod(0o755)
    text = project.setup("build_library", env=environment, fails=True)
    (command,) = re.findall(r"Running `.*--crate-type cdylib.*`", text)
    # As everywhere, cargo reads `build.rustflags` only where no others are.
    assert needed in command and ("--cfg wanted" in command) == (place != "build")


# ---- The pipeline ------------------------------------------------------------------------


@pytest.fixture(scope="session")
def program():
    manifest = ROOT / "rust/ffiwheel/Cargo.toml"
    run(CARGO, "build", "--quiet", "--locked", "--manifest-path", manifest, cwd=ROOT)
    return ROOT / "rust/ffiwheel/target/debug/ffiwheel"


@pytest.fixture
def pipeline(project, program):
    """Runs a verb, without cargo around it, which would take CARGO_HOME for itself."""
    link_tools(project)

    def verb(*words, fails=False, **variables):
        environment = clean_environment(**variables)
        if "LOCAL_SETTINGS" not in variables:
            del environment["LOCAL_SETTINGS"], environment["CARGO_PROFILE_RELEASE_LTO"]
        return run(program, *words, cwd=project.root, env=environment, fails=fails)

    return verb


def test_without_personal_settings_nothing_is_said(pipeline, settings, project):
    assert "note:" not in pipeline("doctor")
    text = """
        [source.elsewhere]
        registry = "sparse+http://127.0.0.1:9/"
        [registries.own]
        index = "sparse+http://127.0.0.1:9/"
        [net]
        offline = true
        [http]
        timeout = 5
        [build]
        jobs = 1
        rustc-wrapper = ""
        target-dir = "elsewhere"
        [target.'cfg(unix)']
        runner = "env"
        [profile.dev]
        debug = 1
        """
    settings(text)
    assert "note:" not in pipeline("doctor")


def test_personal_flags_get_into_no_wheel(marked, settings, pipeline):
    """They are named. Nor does a wheel lack what the repository says."""
    marked.edit(marked.root / "rust/Cargo.toml", "lto = true", 'lto = "off"')  # quicker
    assert "note:" not in pipeline("lib")
    expected = marked.library.read_bytes()
    assert b"/needed" in expected
    home = settings(f"[build]\nrustflags = {listed('personal')}\n", "home")
    above = settings(
        f'include = ["more.toml"]\n[build]\ntarget = ["{FOREIGN}"]\n'
        f"[target.{HOST}]\nrustflags = {listed('personal')}\n"
    )
    above.with_name("more.toml").write_text(
        f"[target.'cfg(unix)']\nrustflags = {listed('personal')}\n"
    )
    variables = {
        "RUSTFLAGS": " ".join(flags("personal")),
        HOST_VARIABLE: " ".join(flags("personal")),
        "CARGO_PROFILE_RELEASE_OPT_LEVEL": "0",
    }
    text = pipeline("lib", CARGO_HOME=str(home.parent), **variables)
    assert marked.library.read_bytes() == expected
    for name in [
        *[f"{name} in the environment" for name in variables],
        f"build.rustflags in {home}",
        f"target.{HOST}.rustflags in {above}",
        f"target.cfg(unix).rustflags in {above.with_name('more.toml')}",
    ]:
        assert name in text
    text = pipeline("lib", LOCAL_SETTINGS="1", **variables)
    assert (
        "note: because of LOCAL_SETTINGS, this build also uses " in text and HOST_VARIABLE in text
    )
    library = marked.library.read_bytes()
    assert b"/personal" in library and b"/needed" in library


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[profile.release]\nlto = false", "profile.release.lto"),
        ("[env]\nANY = '1'", "env.ANY"),
        ("[build]\nrustc = 'rustc'", "build.rustc"),
        ("[patch.crates-io]\nanything = { path = 'x' }", "patch.crates-io"),
        ("paths = ['x']", "paths"),
        (f"[target.{HOST}.foo]\nrustc-link-lib = ['foo']", f"target.{HOST}.foo"),
        ("[unstable]\nbuild-std = ['core']", "unstable.build-std"),
    ],
)
def test_what_cargo_would_use_all_the_same_is_refused_by_name(settings, pipeline, text, key):
    path = settings(text + "\n")
    for verb in ["lib", "wheels"]:
        text = pipeline(verb, fails=True)
        assert (
            f"change what is built: {key} in {path}; remove" in text and "LOCAL_SETTINGS=1" in text
        )


def test_the_header_is_the_same_with_any_settings(project, settings, pipeline):
    home = settings(f"[profile.dev]\npanic = 'abort'\n[target.{HOST}]\nrustflags = '-D warnings'")
    settings(f'[build]\ntarget = ["{FOREIGN}", "{HOST}"]\nrustflags = ["--cfg", "test"]\n', "home")
    pipeline("header", "--check", CARGO_HOME=str(home.parent), RUSTFLAGS="--nonsense")


@pytest.mark.long
def test_a_musl_library_is_built_with_the_users_flags(project, pipeline):
    """Without the repository's flags cargo would leave the library out."""
    needs_standard_libraries(pipeline("doctor", "musllinux_x86_64"))
    pipeline("lib", "x86_64-unknown-linux-musl", LOCAL_SETTINGS="1", RUSTFLAGS="-D warnings")
    assert project.library.exists()
