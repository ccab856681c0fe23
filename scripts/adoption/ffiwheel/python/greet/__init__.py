"""Welcomes and subtracts.

Text is `str` (Python 2: `unicode`, or UTF-8 in a `str`). Errors in Rust are raised as exceptions.
"""

from ._ffi import VERSION as __version__
from ._native import RustPanic, check, lib, text_in, text_out

__all__ = ["RustPanic", "__version__", "subtract", "welcome"]


def welcome(who):
    """A welcome (text). who: text. Raises ValueError for a NUL character in it."""
    return text_out(lib.greet_welcome_new(text_in(who)))


def subtract(start, number):
    """A difference (int). Both: int, 0 to 2**32 - 1; OverflowError beyond that.
    Raises ValueError if `number` is more than `start`."""
    return check(lib.greet_subtract(start, number), -1)
