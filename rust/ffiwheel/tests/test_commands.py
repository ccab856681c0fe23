"""A library that another command than cargo builds, or whose C header its author wrote."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import zipfile

import pytest

import command
from support import (
    FFIWHEEL,
    clean_environment,
    commit,
    ffiwheel,
    link_tools,
    long,
    named_interpreter,
    run,
)

PYTHONS = ["2.7", "3.13", *long("3.6", "pypy3")]


def ready(folder, language="c"):
    """The project with what `make header` generates, in one commit."""
    project = command.make(folder, language)
    link_tools(project)
    commit(project)
    ffiwheel(project, "header")
    commit(project)
    return project


@pytest.fixture(scope="session")
def original(tmp_path_factory):
    return ready(tmp_path_factory.mktemp("command") / "project")


@pytest.fixture
def project(original, tmp_path):
    """A copy, with what the first build of it left."""
    shutil.copytree(original.root, tmp_path / "project", symlinks=True)
    copy = command.Tree(tmp_path / "project", "thing")
    copy.sources = copy.root / "sources"
    copy.header = copy.sources / "include/thing.h"
    return copy


def declare(project, text):
    """Adds declarations to the header."""
    project.edit(project.header, "enum thing_mode", f"{text}\nenum thing_mode")


def define(project, text):
    with (project.sources / "thing.c").open("a") as file:
        file.write(text)


def set_command(project, text):
    settings = project.python / "setup.cfg"
    settings.write_text(
        re.sub(r"(?m)^command = .*$", lambda _: f"command = {text}", settings.read_text())
    )


def module(project):
    return (project.python / "thing/_ffi.py").read_text()


# ---- setup.py --------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["2.7", "3.13", "pypy3"])
def test_a_struct_of_functions_that_take_it(project, version, request, tmp_path):
    """Like SQLite's sqlite3_vfs. CFFI 2 aborts if it reads the function first."""
    declare(
        project,
        "struct thing_file { int (*open)(struct thing_file *, int); };\n"
        "int thing_open(struct thing_file *file, int mode);",
    )
    define(project, "int thing_open(struct thing_file *file, int mode) { return mode + 1; }\n")
    ffiwheel(project, "header")
    environment = named_interpreter(request.config, version).environment(tmp_path / "environment")
    environment.pip("install", "--editable", project.python)
    code = "import thing; print(thing.lib.thing_open(thing.ffi.NULL, 3))"
    assert run(environment.python, "-c", code, cwd=tmp_path) == "4\n"


@pytest.fixture(params=PYTHONS)
def environment(request, tmp_path):
    return named_interpreter(request.config, request.param).environment(tmp_path / "environment")


def check(project, environment):
    script = project.root / "scripts/smoke.py"
    assert run(environment.python, script, cwd=environment.folder) == "thing is right\n"


def test_it_is_installed_from_the_checkout_and_from_the_sdist(project, environment):
    environment.pip("install", "--editable", project.python)
    check(project, environment)
    environment.pip("uninstall", "--yes", "thing")
    ffiwheel(project, "sdist")
    (sdist,) = (project.root / "dist").glob("*.tar.gz")
    environment.pip("install", sdist)
    check(project, environment)


def test_it_is_built_again_when_a_source_has_changed(project):
    first = project.setup("build_library", "--inplace")
    assert "is missing; building it in ../sources: make OUT=" in first
    assert "building" not in project.setup("build_library", "--inplace")
    project.edit(project.sources / "thing.c", '"THING"', '"OTHER"')
    said = project.setup("build_library", "--inplace")
    assert "was built from other sources than ../sources" in said
    assert b"OTHER" in project.library.read_bytes()
    set_command(project, 'make OUT="$OUTPUT" CFLAGS="-O1 -fPIC -Iinclude"')
    assert "was built by another command" in project.setup("build_library", "--inplace")


