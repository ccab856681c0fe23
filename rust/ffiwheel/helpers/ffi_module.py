"""Writes _ffi.py, the module that CFFI loads, and its type stub _ffi.pyi.

Usage: ffi_module.py MODULE DISTRIBUTION PREFIX VERSION ABI DECLARATIONS FOLDER

MODULE is the Python package, DISTRIBUTION its name on an index, PREFIX what the names of the
library's C symbols begin with, without the underscore after it; VERSION is the crate's.

`ffiwheel header` calls it with the declarations that cbindgen wrote. For a library in another
language, DECLARATIONS are those of its header, without directives of the preprocessor, and
ABI is its fingerprint, or '' when it offers none.
"""

import keyword
import sys
from pathlib import Path

import cffi
from pycparser import c_ast, c_parser

NOTICE = "# Generated from rust/src by `make header`: edit the Rust source instead.\n"

STUB = (
    NOTICE
    + '''\
"""The exported C functions, as CFFI sees them. The C header documents each of them."""

from typing import type_check_only

import _cffi_backend
from _cffi_backend import _CDataBase as CData  # an object of C, owned or not

# The fingerprint of the ABI that this module was generated for.
ABI: str
# The package's name on an index.
DISTRIBUTION: str
# What the names of the library's C symbols begin with, without the underscore after it.
PREFIX: str
# The version of the Rust crate that this module was generated from.
VERSION: str
ffi: _cffi_backend.FFI

@type_check_only
class Lib:
'''
)

# What the parser must know of <stdbool.h>, <stddef.h> and <stdint.h>.
PRELUDE = (
    "".join(
        f"typedef {'unsigned' if name[0] in 'us' else ''} int {name};\n"
        for name in ["size_t", "intptr_t", "uintptr_t", "ptrdiff_t"]
        + [f"{sign}int{bits}_t" for sign in ("", "u") for bits in (8, 16, 32, 64)]
    )
    + "typedef _Bool bool;\n"
)


def python_type(node: c_ast.Node, typedefs: dict[str, c_ast.Node], argument: bool) -> str:
    """The type that CFFI gives for a C type, or accepts when it is an argument."""
    if isinstance(node, (c_ast.PtrDecl, c_ast.ArrayDecl)):
        target = node.type.type if isinstance(node.type, c_ast.TypeDecl) else None
        text = isinstance(target, c_ast.IdentifierType) and target.names == ["char"]
        return "CData | bytes" if argument and text else "CData"
    if isinstance(node, c_ast.TypeDecl):
        return python_type(node.type, typedefs, argument)
    if isinstance(node, c_ast.IdentifierType):
        name = node.names[-1]
        if name in typedefs:
            return python_type(typedefs[name], typedefs, argument)
        return {"void": "None", "_Bool": "bool", "float": "float", "double": "float"}.get(
            name, "bytes" if name == "char" else "int"
        )
    if isinstance(node, c_ast.Struct):
        return "CData | tuple[object, ...]" if argument else "CData"
    return "int"  # an enum


def stub(declarations: str) -> str:
    constants = [
        line.split()[1] for line in declarations.splitlines() if line.startswith("#define")
    ]
    code = "".join(
        line for line in declarations.splitlines(keepends=True) if not line.startswith("#")
    )
    typedefs: dict[str, c_ast.Node] = {}
    functions: list[c_ast.Decl] = []
    for node in c_parser.CParser().parse(PRELUDE + code).ext:
        for inner in [node.type, getattr(node.type, "type", None)]:
            if isinstance(inner, c_ast.Enum) and inner.values:
                constants += [value.name for value in inner.values]
        if isinstance(node, c_ast.Typedef):
            typedefs[node.name] = node.type
        elif isinstance(node.type, c_ast.FuncDecl):
            functions.append(node)
    lines = [f"    {name}: int\n" for name in constants]
    for function in functions:
        arguments = ["self"]
        for argument in function.type.args.params if function.type.args else []:
            if isinstance(argument, c_ast.Decl):
                kind = python_type(argument.type, typedefs, argument=True)
                # Only the position counts, so a word of Python may be spelt otherwise.
                name = argument.name + "_" * keyword.iskeyword(argument.name)
                arguments.append(f"{name}: {kind}")
        if len(arguments) > 1:
            arguments.append("/")
        result = python_type(function.type.type, typedefs, argument=False)
        lines.append(f"    def {function.name}({', '.join(arguments)}) -> {result}: ...\n")
    return STUB + ("".join(lines) or "    pass\n")


def main() -> None:
    module, distribution, prefix, version, abi, source, out_folder = sys.argv[1:]
    declarations = Path(source).read_text()
    folder = Path(out_folder)
    ffi = cffi.FFI()
    ffi.cdef(declarations)
    ffi.set_source(f"{module}._ffi", None)
    out = folder / "_ffi.py"
    ffi.emit_python_code(str(out))
    out.write_text(
        f"{NOTICE}"
        f"ABI = {abi!r}\nDISTRIBUTION = {distribution!r}\nPREFIX = {prefix!r}\n"
        f"VERSION = {version!r}\n\n" + out.read_text().replace("# auto-generated file\n", "", 1)
    )
    (folder / "_ffi.pyi").write_text(stub(declarations))


main()
