"""The only place that loads the library: find it, check it, turn its errors into Python's."""

import atexit
import os
import sys

import _cffi_backend

from ._ffi import ABI, ffi

NAMES = {
    "win32": "hello_pyrust.dll",
    "cygwin": "hello_pyrust.dll",
    "darwin": "libhello_pyrust.dylib",
}
PATH = os.path.join(
    os.path.dirname(os.path.abspath(__file__)),
    "lib",
    NAMES.get(sys.platform, "libhello_pyrust.so"),
)
TEXT = type(b"".decode("ascii"))  # Python 2: unicode
# The one way to load another library than the package's: an absolute path. Python's -E and
# -I ignore it. It is held to the same ABI.
VARIABLE = "HELLO_PYRUST_LIBRARY"
REMEDY = (
    "In a source checkout run `make dev`; otherwise "
    "`python -m pip install --force-reinstall --no-cache-dir hello-pyrust`."
)
FROZEN = (
    "The program was frozen without it, or with another one: add the package's folder `lib` "
    "to its files; for PyInstaller, `--collect-binaries hello_pyrust` does it."
)

# What the loaders of glibc, musl, macOS and Windows say, and what it means; the first that
# matches counts. `{0}` is what the group found. Of Windows, cffi tells the code of the error,
# and PyPy the system's own words for it.
CAUSES = [
    (
        r"version `GLIBC_([\d.]+)' not found",
        "it needs glibc {0} or later, and this system's is older",
    ),
    (r"(?:libc|ld)[.-]musl-|\blibc\.so: ", "it is for musl, and this Python runs on another libc"),
    (
        r"shared library ld(?:64|-linux)|Error relocating .*: __\w+: symbol not found",
        "it is for glibc, and this Python runs on musl",
    ),
    (
        r"ELF class|incompatible architecture|wrong architecture|missing compatible arch",
        "it is for another processor or system than this Python, {here}",
    ),
    (
        r"Exec format error|error 0xc1\b|not a valid Win32",
        "it is for another processor or system than this Python, {here}, or damaged",
    ),
    (
        r"ELF header|file too short|cannot read file data|not a mach-o|not valid mach-o|"
        r"truncated mach-o|beyond end of file",
        "it is damaged, or not a library for this system",
    ),
    (
        r"code signature",
        "macOS refuses its signature: the file was changed after it was signed, or this "
        "Python takes none but its maker's",
    ),
    # Of the system's limits, before what they kept the loader from doing.
    (r"Cannot allocate memory|error 0x8\b", "there is not enough memory for it"),
    (r"Too many open files", "too many files are open"),
    (
        r"failed to map segment|restore segment prot|executable stack|not permitted",
        "its file system does not let code run: it is mounted with `noexec`, or a policy of "
        "the system forbids it",
    ),
    (r"[Pp]ermission denied|error 0x5\b|Access is denied", "this user may not read it"),
    (
        r"([^\s:]+): cannot open shared object file: No such|shared library ([^\s:]+): |"
        r"not loaded: (\S+)",
        "it needs the library {0}, which is not on this system",
    ),
    (r"error 0x7e\b|module could not be found", "it needs a DLL that is not on this system"),
    (
        r"undefined symbol|symbol not found|version `.*' not found|error 0x7f\b|"
        r"procedure could not be found",
        "a library that it needs is there, but in another version",
    ),
]


class RustPanic(RuntimeError):
    """The Rust code panicked: a bug in it. The message says where."""


def _cause(path, said):
    """What a loader's message means, in words; a colon is at the end."""
    import platform
    import re

    if path + ": cannot open shared object file: No such file" in said and os.path.exists(path):
        said = "wrong ELF class"  # glibc passes over another processor's, and finds none.
    said = said.replace(path, "the library")  # Whatever its folders are called.
    here = "%d-bit on %s" % (64 if sys.maxsize > 2**32 else 32, platform.machine())
    for pattern, words in CAUSES:
        match = re.search(pattern, said)
        if match:
            found = [group for group in match.groups() if group]
            return words.format(*found, here=here) + ": "
    return ""


