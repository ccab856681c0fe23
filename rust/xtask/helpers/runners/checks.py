"""What runners do with a wheel: install it and run the smoke test, or link a program with its
library."""

import re
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from process import TIME_LIMIT, Failure, Word, environment, run
from project import PACKAGE, ROOT

SMOKE = ROOT / "scripts/smoke.py"
PROGRAM = ROOT / "rust/tests/program.c"  # calls every function of the library
INCLUDE = ROOT / "rust/include"


def install(
    python: Sequence[Word],
    wheel: Path,
    *options: str,
    cwd: Path,
    env: Mapping[str, str],
    timeout: float = TIME_LIMIT,
) -> None:
    """Lets a Python's pip choose the wheel by its tag, among all that lie in its folder, and
    install it. `python` is the words that run it, `options` are pip's. --isolated: without the
    settings of this machine's pip."""
    pip = ["-m", "pip", "--isolated", "install", "--no-index", "--only-binary=:all:"]
    pip += ["--no-cache-dir", "--no-compile", f"--find-links={wheel.parent}", *options]
    command = [*python, *pip, "==".join(wheel.name.split("-")[:2])]
    run(command, cwd=cwd, env=env, timeout=timeout)


def smoke(python: Path, *, env: Mapping[str, str], cwd: Path | None = None) -> str:
    """Runs the smoke test on a Python, a path; returns what that calls itself, as text."""
    printed = run([python, SMOKE], cwd=cwd, env=env)
    found = re.search(r" runs on (.+)$", printed, re.MULTILINE)
    if not found:
        raise Failure(f"the smoke test did not say what it ran on:\n{printed}")
    return found.group(1)


def check_installed(wheel: Path, folder: Word) -> None:
    """Compares what pip left in a folder with a wheel: it may have chosen another one."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            path = Path(folder, name)
            if path.name == "RECORD" or name.endswith("/"):
                continue
            if not path.is_file() or path.read_bytes() != archive.read(name):
                raise Failure(f"pip did not install {wheel}: {name} is not the one in it")


def unpack(wheel: Path, folder: Path) -> Path:
    """Unpacks a wheel into a folder; returns the path of the library in it."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
    except (OSError, zipfile.BadZipFile) as error:
        raise Failure(f"{wheel}: {error}") from None
    libraries = list((folder / PACKAGE / "lib").glob("*"))
    if len(libraries) != 1:
        raise Failure(f"{wheel}: it has {len(libraries)} libraries, not one")
    return libraries[0]


def compile_program(target: str, library: Path, folder: Path) -> Path:
    """PROGRAM, compiled by zig for one of its targets (`zig targets` lists them) and linked
    with a library; returns the path of the executable, in a folder."""
    zig = [sys.executable, "-m", "ziglang"]
    flags = ["-target", target, "-O1", "-s", "-fno-sanitize=undefined", f"-I{INCLUDE}"]
    if "windows" in target:
        # Linked with a list of what a DLL exports. With the DLL itself the linker would refuse
        # a broken one, before a loader sees it.
        header = (INCLUDE / f"{PACKAGE}.h").read_text("utf-8")
        names = sorted(set(re.findall(rf"\b({PACKAGE}_\w+)\(", header)))
        exports, linked = folder / "exports.def", folder / "exports.lib"
        exports.write_text("\n".join([f"LIBRARY {library.name}", "EXPORTS", *names, ""]))
        machines = {"x86": "i386", "x86_64": "i386:x86-64", "aarch64": "arm64"}
        machine = machines[target.split("-")[0]]
        run([*zig, "dlltool", "-m", machine, "-d", exports, "-l", linked], cwd=folder)
        program = folder / "program.exe"
    else:
        flags.append("-dynamic")  # or else a program for musl is static
        linked, program = library, folder / "program"
    # zig compiles the target's C library first where its cache has none: seconds for musl,
    # minutes for Windows.
    env = environment(ZIG_LOCAL_CACHE_DIR=str(folder / "zig"))
    command: list[Word] = [*zig, "cc", *flags, PROGRAM, linked, "-o", program]
    run(command, cwd=folder, env=env, timeout=600)
    return program


def expected_abi(library: Path) -> str:
    """The fingerprint that the CFFI module beside a library expects of it."""
    module = (library.parents[1] / "_ffi.py").read_text("utf-8")
    found = re.search(r"^ABI = '(\w+)'$", module, re.MULTILINE)
    if not found:
        raise Failure("_ffi.py says no ABI")
    return found.group(1)


def check_program(printed: str, library: Path) -> None:
    """Compares what the program of `compile_program` printed, as text, with what the CFFI
    module beside the library expects."""
    expected = expected_abi(library)
    found = re.search(r"^every call was right, with .*, ABI (\w+)\r?$", printed, re.MULTILINE)
    if "Hello C from Rust!" not in printed or not found:
        raise Failure(f"{PROGRAM.name} did not say that it came to its end:\n{printed}")
    if found.group(1) != expected:
        raise Failure(f"the library has the ABI {found.group(1)}, _ffi.py expects {expected}")
