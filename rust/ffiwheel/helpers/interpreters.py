"""The Pythons of this machine, environments of them, and a cargo that tells when it was called.
The tests use it too."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from packaging.specifiers import SpecifierSet

import process
from process import Word
from project import SETTINGS

# Every Python that a wheel promises to serve. The first ones are missed when they are not
# there; the others are used when they are.
REQUIRED = SpecifierSet(SETTINGS.get("options", "python_requires", fallback=""))
EXPECTED = ["2.7"] + [f"3.{minor}" for minor in range(6, 14)] + ["pypy3"]
EXTRA = ["3.13t", "3.14", "3.14t", "3.15", "3.15t", "pypy"]


def is_served(name: str) -> bool:
    """Whether `python_requires` allows some release of a Python; PyPy 3's numbers vary."""
    number = {"pypy": "2.7", "pypy3": ""}.get(name, name.rstrip("t"))
    return not number or any(REQUIRED.contains(f"{number}.{patch}") for patch in range(40))


EXPECTED, EXTRA = list(filter(is_served, EXPECTED)), list(filter(is_served, EXTRA))

IDENTIFY = """
import json, platform, sys
v = "%d.%d" % sys.version_info[:2]
free = getattr(sys, "abiflags", "").count("t")
pypy = platform.python_implementation() == "PyPy"
name = ("pypy3" if sys.version_info[0] > 2 else "pypy") if pypy else v + "t" * free
print(json.dumps([name, platform.python_implementation() + " " + platform.python_version()]))
"""


def candidates() -> Iterator[tuple[Path, str | None]]:
    """(path, name) of the programs that may be Pythons; the name is None when it says nothing."""
    pyenv = shutil.which("pyenv")
    folders = []
    if pyenv:
        root = Path(process.ask(pyenv, "root"))
        folders += sorted(root.glob("versions/*/bin"))
    # pyenv's shims find nothing but what is activated, and .venv is not a bare Python.
    folders += [
        Path(folder)
        for folder in os.environ.get("PATH", "").split(os.pathsep)
        if Path(folder).name != "shims" and Path(folder) != Path(sys.executable).parent
    ]
    for folder in folders:
        for name in EXPECTED + EXTRA:
            yield folder / (name if name.startswith("pypy") else "python" + name), name
    if os.name == "nt":
        if shutil.which("py"):  # the launcher: https://docs.python.org/3/using/windows.html
            listed = subprocess.run(["py", "--list-paths"], capture_output=True, text=True)
            for path in re.findall(r"[A-Za-z]:\\.*\.exe", listed.stdout):
                yield Path(path), None
        for folder in folders:
            yield folder / "python.exe", None


def find() -> dict[str, tuple[Path, str]]:
    """{name: (path, "Implementation x.y.z")}: the first program of each name."""
    found: dict[str, tuple[Path, str]] = {}
    for path, name in candidates():
        if name not in found and os.access(path, os.X_OK):
            answer = subprocess.run([path, "-c", IDENTIFY], capture_output=True, text=True)
            if answer.returncode == 0:
                identity, version = json.loads(answer.stdout)
                allowed = identity in EXPECTED + EXTRA and version.split()[1] in REQUIRED
                if allowed and name in (None, identity):
                    found.setdefault(identity, (path, version))
    return found


def make_environment(run: Callable[..., object], path: Word, version: str, folder: Path) -> Path:
    """Makes a fresh virtual environment whose pip knows manylinux2014 tags; returns its
    Python. `run` runs a command."""
    number = tuple(int(part) for part in version.split()[1].split(".")[:2])
    if number >= (3, 12):  # virtualenv's pip for 2.7 and 3.6 is too old for these.
        run(path, "-m", "venv", folder)
    else:
        tool = [sys.executable, "-m", "virtualenv", "--quiet", "--no-periodic-update"]
        run(*tool, "--python", path, folder)
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


class Cargo:
    """A program `cargo` that writes down its arguments, for a POSIX shell; then the real one
    runs, or it fails. `folder`, which is made, belongs on PATH."""

    def __init__(self, folder: Path, works: bool = True) -> None:
        self.folder, self.log = folder, folder / "calls"
        folder.mkdir(exist_ok=True)
        real = shutil.which(os.environ.get("CARGO") or "cargo")
        last = f'exec "{real}" "$@"' if works else 'echo "cargo was called" >&2; exit 99'
        program = folder / "cargo"
        program.write_text(f'#!/bin/sh\necho "$*" >> "{self.log}"\n{last}\n')
        program.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []
