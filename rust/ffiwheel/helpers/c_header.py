"""Reads the C header of a library that has no gate, as it is for each target.

Usage: c_header.py HEADER SOURCES EXPORTS FOLDER HOST TARGET...

HEADER is the header's path, in the folder SOURCES; EXPORTS a file with the names that a library
for HOST exports, a line each; HOST and each TARGET what zig calls a target. Into FOLDER it writes:

    declarations.h   what CFFI reads: types, constants, functions and variables
    layout.c         what compiles where C lays out the types as CFFI does
    given.json       {"declared": {target: functions and variables}, "partly": those that not every
                     target declares, "notes": what Python does not get, and why}
"""

import copy
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from cffi import FFI, model
from pycparser import c_ast, c_generator, c_parser

from ffi_module import PRELUDE

# What compilers add to C, and what CFFI need not know.
AWAY = ["__attribute__(x)", "__declspec(x)", "__asm__(x)", "__asm(x)", "__extension__"]
AWAY += ["__restrict", "__restrict__", "_Noreturn", "__cdecl", "_Nonnull", "_Nullable"]
AWAY += ["__const=const", "__inline=inline", "__inline__=inline", "__volatile__=volatile"]
MARKER = re.compile(r'# (\d+) "((?:[^"\\]|\\.)*)"')
KNOWN = {name for name in model.PrimitiveType.ALL_PRIMITIVE_TYPES if name.endswith("_t")}
KNOWN |= {"FILE", "bool", "va_list"}
HINT = "write it in C99, or hide it from the reader with `#ifndef FFIWHEEL`"


def refuse(text: str) -> None:
    sys.exit(f"error: {text}")


def in_c(node: c_ast.Node) -> str:
    text: str = c_generator.CGenerator().visit(node)  # which is not for several threads
    return text


@dataclass
class Read:
    """What a header declares for a target: {name: its text in C}."""

    types: dict[str, str] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    symbols: dict[str, str] = field(default_factory=dict)
    nodes: list[c_ast.Node] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)


# ---- The preprocessor ------------------------------------------------------------------------


def preprocessed(header: Path, sources: Path, target: str, text: str | None = None) -> str:
    """The header, or a text that includes it, after zig's preprocessor."""
    words = [sys.executable, "-m", "ziglang", "cc", "-E", "-dD", "-x", "c", "-std=gnu11"]
    words += ["-target", target, "-DFFIWHEEL", f"-I{header.parent}", f"-I{sources}"]
    words += [f"-D{it}" if "=" in it else f"-D{it}=" for it in AWAY]
    done = subprocess.run(
        [*words, "-" if text else header], input=text, capture_output=True, text=True
    )
    if done.returncode:
        errors = [
            line for line in done.stderr.splitlines() if ": error: " in line or "fatal" in line
        ]
        refuse(
            f"{(errors or done.stderr.splitlines() or ['the compiler failed'])[0]}, for {target}"
        )
    return done.stdout


def of_project(text: str, folder: Path) -> tuple[str, list[str], set[str]]:
    """Of what the preprocessor printed: the project's own code, with markers of lines; the names
    of its macros that have a value; and the names of types that other headers define."""
    code: list[str] = []
    macros: list[str] = []
    others: list[str] = []
    own, path, line = False, "", 0
    for words in text.splitlines():
        marker = MARKER.match(words)
        if marker:
            line, path = int(marker.group(1)) - 1, marker.group(2)
            own = "<" not in path and Path(path).resolve().is_relative_to(folder)
            continue
        line += 1
        if not own:
            others.append(words)
        elif words.startswith("#"):
            found = re.match(r"#\s*define (\w+) (\S.*)", words)
            if found:
                macros.append(found.group(1))
        elif words.strip():
            code.append(f'#line {line} "{path}"\n{words}\n')
    types = re.findall(r"\btypedef\b[^;{}]*?\b(\w+)\s*(?:\[[^]]*\]\s*)?;", "\n".join(others))
    types += re.findall(r"}\s*(\w+)\s*;", "\n".join(others))
    return "".join(code), list(dict.fromkeys(macros)), set(types)


def constants(header: Path, sources: Path, target: str, names: list[str]) -> dict[str, str]:
    """The macros that are integers, with their values."""
    if not names:
        return {}
    # The left name stays as it is: it is a text.
    lines = [f'ffiwheel_value "{name}" = {name} ;' for name in names]
    text = preprocessed(
        header, sources, target, "\n".join([f'#include "{header.name}"', *lines, ""])
    )
    found = {}
    for name, value in re.findall(r'^ffiwheel_value "(\w+)" = (.*?) ?;$', text, re.MULTILINE):
        number = integer(value)
        if number is not None:
            found[name] = str(number)
    return found


def integer(text: str) -> int | None:
    """The value of an expression of integers in C; None for another one."""
    try:
        tree = c_parser.CParser().parse(f"int x = {text};")
    except c_parser.ParseError:
        return None
    return value_of(tree.ext[0].init) if len(tree.ext) == 1 else None


