"""Runs the installed package through its public API. Python 2.7 and 3.x. It prints one line and
exits 0, or fails. `make wheels`, `make smoke` and `make test` run it wherever a wheel can run."""

import fast_thing

assert fast_thing.rest(5, 3) == 2
try:
    fast_thing.rest(3, 5)
except ValueError as error:
    assert str(error) == "3 is less than 5", error
else:
    raise AssertionError("no error was raised")
print("fast_thing %s is right" % fast_thing.__version__)
