"""A Rust library, called from every Python through CFFI.

Text is `str` (Python 2: `unicode`, or UTF-8 in a `str`). Errors in Rust are raised as
exceptions: ValueError, OSError, or RustPanic if the Rust code panicked.
"""

import collections
import sys

from ._ffi import VERSION as __version__
from ._native import RustPanic, check, ffi, lib, text_in, text_out, with_callback

__all__ = [
    "Guest",
    "RustPanic",
    "Tally",
    "__version__",
    "count",
    "countdown",
    "greeting",
    "hello",
    "share",
    "shout",
]


def hello(who="Python"):
    """Prints `Hello <who> from Rust!` to the process's standard output, returns 42 (int).

    who: text. Raises ValueError for a NUL character in it, OSError when writing fails.
    """
    if sys.stdout is not None:  # Rust writes to the file directly: flush earlier output first.
        sys.stdout.flush()
    return check(lib.hello_pyrust_hello(text_in(who)), -1)


def greeting(who="Python"):
    """The text that hello() prints, without the line feed.

    who: text. Raises ValueError for a NUL character in it.
    """
    return text_out(lib.hello_pyrust_greeting_new(text_in(who)))


class Tally(collections.namedtuple("Tally", "bytes lines encoding")):
    """What count() found: bytes (int), lines (int, line feeds), and encoding, the narrowest
    that fits all of them: "ascii", "utf-8" or "binary"."""

    __slots__ = ()


ENCODINGS = {
    lib.hello_pyrust_Encoding_Ascii: "ascii",
    lib.hello_pyrust_Encoding_Utf8: "utf-8",
    lib.hello_pyrust_Encoding_Binary: "binary",
}


def count(data):
    """Counts the bytes and lines of `data`: bytes, or another contiguous buffer, which is
    not copied, and which no other thread may change meanwhile. Returns a Tally.

    Raises TypeError for what is not a buffer, BufferError for one that is not contiguous
    (NotImplementedError on Python 2; PyPy copies it).
    """
    view = ffi.from_buffer("uint8_t[]", data)
    tally = ffi.new("hello_pyrust_Tally *")
    check(lib.hello_pyrust_bytes_count((view, len(view)), tally), -1)
    return Tally(tally.bytes, tally.lines, ENCODINGS[tally.encoding])


def shout(buffer):
    """Makes the ASCII letters in `buffer` upper-case, in place: a bytearray, or another
    writable contiguous buffer, which no other thread may touch meanwhile. Returns how many
    bytes it changed (int).

    Raises TypeError for what is not a buffer, TypeError or BufferError for one that is
    read-only or not contiguous.
    """
    view = ffi.from_buffer("uint8_t[]", buffer, require_writable=True)
    return check(lib.hello_pyrust_bytes_shout((view, len(view))), -1)


def share(cakes, guests):
    """How many whole cakes each guest gets (int). Both: int, 0 to 2**32 - 1.

    Raises OverflowError beyond that, and RustPanic when there are no guests: it shows
    what becomes of a panic.
    """
    return check(lib.hello_pyrust_cakes_share(cakes, guests), -1)


def countdown(start, step):
    """Calls `step` with `start` (int, 0 to 2**32 - 1), then each smaller number to 0.

    What `step` raises ends the countdown, and comes out of it.
    """
    run = lib.hello_pyrust_countdown_run
    result = with_callback(
        "hello_pyrust_Step",
        lambda _, number: step(number),
        lambda callback: run(start, callback, ffi.NULL),
    )
    check(result, -1)


class Guest(object):
    """Somebody who is greeted again and again. An object of Rust's, behind a handle.

    It lives until close(), the end of a `with` block, or the garbage collector. Any
    thread may use it. ValueError is raised once it is closed.
    """

    _handle = None

    def __init__(self, name):
        """name: text. Raises ValueError for a NUL character in it."""
        handle = check(lib.hello_pyrust_guest_new(text_in(name)), ffi.NULL)
        # Freed when the last reference goes, so never under a call on another thread.
        self._handle = ffi.gc(handle, lib.hello_pyrust_guest_free)

    def _open(self):
        handle = self._handle
        if handle is None:
            raise ValueError("the guest is closed")
        return handle

    def greet(self):
        """Greets the guest, and counts the visit. Returns the greeting (text)."""
        return text_out(lib.hello_pyrust_guest_greet(self._open()))

    @property
    def visits(self):
        """How often greet() was called (int)."""
        return check(lib.hello_pyrust_guest_visits(self._open()), -1)

    def close(self):
        """Lets go of the Rust object. Again is fine."""
        self._handle = None

    def __enter__(self):
        self._open()
        return self

    def __exit__(self, *_):
        self.close()
