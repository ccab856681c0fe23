"""What runners do with a wheel: install it and run the smoke tests, or link a program with its
library, or run the program in it. What an author may add to them is in scripts/ and in the tests/
of the crate."""

import re
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from string import Template

import smoke_program
from process import TIME_LIMIT, Failure, Word, environment, run
from project import CRATE, HEADER, NAME, PACKAGE, PROGRAM, ROOT

# What every package must pass, and what its author wrote, where there is one.
GATE: list[Word] = [Path(__file__).parents[1] / "smoke_gate.py"]
if PROGRAM:
    GATE = [Path(smoke_program.__file__), NAME, PROGRAM]
SMOKE = ROOT / "scripts/smoke.py"
RAN = re.compile(rf"^{PACKAGE} \S+ runs on (.+?)\r?$", re.MULTILINE)  # which the first prints

# A C program that calls the library's functions, if its author wrote one.
C_PROGRAM = CRATE / "tests/program.c"
C_PROGRAM_NAME = f"{C_PROGRAM.relative_to(ROOT)}" if C_PROGRAM.is_file() else "a C program"
INCLUDE = (CRATE / HEADER).parent if HEADER else CRATE / "include"
# The program for any other library. `volatile`: a compiler knows that a function has an address,
# and would leave the table out, so that no function had to be found.
EVERY_FUNCTION = Template("""\
#include "$header"
#include <stdio.h>

typedef void (*function)(void);
static const function volatile functions[] = {$functions};

int main(void) {
    unsigned count = 0;
    for (; count < sizeof functions / sizeof *functions; count++) {
        if (!functions[count]) {
            return 1;
        }
    }
    $gate
    printf("%u functions were found$abi\\n", count$value);
    return 0;
}
""")
NO_ERROR = """if ({prefix}_error_take(NULL)) {{
        puts("{prefix}_error_take returns an error before any call failed");
        return 1;
    }}"""


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
    """Runs the smoke tests on a Python, a path; returns what that calls itself, as text."""
    printed = "".join(run([python, *words], cwd=cwd, env=env) for words in smoke_tests())
    found = RAN.search(printed)
    if not found:
        raise Failure(f"{GATE[0]} did not say what it ran on:\n{printed}")
    return found.group(1)


def smoke_tests() -> list[list[Word]]:
    """The smoke tests that there are: each a file with its arguments."""
    tests: list[list[Word]] = [[*GATE, PACKAGE]]
    if SMOKE.is_file():
        tests.append([SMOKE])
    return tests


def check_installed(wheel: Path, folder: Word) -> None:
    """Compares what pip left in a folder with a wheel: it may have chosen another one."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            path = Path(folder, name)
            if ".data/scripts/" in name:
                path = script(Path(folder), path.name)
            if path.name == "RECORD" or name.endswith("/"):
                continue
            if not path.is_file() or path.read_bytes() != archive.read(name):
                raise Failure(f"pip did not install {wheel}: {name} is not the one in it")


def script(packages: Path, name: str) -> Path:
    """Where a script is that was installed with what is in a folder of packages: beside that, or
    in the environment that has it."""
    above = [packages, *packages.parents[:3]]
    places = [folder / scripts / name for folder in above for scripts in ("bin", "Scripts")]
    return next((place for place in places if place.is_file()), places[0])


def run_alone(start: Callable[[Path], str], wheel: Path, folder: Path) -> None:
    """Runs the program of a wheel without a Python, unpacked into a folder. `start` runs it with
    --version, and returns what it printed."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        found = [name for name in names if ".data/scripts/" in name]
        if len(found) != 1:
            raise Failure(f"{wheel}: it has {len(found)} programs, not one")
        program = Path(archive.extract(found[0], folder))
    program.chmod(0o755)
    try:
        smoke_program.check_version(start(program), wheel.name.split("-")[1])
    except smoke_program.Wrong as error:
        raise Failure(f"{PROGRAM}: {error}") from None


def unpack(wheel: Path, folder: Path) -> Path:
    """Unpacks a wheel into a folder; returns the path of the package's library in it."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
    except (OSError, zipfile.BadZipFile) as error:
        raise Failure(f"{wheel}: {error}") from None
    names = [f"lib{PACKAGE}.so", f"lib{PACKAGE}.dylib", f"{PACKAGE}.dll"]
    found = list((folder / PACKAGE / "lib").glob("*"))
    own = [path for path in found if path.name in names]
    if len(own) != 1 or len(found) != 1 + len(others(own[0])):
        raise Failure(f"{wheel}: it has the libraries {', '.join(path.name for path in found)}")
    return own[0]


def others(library: Path) -> list[Path]:
    """The paths of the libraries that are loaded before the package's own, which is at a path."""
    names = re.findall(
        r"^LIBRARIES = '(.*)'$", (library.parents[1] / "_ffi.py").read_text("utf-8"), re.MULTILINE
    )
    stems = [stem for words in names for stem in words.split()]
    return [library.with_name(library.name.replace(PACKAGE, stem, 1)) for stem in stems]


