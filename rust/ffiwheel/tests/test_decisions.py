"""Prebuilt or cargo: each row of the decision table."""

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tarfile
import time
import zipfile

import pytest

import roots
from runners import debian
from support import (
    HELPERS,
    HOST_PLATFORM,
    MARK,
    NAME,
    PACKAGE,
    ROOT,
    Environment,
    Interpreter,
    Project,
    clean_environment,
    ffiwheel,
    found_interpreters,
    greeting,
    named_interpreter,
    run,
)

LIBRARY = f"{PACKAGE}/lib/lib{PACKAGE}.so"
HOST_TRIPLE = "x86_64-unknown-linux-gnu"


@pytest.fixture
def no_cargo(tmp_path):
    """An environment in which there is no cargo and no rustc."""
    (tmp_path / "empty").mkdir()
    environment = clean_environment(PATH=str(tmp_path / "empty"))
    environment.pop("CARGO", None)
    return environment


def packed(wheel):
    """The bytes of the one library in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        libraries = [name for name in archive.namelist() if "/lib/" in name]
        assert libraries == [LIBRARY]
        return archive.read(LIBRARY)


def place(project, built, stamp=True):
    for path in built if stamp else built[:1]:
        shutil.copy(path, project.lib)


def patch(path, offset, replacement):
    data = bytearray(path.read_bytes())
    data[offset : offset + len(replacement)] = replacement
    path.write_bytes(data)


def patch_fingerprint(path):
    offset = path.read_bytes().index(MARK) + len(MARK)
    patch(path, offset, b"0" * 16)


def change_signature(project):
    """An export takes another type than `make header` saw."""
    project.edit(
        project.source,
        f"fn {PACKAGE}_cakes_share(cakes: u32, guests: u32)",
        f"fn {PACKAGE}_cakes_share(cakes: u64, guests: u64)",
    )
    project.edit(project.source, "i64::from(cakes / guests)", "(cakes / guests) as i64")


# ---- lib/ is empty -----------------------------------------------------------------------


def test_an_empty_lib_is_built_by_cargo(project):
    wheel = project.wheel()
    assert wheel.name.endswith(f"-py2.py3-none-{HOST_PLATFORM}.whl")
    assert packed(wheel)[:4] == b"\x7fELF"
    assert [path.name for path in project.lib.iterdir()] == ["README.md"]


def test_neither_library_nor_cargo_is_one_clear_error(project, no_cargo):
    text = project.setup("bdist_wheel", env=no_cargo, fails=True)
    for part in [f"{LIBRARY} is missing", "cargo", "pip 19.3", "glibc 2.17", "https://rustup.rs"]:
        assert part in text
    assert "Traceback" not in text


@pytest.mark.parametrize(
    "triple, words",
    [
        ("s390x-unknown-linux-gnu", "on glibc 2.17 or later, with pip 19.3 or later"),
        ("riscv64gc-unknown-linux-gnu", "on glibc 2.31 or later, with pip 24.1 or later"),
        ("aarch64-unknown-linux-musl", "on musl 1.2 or later, with pip 21.2 or later"),
        ("aarch64-apple-darwin", "on macOS 11.0 or later, with pip 20.3 or later"),
        ("x86_64-pc-windows-gnullvm", "install a wheel, which needs no Rust: on Windows 10"),
        ("powerpc64-unknown-linux-gnu", "no wheel is released for linux ppc64 glibc"),
    ],
)
def test_without_cargo_the_wheel_for_the_platform_is_named_if_there_is_one(
    triple, words, project, no_cargo
):
    environment = dict(no_cargo, CARGO_BUILD_TARGET=triple)
    text = project.setup("bdist_wheel", env=environment, fails=True)
    assert words in text and "https://rustup.rs" in text


def test_no_wheel_is_named_that_no_pip_for_this_python_takes(project, no_cargo, request, tmp_path):
    python = named_interpreter(request.config, "2.7").environment(tmp_path / "venv").python
    environment = dict(no_cargo, CARGO_BUILD_TARGET="x86_64-unknown-linux-musl")
    command = [python, "setup.py", "bdist_wheel"]
    text = run(*command, cwd=project.python, env=environment, fails=True)
    assert "no pip for Python 2.7 accepts the wheel for linux x86_64 musl" in text


def test_an_empty_variable_is_an_unset_one(project):
    names = ["CARGO", "RUSTC", "CARGO_BUILD_TARGET"]
    environment = clean_environment(**dict.fromkeys(names, ""))
    packed(project.wheel(env=environment))
    text = run("make", "--dry-run", "targets", cwd=ROOT, env=environment)
    assert "cargo run --quiet" in text
    names = ["RUSTC", "CARGO_BUILD_TARGET", "CONTAINER_ENGINE", "GITHUB_OUTPUT"]
    runner = f"CARGO_TARGET_{HOST_TRIPLE.replace('-', '_').upper()}_RUNNER"
    unset = " ".join(["env", *(f"{name}=" for name in names)])
    text = ffiwheel(project, "doctor", "host", env=clean_environment(**{runner: unset}))
    assert HOST_TRIPLE in text


def test_an_old_cargo_that_names_the_package_is_understood(project, tmp_path):
    """Before 1.79 the messages said a-name where they now say a_name."""
    cargo = tmp_path / "cargo"
    names = f's/"name":"{PACKAGE}"/"name":"{NAME}"/'
    cargo.write_text(f"#!/bin/sh\ncargo \"$@\" | sed '{names}'\n")
    cargo.chmod(0o755)
    packed(project.wheel(env=clean_environment(CARGO=str(cargo))))


def test_a_file_that_is_saved_during_the_build_makes_the_library_stale(project, tmp_path):
    cargo = tmp_path / "cargo"
    edit = f"sed -i 's/from Rust!/from later Rust!/' '{project.source}'"
    cargo.write_text(f'#!/bin/sh\ncargo "$@" && {edit}\n')
    cargo.chmod(0o755)
    project.setup("build_library", "--inplace", env=clean_environment(CARGO=str(cargo)))
    assert b" from Rust!" in project.library.read_bytes()
    project.setup("build_library", "--inplace")
    assert b" from later Rust!" in project.library.read_bytes()


def test_a_broken_cargo_is_not_a_missing_one(project, failing_cargo):
    text = project.setup("bdist_wheel", env=failing_cargo.environment, fails=True)
    assert "cargo failed (exit code 99)" in text


def test_a_pip_that_copies_the_folder_is_told_what_to_do(project, request, tmp_path):
    # The last pip for 2.7 is one of those.
    environment = named_interpreter(request.config, "2.7").environment(tmp_path / "venv")
    text = environment.pip("install", project.python, fails=True)
    assert "pip 21.3" in text


# ---- lib/ holds the right library --------------------------------------------------------


def test_a_library_of_these_sources_is_used_without_cargo(project, built, no_cargo):
    place(project, built)
    assert packed(project.wheel(env=no_cargo)) == built[0].read_bytes()


def test_cargo_is_not_called_for_a_library_of_these_sources(project, built, failing_cargo):
    place(project, built)
    assert packed(project.wheel(env=failing_cargo.environment)) == built[0].read_bytes()
    assert failing_cargo.calls == []


def test_a_library_without_sources_is_used(project, built, no_cargo):
    place(project, built)
    shutil.rmtree(project.root / "rust")
    assert packed(project.wheel(env=no_cargo)) == built[0].read_bytes()


def test_a_library_placed_by_hand_is_used(project, built, failing_cargo):
    place(project, built, stamp=False)
    project.edit(project.source, "from Rust!", "from other Rust!")
    assert packed(project.wheel(env=failing_cargo.environment)) == built[0].read_bytes()
    assert failing_cargo.calls == []


def test_a_library_placed_by_hand_over_a_stamped_one_is_used(project, built, failing_cargo):
    place(project, built)
    with project.library.open("ab") as file:
        file.write(b"placed by hand")
    wheel = project.wheel(env=failing_cargo.environment)
    assert packed(wheel) == built[0].read_bytes() + b"placed by hand"


def test_an_editable_install_uses_what_make_lib_left(project, built, failing_cargo):
    place(project, built)
    project.setup("build_library", "--inplace", env=failing_cargo.environment)
    assert failing_cargo.calls == []


# ---- lib/ is stale -----------------------------------------------------------------------


def test_a_stale_library_is_rebuilt(project, built):
    place(project, built)
    project.edit(project.source, "from Rust!", "from newer Rust!")
    assert b" from newer Rust!" in packed(project.wheel())


def test_a_new_source_file_makes_the_library_stale(project, built, no_cargo):
    place(project, built)
    (project.root / "rust/src/more.rs").write_text("")
    text = project.setup("bdist_wheel", env=no_cargo, fails=True)
    assert "was built from other sources" in text


def test_a_test_or_a_hidden_file_does_not_make_it_stale(project, built, no_cargo):
    place(project, built)
    (project.root / "rust/tests/more.rs").write_text("")
    (project.root / "rust/src/.more.rs.swp").write_text("")
    assert packed(project.wheel(env=no_cargo)) == built[0].read_bytes()


def test_a_stale_library_without_cargo_is_an_error_that_says_so(project, built, no_cargo):
    place(project, built)
    project.edit(project.source, "from Rust!", "from newer Rust!")
    text = project.setup("bdist_wheel", env=no_cargo, fails=True)
    assert f"{LIBRARY} was built from other sources" in text and "cargo" in text


def test_a_library_placed_by_hand_with_another_abi_is_not_used(project, built, no_cargo):
    place(project, built, stamp=False)
    patch_fingerprint(project.library)
    text = project.setup("bdist_wheel", env=no_cargo, fails=True)
    assert "has the ABI 0000000000000000" in text
    assert MARK + b"0000" not in packed(project.wheel())


# ---- lib/ holds something else -----------------------------------------------------------


def foreign(project, built):
    place(project, built, stamp=False)
    patch(project.library, 18, b"\xb7\0")  # e_machine: aarch64


def test_a_library_for_another_platform_is_refused(project, built, no_cargo):
    foreign(project, built)
    text = project.setup("bdist_wheel", env=no_cargo, fails=True)
    assert f"{LIBRARY} is for linux aarch64 glibc, not for linux x86_64 glibc" in text


def test_a_library_for_another_platform_is_rebuilt(project, built):
    foreign(project, built)
    assert packed(project.wheel())[18:20] == b"\x3e\0"


def test_a_library_for_another_libc_is_refused(project, built, no_cargo):
    place(project, built, stamp=False)
    name = project.library.read_bytes().index(b"libc.so.6\0")
    patch(project.library, name, b"libc.so\0\0\0")  # what a library for musl needs
    text = project.setup("bdist_wheel", env=no_cargo, fails=True)
    assert "is for linux x86_64 musl, not for linux x86_64 glibc" in text


def test_a_library_with_the_name_of_another_system_is_not_packed(project, built, no_cargo):
    (project.lib / f"{PACKAGE}.dll").write_bytes(b"MZ")
    text = project.setup("bdist_wheel", env=no_cargo, fails=True)
    assert f"{LIBRARY} is missing; there is {PACKAGE}.dll" in text
    place(project, built)
    packed(project.wheel(env=no_cargo))


@pytest.mark.parametrize("kind", ["empty", "text", "truncated", "directory"])
def test_what_is_no_library_is_an_error_that_names_the_file(project, built, kind):
    if kind == "directory":
        project.library.mkdir()
    else:
        whole = built[0].read_bytes()
        project.library.write_bytes(
            {"empty": b"", "text": b"#!/bin/sh\n", "truncated": whole[: len(whole) // 2]}[kind]
        )
    text = project.setup("bdist_wheel", fails=True)
    assert f"{LIBRARY} is not a library: it " in text and "Traceback" not in text


# ---- The ABI -----------------------------------------------------------------------------


# ---- The target --------------------------------------------------------------------------


def test_a_named_target_is_built_and_gives_the_tag(project, working_cargo):
    environment = dict(working_cargo.environment, CARGO_BUILD_TARGET=HOST_TRIPLE)
    wheel = project.wheel(env=environment)
    assert wheel.name.endswith("-py2.py3-none-linux_x86_64.whl")
    (call,) = working_cargo.calls
    assert f"--target {HOST_TRIPLE}" in call


def test_a_target_without_its_standard_library_says_what_to_install(project):
    environment = clean_environment(CARGO_BUILD_TARGET="s390x-unknown-linux-gnu")
    text = project.setup("bdist_wheel", env=environment, fails=True)
    assert "rustup target add s390x-unknown-linux-gnu" in text


def test_a_target_without_wheels_is_refused(project):
    environment = clean_environment(CARGO_BUILD_TARGET="wasm32-unknown-unknown")
    text = project.setup("bdist_wheel", env=environment, fails=True)
    assert "no wheels are made for the target wasm32-unknown-unknown" in text


@pytest.fixture(scope="session")
def python32(tmp_path_factory):
    """A 32-bit CPython on this 64-bit system, and an environment with setuptools for it."""
    folder = tmp_path_factory.mktemp("python32")
    try:
        root, program, _ = debian.cpython("i386")
    except roots.Skip as skip:
        pytest.skip(str(skip))
    debian.native(root, program, folder / "python")
    tool = [sys.executable, "-m", "pip", "install", "--quiet", "--target", folder / "packages"]
    run(*tool, "setuptools<81", "wheel", cwd=folder)
    environment = clean_environment(
        PYTHONHOME=str(root / "usr"), PYTHONPATH=str(folder / "packages")
    )
    return folder / "python", environment


def test_a_32_bit_python_gets_a_32_bit_library(project, python32, built):
    """…or is told which target to install, where its standard library is not there."""
    python, environment = python32
    place(project, built)
    command = [python, "setup.py", "bdist_wheel"]
    sysroot = subprocess.check_output(
        [os.environ.get("RUSTC") or "rustc", "--print", "sysroot"], text=True
    ).strip()
    if os.path.isdir(f"{sysroot}/lib/rustlib/i686-unknown-linux-gnu/lib"):
        run(*command, cwd=project.python, env=environment)
        (wheel,) = (project.python / "dist").iterdir()
        assert wheel.name.endswith("-py2.py3-none-linux_i686.whl")
        assert packed(wheel)[4:5] == b"\1"
    else:
        text = run(*command, cwd=project.python, env=environment, fails=True)
        assert "is for linux x86_64 glibc, not for linux i686 glibc" in text
        assert "rustup target add i686-unknown-linux-gnu" in text


# ---- A library that is not this project's ------------------------------------------------


def test_a_library_whose_fingerprint_no_function_tells(tmp_path):
    """The file's bytes tell it, and every function must be there."""
    package = tmp_path / "plain"
    (package / "lib").mkdir(parents=True)
    shutil.copy(ROOT / f"python/{PACKAGE}/_load.py", package)
    (package / "__init__.py").write_text("from ._load import lib\nprint(lib.p_one())\n")
    declarations, source = tmp_path / "plain.h", tmp_path / "plain.c"
    declarations.write_text("int p_one(void);\n")
    abi = "0123456789abcdef"
    command = [HELPERS / "ffi_module.py", "plain", "a.plain", "p", "1", abi, declarations, package]
    run(sys.executable, *command, cwd=tmp_path)

    def said(code, **options):
        source.write_text(code)
        library = package / "lib/libplain.so"
        run(shutil.which("cc"), "-shared", "-fPIC", source, "-o", library, cwd=tmp_path)
        return run(sys.executable, "-c", "import plain", cwd=tmp_path, **options)

    one, mark = "int p_one(void) { return 1; }\n", 'const char mark[] = "p.abi=%s";\n'
    assert said(one + mark % abi) == "1\n"
    text = said(one + mark % ("f" * 16), fails=True)
    assert "is not a plain library" in text and "--no-cache-dir a.plain`" in text
    text = said("int p_two(void) { return 2; }\n" + mark % abi, fails=True)
    assert "lacks a function that its header declares" in text and "p_one" in text