def _cut_short(path):
    """Whether an ELF file for this Python ends before its table of sections does, which is the
    last thing in it. A loader maps what is not there, and dies of SIGBUS: glibc's and musl's do.
    """
    try:
        file = os.open(path, os.O_RDONLY)
        try:
            head, size = os.read(file, 64), os.fstat(file).st_size
        finally:
            os.close(file)
    except OSError:
        return False  # The loader will say why.
    wide = sys.maxsize > 2**32
    kind = (b"\2" if wide else b"\1") + (b"\1" if sys.byteorder == "little" else b"\2")
    if len(head) < 64 or head[:6] != b"\x7fELF" + kind:
        return False
    # ffi, since `struct` is a library to be loaded on many a Python.
    halves = ffi.from_buffer("uint16_t[]", head)
    if wide:
        return ffi.from_buffer("uint64_t[]", head)[5] + halves[29] * halves[30] > size
    return ffi.from_buffer("uint32_t[]", head)[8] + halves[23] * halves[24] > size


def _absence(path):
    """Why there is no file at the path."""
    import errno

    try:
        os.stat(path)
        return "is no file"
    except OSError as error:
        if error.errno == errno.ENOENT:
            return "is missing"
        return "cannot be reached: %s" % error.strerror


def _holds(path, abi):
    """Whether the library's file is of that ABI, whatever was loaded: a loader that knows the
    path does not look at the file again."""
    with open(path, "rb") as file:
        return ("hello_pyrust.abi=%s\0" % abi).encode("ascii") in file.read()


def _open(path):
    """Loads the library until the process ends. What it made may outlive this module, and so
    may its threads: unloaded, it would take their code away."""
    if sys.platform != "win32":
        # Python 2 has no name for it. musl never unloads, and takes the flag.
        nodelete = {"linux2": 0x1000, "darwin": 0x80}.get(sys.platform, 0)
        return ffi.dlopen(path, ffi.RTLD_NOW | getattr(os, "RTLD_NODELETE", nodelete))
    lib = ffi.dlopen(path)
    # Windows counts how often it was loaded: once more, which nobody takes back.
    load = ffi.typeof("void *(__stdcall *)(wchar_t *)")
    load = _cffi_backend.load_library("kernel32.dll").load_function(load, "LoadLibraryW")
    load(path if isinstance(path, TEXT) else path.decode(sys.getfilesystemencoding()))
    return lib


def _load():
    path, remedy = PATH, REMEDY
    chosen = None if sys.flags.ignore_environment else os.environ.get(VARIABLE)
    if chosen:
        path, remedy = chosen, "%s names it: unset that, or correct it." % VARIABLE
        if not os.path.isabs(path):
            raise ImportError("the path of the library, %s, is not absolute. %s" % (path, remedy))
    elif getattr(sys, "frozen", False) or "__compiled__" in globals():  # the latter by Nuitka
        remedy = FROZEN
    if not os.path.isfile(path):  # A loader would wait for a pipe.
        if getattr(globals().get("__loader__"), "archive", None) and not chosen:
            remedy = "The package runs from an archive, where no system loads a library: unpack it."
        raise ImportError("the library %s %s. %s" % (path, _absence(path), remedy))
    if _cut_short(path):
        raise ImportError("the library %s is damaged: its end is missing. %s" % (path, remedy))
    try:
        lib = _open(path)
    except UnicodeError:
        raise ImportError(
            "the library %r cannot be loaded: its path is not in the encoding of this Python, %s. "
            "Choose a UTF-8 locale, as LC_ALL=C.UTF-8, or another folder."
            % (path, sys.getfilesystemencoding())
        )
    except OSError as error:
        raise ImportError(
            "the library %s cannot be loaded: %s%s. %s"
            % (path, _cause(path, str(error)), error, remedy)
        )
    if not ABI:  # A library that is not Rust's, and offers no fingerprint.
        try:
            for name in dir(lib):
                getattr(lib, name)
        except (AttributeError, ffi.error) as error:
            raise ImportError(
                "the library %s lacks what its header declares: %s. %s" % (path, error, remedy)
            )
        return lib
    try:
        # Safe to call whatever the library is: it takes nothing, and returns static text.
        abi = ffi.string(lib.hello_pyrust_abi()).decode("ascii")
    except (AttributeError, RuntimeError, ValueError, ffi.error):
        raise ImportError("the library %s is not hello_pyrust's. %s" % (path, remedy))
    if abi != ABI:
        if _holds(path, ABI):
            raise ImportError(
                "the library %s was replaced, by an upgrade perhaps, and this process has the "
                "earlier one loaded, with the ABI %s: start the process again." % (path, abi)
            )
        raise ImportError(
            "the library %s is stale: its ABI is %s, and hello_pyrust/_ffi.py was generated "
            "for %s. %s If you changed what the Rust source exports, run `make header` first."
            % (path, abi, ABI, remedy)
        )
    return lib


