"""Runs a musllinux wheel: `musl ARCHITECTURE WHEEL`, by Debian's name of the architecture.

musl itself, from Debian, loads the C program of checks.py. A program that is linked with musl runs
without. On amd64 a CPython
that is linked with that musl installs the wheel by pip, which chooses it by its tag among
all that lie in its folder, and runs the smoke tests. Nobody packs such a Python: it is built,
once, when the environment has SLOW=1.
"""

import inspect
import os
import re
import shutil
import subprocess
import tempfile
from importlib.metadata import version
from pathlib import Path

import ziglang

import process
import roots
from process import Failure, Word
from project import PROGRAM
from roots import Skip
from runners import checks, protocol

# Debian's name of an architecture: zig's target, and the suites that have musl for it.
TARGETS = {
    "amd64": ("x86_64-linux-musl", ("bookworm", "trixie")),
    "arm64": ("aarch64-linux-musl", ("bookworm", "trixie")),
    "armhf": ("arm-linux-musleabihf", ("bookworm", "trixie")),
    "i386": ("x86-linux-musl", ("bookworm", "trixie")),
    "ppc64el": ("powerpc64le-linux-musl", ("bookworm", "trixie")),
    "riscv64": ("riscv64-linux-musl", ("trixie", "sid")),
    "s390x": ("s390x-linux-musl", ("bookworm", "trixie")),
}
OLDEST = (1, 2)  # the musl that `musllinux_1_2` promises

PYTHON = "musl-python"
# The modules in C that pip and the smoke tests import. pip needs no ssl without an index.
MODULES = """
    _blake2 _contextvars _csv _md5 _posixsubprocess _random _sha1 _sha256 _sha3 _sha512 _socket
    _struct array binascii math mmap pyexpat select unicodedata
""".split()


def find_loader(architecture: str) -> Path:
    """The path of musl, which is its own loader.

    It reads the folders of libraries from `etc/ld-musl-*.path`, where `etc` lies beside its
    own folder, and Debian's lists those of musl alone. So it finds no library of this machine,
    libgcc_s for one, which a bare Alpine lacks.
    https://git.musl-libc.org/cgit/musl/tree/ldso/dynlink.c
    """
    _, suites = TARGETS[architecture]
    root = roots.debian(f"musl-{architecture}", architecture, ["musl"], suites)
    (loader,) = root.glob("lib/ld-musl-*.so.1")
    return loader


def musl_version(command: list[Path]) -> str:
    """musl's version, as text. It prints that when it is called alone, and exits with 1."""
    done = subprocess.run(command, capture_output=True, timeout=process.TIME_LIMIT, text=True)
    found = re.search(r"^Version ((\d+)\.(\d+)\S*)", done.stderr, re.MULTILINE)
    if not found:
        raise Skip(f"{command[-1]} does not say musl's version: {done.stderr}")
    if tuple(map(int, found.groups()[1:])) < OLDEST:
        raise Skip(f"musl {found.group(1)} is older than {OLDEST}")
    return found.group(1)


def run_program(
    architecture: str, musl: str, command: list[Path], wheel: Path, folder: Path
) -> None:
    """Runs the C program by musl's loader, whose `command` may begin with an emulator."""
    library = checks.unpack(wheel, folder)
    target, _ = TARGETS[architecture]
    program = checks.compile_program(target, library, folder)
    path: list[Word] = ["--library-path", library.parent]
    printed = process.run([*command, *path, program], env=process.environment())
    checks.check_program(printed, library)
    by = [f"musl {musl}", *(word.name.removesuffix("-static") for word in command[:-1])]
    protocol.report(protocol.FUNCTIONS_ONLY, f"{checks.C_PROGRAM_NAME} ({', '.join(by)})")