# ---- Where it stands, and who disturbs it ------------------------------------------------


def test_a_folder_with_spaces_and_letters_beyond_ascii(tmp_path, request):
    project = Project(tmp_path / "mein Projékt – 项目")
    environment = clean_environment(LC_ALL="C")
    packed(project.wheel(env=environment))
    found = found_interpreters(request.config).get("2.7")
    if found:
        venv = Interpreter("2.7", *found).environment(tmp_path / "venv é")
        # Not under LC_ALL=C: setuptools 44 cannot ask for such a working directory there.
        run(venv.python, "setup.py", "develop", cwd=project.python)
        assert greeting(venv) == "Hello Python from Rust!"


@pytest.mark.parametrize("mode", ["lenient", "strict"])
def test_an_editable_install_of_either_mode(project, tmp_path, mode):
    command = [sys.executable, "-m", "venv", "--system-site-packages", tmp_path / "venv"]
    run(*command, cwd=tmp_path)
    venv = Environment(tmp_path / "venv")
    options = ["--no-build-isolation", "--no-deps", "--config-settings", f"editable_mode={mode}"]
    environment = clean_environment(PYTHONPATH=sysconfig.get_path("purelib"))
    venv.pip("install", *options, "--editable", project.python, env=environment)
    assert run(venv.python, "-m", PACKAGE, cwd=tmp_path, env=environment).startswith("Hello")


