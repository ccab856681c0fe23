"""Writes the table of docs/commands.md: how far the libraries of test_languages.py got.

    languages.py RESULTS...

RESULTS are what pytest wrote of these tests, as JUnit's XML. Later files come before earlier ones.
"""

import ast
import sys
from xml.etree import ElementTree

import page

TITLES = {
    "c": "C, make",
    "two": "C, make, two libraries",
    "cpp": "C++, CMake",
    "meson": "C, Meson",
    "zig": "Zig",
    "go": "Go",
    "crate": 'Rust, `extern "C"`',
    "sqlite": "SQLite, one call of the compiler",
}


def results(paths: list[str]) -> dict[str, dict[str, str]]:
    """{language: {target: how far its wheel got}}"""
    found: dict[str, dict[str, str]] = {}
    for recorded in (it for path in paths for it in ElementTree.parse(path).iter("property")):
        if recorded.get("name") == "language":
            case, target, level = ast.literal_eval(recorded.get("value", ""))
            found.setdefault(case, {})[target] = level
    return found


def main() -> None:
    found = results(sys.argv[1:])
    targets = sorted({target for row in found.values() for target in row})
    rows = [["", *(f"`{target}`" for target in targets)]]
    for case, title in TITLES.items():
        row = found.get(case, {})
        rows.append([title, *(row.get(target, "not run") for target in targets)])
    page.write("commands.md", "test-commands", page.table(rows))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main()