lib = _load()

ERRORS = {
    lib.hello_pyrust_ErrorKind_Argument: ValueError,
    lib.hello_pyrust_ErrorKind_Io: OSError,
    lib.hello_pyrust_ErrorKind_Callback: RuntimeError,
    lib.hello_pyrust_ErrorKind_Panic: RustPanic,
    lib.hello_pyrust_ErrorKind_Memory: MemoryError,
}


# How long Python waits, when it ends, for callbacks on threads that the library started.
DRAIN = 5  # seconds


def _end_callbacks(end=lib.hello_pyrust_callbacks_end, drain=DRAIN, sys=sys):
    # The module may be gone by now: Python 2 then takes its variables away.
    left = end(drain * 1000)
    if left > 0 and sys.stderr is not None:
        sys.stderr.write(
            "hello_pyrust: callbacks under way when Python ends: %d, after %d seconds. Python "
            "does not wait longer; one that goes on may abort the process.\n" % (left, drain)
        )


atexit.register(_end_callbacks)


def text_in(value):
    """What a `const char *` argument takes: the UTF-8 of a text. Python 2's `str` passes
    as it is."""
    if isinstance(value, TEXT):
        value = value.encode("utf-8")
    elif not (str is bytes and isinstance(value, str)):
        raise TypeError("expected text, not %s" % type(value).__name__)
    if b"\0" in value:
        raise ValueError("the text contains a NUL character")
    return value


def text_out(pointer):
    """The text behind an owned `char *`, which is freed. Raises when it is NULL."""
    check(pointer, ffi.NULL)
    try:
        return ffi.string(pointer).decode("utf-8")
    finally:
        lib.hello_pyrust_text_free(pointer)


def check(result, failed):
    """The result of a call, unless it is the one that means failure: raises its error."""
    if result == failed:
        kind = ffi.new("hello_pyrust_ErrorKind *")
        message = lib.hello_pyrust_error_take(kind)
        if not message:
            # A destructor or a signal handler failed in between, and took its own error.
            raise RuntimeError("the call failed; its error was lost to another one")
        raise ERRORS[kind[0]](text_out(message))
    return result


# CPython counts calls, and two levels would do; PyPy counts bytes, and room() takes few.
ROOM = 32 if "__pypy__" in sys.builtin_module_names else 5


def room(levels=ROOM):
    """Raises RecursionError (Python 2: RuntimeError) unless the stack has room for what runs
    around a callback. Without it that could not even note what the callback raised."""
    if levels:
        list(map(room, [levels - 1]))  # Takes of C's stack, too.


def reraise(error, traceback):
    """Raises an exception that was caught, with the traceback it had."""
    if hasattr(error, "with_traceback"):
        raise error.with_traceback(traceback)
    exec("raise type(error), error, traceback")  # Python 2
