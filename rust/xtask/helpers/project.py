"""The project that the helpers serve: its folder, its names and its repository."""

import os
import sys
from pathlib import Path

from process import ask

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = "hello_pyrust"
NAME = PACKAGE.replace("_", "-")  # what an index calls it


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
