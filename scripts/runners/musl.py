"""Runs a musllinux wheel: `musl.py ARCHITECTURE WHEEL`, by Debian's name of the architecture.

musl itself, from Debian, loads the C program that calls every function.
"""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import common

# Debian's name of an architecture: zig's target, and the suite that has musl for it.
TARGETS = {
    "amd64": ("x86_64-linux-musl", "bookworm"),
    "arm64": ("aarch64-linux-musl", "bookworm"),
    "armhf": ("arm-linux-musleabihf", "bookworm"),
    "i386": ("x86-linux-musl", "bookworm"),
    "ppc64el": ("powerpc64le-linux-musl", "bookworm"),
    "riscv64": ("riscv64-linux-musl", "trixie"),
    "s390x": ("s390x-linux-musl", "bookworm"),
}
OLDEST = (1, 2)  # the musl that `musllinux_1_2` promises


def bare_root(architecture, folder):
    """Makes `folder` the root of a system that has musl and nothing else; returns the path of
    the loader.

    musl searches the folders that `etc/ld-musl-*.path` lists, where `etc` lies beside the
    loader's own folder. So nothing of this machine is found, libgcc_s for one, which a bare
    Alpine lacks. https://git.musl-libc.org/cgit/musl/tree/ldso/dynlink.c
    """
    _, suite = TARGETS[architecture]
    root = common.debian(f"musl-{architecture}", architecture, ["musl"], suite)
    (found,) = root.glob("**/lib/ld-musl-*.so.1")
    (folder / "lib").mkdir(parents=True)
    (folder / "etc").mkdir()
    loader = Path(shutil.copy(found, folder / "lib"))
    name = loader.name.removesuffix(".so.1")
    (folder / f"etc/{name}.path").write_text(f"{folder}/lib\n")
    return loader


def version(emulator, loader):
    """musl's version, as text. It prints that when it is called alone, and exits with 1."""
    done = subprocess.run(
        [*emulator, loader], capture_output=True, timeout=common.TIME_LIMIT, text=True
    )
    found = re.search(r"^Version (\d+)\.(\d+)\.\d+", done.stderr, re.MULTILINE)
    if not found:
        raise common.Failure(f"{loader} does not say musl's version:\n{done.stderr}")
    if tuple(map(int, found.groups())) < OLDEST:
        raise common.Failure(f"{loader} is of musl {found.group()}, older than {OLDEST}")
    return found.group().split()[1]


def run_program(architecture, wheel, folder):
    """Runs the C program; returns musl's version."""
    emulator = common.emulator(architecture)
    loader = bare_root(architecture, folder / "root")
    musl = version(emulator, loader)
    library = common.unpack(wheel, folder)
    target, _ = TARGETS[architecture]
    program = common.compile_program(target, library, folder)
    shutil.copy(library, loader.parent)
    printed = common.run([*emulator, loader, program], env=common.environment())
    common.check_program(printed, library)
    by = "".join(f", {path.name.removesuffix('-static')}" for path in emulator)
    common.report("functions only", f"rust/tests/program.c (musl {musl}{by})")
    return musl


def main(architecture, wheel):
    if architecture not in TARGETS:
        raise common.Skip(f"{architecture}: Debian has no musl for it, or musl.py does not know it")
    with tempfile.TemporaryDirectory(prefix="musl-") as folder:
        run_program(architecture, wheel, Path(folder))
    return 1


if __name__ == "__main__":
    common.main(main)