def value_of(node: c_ast.Node) -> int | None:
    if isinstance(node, c_ast.Constant) and node.type.split()[-1] in ("int", "long"):
        digits = node.value.rstrip("uUlL")
        return int(digits, 8) if re.fullmatch("0[0-7]+", digits) else int(digits, 0)
    if isinstance(node, c_ast.Constant) and node.type == "char" and len(node.value) == 3:
        return ord(node.value[1])
    if isinstance(node, c_ast.UnaryOp):
        value = value_of(node.expr)
        if value is not None and node.op in ("-", "+", "~"):
            return {"-": -value, "+": value, "~": ~value}[node.op]
    if isinstance(node, c_ast.BinaryOp):
        left, right = value_of(node.left), value_of(node.right)
        if left is None or right is None:
            return None
        if node.op in ("<<", ">>") and not 0 <= right < 64:
            return None
        values = {"+": left + right, "-": left - right, "*": left * right}
        values |= {"|": left | right, "&": left & right, "^": left ^ right}
        if node.op in ("<<", ">>"):
            values = {"<<": left << right, ">>": left >> right}
        return values.get(node.op)
    return None


# ---- The declarations ------------------------------------------------------------------------


def parsed(code: str, foreign: set[str]) -> list[c_ast.Node]:
    used = set(re.findall(r"\w+", code))
    prelude = PRELUDE + "".join(
        f"typedef int {name};\n" for name in sorted((KNOWN | foreign) & used) if name not in KEPT
    )
    try:
        tree = c_parser.CParser().parse(prelude + code)
    except c_parser.ParseError as error:
        place, _, what = str(error).partition(": ")
        found = re.match(r"(.*):(\d+):\d+$", place)
        where = f"{found.group(1)}:{found.group(2)}" if found else place
        refuse(f"{where}: this is not C as CFFI reads it ({what}): {HINT}")
    return [node for node in tree.ext if node.coord and node.coord.file]


# Those that PRELUDE defines.
KEPT = set(re.findall(r"(\w+);", PRELUDE))


def names_of_types(node: c_ast.Node) -> Iterator[str]:
    if isinstance(node, c_ast.IdentifierType):
        yield from node.names
    for _, child in node.children():
        yield from names_of_types(child)


def tagged(node: c_ast.Node) -> c_ast.Node | None:
    """The struct, union or enum that a declaration defines, insides and all."""
    while node is not None and not isinstance(node, (c_ast.Struct, c_ast.Union, c_ast.Enum)):
        node = getattr(node, "type", None)
    inside = getattr(node, "decls", None) or getattr(node, "values", None)
    return node if inside else None


def read(header: Path, sources: Path, target: str) -> Read:
    code, macros, foreign = of_project(preprocessed(header, sources, target), sources)
    foreign -= KNOWN
    found = Read(constants=constants(header, sources, target, macros))
    own: set[str] = set()
    for node in parsed(code, foreign):
        if isinstance(node, c_ast.FuncDef):
            found.left_out[node.decl.name] = "it is defined in the header, not in the library"
            continue
        if isinstance(node, c_ast.Typedef):
            own.add(node.name)
        place = f"{node.coord.file}:{node.coord.line}"
        used = {name for name in names_of_types(node) if name in foreign - own}
        text = in_c(node)
        if isinstance(node, c_ast.Decl) and node.name:
            if "static" in node.storage or "inline" in node.funcspec:
                continue
            if "va_list" in names_of_types(node):
                found.left_out[node.name] = "it takes a va_list, which Python cannot make"
            elif used:
                found.left_out[node.name] = f"it takes {', '.join(sorted(used))} of the system"
            else:
                found.places[node.name] = place
                found.symbols[node.name] = text.replace("extern ", "", 1)
                found.nodes.append(node)
        elif isinstance(node, (c_ast.Decl, c_ast.Typedef)):
            name = getattr(node, "name", None) or f"{kind_of(node.type)} {node.type.name}"
            if used:
                found.left_out[name] = f"it is made of {', '.join(sorted(used))} of the system"
                foreign |= {name.split()[-1]}
                continue
            if name not in found.types or tagged(node):
                found.types[name] = text
                found.places[name] = place
                found.nodes.append(node)
    return found


def kind_of(node: c_ast.Node) -> str:
    return type(node).__name__.lower()


# ---- One text for all targets ----------------------------------------------------------------