def test_odd_names_in_the_crate(project):
    """Bytes that are no UTF-8, a link to a folder, what a vendored crate and a tool leave."""
    source = project.root / "rust/src"
    open(os.path.join(os.fsencode(source), b"\xff\xfe.txt"), "w").close()
    (project.root / "more").mkdir()
    (project.root / "more/more.rs").write_text("")
    (source / "linked").symlink_to(project.root / "more")
    vendored = project.root / "rust/vendor/tiny"
    vendored.mkdir(parents=True)
    (vendored / ".cargo-checksum.json").write_text("{}")
    (project.root / "rust/fuzz").mkdir()
    (project.root / "rust/fuzz/CACHEDIR.TAG").write_text("")
    (source / "target").mkdir()
    (source / "target/mod.rs").write_text("")
    project.setup("build_library", "--inplace")
    text = project.setup("sdist")
    with tarfile.open(next((project.python / "dist").iterdir()), errors="surrogateescape") as tar:
        names = [name.split("/", 1)[1] for name in tar.getnames()]
    assert "rust/src/linked/more.rs" in names, text
    assert "rust/src/target/mod.rs" in names, "a module of that name is no build folder"
    assert "rust/vendor/tiny/.cargo-checksum.json" in names
    assert not [name for name in names if "fuzz" in name]


