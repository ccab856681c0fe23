"""Checks an installed package without calling what it is for. Python 2.7 and 3.x.

    python smoke_gate.py MODULE

The library loads and has every function of its header. If it is Rust's, its fingerprint is that of
_ffi.py too, its structs and enums lie in memory as CFFI has them, and it can be asked for an error.
Prints one line and exits 0, or says what is wrong and exits 1.
"""

from __future__ import print_function

import importlib
import platform
import sys


class Wrong(Exception):
    """What the library does otherwise than it should."""


def layout(line, prefix, ffi):
    """How CFFI has the struct or enum of a line of `<prefix>_layout`: the line as it should be.

    Raises LookupError, ValueError, AttributeError or ffi.error for a line that CFFI cannot have.
    """
    words = line.split(" ")
    kind, name = words[0], "%s_%s" % (prefix, words[1])
    if kind == "enum":
        values = [word.split("=")[0] for word in words[4:]]
        members = ["%s=%d" % (value, ffi.integer_const(name + "_" + value)) for value in values]
    else:
        members = [
            "%s:%d:%d" % (field, found.offset, ffi.sizeof(found.type))
            for field, found in ffi.typeof(name).fields
        ]
    return " ".join(words[:2] + ["%d %d" % (ffi.sizeof(name), ffi.alignof(name))] + members)


def check_layouts(table, prefix, ffi, functions):
    """Compares what a library exports, and how its compiler laid it out, with what CFFI knows.

    table: the text of `<prefix>_layout`; functions: the names of those that CFFI can call.
    """
    lines = table.splitlines()
    if not lines:
        raise Wrong("%s_layout says nothing" % prefix)
    for line in lines:
        if line.startswith("fn "):
            if line[3:] not in functions:
                raise Wrong("the library exports %s, which the header does not declare" % line[3:])
            continue
        try:
            expected = layout(line, prefix, ffi)
        except (LookupError, ValueError, AttributeError, ffi.error) as error:
            raise Wrong("the library has `%s`, which _ffi.py does not: %s" % (line, error))
        if line != expected:
            raise Wrong("the library has `%s`, _ffi.py has `%s`" % (line, expected))


def check(module):
    """Checks a package by the name that a program imports. Returns its version, as text."""
    about = importlib.import_module(module + "._ffi")
    loader = importlib.import_module(module + "._load")
    ffi, lib = loader.ffi, loader.lib
    partly = getattr(about, "PARTLY", "").split()  # what not every platform has
    for function in dir(lib):
        if function in partly:
            continue
        try:
            getattr(lib, function)
        except (AttributeError, ffi.error) as error:
            raise Wrong("the library lacks a function that its header declares: %s" % error)
    if about.ABI:  # or else it is not Rust's

        def gate(name, *arguments):
            return getattr(lib, about.PREFIX + name)(*arguments)

        abi = ffi.string(gate("_abi")).decode("ascii")
        if abi != about.ABI:
            raise Wrong("the library has the ABI %s, _ffi.py expects %s" % (abi, about.ABI))
        check_layouts(ffi.string(gate("_layout")).decode("ascii"), about.PREFIX, ffi, set(dir(lib)))
        if gate("_error_take", ffi.NULL):
            raise Wrong("%s_error_take returns an error before any call failed" % about.PREFIX)
    return about.VERSION


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    module = sys.argv[1]
    try:
        version = check(module)
    except (ImportError, Wrong) as error:
        sys.exit("error: %s does not work: %s" % (module, error))
    python = platform.python_implementation(), platform.python_version()
    print("%s %s runs on %s %s" % ((module, version) + python))


if __name__ == "__main__":
    main()
