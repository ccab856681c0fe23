"""Libraries in several languages through all verbs, and for other platforms. `make test-commands`
runs all of it, and writes the table in docs/commands.md."""

import functools
import json
import os
import shlex
import shutil
import sys

import pytest
from elftools.elf.elffile import ELFFile

import command
import roots
from support import (
    CARGO,
    ROOT,
    Environment,
    clean_environment,
    commit,
    ffiwheel,
    link_roots,
    link_tools,
    named_interpreter,
    run,
)
from test_targets import prepared

CASES = [*command.PROGRAMS, "sqlite"]
TARGETS = ["manylinux_x86_64", "manylinux_aarch64", "musllinux_x86_64"]
TARGETS += ["macosx_arm64", "macosx_universal2", "win_amd64"]
# The slow tests have each kind of platform once, and each language but C++, whose library zig
# compiles for each platform: that takes minutes.
FEW = {
    ("c", "musllinux_x86_64"),
    ("two", "macosx_universal2"),
    ("meson", "macosx_universal2"),
    ("zig", "win_amd64"),
    ("go", "manylinux_x86_64"),
    ("crate", "manylinux_x86_64"),
    ("sqlite", "manylinux_aarch64"),
}
# Only read, not run: the emulator runs no initialisers, which the library of C++ has.
READ = {("cpp", "macosx_arm64"), ("cpp", "macosx_universal2")}
# Where a language's own tools cannot build, with a part of the message.
REFUSED = {
    ("go", "musllinux_x86_64"): "it takes thread-local memory",
    ("go", "macosx_arm64"): "zig has none of macOS's frameworks: build macosx_arm64 on macOS",
    ("go", "macosx_universal2"): "object files of this compiler for macOS: build macosx_x86_64 on",
}

SQLITE = """\
[package]
name = "fetch"
version = "0.1.0"

[lib]
path = "lib.rs"

[dependencies]
libsqlite3-sys = "=0.30.1"

[workspace]
"""
SQLITE_SETTINGS = """\
[build_library]
sources = sqlite
header = sqlite3.h
prefix = sqlite3
command = ${CC:-cc} -shared -fPIC -O2 $LDFLAGS -o "$OUTPUT" sqlite3.c -lm
"""
SQLITE_SMOKE = """\
from thing import ffi, lib

connection, statement = ffi.new("sqlite3 **"), ffi.new("sqlite3_stmt **")
assert lib.sqlite3_open(b":memory:", connection) == lib.SQLITE_OK
query = b"select sum(value) from json_each('[1, 2, 3]')"
assert lib.sqlite3_prepare_v2(connection[0], query, -1, statement, ffi.NULL) == lib.SQLITE_OK
assert lib.sqlite3_step(statement[0]) == lib.SQLITE_ROW
assert lib.sqlite3_column_int(statement[0], 0) == 6
assert lib.sqlite3_finalize(statement[0]) == lib.sqlite3_close(connection[0]) == lib.SQLITE_OK
print("thing is right")
"""


