"""TODO: what it does."""

from ._ffi import VERSION as __version__
from ._load import lib

__all__ = ["__version__", "rest"]


def rest(number, taken):
    """What is left of a number (int). Both: int, 0 to 2**32 - 1; OverflowError beyond that.
    Raises ValueError if `number` is less than `taken`."""
    found = lib.fast_thing_rest(number, taken)
    if found < 0:
        raise ValueError("%d is less than %d" % (number, taken))
    return found