def test_a_project_behind_a_symlink(project, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(project.python)
    run(sys.executable, "setup.py", "bdist_wheel", cwd=link)
    (wheel,) = (project.python / "dist").iterdir()
    packed(wheel)


def test_a_strict_umask_does_not_reach_the_wheel(project, tmp_path):
    for folder, _, names in os.walk(project.root):
        for name in names:
            os.chmod(os.path.join(folder, name), 0o600)
    script = 'umask 077 && exec "$0" setup.py bdist_wheel sdist'
    run("sh", "-c", script, sys.executable, cwd=project.python)
    (wheel,) = (project.python / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        modes = {info.filename: info.external_attr >> 16 & 0o777 for info in archive.infolist()}
    assert modes.pop(LIBRARY) == 0o755
    # setuptools writes RECORD into the archive itself, with a mode of its own.
    modes = {name: mode for name, mode in modes.items() if not name.endswith("/RECORD")}
    assert set(modes.values()) == {0o644}


def without_override():
    """The words before a command under which file modes hold for root too."""
    if os.geteuid() != 0:
        return []
    if not shutil.which("setpriv"):
        pytest.skip("file modes do not stop root, and there is no setpriv")
    return ["setpriv", "--inh-caps=-dac_override", "--bounding-set=-dac_override"]


def test_a_read_only_lib(project, built):
    os.chmod(project.lib, 0o555)
    command = [*without_override(), sys.executable, "setup.py"]
    run(*command, "bdist_wheel", cwd=project.python)  # built, packed, not put into lib/
    text = run(*command, "build_library", "--inplace", cwd=project.python, fails=True)
    assert f"cannot put the library into {PACKAGE}/lib" in text
    os.chmod(project.lib, 0o755)
    place(project, built)
    os.chmod(project.lib, 0o555)
    run(*command, "build_library", "--inplace", cwd=project.python)
    os.chmod(project.lib, 0o755)


def test_a_killed_build_leaves_nothing_half_written(project):
    """Killed at many moments; after each, what lies in lib/ is whole or not used."""
    command = [sys.executable, "setup.py", "build_library", "--inplace"]
    for i, delay in enumerate([0.1, 0.3, 0.5, 0.7, 0.9, 1.1, 1.3, 1.6]):
        text = "from Rust!" if i == 0 else f"from Rust {i - 1}!"
        project.edit(project.source, text, f"from Rust {i}!")
        process = subprocess.Popen(
            command,
            cwd=project.python,
            env=clean_environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(delay)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if i % 4 == 3:
            assert f" from Rust {i}!".encode() in packed(project.wheel())
    project.setup("build_library", "--inplace")
    assert b" from Rust 7!" in project.library.read_bytes()
    names = sorted(path.name for path in project.lib.iterdir() if not path.name.endswith(".tmp"))
    assert names == ["README.md", project.library.name, f"{project.library.name}.json"]


def test_a_kill_between_library_and_stamp_is_noticed(project, built, failing_cargo):
    place(project, built)
    project.stamp.write_text('{"unfinished": true}')
    text = project.setup("bdist_wheel", env=failing_cargo.environment, fails=True)
    assert "was left by an interrupted build" in text


def test_two_builds_at_once_are_both_right(project):
    builds = [
        subprocess.Popen(
            [sys.executable, "setup.py", "bdist_wheel", "--dist-dir", f"dist/{i}"],
            cwd=project.python,
            env=clean_environment(SOURCE_DATE_EPOCH="1000000000"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for i in range(3)
    ]
    assert [build.wait(timeout=300) for build in builds] == [0, 0, 0]
    wheels = [path.read_bytes() for path in (project.python / "dist").glob("*/*.whl")]
    assert len(wheels) == 3 and len(set(wheels)) == 1


def test_nothing_of_an_older_build_is_packed(project):
    """Not a module that is gone, not another library."""
    (project.python / PACKAGE / "gone.py").write_text("")
    project.wheel()
    (project.python / PACKAGE / "gone.py").unlink()
    stale = project.python / f"build/lib.stale/{PACKAGE}/lib"
    for folder in [stale, *(project.python / "build").glob(f"lib*/{PACKAGE}/lib")]:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "other.so").write_bytes(b"")
    wheel = project.wheel()
    packed(wheel)
    with zipfile.ZipFile(wheel) as archive:
        assert not [name for name in archive.namelist() if "gone" in name]


def test_a_setuptools_without_wheel_says_what_to_install(project):
    """It makes an sdist, and no wheel: before setuptools 70.1 the package wheel did that."""
    code = (
        "import runpy, sys; names = ['setuptools.command.bdist_wheel', 'wheel.bdist_wheel'];"
        "sys.modules.update(dict.fromkeys(names)); runpy.run_path('setup.py', run_name='__main__')"
    )
    run(sys.executable, "-c", code, "--quiet", "sdist", cwd=project.python)
    text = run(sys.executable, "-c", code, "bdist_wheel", cwd=project.python, fails=True)
    assert "the package wheel, which is missing" in text and "pip install wheel" in text
    assert "Traceback" not in text
