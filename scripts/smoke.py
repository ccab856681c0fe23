"""Runs the installed package through its public API. Python 2.7 and 3.x.

Prints one line and exits 0, or fails with what was wrong. The pipeline runs it after a test of its
own, which needs to know nothing of the package: see docs/smoke.md.
"""

from __future__ import print_function, unicode_literals

import os
import platform
import subprocess
import sys

import hello_pyrust

NAME = "Zo\u00eb \u2603 \U0001f980"


def equal(found, expected):
    if found != expected:
        raise AssertionError("%r, not %r" % (found, expected))


def raises(error, function, *arguments):
    try:
        function(*arguments)
    except error as raised:
        return raised
    raise AssertionError("%s raised no %s" % (function.__name__, error.__name__))


def main():
    code = "import sys, hello_pyrust as it; sys.exit(it.hello() != 42)"
    printed = subprocess.check_output([sys.executable, "-c", code])
    equal(printed.decode("utf-8").splitlines(), ["Hello Python from Rust!"])
    command = os.path.join(os.path.dirname(sys.executable), "hello-pyrust")
    if os.path.exists(command):  # It is elsewhere after `pip install --target`.
        equal(subprocess.check_output([command]), printed)

    equal(hello_pyrust.greeting(NAME), "Hello " + NAME + " from Rust!")
    raises(ValueError, hello_pyrust.greeting, "a\0b")
    raises(TypeError, hello_pyrust.greeting, 1)

    equal(tuple(hello_pyrust.count(bytearray(b"one\ntwo\n"))), (8, 2, "ascii"))
    equal(hello_pyrust.count(NAME.encode("utf-8")).encoding, "utf-8")
    equal(hello_pyrust.count(b"\xff").encoding, "binary")
    data = bytearray(b"loud?")
    equal((hello_pyrust.shout(data), data), (4, bytearray(b"LOUD?")))

    equal(hello_pyrust.share(7, 2), 3)
    panic = raises(hello_pyrust.RustPanic, hello_pyrust.share, 1, 0)
    equal(str(panic).split(" (")[0], "attempt to divide by zero")

    steps = []
    hello_pyrust.countdown(3, steps.append)
    equal(steps, [3, 2, 1, 0])
    raises(KeyError, hello_pyrust.countdown, 3, {}.pop)

    with hello_pyrust.Guest(NAME) as guest:
        equal(guest.greet(), "Hello " + NAME + " from Rust! (visit 1)")
        equal(guest.visits, 1)
    raises(ValueError, guest.greet)

    print(
        "the public API of hello_pyrust %s is right on %s %s"
        % (
            hello_pyrust.__version__,
            platform.python_implementation(),
            platform.python_version(),
        )
    )


main()
