"""Checks an installed program. Python 2.7 and 3.x.

    python smoke_program.py DISTRIBUTION PROGRAM MODULE

The package finds its program, which as a command and by `python -m MODULE` prints, with --version,
the version that is installed. Prints one line and exits 0, or says what is wrong and exits 1.
"""

from __future__ import print_function

import importlib
import os
import platform
import re
import subprocess
import sys

# What cargo may call a pre-release, and Python calls otherwise.
SHORT = {"alpha": "a", "beta": "b", "c": "rc", "pre": "rc", "preview": "rc"}


class Wrong(Exception):
    """What the program does otherwise than it should."""


def parts(version):
    """What is left of a version when cargo's spelling and Python's do not matter."""
    found = re.findall(r"\d+|[a-z]+", version.lower())
    return [SHORT.get(part, part.lstrip("0") or "0") for part in found]


def check_version(printed, version):
    """Raises Wrong unless a version is one of the words that a program printed."""
    if not any(parts(word.lstrip("v")) == parts(version) for word in printed.split()):
        raise Wrong("with --version it prints %r, not the version %s" % (printed, version))


def installed_version(distribution, package):
    """The version in the metadata that an installer put beside a package."""
    simple = re.sub("[-_.]+", "-", distribution).lower()
    folder = os.path.dirname(os.path.dirname(os.path.abspath(package.__file__)))
    for name in os.listdir(folder):
        found = re.match(r"(.+?)-([^-]+)(-py[\d.]+)?\.(dist|egg)-info$", name)
        if found and re.sub("[-_.]+", "-", found.group(1)).lower() == simple:
            return found.group(2)
    raise Wrong("%s has no metadata in %s" % (distribution, folder))


def says(command):
    """What a command prints, as text."""
    try:
        return subprocess.check_output(command).decode("utf-8", "replace").strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise Wrong("it does not run: %s" % error)


def check(distribution, program, module):
    """Checks a program by the names of its project, itself and its package. Returns its version,
    as text."""
    package = importlib.import_module(module)
    version = installed_version(distribution, package)
    path = importlib.import_module(module + "._program").find(program)
    printed = says([path, "--version"])
    check_version(printed, version)
    by_python = says([sys.executable, "-m", module, "--version"])
    if by_python != printed:
        raise Wrong("`python -m %s --version` prints %r, not %r" % (module, by_python, printed))
    return version


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    distribution, program, module = sys.argv[1:]
    try:
        version = check(distribution, program, module)
    except (ImportError, Wrong) as error:
        sys.exit("error: %s does not work: %s" % (program, error))
    python = platform.python_implementation(), platform.python_version()
    print("%s %s runs on %s %s" % ((module, version) + python))


if __name__ == "__main__":
    main()
