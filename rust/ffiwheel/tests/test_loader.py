"""What the user is told when the library cannot be loaded, and that no other one ever is."""

import os
import platform
import shutil
import subprocess
import sys
import zipfile

import pytest

from support import MARK, NAME, PACKAGE, clean_environment, named_interpreter, run

LIBRARY = f"lib{PACKAGE}.so"
VARIABLE = f"{PACKAGE.upper()}_LIBRARY"
GREETING = "Hello Python from Rust!\n"
CODE = {
    "plain": "int f(void) { return 1; }",
    "has g": "int g(void) { return 1; }",
    "needs strlcpy": "#include <string.h>\n"
    "unsigned long strlcpy(char *, const char *, unsigned long);\n"
    "unsigned long f(char *a, char *b) { return strlcpy(a, b, 1); }",
    "needs g": "int g(void); int f(void) { return g(); }",
    "abi of no text": f"const char *{PACKAGE}_abi(void) {{ return 0; }}",
}
GLIBC = "x86_64-linux-gnu.2.17"


@pytest.fixture(scope="session")
def compiled(tmp_path_factory):
    """Compiles code with zig, for any target, once: compiled(code, target, *words) → path. With
    -nostdlib, zig does not compile a runtime for the target first, which takes a minute."""
    folder = tmp_path_factory.mktemp("compiled")
    made = {}

    def compiled(code, target, *words, name="x.so"):
        key = (code, target, words, name)
        if key not in made:
            made[key] = folder / str(len(made)) / name
            made[key].parent.mkdir()
            source = made[key].with_name("x.c")
            source.write_text(CODE[code] + "\n")
            zig = [sys.executable, "-m", "ziglang", "cc", "-shared", "-target", target]
            run(*zig, "-o", made[key], source, *words, cwd=folder)
        return made[key]

    return compiled


@pytest.fixture(scope="module", params=["2.7", "3.13", "pypy3"])
def installed(request, wheel, tmp_path_factory):
    """An environment with the wheel, and where its library is."""
    interpreter = named_interpreter(request.config, request.param)
    environment = interpreter.environment(tmp_path_factory.mktemp("installed") / "venv")
    environment.pip("install", wheel)
    environment.number = interpreter.number
    environment.library = next(environment.folder.glob(f"lib*/**/{LIBRARY}"))
    environment.library.with_suffix(".kept").write_bytes(environment.library.read_bytes())
    return environment


def said(environment, *before, cwd, words=("-m", PACKAGE), fails=True, **variables):
    command = [*before, environment.python, *words]
    text = run(*command, cwd=cwd, env=clean_environment(**variables), fails=fails)
    assert not fails or "ImportError: " in text, text
    return text


# ---- What loaders say, in words -----------------------------------------------------------


