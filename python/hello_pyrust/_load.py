# ffiwheel kit 0.1.0 c3c6762fe8501b8b: `ffiwheel update` replaces this file; use settings
"""Finds, checks and loads the library beside it: any with a C ABI."""

import os
import sys

import _cffi_backend

from . import _ffi
from ._ffi import ABI, DISTRIBUTION, PREFIX, ffi

# What the header declares and the library does not have on every platform.
PARTLY = getattr(_ffi, "PARTLY", "").split()
# The libraries that are loaded before the package's own, which may need them.
LIBRARIES = getattr(_ffi, "LIBRARIES", "").split()
# The package's name, and the library's stem. Every importer sets __name__, those of frozen
# programs and archives too; a copy inside another package has its own name all the same.
PACKAGE = __name__.split(".")[-2]
FILE = {"win32": "%s.dll", "darwin": "lib%s.dylib"}.get(sys.platform, "lib%s.so")
PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib", FILE % PACKAGE)
TEXT = type(b"".decode("ascii"))  # Python 2: unicode
# The only way to load another library than the package's: an absolute path. Python's -E and
# -I ignore it. The library must have the same ABI. LIBRARIES are beside it.
VARIABLE = PACKAGE.upper() + "_LIBRARY"
REMEDY = (
    "In a source checkout run `make dev`; otherwise "
    "`python -m pip install --force-reinstall --no-cache-dir %s`." % DISTRIBUTION
)
FROZEN = (
    "The program was frozen without it, or with another one: add the package's folder `lib` "
    "to its files; for PyInstaller, use `--collect-binaries %s`." % PACKAGE
)

# What the loaders of glibc, musl, macOS and Windows say, and what it means; the first match
# counts. `{0}` is what the group found. On Windows, cffi reports the error's code, and PyPy the
# system's text for it.
CAUSES = [
    (
        r"version `GLIBC_([\d.]+)' not found",
        "it needs glibc {0} or later, but this system's is older",
    ),
    (r"(?:libc|ld)[.-]musl-|\blibc\.so: ", "it is for musl, but this Python runs on another libc"),
    (
        r"shared library ld(?:64|-linux)|Error relocating .*: __\w+: symbol not found",
        "it is for glibc, but this Python runs on musl",
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
        "Python accepts only its vendor's signature",
    ),
    # The system's limits first: their effects match the patterns below.
    (r"Cannot allocate memory|error 0x8\b", "there is not enough memory for it"),
    (r"Too many open files", "too many files are open"),
    (
        r"failed to map segment|restore segment prot|executable stack|not permitted",
        "its file system does not allow code to run: it is mounted with `noexec`, or a policy "
        "of the system forbids it",
    ),
    (
        r"[Pp]ermission denied|error 0x5\b|Access is denied",
        "the current user has no permission to read it",
    ),
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


def _cause(path, said):
    """What a loader's message means, followed by a colon; empty if unknown."""
    import platform
    import re

    if path + ": cannot open shared object file: No such file" in said and os.path.exists(path):
        said = "wrong ELF class"  # glibc skips a file for another processor, and finds none.
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
        return "is not a file"
    except OSError as error:
        if error.errno == errno.ENOENT:
            return "is missing"
        return "cannot be reached: %s" % error.strerror


def _holds(path, abi):
    """Whether the library's file is of that ABI, whatever was loaded: a loader that knows the
    path does not look at the file again."""
    with open(path, "rb") as file:
        return ("%s.abi=%s\0" % (PREFIX, abi)).encode("ascii") in file.read()


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


class _Libraries(object):
    """Several libraries as one, or one that may lack some of what its header declares: that is an
    AttributeError."""

    def __init__(self, libs):
        self.__dict__["_libs"] = libs

    def _with(self, name):
        """The library that has a name, and the name's value."""
        for lib in self._libs:
            try:
                return lib, getattr(lib, name)
            except (AttributeError, ffi.error):
                pass
        raise AttributeError("the library has no %s on this platform" % name)

    def __getattr__(self, name):
        _, value = self._with(name)
        if callable(value):
            self.__dict__[name] = value  # Found once. A variable is read each time.
        return value

    def __setattr__(self, name, value):
        setattr(self._with(name)[0], name, value)

    def __dir__(self):
        return dir(self._libs[0])  # of each, what the header declares


def _resolved(libs, path, remedy):
    """The libraries, if they have every function that the header declares. One that is not
    Rust's may have nothing else to be known by."""
    lib = _Libraries(libs) if PARTLY or len(libs) > 1 else libs[0]
    try:
        for name in set(dir(lib)).difference(PARTLY):
            getattr(lib, name)
    except (AttributeError, ffi.error) as error:
        raise ImportError(
            "the library %s lacks a function that its header declares: %s. %s"
            % (path, error, remedy)
        )
    return lib


def _open_checked(path, remedy):
    """Loads the library at a path, or raises ImportError, which says why that is impossible."""
    if not os.path.isfile(path):  # A loader would wait for a pipe.
        raise ImportError("the library %s %s. %s" % (path, _absence(path), remedy))
    if _cut_short(path):
        raise ImportError("the library %s is damaged: its end is missing. %s" % (path, remedy))
    try:
        return _open(path)
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


def _load():
    path, remedy = PATH, REMEDY
    chosen = None if sys.flags.ignore_environment else os.environ.get(VARIABLE)
    if chosen:
        path, remedy = chosen, "%s names it: unset that, or correct it." % VARIABLE
        if not os.path.isabs(path):
            raise ImportError("the path of the library, %s, is not absolute. %s" % (path, remedy))
    elif getattr(globals().get("__loader__"), "archive", None):
        remedy = "The package is in an archive, from which no system can load a library: unpack it."
    elif getattr(sys, "frozen", False) or "__compiled__" in globals():  # the latter by Nuitka
        remedy = FROZEN
    folder = os.path.dirname(path)
    libs = [_open_checked(os.path.join(folder, FILE % name), remedy) for name in LIBRARIES]
    lib = _open_checked(path, remedy)
    libs.append(lib)
    asked = PREFIX + "_abi"
    if not ABI:
        return _resolved(libs, path, remedy)
    try:
        # Safe to call whatever the library is: it takes nothing, and returns static text.
        abi = ffi.string(getattr(lib, asked)()).decode("ascii")
    except (AttributeError, RuntimeError, ValueError, ffi.error):
        # A header need not declare the function: the file has the fingerprint, too.
        if asked not in dir(lib) and _holds(path, ABI):
            return _resolved(libs, path, remedy)
        raise ImportError("the library %s is not a %s library. %s" % (path, PACKAGE, remedy))
    if abi != ABI:
        if _holds(path, ABI):
            raise ImportError(
                "the library %s was replaced, perhaps by an upgrade, but this process has loaded "
                "the earlier one, with the ABI %s: restart the process." % (path, abi)
            )
        raise ImportError(
            "the library %s is stale: its ABI is %s, but %s/_ffi.py was generated "
            "for %s. %s If you changed what the Rust source exports, run `make header` first."
            % (path, abi, PACKAGE, ABI, remedy)
        )
    return lib


def _read_types():
    """Has CFFI read all types, structs first. CFFI 2 ends the process if it comes to a struct by
    way of a function that takes it, and whose type a function pointer in the struct has, too."""
    typedefs, structs, unions = ffi.list_types()
    for name in ["struct " + it for it in structs] + ["union " + it for it in unions] + typedefs:
        ffi.typeof(name)


_read_types()
lib = _load()