def constant(library: Path, name: str) -> str:
    """One of the constants of the CFFI module beside a library, a path; ABI, for example, which
    is empty for a library that is not Rust's."""
    module = (library.parents[1] / "_ffi.py").read_text("utf-8")
    found = re.search(rf"^{name} = '(.*)'$", module, re.MULTILINE)
    if not found:
        raise Failure(f"_ffi.py says no {name}")
    return found.group(1)


def functions(library: Path) -> list[str]:
    """The names of the functions that the CFFI module beside a library, a path, calls on every
    platform. Their kind is 35, hexadecimal 23:
    https://github.com/python-cffi/cffi/blob/main/src/cffi/cffi_opcode.py"""
    module = (library.parents[1] / "_ffi.py").read_text("utf-8")
    found = re.findall(r"b'(?:\\x[0-9A-F]{2}){3}\\x23(\w+)'", module)
    partly = re.findall(r"^PARTLY = '(.*)'$", module, re.MULTILINE)
    return sorted(set(found) - {name for names in partly for name in names.split()})


def program_source(library: Path, folder: Path) -> Path:
    """The C program to link with a library: its author's, or one made in a folder."""
    if C_PROGRAM.is_file():
        return C_PROGRAM
    prefix = constant(library, "PREFIX")
    gate = bool(constant(library, "ABI"))
    source = folder / "every_function.c"
    source.write_text(
        EVERY_FUNCTION.substitute(
            header=Path(HEADER).name if HEADER else f"{prefix}.h",
            functions=", ".join(f"(function){name}" for name in functions(library)),
            gate=NO_ERROR.format(prefix=prefix) if gate else "",
            abi=", ABI %s" if gate else "",
            value=f", {prefix}_abi()" if gate else "",
        )
    )
    return source


def compile_program(target: str, library: Path, folder: Path) -> Path:
    """The C program, compiled by zig for one of its targets (`zig targets` lists them) and linked
    with a library, and with what is loaded before it; returns the path of the executable, in a
    folder."""
    source = program_source(library, folder)
    zig = [sys.executable, "-m", "ziglang"]
    flags = ["-target", target, "-O1", "-s", "-fno-sanitize=undefined", f"-I{INCLUDE}"]
    linked: list[Word] = [library, *others(library)]
    if "windows" in target:
        # Linked with a list of what a DLL exports. With the DLL itself the linker would refuse
        # a broken one, before a loader sees it.
        linked = []
        for dll, names in exported_by(library).items():
            exports, made = folder / f"{dll}.def", folder / f"{dll}.lib"
            exports.write_text("\n".join([f"LIBRARY {dll}", "EXPORTS", *names, ""]))
            machines = {"x86": "i386", "x86_64": "i386:x86-64", "aarch64": "arm64"}
            machine = machines[target.split("-")[0]]
            run([*zig, "dlltool", "-m", machine, "-d", exports, "-l", made], cwd=folder)
            linked.append(made)
        program = folder / "program.exe"
    else:
        flags.append("-dynamic")  # or else a program for musl is static
        program = folder / "program"
    # zig compiles the target's C library first where its cache has none: seconds for musl,
    # minutes for Windows.
    env = environment(ZIG_LOCAL_CACHE_DIR=str(folder / "zig"))
    command: list[Word] = [*zig, "cc", *flags, source, *linked, "-o", program]
    run(command, cwd=folder, env=env, timeout=600)
    return program


def exported_by(library: Path) -> dict[str, list[str]]:
    """Which of a package's functions each of its DLLs has, by the DLL's name."""
    names = functions(library)
    if not others(library):
        return {library.name: names}
    import lief  # which a project without emulators need not have

    found = {}
    for path in [library, *others(library)]:
        dll = lief.PE.parse(str(path))
        if not isinstance(dll, lief.PE.Binary):
            raise Failure(f"{path.name} is no DLL that can be read")
        exports = {function.name for function in dll.exported_functions}
        found[path.name] = [name for name in names if name in exports]
    return found


def check_program(printed: str, library: Path) -> None:
    """Compares the end of what the program of `compile_program` printed, as text, with what the
    CFFI module beside the library expects."""
    expected = constant(library, "ABI")
    found = re.search(r", ABI (\w+)\s*\Z", printed)
    if expected and not found:
        raise Failure(f"the C program did not say the library's ABI as its last word:\n{printed}")
    if found and found.group(1) != expected:
        raise Failure(f"the library has the ABI {found.group(1)}, _ffi.py expects {expected}")