def merged(
    reads: dict[str, Read], exports: set[str], host: str
) -> tuple[str, list[str], list[str]]:
    """What CFFI reads, what of it not every target declares, and what to say of the rest. Ends the
    run where targets contradict each other."""
    notes: list[str] = []
    partly: list[str] = []
    left_out: dict[str, str] = {}
    for found in reads.values():
        left_out.update(found.left_out)
    texts: list[str] = []
    known = FFI()
    for what in ("types", "symbols"):
        chosen: dict[str, tuple[str, str]] = {}
        for target, found in reads.items():
            for name, text in getattr(found, what).items():
                other, before = chosen.setdefault(name, (target, text))
                if before != text:
                    refuse(
                        f"the header declares {name} as `{flat(before)}` for {other}, and as "
                        f"`{flat(text)}` for {target}: Python has one declaration for all; use a "
                        "type that is the same everywhere, or hide it with `#ifndef FFIWHEEL`"
                    )
        for name, (target, text) in chosen.items():
            if what == "symbols":
                missing = [it for it in reads if name not in reads[it].symbols]
                if host not in missing and name not in exports:
                    left_out[name] = "the library does not export it"
                    continue
                if missing:
                    partly.append(name)
                    notes.append(f"{name} is not on every platform: it is declared for {target}")
            texts.append(f"{text};\n")
            try:
                known.cdef(texts[-1])
            except Exception as error:  # cffi's own, pycparser's, and what either stumbles over
                place = reads[target].places[name]
                said = (str(error) or repr(error)).splitlines()[0]
                refuse(f"{place}: CFFI cannot take this: {said}: {HINT}")
    values: dict[str, set[str]] = {}
    for found in reads.values():
        for name, value in found.constants.items():
            values.setdefault(name, set()).add(value)
    for name, different in values.items():
        if len(different) > 1:
            left_out[name] = "its value is not the same on every platform"
        else:
            texts.insert(0, f"#define {name} {different.pop()}\n")
    notes += [f"Python does not get {name}: {why}" for name, why in sorted(left_out.items())]
    return "".join(texts), sorted(partly), notes


def flat(text: str) -> str:
    return " ".join(text.split())


# ---- Layouts ---------------------------------------------------------------------------------

SHADOW = "ffiwheel_"


def rename(node: c_ast.Node, names: set[str]) -> None:
    """Gives the types of a header other names, so that they can stand beside the header's."""

    def new(name: str | None) -> str | None:
        return SHADOW + name if name in names else name

    if isinstance(node, (c_ast.Struct, c_ast.Union, c_ast.Enum, c_ast.Enumerator, c_ast.ID)):
        node.name = new(node.name)
    elif isinstance(node, c_ast.IdentifierType):
        node.names = [new(name) for name in node.names]
    elif isinstance(node, c_ast.Typedef):
        node.name = new(node.name)
        inner = node.type
        while not isinstance(inner, c_ast.TypeDecl):
            inner = inner.type
        inner.declname = node.name
    for _, child in node.children():
        rename(child, names)


def layout(found: Read, header: str) -> str:
    """A file in C that compiles only where each type lies in memory as CFFI has it, which knows
    no attributes."""
    types = [copy.deepcopy(node) for node in found.nodes if not is_symbol(node)]
    names: set[str] = set()
    for node in types:
        names |= set(defined(node))
    lines = [f'#include <stddef.h>\n#include "{header}"\n']
    checks = []
    for node in types:
        inside = tagged(node)
        if not inside:
            continue
        name = node.name if isinstance(node, c_ast.Typedef) else f"{kind_of(inside)} {inside.name}"
        if isinstance(node, c_ast.Typedef) and not isinstance(node.type, c_ast.TypeDecl):
            continue
        shadow = re.sub(r"(\w+)$", rf"{SHADOW}\1", name)
        checks.append((f"sizeof({name})", f"sizeof({shadow})", name))
        checks.append((f"_Alignof({name})", f"_Alignof({shadow})", name))
        for member in getattr(inside, "decls", None) or ():
            if member.name and member.bitsize is None:
                args = f"{name}, {member.name}", f"{shadow}, {member.name}"
                checks.append((f"offsetof({args[0]})", f"offsetof({args[1]})", name))
    for node in types:
        rename(node, names)
        lines.append(f"{in_c(node)};\n")
    for one, other, name in checks:
        text = f"{name} is not laid out as CFFI has it: an attribute or a pragma changes it"
        lines.append(f'_Static_assert({one} == {other}, "{text}");\n')
    return "".join(lines)


def is_symbol(node: c_ast.Node) -> bool:
    return isinstance(node, c_ast.Decl) and bool(node.name)


def defined(node: c_ast.Node) -> Iterator[str]:
    """The names of types and of constants that a declaration defines."""
    if isinstance(node, (c_ast.Typedef, c_ast.Struct, c_ast.Union, c_ast.Enum, c_ast.Enumerator)):
        if node.name:
            yield node.name
    for _, child in node.children():
        yield from defined(child)


def main() -> None:
    header, folder, exported, made, host, *targets = sys.argv[1:]
    path, sources, out = Path(header).resolve(), Path(folder).resolve(), Path(made)
    exports = set(Path(exported).read_text().split())
    targets = list(dict.fromkeys([host, *targets]))
    with ThreadPoolExecutor() as pool:
        found = pool.map(lambda target: read(path, sources, target), targets)
        reads = dict(zip(targets, found, strict=True))
    declarations, partly, notes = merged(reads, exports, host)
    (out / "declarations.h").write_text(declarations)
    (out / "layout.c").write_text(layout(reads[host], path.name))
    declared = {target: sorted(found.symbols) for target, found in reads.items()}
    text = json.dumps({"declared": declared, "partly": partly, "notes": notes}, indent=1)
    (out / "given.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
