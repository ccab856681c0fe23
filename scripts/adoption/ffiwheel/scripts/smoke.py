"""Runs the installed package through its public API. Python 2.7 and 3.x. It prints one line and
exits 0, or fails. `make wheels`, `make smoke` and `make test` run it wherever a wheel can run."""

import greet

assert greet.welcome("Zo\u00eb") == "Welcome, Zo\u00eb!"
assert greet.subtract(5, 3) == 2
try:
    greet.subtract(3, 5)
except ValueError as error:
    assert str(error) == "3 is less than 5", error
else:
    raise AssertionError("no error was raised")
print("greet is right")