def build_systems(folder):
    """Writes CMake, Meson, ninja and Zig, from PyPI, as programs into a new folder."""
    text = (ROOT / "rust/ffiwheel/tests/requirements.txt").read_text()
    root = roots.pypi("build-systems", text, unpacked=True)
    folder.mkdir()
    for name, words in {
        "cmake": [root / "cmake/data/bin/cmake"],
        "ninja": [root / "bin/ninja"],
        "meson": ["env", f"PYTHONPATH={root}", sys.executable, root / "bin/meson"],
        "zig": [sys.executable, "-m", "ziglang"],
    }.items():
        command = shlex.join(map(str, words))
        (folder / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (folder / name).chmod(0o755)
    return folder


def sqlite(project):
    """SQLite's one source and its header, as the crate libsqlite3-sys packs them."""

    def make(folder):
        (folder / "Cargo.toml").write_text(SQLITE)
        (folder / "lib.rs").touch()
        run(CARGO, "vendor", "--quiet", cwd=folder)
        for name in ("sqlite3.c", "sqlite3.h"):
            shutil.copy(folder / "vendor/libsqlite3-sys/sqlite3" / name, folder)
        shutil.rmtree(folder / "vendor")

    found = roots.cached("sqlite", SQLITE, make)
    shutil.rmtree(project.sources)
    (project.root / "sqlite").mkdir()
    for name in ("sqlite3.c", "sqlite3.h"):
        shutil.copy(found / name, project.root / "sqlite")
    settings = project.python / "setup.cfg"
    text = settings.read_text().split("[build_library]")[0]
    settings.write_text(text + SQLITE_SETTINGS)
    (project.python / "thing/__init__.py").write_text("from ._load import ffi, lib  # noqa\n")
    (project.root / "scripts/smoke.py").write_text(SQLITE_SMOKE)


@pytest.fixture(scope="module")
def project_of(tmp_path_factory):
    """What makes the project of a language, once: with what `make header` generates, in one
    commit, and in `environment` the language's tools."""

    @functools.cache
    def made(case):
        project = command.make(
            tmp_path_factory.mktemp(case) / "project", "c" if case == "sqlite" else case
        )
        if case == "sqlite":
            sqlite(project)
        link_roots(project)
        commit(project)
        environment = clean_environment()
        link_tools(project)
        path = [str(ROOT / ".venv/bin"), environment["PATH"]]
        if case in ("cpp", "meson", "zig"):
            path.insert(0, str(build_systems(tmp_path_factory.mktemp("programs") / "bin")))
        if case == "go":
            if not shutil.which("go"):
                pytest.skip("needs Go: apt install golang-go")
            environment.update(GOCACHE=str(roots.ROOTS / "go"))
        environment["PATH"] = os.pathsep.join(path)
        project.environment = environment
        ffiwheel(project, "header", env=environment)
        commit(project)
        return project

    return made


PAIRS = [
    pytest.param(
        case, target, marks=pytest.mark.slow if (case, target) in FEW else pytest.mark.long
    )
    for case in CASES
    for target in TARGETS
]


@pytest.mark.parametrize(("case", "target"), PAIRS)
def test_a_wheel(case, target, project_of, record_property):
    """Is built, judged and run as far as this machine can."""
    project = project_of(case)
    environment = prepared(project, target) if case == "crate" else project.environment
    words = ["wheels", "--json", target]
    if (case, target) in REFUSED:
        text = ffiwheel(project, *words, env=environment, fails=True, timeout=1800)
        assert REFUSED[case, target] in text
        record_property("language", [case, target, "refused"])
        return
    ffiwheel(project, *words, env=environment, timeout=1800)
    text = ffiwheel(project, "smoke", "--json", target, env=environment, timeout=900)
    (row,) = json.loads(text[text.index("[\n") : text.rindex("]") + 1])
    assert not row["error"] and (row["level"] != "static only") == ((case, target) not in READ), row
    record_property("language", [case, target, row["level"]])


@pytest.mark.long
@pytest.mark.parametrize("case", CASES)
def test_the_other_verbs(case, project_of, request, tmp_path):
    project = project_of(case)
    environment = project.environment
    ffiwheel(project, "header", "--check", env=environment)
    ffiwheel(project, "sdist", env=environment)
    (sdist,) = (project.root / "dist").glob("*.tar.gz")
    assert f"ok dist/{sdist.name}" in ffiwheel(project, "audit", env=environment)
    smoke = project.root / "scripts/smoke.py"
    for version in ["2.7", "3.6", "3.13", "pypy3"]:
        python = named_interpreter(request.config, version).environment(tmp_path / version)
        python.pip("install", sdist, env=environment)
        assert run(python.python, smoke, cwd=tmp_path) == "thing is right\n"
    python.pip("uninstall", "--yes", "thing")
    python.pip("install", "--editable", project.python, env=environment)
    assert run(python.python, smoke, cwd=tmp_path) == "thing is right\n"
    ffiwheel(project, "reproduce", "host", env=environment, timeout=1800)


@pytest.mark.long
def test_the_settings_of_sqlite_are_few(project_of):
    """And Python gets all of its functions but those with a va_list."""
    project = project_of("sqlite")
    assert len(SQLITE_SETTINGS.splitlines()) < 10
    code = "import thing; print(*dir(thing.lib))"
    ffiwheel(project, "lib", env=project.environment)
    python = Environment(ROOT / ".venv").python
    found = set(run(python, "-c", code, cwd=project.python).split())
    with open(project.library, "rb") as file:
        symbols = ELFFile(file).get_section_by_name(".dynsym").iter_symbols()
        exports = {it.name for it in symbols if it["st_shndx"] != "SHN_UNDEF"}
    assert len(exports) > 270 and exports - found == {
        "sqlite3_str_vappendf",
        "sqlite3_vmprintf",
        "sqlite3_vsnprintf",
    }
