"""The project that the helpers serve, which is the one around the working directory: its folder,
its names and its repository."""

import configparser
import os
import re
import sys
from pathlib import Path

from process import ask


def find() -> Path:
    """The folder of the project; ends the run where there is none."""
    here = Path.cwd()
    for folder in [here, *here.parents]:
        if (folder / "python/setup.cfg").is_file():
            return folder
    sys.exit(f"error: {here} is not in a project: no folder above it contains python/setup.cfg")


ROOT = find()
SETTINGS = configparser.RawConfigParser()
SETTINGS.read(ROOT / "python/setup.cfg", encoding="utf-8")
# What a program imports, by the rule of python/sources.py.
PACKAGE: str = re.findall(r"\w+", SETTINGS.get("options", "packages"))[0]
# The folder of what the library is built from: the crate's, or that of `sources`.
CRATE = (ROOT / "python" / SETTINGS.get("build_library", "crate", fallback="../rust")).resolve()
COMMAND = SETTINGS.get("build_library", "command", fallback="")
if COMMAND:
    CRATE = (ROOT / SETTINGS.get("build_library", "sources")).resolve()
# The header that an author wrote, if it is not generated.
HEADER = SETTINGS.get("build_library", "header", fallback="")
NAME = SETTINGS.get("metadata", "name")  # what an index calls it
# What a wheel brings, if it is no library: also by the rule of python/sources.py.
PROGRAM: str | None = None
if SETTINGS.get("build_library", "kind", fallback="") == "program":
    PROGRAM = SETTINGS.get("build_library", "program", fallback="") or NAME


def git(*words: str) -> str:
    """What git prints of the project; ends the run where that has no repository of its own."""
    foreign = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"}  # in a git hook: that of the hook
    env = {name: value for name, value in os.environ.items() if name not in foreign}
    if not (ROOT / ".git").exists():
        sys.exit(f"error: {ROOT} is not a git repository")
    top = ask("git", "rev-parse", "--show-toplevel", cwd=ROOT, env=env)
    if not os.path.samefile(top, ROOT):
        sys.exit(
            f"error: git takes {ROOT / '.git'} for no repository, but {top}: repair it, or "
            "remove it"
        )
    return ask("git", *words, cwd=ROOT, env=env)
