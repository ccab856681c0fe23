"""The only place that loads the library: find it, check it, turn its errors into Python's."""

import os
import sys

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
REMEDY = (
    "In a source checkout run `make dev`; otherwise "
    "`python -m pip install --force-reinstall --no-cache-dir hello-pyrust`."
)


class RustPanic(RuntimeError):
    """The Rust code panicked: a bug in it. The message says where."""


def _load():
    if not os.path.exists(PATH):
        raise ImportError("the library %s is missing. %s" % (PATH, REMEDY))
    try:
        lib = ffi.dlopen(PATH)
    except OSError as error:
        raise ImportError("the library %s cannot be loaded: %s. %s" % (PATH, error, REMEDY))
    if not ABI:  # A library that is not Rust's, and offers no fingerprint.
        try:
            for name in dir(lib):
                getattr(lib, name)
        except (AttributeError, ffi.error) as error:
            raise ImportError(
                "the library lacks what its header declares: %s. %s" % (error, REMEDY)
            )
        return lib
    try:
        # Safe to call whatever the library is: it takes nothing, and returns static text.
        abi = ffi.string(lib.hello_pyrust_abi()).decode("ascii")
    except (AttributeError, ffi.error):
        raise ImportError("the library %s is not hello_pyrust's. %s" % (PATH, REMEDY))
    if abi != ABI:
        raise ImportError(
            "the library %s is stale: its ABI is %s, and hello_pyrust/_ffi.py was generated "
            "for %s. %s If you changed what the Rust source exports, run `make header` first."
            % (PATH, abi, ABI, REMEDY)
        )
    return lib


lib = _load()

ERRORS = {
    lib.hello_pyrust_ErrorKind_Argument: ValueError,
    lib.hello_pyrust_ErrorKind_Io: OSError,
    lib.hello_pyrust_ErrorKind_Callback: RuntimeError,
    lib.hello_pyrust_ErrorKind_Panic: RustPanic,
}


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


def reraise(error, traceback):
    """Raises an exception that was caught, with the traceback it had."""
    if hasattr(error, "with_traceback"):
        raise error.with_traceback(traceback)
    exec("raise type(error), error, traceback")  # Python 2
