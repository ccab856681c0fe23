"""Welcomes and subtracts."""

from .greet import ffi, lib


def welcome(who):
    """A welcome (text). who: text."""
    text = lib.greet_welcome(who.encode("utf-8"))
    try:
        return ffi.string(text).decode("utf-8")
    finally:
        lib.greet_free(text)


def subtract(start, number):
    """A difference (int). Raises ValueError if `number` is more than `start`."""
    rest = lib.greet_subtract(start, number)
    if rest < 0:
        raise ValueError("%d is less than %d" % (start, number))
    return rest