def test_a_wheel_needs_no_compiler_where_the_library_is_there(project):
    project.setup("build_library", "--inplace")
    said = project.setup("bdist_wheel", env=clean_environment(PATH="/nonexistent"))
    assert "building it" not in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("false", "the build command failed (exit code 1)"),
        ("true", "left no library at $OUTPUT"),
        ('echo x > "$OUTPUT"', "is not a library"),
        ('make OUT="$OUTPUT" && touch new.c', "has changed its sources"),
    ],
)
def test_a_command_of_setup_py_that_does_something_else(project, text, words):
    set_command(project, text)
    said = project.setup("bdist_wheel", fails=True)
    assert words in said and "Traceback" not in said
    assert not list(project.python.glob("dist/*.whl"))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("sources = sources\n", "", "sets `command` below .build_library., but no `sources`"),
        ("header = include/thing.h\n", "", "sets `command` below .build_library., but no `header`"),
        ("command =", "# command =", "sets `sources` below .build_library., but no `command`"),
        ("sources = sources", "sources = ../sources", "is not a folder beside python/|outside"),
        ("sources = sources", "sources = python", "not a folder beside python/"),
        ("sources = sources", "sources = sources\noutput = x", "sets `output`: a command writes"),
        ("sources = sources", "sources = sources\ncrate = x", "sets `command` and `crate`"),
        ("sources = sources", "sources = sources\nkind = program", "for a library"),
        ("command = make", "command = make X=50%", "with a %, which setuptools would replace"),
        ("version = 1.2.0\n", "", "has no version"),
        ("include/thing.h", "include/other.h", "there is no .*include/other.h"),
    ],
)
def test_settings_that_do_not_go_together(project, old, new, words):
    """setup.py and the tool say it in the same words."""
    project.edit(project.python / "setup.cfg", old, new)
    for said in [project.setup("sdist", fails=True), ffiwheel(project, "sdist", fails=True)]:
        assert re.search(words, said) and "Traceback" not in said


def test_an_sdist_has_what_git_would_take(project):
    (project.sources / "thing.o").write_text("")
    (project.sources / "new.c").write_text("")
    with (project.root / ".gitignore").open("a") as file:
        file.write("*.o\n")
    project.setup("sdist")
    with tarfile.open(next((project.python / "dist").glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert "sources/new.c" in names and "sources/thing.o" not in names
    assert {"sources/Makefile", "sources/include/thing.h", "thing/_ffi.py"} <= names


# ---- The header ------------------------------------------------------------------------------


def test_what_python_gets(original):
    text = module(original)
    for name in ["thing_add", "thing_name", "thing_sum", "THING_LIMIT", "THING_LOUD"]:
        assert name in text
    assert "THING_TEXT" not in text and "PARTLY = ''" in text
    assert "_ffi.py are up to date" in ffiwheel(original, "header", "--check")


def test_what_is_left_out_is_named(project):
    declare(
        project,
        "void thing_log(const char *format, va_list arguments);\n"
        "int thing_gone(void);\n"
        "static inline int thing_inline(void) { return 1; }\n"
        "time_t thing_time(void);\n"
        "#include <time.h>\n"
        "#ifdef _WIN32\n#define THING_SYSTEM 1\nint thing_windows(void);\n"
        "#else\n#define THING_SYSTEM 2\n#endif",
    )
    project.edit(project.header, "#include <stdio.h>", "#include <stdio.h>\n#include <time.h>")
    define(
        project,
        "time_t thing_time(void) { return 0; }\nvoid thing_log(const char *f, va_list a) {}\n",
    )
    define(project, "#ifdef _WIN32\nint thing_windows(void) { return 1; }\n#endif\n")
    said = ffiwheel(project, "header")
    for words in [
        "thing_log: it takes a va_list",
        "thing_gone: the library does not export it",
        "thing_inline: it is defined in the header",
        "thing_time: it takes time_t of the system",
        "THING_SYSTEM: its value is not the same on every platform",
        "thing_windows is not on every platform",
    ]:
        assert f"note: {words}" in said or f"note: Python does not get {words}" in said
    text = module(project)
    assert "thing_log" not in text and "PARTLY = 'thing_windows'" in text
    commit(project)
    ffiwheel(project, "wheels")
    code = "import thing; thing.lib.thing_windows"
    environment = clean_environment(PYTHONPATH=str(project.python))
    project.setup("build_library", "--inplace")
    said = run(sys.executable, "-c", code, cwd=project.root, env=environment, fails=True)
    assert "AttributeError" in said and "thing_windows" in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("__typeof__(int) thing_new(void);", r"thing\.h:\d+: this is not C as CFFI reads it"),
        (
            "typedef struct thing_new { char text[sizeof(long)]; } thing_new;",
            r"thing\.h:\d+: CFFI cannot take this",
        ),
        ("#include <no_such_header.h>", r"thing\.h:\d+:\d+: fatal error: 'no_such_header.h'"),
        (
            "#ifdef _WIN32\nint thing_add2(int a);\n#else\nint thing_add2(long a);\n#endif",
            "declares thing_add2 as `int thing_add2.*` for .* Python has one declaration",
        ),
    ],
)
def test_a_header_that_cannot_be_read_is_one_sentence(project, text, words):
    declare(project, text)
    before = module(project)
    said = ffiwheel(project, "header", fails=True)
    assert re.search(words, said), said
    assert "Traceback" not in said and module(project) == before


