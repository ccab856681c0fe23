"""Prints a C file that compiles where a header lays out structs and enums as CFFI does on this
machine, for a library that is not Rust's; `make wheels` compares Rust's layouts itself.

Usage: layouts.py PACKAGE HEADER > layouts.c

PACKAGE is the folder of the package, with _ffi.py and the library; HEADER is what the C file
includes.
"""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def assertions(ffi: Any, lib: Any) -> Iterator[tuple[str, int]]:
    for name in sorted({name for names in ffi.list_types() for name in names}):
        type_ = ffi.typeof(name)
        if type_.kind not in ("struct", "union", "enum") or getattr(type_, "fields", ()) is None:
            continue
        yield f"sizeof({name})", ffi.sizeof(type_)
        yield f"_Alignof({name})", ffi.alignof(type_)
        for field, found in type_.fields if type_.kind != "enum" else ():
            yield f"offsetof({name}, {field})", found.offset
            yield f"sizeof((({name} *)0)->{field})", ffi.sizeof(found.type)
    for name in sorted(dir(lib)):
        value = getattr(lib, name)
        if isinstance(value, int):
            yield name, value


def main() -> None:
    package, header = Path(sys.argv[1]).resolve(), sys.argv[2]
    sys.path.insert(0, str(package.parent))
    loader = importlib.import_module(f"{package.name}._load")
    print(f'#include <stddef.h>\n#include "{header}"')
    for what, value in assertions(loader.ffi, loader.lib):
        print(f'_Static_assert({what} == {value}, "in CFFI: {value}");')


main()
