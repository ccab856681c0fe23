"""Runs a batch file of a folder under wine, with a CPython for Windows and its pip.

    wine_batch.py FOLDER FILE STDLIB

CPython is in FOLDER/python. It is the embeddable one, which lacks the modules that make virtual
environments: they come from the standard library of another CPython of that version, STDLIB.

This is a program by itself: it ends all its children, wine's services among them.
"""

import functools
import shutil
import sys
import tempfile
from pathlib import Path

import roots
from process import Failure
from runners import wine
from runners.protocol import NOTHING_RAN

VERSION = "3.11"


def main(folder: Path, file: str, stdlib: Path) -> int:
    machine = wine.MACHINES["amd64"]
    wine.adopt_orphans()
    programs = wine.unpacked_wine(machine)
    shutil.copytree(wine.python(VERSION), folder / "python")
    pip = roots.pypi("pip", roots.PIP, unpacked=True)
    shutil.copytree(pip, folder / "python/Lib/site-packages", dirs_exist_ok=True)
    for name in ("ensurepip", "venv"):
        shutil.copytree(stdlib / name, folder / "python/Lib" / name)
    launcher = folder / "python/Lib/venv/scripts/nt/python.exe"
    launcher.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(folder / "python/python.exe", launcher)
    with tempfile.TemporaryDirectory(prefix="wine-") as temporary:
        prefix = wine.new_prefix(programs, Path(temporary) / "prefix")
        windows = functools.partial(wine.start, machine, programs, prefix)
        try:
            print(windows("cmd", "/c", file, cwd=folder))
        except Failure as failure:
            print(failure)
            return 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
    except roots.Skip as skip:
        print(skip)
        sys.exit(NOTHING_RAN)
