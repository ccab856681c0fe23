"""Projects whose library has a C header that its author wrote, in several languages."""

import re
import shutil

from adopter import KIT
from support import FIXTURES, ROOT, Tree

HERE = FIXTURES / "command"
# {language: what its command calls}; none where cargo builds it.
PROGRAMS = {
    "c": "make",
    "two": "NAMES=",  # two libraries
    "cpp": "cmake",
    "meson": "meson",
    "zig": "zig",
    "go": "go",
    "crate": None,
}
SETTINGS = """\
[metadata]
name = thing
{version}license_files = LICENSE

[options]
packages = thing
zip_safe = False
python_requires = >=2.7, !=3.0.*, !=3.1.*, !=3.2.*, !=3.3.*, !=3.4.*, !=3.5.*
install_requires =
    cffi>=1.15.1; platform_python_implementation != "PyPy" and python_version >= "3"
    cffi==1.15.1; platform_python_implementation != "PyPy" and python_version < "3"
    pycparser<2.22; platform_python_implementation != "PyPy" and python_version < "3"

[build_library]
header = include/thing.h
"""
VERSION = "version = 1.2.0\ndescription = Sums and names\nlicense = MIT\n"
MODULE = '''\
"""Sums and names."""

from ._ffi import VERSION as __version__
from ._load import ffi, lib

__all__ = ["__version__", "ffi", "lib", "name", "total"]


def total(numbers):
    """The sum (int) of numbers (list of int)."""
    found = ffi.new("thing_sum *")
    for number in numbers:
        lib.thing_add(found, number)
    return int(found.total)


def name(loud=False):
    """The library's name (text)."""
    mode = lib.THING_LOUD if loud else lib.THING_PLAIN
    return ffi.string(lib.thing_name(mode)).decode("ascii")
'''
SMOKE = """\
import thing

assert thing.total([1, 2, 3]) == 6
assert thing.name() == "thing" and thing.name(loud=True) == "THING"
assert thing.lib.THING_LIMIT == 1024 and thing.ffi.typeof("thing_sum").fields[1][0] == "count"
print("thing is right")
"""


def documented(program):
    """The guide's command that calls it: what authors copy is what the tests run."""
    guide = (ROOT / "docs/commands.md").read_text()
    found = re.findall(rf"^    command = (.*\b{program}.*)$", guide, re.MULTILINE)
    return found[0].replace("fast_thing", "thing").replace("FAST_THING", "THING")


def make(folder, language="c"):
    """Writes the project into a new folder. Its sources are in `sources`, a crate in `rust`."""
    program = PROGRAMS[language]
    sources = folder / ("sources" if program else "rust")
    shutil.copytree(HERE / language, sources)
    (sources / "include").mkdir()
    shutil.copy(HERE / "thing.h", sources / "include")
    if language == "meson":
        shutil.copy(HERE / "c/thing.c", sources)
    settings = SETTINGS.format(version=VERSION if program else "")
    if program:
        settings += f"sources = sources\ncommand = {documented(program)}\n"
    if language == "two":
        settings += "libraries = thing_names\n"
    files = {
        ".gitignore": "build/\ndist/\ntarget/\n*.egg-info/\n*.so\n*.so.json\n__pycache__/\n",
        "LICENSE": "Do as you like.\n",
        "README.md": "# thing\n\nSums and names.\n",
        "python/setup.cfg": settings,
        "python/thing/__init__.py": MODULE,
        "scripts/smoke.py": SMOKE,
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    for name in KIT:
        shutil.copy(ROOT / "python" / name, folder / "python")
    (loader,) = (ROOT / "python").glob("*/_load.py")
    shutil.copy(loader, folder / "python/thing")
    project = Tree(folder, "thing")
    project.sources, project.header = sources, sources / "include/thing.h"
    return project
