"""The part of a page in docs/ that a run writes."""

from collections.abc import Iterable
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"
END = "<!-- end of what it writes -->\n"


def table(rows: Iterable[list[str]]) -> str:
    """Rows of cells, the first of which is the head, in Markdown."""
    head, *rest = rows
    lines = [head, ["---"] * len(head), *rest]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines).replace("|  |", "| |")


def write(name: str, verb: str, text: str) -> None:
    """Replaces what a verb of make wrote on a page."""
    begin = f"<!-- `make {verb}` writes this -->\n"
    head, rest = (DOCS / name).read_text().split(begin)
    (DOCS / name).write_text(f"{head}{begin}\n{text}\n{END}{rest.split(END)[1]}")
