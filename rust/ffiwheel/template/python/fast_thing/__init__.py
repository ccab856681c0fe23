"""TODO: what it does.

Text is `str` (Python 2: `unicode`, or UTF-8 in a `str`). Errors in Rust are raised as exceptions.
"""

from ._ffi import VERSION as __version__
from ._native import RustPanic, check, lib, text_in, text_out

__all__ = ["RustPanic", "__version__", "greeting", "rest"]


def greeting(who):
    """A greeting (text). who: text. Raises ValueError for a NUL character in it."""
    return text_out(lib.fast_thing_greeting_new(text_in(who)))


def rest(number, taken):
    """What is left of a number (int). Both: int, 0 to 2**32 - 1; OverflowError beyond that.
    Raises ValueError if `number` is less than `taken`."""
    return check(lib.fast_thing_rest(number, taken), -1)