def test_a_struct_that_cffi_lays_out_otherwise_is_refused(project):
    project.edit(project.header, "} thing_sum;", "} __attribute__((packed)) thing_sum;")
    ffiwheel(project, "header")
    said = ffiwheel(project, "wheels", fails=True)
    assert "thing_sum is not laid out as CFFI has it" in said


def test_a_stale_module_is_found(project):
    with project.header.open("a") as file:
        file.write("/* A remark. */\n")
    project.setup("build_library", "--inplace")
    declare(project, "int thing_more(void);")
    define(project, "int thing_more(void) { return 1; }\n")
    for said in [
        project.setup("bdist_wheel", fails=True),
        ffiwheel(project, "wheels", fails=True),
    ]:
        assert "_ffi.py is stale: it was generated from another" in said
        assert "run `make header`" in said
    assert "out of date" in ffiwheel(project, "header", "--check", fails=True)


# ---- The verbs -------------------------------------------------------------------------------


def test_a_wheel_is_built_judged_and_run(project):
    said = ffiwheel(project, "wheels", "host")
    assert re.search(r"thing-1\.2\.0-py2\.py3-none-manylinux2014_x86_64", said)
    assert "CPython" in said
    (wheel,) = (project.root / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".cdx.json")]
        assert json.loads(archive.read(name))["metadata"]["component"]["version"] == "1.2.0"
    assert "up to date" in ffiwheel(project, "wheels", "host")
    ffiwheel(project, "sdist")
    said = ffiwheel(project, "audit")
    assert said.count("ok dist/") == 2, said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("echo no >&2; exit 3", "the build command failed for manylinux_aarch64"),
        ("true", r"left no library at \$OUTPUT"),
        (
            'cc -shared -fPIC -Iinclude -o "$OUTPUT" thing.c',
            "aarch64|x86_64",
        ),
        ('make OUT="$OUTPUT" && touch new.c', "wrote to its sources, sources/new.c"),
        ('make OUT="$OUTPUT" CFLAGS="-fPIC -Iinclude -Dthing_name=thing_x"', "export thing_name"),
    ],
    ids=["fails", "nothing", "host", "sources", "export"],
)
def test_a_command_that_does_something_else(project, text, words):
    set_command(project, text)
    said = ffiwheel(project, "wheels", "manylinux_aarch64", fails=True)
    assert re.search(words, said) and "no wheel for manylinux_aarch64" in said, said
    assert not list(project.root.glob("dist/*.whl"))


def test_a_framework_is_for_apples_linker(project):
    set_command(project, 'make OUT="$OUTPUT" LDFLAGS="$LDFLAGS -framework CoreFoundation"')
    said = ffiwheel(project, "wheels", "macosx_arm64", fails=True)
    assert "zig has none of macOS's frameworks: build macosx_arm64 on macOS, with" in said, said


def test_an_interrupted_command_leaves_no_wheel(project):
    set_command(project, 'echo $$ > "$BUILD_DIR/started" && exec sleep 600')
    words = [*FFIWHEEL, "--", "wheels", "host"]
    started = project.root / "build/x86_64-unknown-linux-gnu/command/started"
    build = subprocess.Popen(
        words, cwd=project.root, env=clean_environment(), start_new_session=True
    )
    for _ in range(600):
        if started.is_file() and started.read_text().strip():
            break
        time.sleep(0.1)
    os.killpg(build.pid, signal.SIGINT)
    assert build.wait(timeout=60) != 0
    assert not list(project.root.glob("dist/*.whl"))
    for _ in range(100):
        if not os.path.exists(f"/proc/{started.read_text().strip()}"):
            break
        time.sleep(0.1)
    else:
        raise AssertionError("the command still runs")


def test_the_version_is_that_of_setup_cfg(project):
    assert "changed python/setup.cfg" in ffiwheel(project, "bump", "1.3.0-rc.1")
    assert "version = 1.3.0rc1\n" in (project.python / "setup.cfg").read_text()
    assert "VERSION = '1.3.0rc1'" in module(project)
    commit(project)
    assert "v1.3.0rc1 can be built" in ffiwheel(project, "check-tag", "v1.3.0rc1")


