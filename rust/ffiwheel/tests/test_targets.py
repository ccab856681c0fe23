"""The pipeline for many targets: the table, what selects from it, and failures."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from functools import partial

import pytest

import macho_signature
import roots
from support import (
    CARGO,
    FFIWHEEL,
    FIXTURES,
    PACKAGE,
    ROOT,
    clean_environment,
    ffiwheel,
    renamed,
    run,
    take_standard_libraries,
)

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
    text = ffiwheel(project, "wheels", "musllinux_x86-64", fails=True)
    assert "did you mean musllinux_x86_64" in text and "make targets" in text


def test_the_table_in_the_readme_is_checked(project):
    ffiwheel(project, "targets", "--check")
    project.edit(project.root / "ci/targets.toml", '"win32"', '"win_x86"')
    assert "make rules" in ffiwheel(project, "targets", "--check", fails=True)
    ffiwheel(project, "targets", "--write")
    assert "`win_x86`" in (project.root / "README.md").read_text()
    ffiwheel(project, "targets", "--check")


def test_a_missing_standard_library_names_the_three_ways(project, environment):
    triple = "s390x-unknown-linux-gnu"
    std_is_missing(triple, environment)
    text = ffiwheel(project, "wheels", triple, env=environment, fails=True)
    assert f"rustup target add {triple}" in text
    assert "rustup component add rust-src" in text
    assert "RUSTUP_TOOLCHAIN" in text


def test_a_failing_target_leaves_the_others_built(project, environment):
    std_is_missing("s390x-unknown-linux-gnu", environment)
    text = ffiwheel(project, "wheels", "host", "manylinux_s390x", env=environment, fails=True)
    assert "no wheel for manylinux_s390x" in text and "FAILED" in text
    (wheel,) = (project.root / "dist").iterdir()
    assert "x86_64" in wheel.name


def test_a_failing_build_leaves_no_older_wheel(project):
    ffiwheel(project, "wheels")
    project.edit(project.source, "pub const ANSWER: i32 = 42;", "pub const ANSWER: i32 = forty;")
    ffiwheel(project, "wheels", fails=True)
    assert list((project.root / "dist").iterdir()) == []


def test_machines_read_json(project):
    text = ffiwheel(project, "wheels", "--json")
    (row,) = json.loads(text[text.index("[\n") :])
    assert row["target"] == "manylinux_x86_64" and row["error"] is None
    assert row["size"] == os.path.getsize(project.root / "dist" / row["wheel"])
    assert [stage for stage, _ in row["stages"]] == ["build", "pack", "repair", "audit", "run"]


def test_the_doctor_fails_only_for_what_was_asked(project, environment, tmp_path):
    """A toolchain that is not rustup's, with the host's standard library alone."""
    ffiwheel(project, "doctor", env=environment)
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
    doctor = [ROOT / "rust/ffiwheel/target/debug/ffiwheel", "doctor"]
    text = run(*doctor, cwd=project.root, env=environment)
    assert f"standard library for {triple}" in text
    text = run(*doctor, "all", cwd=project.root, env=environment, fails=True)
    assert "cannot build manylinux_i686, " in text and "MISSING" in text
    assert "manylinux_x86_64" not in text.splitlines()[-1]


def test_cargo_alone_links_for_this_machine(project):
    """Its libc is newer than what the table promises; a row that says so gets a wheel."""
    text = ffiwheel(project, "wheels", "--backend", "cargo", fails=True)
    needed = [int(number) for number in re.findall(r" GLIBC_2\.(\d+)", text)]
    assert "needs more than its tag, manylinux_2_17_x86_64, allows" in text
    assert needed and "change the row in ci/targets.toml" in text
    project.edit(
        project.root / "ci/targets.toml",
        '["manylinux2014_x86_64", "manylinux_2_17_x86_64"]',
        f'["manylinux_2_{max([*needed, 34])}_x86_64"]',
    )
    assert "CPython" in ffiwheel(project, "wheels", "--backend", "cargo")


def test_a_dependency_brings_no_path_of_this_machine(project):
    """Panics in miniz_oxide name its source files. The judge would refuse the wheel."""
    run(CARGO, "add", "--quiet", "miniz_oxide@0.8", cwd=project.root / "rust")
    share = "i64::from(cakes / guests)"
    inflate = "miniz_oxide::inflate::decompress_to_vec(&cakes.to_le_bytes()).is_ok()"
    project.edit(project.source, share, f"{share} + i64::from({inflate})")
    ffiwheel(project, "wheels")
    (wheel,) = (project.root / "dist").iterdir()
    with zipfile.ZipFile(wheel) as archive:
        library = archive.read(f"{PACKAGE}/lib/lib{PACKAGE}.so")
    assert re.search(rb"index\.crates\.io-\w+/miniz_oxide-[\d.]+/src/inflate", library)
    assert b"registry/src" not in library


class Pipeline:
    """A run of `ffiwheel wheels` that can be ended when it reaches a stage."""

    def __init__(self, project, *targets, env):
        run(*FFIWHEEL[:1], "build", *FFIWHEEL[2:], cwd=project.root)
        self.process = subprocess.Popen(
            [ROOT / "rust/ffiwheel/target/debug/ffiwheel", "wheels", *targets],
            cwd=project.root,
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def end_at(self, stage, seconds, how):
        for line in self.process.stderr:
            if line.rstrip().endswith(": " + stage):
                break
        time.sleep(seconds)
        if how == "kill -9":
            self.process.kill()  # what it started runs on
        else:
            os.killpg(self.process.pid, signal.SIGINT)
        self.process.stderr.close()
        return self.process.wait()


def check_interruptions(project, env, stages, *targets):
    """Ends runs at the stages, each with sources of its own, and looks at the next run."""
    ffiwheel(project, "wheels", *targets, env=env)
    dist = project.root / "dist"
    names = sorted(path.name for path in dist.iterdir())
    word = "from Rust!"
    for number, (stage, seconds, how) in enumerate(stages):
        new = f"from Rust{number}!"
        project.edit(project.source, word, new)
        project.edit(project.root / "scripts/smoke.py", word, new)
        word = new
        assert Pipeline(project, *targets, env=env).end_at(stage, seconds, how) != 0
        ffiwheel(project, "wheels", *targets, env=env)
        assert sorted(path.name for path in dist.iterdir()) == names
        for path in dist.iterdir():
            with zipfile.ZipFile(path) as archive:
                assert archive.testzip() is None
                (library,) = (
                    archive.read(name)
                    for name in archive.namelist()
                    if name.endswith((".so", ".dll", ".dylib"))
                )
            assert new.encode() in library
    # What a killed run's command still wrote into, while the next run removed it, is gone after
    # one more.
    ffiwheel(project, "sdist", env=env)
    assert list(project.root.glob("build/*/scratch-*")) == []


def test_after_an_interruption_the_next_run_is_right(project, environment):
    stages = [
        ("build", 0.5, "kill -9"),
        ("pack", 0.1, "kill -9"),
        ("repair", 0.1, "Ctrl-C"),
        ("run", 0.5, "kill -9"),
    ]
    check_interruptions(project, environment, stages, "host")


EXTRA = """
#[allow(unsafe_code)]
fn extra() -> i32 {
    extern "C" {
        fn extra_number() -> i32;
    }
    unsafe { extra_number() }
}
"""


def link_another_library(project, folder, target, name, *options):
    """Makes the crate need a second shared library, which zig builds; returns its path."""
    folder.mkdir()
    (folder / "extra.c").write_text("int extra_number(void) { return 7; }\n")
    # Stripped: what it says of this machine would come along, and the judge would refuse it.
    zig = [sys.executable, "-m", "ziglang", "cc", "-target", target, "-shared", "-s"]
    run(*zig, *options, "-o", name, "extra.c", cwd=folder)
    (project.root / "rust/build.rs").write_text(
        "fn main() {\n"
        f'    println!("cargo:rustc-link-search=native={folder}");\n'
        '    println!("cargo:rustc-link-lib=dylib=extra");\n'
        "}\n"
    )
    share = "i64::from(cakes / guests)"
    project.edit(project.source, share, f"{share} + i64::from(extra())")
    project.source.write_text(project.source.read_text() + EXTRA)
    return folder / name


def test_what_the_library_links_against_is_grafted(project, tmp_path):
    """A second shared library, built for the same floor, comes along and is found."""
    library = link_another_library(
        project,
        tmp_path / "extra",
        "x86_64-linux-gnu.2.17",
        "libextra.so.1",
        "-Wl,-soname,libextra.so.1",
    )
    (library.parent / "libextra.so").symlink_to(library)
    project.edit(project.root / "scripts/smoke.py", "share(7, 2), 3)", "share(7, 2), 3 + 7)")
    ffiwheel(project, "wheels", env=clean_environment(LD_LIBRARY_PATH=str(library.parent)))
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


ENGINE = """#!/bin/sh
case "$*" in
info) echo "$INFO" ;;
"image inspect"*) echo sha256:0 ;;
*" rustc -vV") echo "rustc $RUST (a date)" ;;
*) exit 1 ;;
esac
"""


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        (" Security Options:\n  seccomp\n   Profile: builtin", "--user {own} --mount"),
        (" Security Options:\n  seccomp\n  rootless\n  cgroupns", "--user 0:0 --mount"),
        ("  security:\n    rootless: true", "--user {own} --userns keep-id --mount"),
        ("  security:\n    rootless: false", "--user {own} --mount"),
    ],
    ids=["docker", "rootless docker", "rootless podman", "podman"],
)
def test_the_caller_owns_what_a_container_writes(project, environment, tmp_path, info, expected):
    """What the engine is told, which makes other users of ours where it runs without root."""
    engine = tmp_path / "engine"
    engine.write_text(ENGINE)
    engine.chmod(0o755)
    (rust,) = re.findall(r'^rust = "(.*)"', (project.root / "docker/images.toml").read_text(), re.M)
    environment.update(CONTAINER_ENGINE=str(engine), INFO=info, RUST=rust)
    words = ["wheels", "--backend", "docker", "manylinux_x86_64"]
    ffiwheel(project, *words, env=environment, fails=True)
    log = (project.root / "build/x86_64-unknown-linux-gnu/log").read_text()
    assert expected.format(own=f"{os.getuid()}:{os.getgid()}") in log


@pytest.mark.parametrize(
    ("machine", "bits", "libc", "host"),
    [
        ("x86_64", 64, "glibc 2.17", "x86_64-unknown-linux-gnu"),
        ("x86_64", 32, "glibc 2.17", "i686-unknown-linux-gnu"),
        ("aarch64", 64, "glibc 2.17", "aarch64-unknown-linux-gnu"),
        ("ppc64le", 64, "glibc 2.17", "powerpc64le-unknown-linux-gnu"),
        ("s390x", 64, "glibc 2.17", "s390x-unknown-linux-gnu"),
        ("x86_64", 64, "", "x86_64-unknown-linux-musl"),
        ("aarch64", 64, "", "aarch64-unknown-linux-musl"),
        ("riscv64", 64, "", None),
    ],
)
def test_an_image_gets_the_rust_of_its_machine(tmp_path, machine, bits, libc, host):
    programs = {
        "uname": f"echo {machine}",
        "getconf": f"""case $1 in
            LONG_BIT) echo {bits} ;;
            GNU_LIBC_VERSION) echo {libc}; [ -n "{libc}" ] ;;
        esac""",
        "curl": 'echo "$@"; exit 9',
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    words = ["/bin/sh", ROOT / "docker/install-rust.sh", "1.95.0", ""]
    text = run(*words, cwd=tmp_path, env={"PATH": str(tmp_path)}, fails=True)
    if host:
        assert f"/1.29.0/{host}/rustup-init" in text
    else:
        assert f"there is no Rust for images of {machine} with musl" in text


# ---- Other targets, in the slow suite: their standard libraries are built from source -----


def prepared(project, *targets):
    """The environment in which a project is built for some targets, with the standard libraries
    that this one has built."""
    environment = clean_environment(**CLOSED)
    del environment["CARGO_PROFILE_RELEASE_LTO"]  # it would need standard libraries of its own
    take_standard_libraries(ffiwheel(project, "doctor", *targets, env=environment), project)
    return environment


@pytest.fixture
def foreign(project):
    """What prepares the project for targets."""
    return partial(prepared, project)


@pytest.mark.long
def test_a_row_is_all_that_a_platform_needs(project, foreign):
    """A target that nothing but its row has ever named: x86 before SSE2."""
    old, new = "i686-unknown-linux-gnu", "i586-unknown-linux-gnu"
    project.edit(project.root / "ci/targets.toml", f'"{old}"', f'"{new}"')
    environment = foreign("manylinux_i686")
    ffiwheel(project, "targets", "--write")
    assert new in (project.root / "README.md").read_text()
    text = ffiwheel(project, "wheels", "--json", new, env=environment, timeout=1800)
    (row,) = json.loads(text[text.index("[\n") :])
    assert row["triple"] == new
    (wheel,) = (project.root / "dist").iterdir()
    assert wheel.name.endswith("-py2.py3-none-manylinux2014_i686.manylinux_2_17_i686.whl")


@pytest.mark.long
def test_c_agrees_with_rust_about_every_declaration_elsewhere(foreign, tmp_path):
    """32 bits, and the most significant byte first."""
    environment = foreign("manylinux_s390x", "win32")
    project = renamed(tmp_path / "sample", "sample")
    shutil.copy(FIXTURES / "declarations.rs", project.source)
    ffiwheel(project, "header")
    sizes = []
    for triple in ["s390x-unknown-linux-gnu", "i686-pc-windows-gnullvm"]:
        ffiwheel(project, "lib", triple, env=environment)
        assertions = (project.root / f"build/{triple}/layout.c").read_text()
        assert assertions.count("offsetof(") == 23
        sizes += re.findall(r"sizeof\(sample_Listener\) == (\d+)", assertions)
    assert sizes == ["24", "16"]


@pytest.mark.long
def test_no_date_gets_into_a_library(project, foreign):
    """The next commit, with the sources as they were, may or may not link again."""
    environment = foreign("win_amd64")
    libraries = set()
    for date in ("1600000000", "1700000000"):
        environment["SOURCE_DATE_EPOCH"] = date
        project.source.touch()  # cargo links again
        ffiwheel(project, "wheels", "win_amd64", env=environment)
        (wheel,) = (project.root / "dist").iterdir()
        with zipfile.ZipFile(wheel) as archive:
            libraries.add(archive.read(f"{PACKAGE}/lib/{PACKAGE}.dll"))
            assert archive.infolist()[0].date_time[0] == (2020 if date[1] == "6" else 2023)
    assert len(libraries) == 1


@pytest.mark.long
def test_after_an_interruption_many_targets_are_right(project, foreign):
    targets = ["host", "manylinux_s390x", "macosx_arm64", "win_amd64"]
    environment = foreign(*targets)
    stages = [("build", 2, "kill -9"), ("repair", 0.1, "Ctrl-C")]
    check_interruptions(project, environment, stages, *targets)


@pytest.mark.slow
def test_a_dylib_is_grafted(project, foreign, tmp_path):
    environment = foreign("macosx_arm64")
    folder = tmp_path / "extra"
    name = str(folder / "libextra.dylib")  # its path, as Homebrew's libraries have
    link_another_library(
        project, folder, "aarch64-macos.11.0", "libextra.dylib", f"-Wl,-install_name,{name}"
    )
    ffiwheel(project, "wheels", "macosx_arm64", env=environment)
    (wheel,) = (project.root / "dist").iterdir()
    with zipfile.ZipFile(wheel) as archive:
        assert f"{PACKAGE}/.dylibs/libextra.dylib" in archive.namelist()
        library = archive.read(f"{PACKAGE}/lib/lib{PACKAGE}.dylib")
    assert b"@loader_path/../.dylibs/libextra.dylib\0" in library and name.encode() not in library


@pytest.mark.slow
def test_a_dylib_is_renamed_only_where_its_signature_can_follow(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "rust/ffiwheel/helpers")
    import delocate_wheel

    (tmp_path / "extra.c").write_text("int extra_number(void) { return 7; }\n")
    zig = [sys.executable, "-m", "ziglang", "cc", "-target", "aarch64-macos.11.0", "-shared"]
    run(*zig, "-o", "libextra.dylib", "extra.c", cwd=tmp_path)
    path = tmp_path / "libextra.dylib"
    before, signatures = path.read_bytes(), macho_signature.check(path)
    delocate_wheel.install_name_tool(str(path), "-id", "/DLC/" + 300 * "x")
    with pytest.raises(macho_signature.BadSignature, match="the hash of page 0 is wrong"):
        macho_signature.check(path)
    delocate_wheel.sign(str(path))
    assert macho_signature.check(path) == signatures
    assert 300 * b"x" + b"\0" in path.read_bytes() and len(path.read_bytes()) == len(before)

    refused = delocate_wheel.DelocationError
    with pytest.raises(refused, match="no room .* link it with -headerpad_max_install_names"):
        delocate_wheel.install_name_tool(str(path), "-id", 100_000 * "x")
    flags = before.rindex(b"\xfa\xde\x0c\x02") + 12  # of the code directory
    path.write_bytes(before[:flags] + bytes(4) + before[flags + 4 :])
    with pytest.raises(refused, match="libextra.dylib is signed with a certificate"):
        delocate_wheel.sign(str(path))


@pytest.mark.slow
def test_a_dll_is_refused(project, foreign, tmp_path):
    """No loader code serves Python 2 and every cffi."""
    environment = foreign("win_amd64")
    library = link_another_library(
        project,
        tmp_path / "extra",
        "x86_64-windows-gnu",
        "extra.dll",
        "-Wl,--out-implib,libextra.a",
    )
    environment["PATH"] = f"{library.parent}{os.pathsep}{environment['PATH']}"
    text = ffiwheel(project, "wheels", "win_amd64", env=environment, fails=True)
    assert "link it statically" in text
    assert list(project.root.glob("dist/*")) == []


@pytest.mark.long
def test_gcc_links_no_libgcc_into_a_musl_library(project, foreign, tmp_path):
    """As in the images for musl, whose gcc asks for libgcc_s, which a bare Alpine lacks."""
    environment = foreign("musllinux_x86_64")
    root = roots.debian("musl-amd64", "amd64", ["musl"], ("bookworm", "trixie"))
    # The unwinder of gcc 12 and later calls _dl_find_object where it was compiled for glibc.
    gcc = roots.debian("gcc-11-amd64", "amd64", ["libgcc-11-dev"], keep=["*.a"])
    folders = [root / "lib/x86_64-linux-musl", gcc / "usr/lib/gcc/x86_64-linux-gnu/11"]
    program = tmp_path / "musl-gcc"
    options = " ".join(f"-L{folder}" for folder in folders)
    program.write_text(f'#!/bin/sh\nexec gcc -nostdlib {options} "$@"\n')
    program.chmod(0o755)
    environment["CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER"] = str(program)
    words = ["wheels", "--backend", "cargo", "musllinux_x86_64"]
    ffiwheel(project, *words, env=environment, timeout=1800)  # the judge lets no libgcc_s pass
    (wheel,) = (project.root / "dist").iterdir()
    with zipfile.ZipFile(wheel) as archive:
        assert not [name for name in archive.namelist() if ".libs/" in name]
        library = archive.read(f"{PACKAGE}/lib/lib{PACKAGE}.so")
    assert b"libgcc_s" not in library and b"libc.so\0" in library