def build_python(folder: Path, loader: Path) -> None:
    """Builds CPython, linked by zig with musl, into a folder: `bin/python3` and what it needs.

    The source is that of Debian's python3.11, and of zlib, which becomes part of it.
    """
    roots.debian_sources("CPython on musl", ["python3.11", "zlib"], folder)
    (source,) = folder.glob("Python-*")
    (zlib,) = folder.glob("zlib-*")
    zlib.rename(source / "Modules/zlib")
    zig = Path(ziglang.__file__).parent / "zig"
    env = process.environment(
        AR=f"{zig} ar",
        CC=f"{zig} cc -target {TARGETS['amd64'][0]} -dynamic",
        CFLAGS="-fno-sanitize=undefined -w",
        LDFLAGS=f"-s -Wl,--dynamic-linker,{loader}",
        MAKEFLAGS="",  # those of the make that runs the runner: its variables are not meant
        OPT="-O1 -DNDEBUG",
        PKG_CONFIG="false",  # it would find the libraries of this machine
        RANLIB=f"{zig} ranlib",
        ZIG_LOCAL_CACHE_DIR=str(folder / "zig"),
        # zig's musl is newer than Debian's, and has these from 1.2.5 on.
        ac_cv_func_preadv2="no",
        ac_cv_func_pwritev2="no",
    )
    # By the build system's name CPython knows that the extensions are musl's.
    options = ["--quiet", "--build=x86_64-pc-linux-musl", "--disable-test-modules"]
    options += ["--without-doc-strings", "--without-ensurepip"]
    process.run(["./configure", *options], cwd=source, env=env, timeout=1200)

    # The modules become part of the program, as Modules/Setup tells.
    lines = (source / "Modules/Setup.stdlib").read_text().splitlines()
    lines = [line for line in lines if line.split(" ")[0] in MODULES]
    # Not those for gzip's files, which Python does not call.
    files = sorted(f"zlib/{path.name}" for path in source.glob("Modules/zlib/[!g]*.c"))
    lines.append(f"zlib zlibmodule.c {' '.join(files)} -I$(srcdir)/Modules/zlib")
    (source / "Modules/Setup.local").write_text("\n".join(["*static*", *lines, ""]))
    make = ["make", "--silent", f"-j{os.cpu_count()}", "python", "pybuilddir.txt"]
    process.run(make, cwd=source, env=env, timeout=1200)

    # `make install` would take minutes: it compiles every module three times.
    library = folder / "lib/python3.11"
    (folder / "bin").mkdir()
    shutil.copy(source / "python", folder / "bin/python3")
    unneeded = shutil.ignore_patterns("ensurepip", "idlelib", "lib2to3", "test", "tkinter")
    shutil.copytree(source / "Lib", library, ignore=unneeded)
    (library / "lib-dynload").mkdir()
    (configuration,) = source.glob("build/lib.*/_sysconfigdata_*.py")
    shutil.copy(configuration, library)
    shutil.rmtree(source)
    shutil.rmtree(folder / "zig", ignore_errors=True)


def find_python(loader: Path) -> Path:
    """The CPython on musl, which is built where that was asked for."""
    parts = [inspect.getsource(build_python), *MODULES, str(loader), version("ziglang")]
    recipe = "\n".join(parts)
    if not roots.is_cached(PYTHON, recipe):
        if not os.environ.get("SLOW"):
            raise Skip("CPython on musl: SLOW=1 builds it, once, which takes minutes")
        if not shutil.which("make"):
            raise Skip("CPython on musl: make, which builds it, is missing")

    def make(folder: Path) -> None:
        try:
            build_python(folder, loader)
        except Failure as failure:
            raise Skip(f"CPython on musl: it does not build: {failure}") from None

    return roots.cached(PYTHON, recipe, make) / "bin/python3"


def run_python(musl: str, python: Path, wheel: Path, folder: Path) -> None:
    """Installs the wheel by pip in an environment of the CPython on musl, and runs it."""
    pip = roots.pypi("pip", roots.PIP, unpacked=True)
    platform = ["--platform=musllinux_1_2_x86_64", "--python-version=3.11"]
    cffi = roots.pypi("cffi-musl", roots.pinned("cffi", "pycparser"), *platform)

    home = folder / "venv"
    env = process.environment(PIP_CONFIG_FILE=os.devnull, TMPDIR=str(folder))
    process.run([python, "-m", "venv", "--without-pip", home], env=env)
    python = home / "bin/python"
    with_pip = {**env, "PYTHONPATH": str(pip)}
    checks.install([python], wheel, f"--find-links={cffi}", cwd=folder, env=with_pip)
    checks.check_installed(wheel, home / "lib/python3.11/site-packages")

    name = checks.smoke(python, cwd=folder, env=env)
    protocol.report(protocol.INSTALLED, f"{name} on musl {musl}")


def main(architecture: str, path: str) -> int:
    wheel = Path(path).resolve()
    if architecture not in TARGETS:
        raise Skip(f"{architecture}: musl.py knows {', '.join(TARGETS)}")
    emulator = roots.emulator(architecture)
    with tempfile.TemporaryDirectory(prefix="musl-") as temporary:
        folder = Path(temporary)
        if PROGRAM:
            env = process.environment()
            checks.run_alone(
                lambda program: process.run([*emulator, program, "--version"], env=env),
                wheel,
                folder,
            )
            by = [word.name.removesuffix("-static") for word in emulator] or ["without libc"]
            protocol.report(protocol.PROGRAM_ONLY, f"{PROGRAM} ({', '.join(by)})")
            if architecture != "amd64":
                return 1
        loader = find_loader(architecture)
        musl = musl_version([*emulator, loader])
        if not PROGRAM:
            run_program(architecture, musl, [*emulator, loader], wheel, folder)
        if architecture != "amd64":
            return 1
        try:
            python = find_python(loader)
        except Skip as skip:
            protocol.skipped(str(skip))
            return 1
        run_python(musl, python, wheel, folder)
    return 2