@pytest.mark.parametrize("words", [["sdist", "--vendor"], ["wheels", "--backend", "cross"]])
def test_what_is_cargos_is_refused_by_name(project, words):
    assert "a command" in ffiwheel(project, *words, fails=True)


def test_lint_and_fmt_call_no_cargo(project):
    environment = clean_environment(ASKED_CARGO="no-cargo-here")
    for verb in ["fmt", "lint"]:
        assert "no-cargo-here" not in ffiwheel(project, verb, env=environment)


def test_a_crate_with_a_header_of_its_own(tmp_path):
    project = ready(tmp_path / "project", "crate")
    before = project.header.read_text()
    ffiwheel(project, "wheels", "host")
    ffiwheel(project, "sdist")
    assert ffiwheel(project, "audit").count("ok dist/") == 2
    assert project.header.read_text() == before


# ---- Several libraries -----------------------------------------------------------------------


@pytest.fixture(scope="session")
def two(tmp_path_factory):
    return ready(tmp_path_factory.mktemp("two") / "project", "two")


@pytest.fixture
def pair(two, tmp_path):
    shutil.copytree(two.root, tmp_path / "pair", symlinks=True)
    copy = command.Tree(tmp_path / "pair", "thing")
    copy.sources = copy.root / "sources"
    return copy


def smoke(project, **options):
    environment = clean_environment(PYTHONPATH=str(project.python))
    script = project.root / "scripts/smoke.py"
    return run(sys.executable, script, cwd=project.root, env=environment, **options)


def test_a_library_may_link_against_another_of_the_wheel(pair):
    makefile = pair.sources / "Makefile"
    pair.edit(makefile, "$(OUT): $(BUILD_DIR)/thing.o", "$(OUT): $(BUILD_DIR)/thing.o $(NAMES)")
    pair.edit(makefile, "$(LDFLAGS) -o", "$(LDFLAGS) -Wl,-rpath,'$$ORIGIN' -o")
    pair.edit(pair.sources / "thing.c", "sum->count++;", "sum->count += thing_name(0)[0] == 't';")
    commit(pair)
    said = ffiwheel(pair, "wheels", "host")  # which runs scripts/smoke.py, too
    assert "CPython" in said
    assert "ok dist/" in ffiwheel(pair, "audit")
    assert "1 wheel: 1 installed" in ffiwheel(pair, "smoke", "host")


def test_what_one_of_several_libraries_lacks_is_built_again(pair):
    pair.setup("build_library", "--inplace")
    lib = pair.python / "thing/lib"
    assert smoke(pair) == "thing is right\n"
    assert "building" not in pair.setup("build_library", "--inplace")
    (lib / "libthing_names.so").unlink()
    said = smoke(pair, fails=True)
    assert "libthing_names.so is missing" in said and "ImportError" in said
    said = pair.setup("build_library", "--inplace")
    assert "libthing_names.so is missing; building it" in said
    assert smoke(pair) == "thing is right\n"


@pytest.mark.parametrize(
    ("command_text", "words"),
    [
        ('make "$OUTPUT" OUT="$OUTPUT"', r"left no library at \$OUTPUT_THING_NAMES"),
        (
            'make OUT="$OUTPUT" NAMES="$OUTPUT_THING_NAMES" && cp "$OUTPUT" "$OUTPUT_THING_NAMES"',
            "thing_add, which the header declares: leave it in one of them",
        ),
    ],
    ids=["nothing", "twice"],
)
def test_each_of_several_libraries_is_checked(pair, command_text, words):
    set_command(pair, command_text)
    said = ffiwheel(pair, "wheels", "host", fails=True)
    assert re.search(words, said), said
    if "left no" in words:
        assert re.search(words, pair.setup("bdist_wheel", fails=True))


@pytest.mark.parametrize("names", ["thing", "thing_names, Thing_Names", "libthing.so", "../x"])
def test_names_of_libraries_that_cannot_be(pair, names):
    pair.edit(pair.python / "setup.cfg", "libraries = thing_names", f"libraries = {names}")
    for said in [pair.setup("sdist", fails=True), ffiwheel(pair, "sdist", fails=True)]:
        assert "under `libraries`" in said and "Traceback" not in said
