"""The pipeline for many targets: the table, what selects from it, and failures."""

import json
import os
import sys
import zipfile

import pytest
from conftest import PACKAGE, ROOT, clean_environment, run, xtask

# Nothing here may reach for a toolchain: rustup asks a closed port.
CLOSED = {
    "RUSTUP_DIST_SERVER": "http://127.0.0.1:9",
    "RUSTUP_UPDATE_ROOT": "http://127.0.0.1:9",
}


@pytest.fixture
def environment():
    environment = clean_environment(**CLOSED)
    for name in ("CARGO", "RUSTC", "RUSTUP_TOOLCHAIN"):
        environment.pop(name, None)
    return environment


def std_is_missing(triple, environment):
    """Skips where the toolchain could build the target after all."""
    sysroot = run("rustc", "--print", "sysroot", cwd=".", env=environment).strip()
    if os.path.exists(f"{sysroot}/lib/rustlib/{triple}/lib") or os.path.exists(
        f"{sysroot}/lib/rustlib/src/rust/library"
    ):
        pytest.skip(f"this machine's Rust can build for {triple}")


def test_a_typo_gets_the_nearest_names(project):
    text = xtask(project, "wheels", "musllinux_x86-64", fails=True)
    assert "did you mean musllinux_x86_64" in text and "make targets" in text


def test_the_table_in_the_readme_is_checked(project):
    xtask(project, "targets", "--check")
    project.edit(project.root / "ci/targets.toml", '"win32"', '"win_x86"')
    assert "make targets" in xtask(project, "targets", "--check", fails=True)
    xtask(project, "targets", "--write")
    assert "`win_x86`" in (project.root / "README.md").read_text()
    xtask(project, "targets", "--check")


def test_a_missing_standard_library_names_the_three_ways(project, environment):
    triple = "s390x-unknown-linux-gnu"
    std_is_missing(triple, environment)
    text = xtask(project, "wheels", triple, env=environment, fails=True)
    assert f"rustup target add {triple}" in text
    assert "rustup component add rust-src" in text
    assert "RUSTUP_TOOLCHAIN" in text


def test_a_failing_target_leaves_the_others_built(project, environment):
    std_is_missing("s390x-unknown-linux-gnu", environment)
    text = xtask(project, "wheels", "host", "manylinux_s390x", env=environment, fails=True)
    assert "no wheel for manylinux_s390x" in text and "FAILED" in text
    (wheel,) = (project.root / "dist").iterdir()
    assert "x86_64" in wheel.name


def test_a_failing_build_leaves_no_older_wheel(project):
    xtask(project, "wheels")
    project.edit(project.source, "pub const ANSWER: i32 = 42;", "pub const ANSWER: i32 = forty;")
    xtask(project, "wheels", fails=True)
    assert list((project.root / "dist").iterdir()) == []


def test_machines_read_json(project):
    text = xtask(project, "wheels", "--json")
    (row,) = json.loads(text[text.index("[\n") :])
    assert row["target"] == "manylinux_x86_64" and row["error"] is None
    assert row["size"] == os.path.getsize(project.root / "dist" / row["wheel"])
    assert [stage for stage, _ in row["stages"]] == ["build", "pack", "repair", "run"]


def test_the_doctor_fails_only_for_what_was_asked(project, environment, tmp_path):
    """A toolchain that is not rustup's, with the host's standard library alone."""
    xtask(project, "doctor", env=environment)
    real = run("rustc", "--print", "sysroot", cwd=tmp_path, env=environment).strip()
    triple = "x86_64-unknown-linux-gnu"
    rustlib = tmp_path / "sysroot/lib/rustlib"
    rustlib.mkdir(parents=True)
    (rustlib / triple).symlink_to(f"{real}/lib/rustlib/{triple}")
    rustc = tmp_path / "rustc"
    rustc.write_text(
        f'#!/bin/sh\ncase "$*" in *sysroot) echo "{tmp_path}/sysroot" ;; *) rustc "$@" ;; esac\n'
    )
    rustc.chmod(0o755)
    environment["RUSTC"] = str(rustc)
    doctor = [ROOT / "rust/xtask/target/debug/xtask", "doctor"]
    text = run(*doctor, cwd=project.root, env=environment)
    assert f"{triple}: the toolchain has its standard library" in text
    text = run(*doctor, "all", cwd=project.root, env=environment, fails=True)
    assert "cannot build manylinux_i686, " in text and "MISSING" in text
    assert "manylinux_x86_64" not in text.splitlines()[-1]


def test_what_the_library_links_against_is_grafted(project, tmp_path):
    """A second shared library, built for the same floor, comes along and is found."""
    (tmp_path / "extra.c").write_text("int extra_number(void) { return 7; }\n")
    zig = [sys.executable, "-m", "ziglang", "cc", "-target", "x86_64-linux-gnu.2.17", "-shared"]
    library = tmp_path / "libextra.so.1"
    run(*zig, "-Wl,-soname,libextra.so.1", "-o", library, "extra.c", cwd=tmp_path)
    (tmp_path / "libextra.so").symlink_to(library)
    (project.root / "rust/build.rs").write_text(
        "fn main() {\n"
        f'    println!("cargo:rustc-link-search=native={tmp_path}");\n'
        '    println!("cargo:rustc-link-lib=dylib=extra");\n'
        "}\n"
    )
    project.edit(
        project.source,
        "i64::from(cakes / guests)",
        "i64::from(cakes / guests) + i64::from(extra())",
    )
    with open(project.source, "a") as file:
        file.write(
            "#[allow(unsafe_code)]\n"
            "fn extra() -> i32 {\n"
            '    extern "C" {\n'
            "        fn extra_number() -> i32;\n"
            "    }\n"
            "    unsafe { extra_number() }\n"
            "}\n"
        )
    project.edit(project.root / "scripts/smoke.py", "share(7, 2), 3)", "share(7, 2), 3 + 7)")
    xtask(project, "wheels", env=clean_environment(LD_LIBRARY_PATH=str(tmp_path)))
    library.unlink()
    (wheel,) = (project.root / "dist").iterdir()
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert [name for name in names if name.startswith(f"{PACKAGE}.libs/libextra")]
    installed = tmp_path / "installed"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", installed]
    run(*pip, wheel, cwd=tmp_path)
    code = f"import {PACKAGE}; print({PACKAGE}.share(7, 2))"
    environment = clean_environment(PYTHONPATH=str(installed))
    assert run(sys.executable, "-c", code, cwd=tmp_path, env=environment).strip() == "10"
