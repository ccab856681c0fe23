"""Every wheel in dist/: what its file name says, its library is."""

import re
import subprocess
import sys
import zipfile

import pefile
import pytest
from macholib.mach_o import LC_ID_DYLIB, LC_LOAD_DYLIB
from macholib.MachO import MachO

from macho_signature import check as check_signature
from support import PACKAGE, ROOT, needs_wheel

sys.path.insert(0, str(ROOT / "python"))
import platform_tag

WHEELS = sorted((ROOT / "dist").glob(f"{PACKAGE}-*.whl"))
WINDOWS_DLLS = re.compile(
    r"(kernel32|ntdll|ws2_32|userenv|bcryptprimitives|api-ms-win-[a-z0-9-]+)\.dll", re.I
)


def last_tag(path):
    return path.stem.split("-")[-1].split(".")[-1]


@pytest.fixture(
    params=[
        pytest.param(path, id=last_tag(path), marks=needs_wheel(last_tag(path))) for path in WHEELS
    ]
)
def library(request, tmp_path):
    """The library of a wheel, with the platform of the wheel's last tag."""
    with zipfile.ZipFile(request.param) as archive:
        (name,) = [name for name in archive.namelist() if re.search(r"/lib/.", name)]
        path = archive.extract(name, tmp_path)
    return path, last_tag(request.param)


def readelf(option, path):
    return subprocess.check_output(["readelf", "--wide", option, path], text=True)


def versions(text):
    return [tuple(map(int, number.split("."))) for number in re.findall(r"GLIBC_([\d.]+)", text)]


def test_the_library_is_what_the_tag_says(library):
    path, tag = library
    platform = platform_tag.of_library(path)
    assert platform_tag.fingerprint(path, PACKAGE) is not None
    if platform.system != "linux":
        assert platform.tag == tag
        return
    kind, major, minor, arch = re.match(r"([a-z]+)_(\d+)_(\d+)_(\w+)$", tag).groups()
    assert platform.arch == arch
    assert platform.libc == {"manylinux": "glibc", "musllinux": "musl"}[kind]
    needed = versions(readelf("--version-info", path))
    assert all(version <= (int(major), int(minor)) for version in needed)
    assert bool(needed) == (kind == "manylinux")


def test_the_library_needs_only_what_every_such_system_has(library):
    path, tag = library
    if tag.startswith("win"):
        imports = pefile.PE(path).DIRECTORY_ENTRY_IMPORT
        for name in [entry.dll.decode() for entry in imports]:
            assert WINDOWS_DLLS.fullmatch(name), name
    elif tag.startswith("macosx"):
        for header in MachO(path).headers:
            loads = [
                data.rstrip(b"\0").decode()
                for command, _, data in header.commands
                if command.cmd in (LC_ID_DYLIB, LC_LOAD_DYLIB)
            ]
            assert loads[0] == f"@rpath/lib{PACKAGE}.dylib"
            assert all(name.startswith("/usr/lib/") for name in loads[1:]), loads
    else:
        needed = re.findall(r"\(NEEDED\).*\[(.*)\]", readelf("--dynamic", path))
        allowed = r"lib(c|dl|gcc_s|pthread|m|rt)\.so\.\d|ld.*\.so\.\d"
        allowed = r"libc\.so" if "musl" in tag else allowed
        for name in needed:
            assert re.fullmatch(allowed, name), name


def test_the_signature_is_valid(library):
    path, tag = library
    if tag.startswith("macosx"):
        found = check_signature(path)
        assert found or "x86_64" in tag  # arm64 runs nothing without one


def test_nothing_but_the_interface_is_exported(library):
    path, tag = library
    if not tag.startswith(("macosx", "win")):
        rows = readelf("--dyn-syms", path).splitlines()
        names = [row.split()[-1] for row in rows if " GLOBAL " in row and " UND " not in row]
        assert names and all(name.startswith(PACKAGE) for name in names), names