def broken(kind, compiled, kept, folder):
    """(a library that cannot be loaded, what is said of it)"""
    if kind == "another processor's":
        return compiled("plain", "aarch64-linux-gnu.2.17", "-nostdlib"), "for another processor"
    if kind == "another word size's":
        return compiled("plain", "x86-linux-gnu.2.17", "-nostdlib"), "for another processor"
    if kind == "macOS's":
        return compiled("plain", "aarch64-macos", "-nostdlib"), "not a library for this system"
    if kind == "musl's":
        libc = compiled("has g", GLIBC, "-Wl,-soname,libc.musl-x86_64.so.1", name="libc.so.1")
        return compiled("needs g", GLIBC, libc), "it is for musl"
    if kind == "a newer glibc's":
        if tuple(map(int, platform.libc_ver()[1].split("."))) >= (2, 38):
            pytest.skip("this system's glibc is new, too")
        return compiled("needs strlcpy", "x86_64-linux-gnu.2.38"), "needs glibc 2.38 or later"
    if kind == "in want of another library":
        other = compiled("has g", GLIBC, "-Wl,-soname,libother.so.7", name="libother.so")
        return compiled("needs g", GLIBC, other), "needs the library libother.so.7, which is not"
    if kind == "in want of a function":
        words = ["-Wl,--allow-shlib-undefined", "-Wl,-z,now"]
        return compiled("needs g", GLIBC, *words), "but in another version"
    if kind == "somebody else's":
        return compiled("plain", GLIBC), f"is not a {PACKAGE} library"
    if kind == "somebody's of the same name":
        return compiled("abi of no text", GLIBC), f"is not a {PACKAGE} library"
    path = folder / "x.so"
    whole = kept.read_bytes()
    part, words = {
        "empty": (0, "damaged, or not a library"),
        "cut in its header": (40, "damaged, or not a library"),
        "cut after its header": (100, "damaged: its end is missing"),
        # A loader would die of SIGBUS.
        "cut short": (len(whole) // 2, "damaged: its end is missing"),
        "without its last byte": (len(whole) - 1, "damaged: its end is missing"),
        "a text": (None, "damaged, or not a library"),
    }[kind]
    path.write_bytes(b"text " * 100 if part is None else whole[:part])
    return path, words


KINDS = ["another processor's", "another word size's", "macOS's", "musl's", "a newer glibc's"]
KINDS += ["in want of another library", "in want of a function", "somebody else's"]
KINDS += ["somebody's of the same name", "empty", "a text"]
KINDS += ["cut in its header", "cut after its header", "cut short", "without its last byte"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_library_that_cannot_be_loaded(kind, installed, compiled, tmp_path):
    kept = installed.library.with_suffix(".kept")
    path, words = broken(kind, compiled, kept, tmp_path)
    try:
        shutil.copyfile(path, installed.library)
        text = said(installed, cwd=tmp_path)
    finally:
        shutil.copyfile(kept, installed.library)
    line = text.splitlines()[-1]
    assert words in line and str(installed.library) in line, line
    assert "pip install --force-reinstall" in line, "what to do"
    assert said(installed, cwd=tmp_path, fails=False) == GREETING


def without_rights():
    """What starts a command so that it may read no more than its user."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--"]


def test_a_library_that_may_not_be_read(installed, tmp_path):
    for path, words in [
        (installed.library, "the current user has no permission to read it"),
        (installed.library.parent, "cannot be reached: Permission denied"),
    ]:
        try:
            path.chmod(0)
            text = said(installed, *without_rights(), cwd=tmp_path)
        finally:
            path.chmod(0o755)
        assert words in text


def test_a_library_where_no_code_may_run(installed, tmp_path):
    script = f'mount -t tmpfs -o noexec none "$1" && cp "$2" "$1" && {VARIABLE}="$1/{LIBRARY}" '
    words = ["unshare", "--mount", "--map-root-user", "--", "sh", "-c"]
    probe = [*words, 'mount -t tmpfs none "$1"', "sh", tmp_path]
    done = subprocess.run(probe, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"no file system can be mounted: {done.stderr.strip()}")
    script += f'"$3" -m {PACKAGE}'
    command = [*words, script, "sh", tmp_path, installed.library, installed.python]
    text = run(*command, cwd=installed.folder, fails=True)
    assert "ImportError" in text and "`noexec`" in text


def test_a_package_in_an_archive(installed, tmp_path):
    site = installed.library.parents[2]
    archive = tmp_path / "app.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in (site / PACKAGE).rglob("*.py"):
            file.write(path, path.relative_to(site))
    assert "unpack it" in said(installed, cwd=tmp_path, PYTHONPATH=str(archive))


# What loaders say where no test brings them to it: glibc's, at the limits of a system;
# and of those that no Python of this machine uses: musl's, as version 1.2.3 printed them;
# dyld's of macOS 10.15 to 14; Windows's, whose codes cffi prints in hexadecimal and whose
# words PyPy prints.
FOREIGN = [
    ("/x.so: cannot open shared object file: Too many open files", "too many files are open"),
    (
        "/x.so: failed to map segment from shared object: Cannot allocate memory",
        "not enough memory",
    ),
    ("/x.so: cannot restore segment prot after reloc: Permission denied", "a policy of the"),
    (
        "/x.so: cannot enable executable stack as shared object requires: Permission denied",
        "a policy of the",
    ),
    ("Error loading shared library /x.so: Exec format error", "or damaged"),
    ("Error loading shared library /x.so: Operation not permitted", "`noexec`"),
    ("Error loading shared library /x.so: Permission denied", "has no permission to read it"),
    (
        "Error loading shared library ld64.so.2: No such file or directory (needed by /x.so)",
        "it is for glibc",
    ),
    (
        "Error loading shared library ld-linux-x86-64.so.2: No such file or directory "
        "(needed by /x.so)",
        "it is for glibc",
    ),
    ("Error relocating /x.so: __isoc23_strtol: symbol not found", "it is for glibc"),
    (
        "Error loading shared library libz.so.1: No such file or directory (needed by /x.so)",
        "needs the library libz.so.1",
    ),
    (
        "dlopen(/x.dylib, 0x0002): tried: '/x.dylib' (mach-o file, but is an incompatible "
        "architecture (have 'arm64', need 'x86_64'))",
        "another processor",
    ),
    ("dlopen(/x.dylib, 2): no suitable image found. /x.dylib: mach-o, but wrong architecture",
     "another processor"),
    (
        "dlopen(/x.dylib, 0x0002): Library not loaded: @rpath/libz.1.dylib\n  Referenced from: "
        "<0> /x.dylib\n  Reason: tried: '/usr/lib/libz.1.dylib' (no such file)",
        "needs the library @rpath/libz.1.dylib",
    ),
    (
        "dlopen(/x.dylib, 0x0002): tried: '/x.dylib' (code signature in <0> '/x.dylib' not valid "
        "for use in process: mapped file has no cdhash)",
        "refuses its signature",
    ),
    (
        "dlopen(/x.dylib, 0x0002): tried: '/x.dylib' (code signature in <0> '/x.dylib' not valid "
        "for use in process: library load disallowed by system policy)",
        "only its vendor's signature",
    ),
    ("dlopen(/x.dylib, 0x0106): missing compatible arch in /x.dylib", "another processor"),
    ("dlopen(/x.dylib, 0x0002): tried: '/x.dylib' (not a mach-o file)", "damaged"),
    (
        "dlopen(/x.dylib, 2): no suitable image found.  Did find:\n\t/x.dylib: truncated mach-o "
        "error: segment __TEXT extends to 9 which is past end of file 8",
        "damaged",
    ),
    (
        "dlopen(/x.dylib, 0x0002): tried: '/x.dylib' (segment '__TEXT' load command content "
        "extends beyond end of file)",
        "damaged",
    ),
    ("The specified module could not be found.", "needs a DLL"),
    ("%1 is not a valid Win32 application.", "or damaged"),
    ("Access is denied.", "has no permission to read it"),
    ("The specified procedure could not be found.", "in another version"),
    ("error 0x7e", "needs a DLL"),
    ("error 0xc1", "another processor"),
    ("error 0x5", "has no permission to read it"),
    ("error 0x7f", "in another version"),
    ("error 0x57", ""),
]  # fmt: skip


@pytest.mark.parametrize("path", ["/x", "/ld-musl-x/code signature/error 0x7e/x"])
def test_what_other_loaders_say(path, installed, tmp_path):
    code = f"import sys; from {PACKAGE}._load import _cause; print(_cause(*sys.argv[1:]))"
    for text, words in FOREIGN:
        text = f"cannot load library '{path}': " + text.replace("/x", path)
        cause = said(installed, cwd=tmp_path, words=["-c", code, path, text], fails=False)
        assert words in cause and bool(words) == bool(cause.strip()), (text, cause)


# ---- Which library is loaded --------------------------------------------------------------


def test_nothing_around_makes_another_library_load(installed, compiled, tmp_path):
    """A library of that name lies wherever a loader might look."""
    decoy = compiled("plain", GLIBC)
    for folder in [".", "lib", f"{PACKAGE}/lib", "hello"]:
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        shutil.copy(decoy, tmp_path / folder / LIBRARY)
    places = os.pathsep.join([str(tmp_path), str(tmp_path / "lib"), "."])
    variables = {"LD_LIBRARY_PATH": places, "PATH": places, "PYTHONPATH": str(tmp_path / "lib")}
    variables["DYLD_LIBRARY_PATH"] = places
    script = str(installed.bin / NAME)
    for words in [("-m", PACKAGE), (script,)]:
        cwd = tmp_path / "hello" if words[0] == "-m" else tmp_path / "lib"
        text = said(installed, cwd=cwd, words=words, fails=False, **variables)
        assert text == GREETING


def loaded(environment, tmp_path, *flags, **variables):
    """The path of the library that the process has mapped."""
    code = f"import {PACKAGE}; print(open('/proc/self/maps').read())"
    text = said(environment, cwd=tmp_path, words=[*flags, "-c", code], fails=False, **variables)
    (path,) = {line.split()[-1] for line in text.splitlines() if line.endswith(".so.x")} or {None}
    return path


def test_the_user_may_name_another_library(installed, compiled, tmp_path):
    other = tmp_path / "other.so.x"
    shutil.copy(installed.library, other)
    assert loaded(installed, tmp_path, **{VARIABLE: str(other)}) == str(other)
    assert loaded(installed, tmp_path, **{VARIABLE: ""}) is None
    for flag in ("-E",) if installed.number < (3, 4) else ("-E", "-I"):
        assert loaded(installed, tmp_path, flag, **{VARIABLE: str(other)}) is None

    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for path, words in [
        ("other.so.x", "is not absolute"),
        (str(tmp_path / "nowhere.so"), "is missing"),
        (str(compiled("plain", GLIBC)), f"is not a {PACKAGE} library"),
        (str(tmp_path), "is not a file"),
        (str(tmp_path / "pipe"), "is not a file"),
        (str(tmp_path / "loop"), "cannot be reached: Too many levels"),
    ]:
        text = said(installed, cwd=tmp_path, **{VARIABLE: path})
        assert words in text and f"{VARIABLE} names it" in text

    data = other.read_bytes()
    abi = data[data.index(MARK) + len(MARK) :][:16]
    other.write_bytes(data.replace(MARK + abi, MARK + b"0" * 16))
    text = said(installed, cwd=tmp_path, **{VARIABLE: str(other)})
    assert "is stale: its ABI is 0000000000000000" in text and f"{VARIABLE} names it" in text


def test_a_path_that_is_no_text(installed, tmp_path):
    """CFFI wants a text of Python 3, and encodes it strictly; PyPy's takes the bytes."""
    path = os.fsencode(tmp_path) + b"/\xff.so"
    shutil.copy(installed.library, path)
    strict = installed.number > (3,) and "pypy" not in str(installed.library)
    options = {"cwd": tmp_path, "fails": strict, VARIABLE: os.fsdecode(path)}
    text = said(installed, **options)
    assert "Choose a UTF-8 locale" in text if strict else text == GREETING
