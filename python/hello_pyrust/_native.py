# ffiwheel kit 0.1.0 4d69c2d35b87105e: `ffiwheel update` replaces this file; use settings
"""Turns the errors of a library with a gate into exceptions, and passes texts."""

import atexit
import sys

from ._ffi import PREFIX
from ._load import PACKAGE, TEXT, ffi, lib

# Bound once: a call looks no name up. A callback or a destructor may outlive the module, too.
_callbacks_end = getattr(lib, PREFIX + "_callbacks_end")
_error_take = getattr(lib, PREFIX + "_error_take")
_text_free = getattr(lib, PREFIX + "_text_free")
_KIND = ffi.typeof(PREFIX + "_ErrorKind *")


class RustPanic(RuntimeError):
    """The Rust code panicked: a bug in it. The message says where."""


ERRORS = {
    getattr(lib, PREFIX + "_ErrorKind_Argument"): ValueError,
    getattr(lib, PREFIX + "_ErrorKind_Io"): OSError,
    getattr(lib, PREFIX + "_ErrorKind_Callback"): RuntimeError,
    getattr(lib, PREFIX + "_ErrorKind_Panic"): RustPanic,
    getattr(lib, PREFIX + "_ErrorKind_Memory"): MemoryError,
}


# How long Python waits at exit for callbacks on threads that the library started.
DRAIN = 5  # seconds


def _end_callbacks(end=_callbacks_end, drain=DRAIN, sys=sys, package=PACKAGE):
    # The module may be gone by now: Python 2 then takes its variables away.
    left = end(drain * 1000)
    if left > 0 and sys.stderr is not None:
        sys.stderr.write(
            "%s: callbacks still running at exit: %d, after %d seconds. Python stops "
            "waiting; a callback that continues may abort the process.\n" % (package, left, drain)
        )


atexit.register(_end_callbacks)


def text_in(value):
    """A text as UTF-8, for a `const char *` argument. Python 2's `str` passes unchanged."""
    if isinstance(value, TEXT):
        value = value.encode("utf-8")
    elif not (str is bytes and isinstance(value, str)):
        raise TypeError("expected text, not %s" % type(value).__name__)
    if b"\0" in value:
        raise ValueError("the text contains a NUL character")
    return value


def text_out(pointer):
    """The text of an owned `char *`, which is freed. If it is NULL, raises the call's error."""
    check(pointer, ffi.NULL)
    try:
        return ffi.string(pointer).decode("utf-8")
    finally:
        _text_free(pointer)


def check(result, failed):
    """Returns the result of a call, or raises its error if the result is `failed`."""
    if result == failed:
        kind = ffi.new(_KIND)
        message = _error_take(kind)
        if not message:
            # A destructor or a signal handler failed in between, and took its own error.
            raise RuntimeError("the call failed, but another error has replaced its message")
        raise ERRORS[kind[0]](text_out(message))
    return result


# CPython counts calls, and two levels would do; PyPy counts bytes, and room() takes few.
ROOM = 32 if "__pypy__" in sys.builtin_module_names else 5


def room(levels=ROOM):
    """Raises RecursionError (Python 2: RuntimeError) if the stack has no room for a callback,
    which could then not even record what it raised."""
    if levels:
        list(map(room, [levels - 1]))  # Uses C's stack, too.


def with_callback(kind, step, call):
    """Returns `call(callback)`, or raises what `step` raised meanwhile.

    kind: the name of a callback's type in C, whose answer is 0 to go on; step: called with what
    the library gives to the callback; call: passes the callback to a function of the library,
    which calls it on this thread, before it returns.
    """
    raised = []

    def keep(error, traceback):
        if not raised:
            raised.append((error, traceback))
        return 1

    # onerror is for what happens outside of `try`: a signal handler that raises.
    @ffi.callback(kind, error=1, onerror=lambda _, error, traceback: keep(error, traceback))
    def callback(*arguments):
        try:
            step(*arguments)
            return 0
        except BaseException:
            return keep(*sys.exc_info()[1:])

    room()
    result = call(callback)
    if raised:
        reraise(*raised[0])
    return result


def reraise(error, traceback):
    """Raises a caught exception again, with its traceback."""
    if hasattr(error, "with_traceback"):
        raise error.with_traceback(traceback)
    exec("raise type(error), error, traceback")  # Python 2
