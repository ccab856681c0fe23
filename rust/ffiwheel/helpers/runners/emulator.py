"""Runs a wheel for macOS or ARM64 Windows, no program of which runs here: `emulator WHEEL`.

An emulated processor executes the library's functions, each slice of a universal2 one: those of
the gate, and those that scripts/smoke_functions.py calls.
"""

import re
import runpy
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import smoke_gate
from process import Failure
from project import PROGRAM, ROOT
from roots import Skip
from runners import checks, protocol

if TYPE_CHECKING:
    from runners.machine import Machine

# Its author's function check(library, abi), with a `Library` and its fingerprint: calls of what
# the library is for.
FUNCTIONS = ROOT / "scripts/smoke_functions.py"
TAGS = {
    "macosx_x86_64": ["x86_64"],
    "macosx_arm64": ["arm64"],
    "macosx_universal2": ["arm64", "x86_64"],
    "win_arm64": ["arm64"],
}


def equal(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise Failure(f"{what}: {found!r}, not {expected!r}")


class Library:
    """The C API of a library on a machine, by the names of its functions without prefix."""

    def __init__(self, machine: "Machine", prefix: str) -> None:
        self.machine, self.prefix = machine, prefix

    def call(self, function: str, *arguments: int | bytes, bits: int = 64) -> int:
        return self.machine.call(f"{self.prefix}_{function}", *arguments, bits=bits)

    def text(self, function: str, *arguments: int | bytes) -> str:
        """The text that a function returns as owned, which is freed."""
        address = self.call(function, *arguments)
        if address not in self.machine.blocks:
            raise Failure(f"{function}: {address:#x} is no allocated text")
        text = self.machine.string(address).decode("utf-8", "backslashreplace")
        self.call("text_free", address)
        if address in self.machine.blocks:
            raise Failure(f"text_free did not free what {function} returned")
        return text

    def check_error(self, kind: int, part: str) -> None:
        place = self.machine.allocate(1)
        message = self.text("error_take", place)
        equal(f"the kind of the error {message!r}", self.machine.read(place, 1)[0], kind)
        if part not in message:
            raise Failure(f"the error {message!r} does not say {part!r}")
        self.machine.free(place)
        equal("a second error_take", self.call("error_take", 0), 0)


def check_gate(library: Library, functions: list[str], cffi: dict[str, Any]) -> None:
    """Checks what every library of Rust's has. `functions`: what it exports; `cffi`: the CFFI
    module that is beside it."""
    if not cffi["ABI"]:
        return  # It is not Rust's.
    read = library.machine.string
    equal("the ABI", read(library.call("abi")).decode("latin-1"), cffi["ABI"])
    # The emulated processors have pointers of 64 bits, as this one.
    table = read(library.call("layout")).decode("latin-1")
    try:
        smoke_gate.check_layouts(table, library.prefix, cffi["ffi"], functions)
    except smoke_gate.Wrong as error:
        raise Failure(str(error)) from None
    equal("error_take", library.call("error_take", 0), 0)


def main(path: str) -> int:
    wheel = Path(path)
    if PROGRAM:
        raise Skip(f"{PROGRAM}: only its own system runs a program for macOS or ARM64 Windows")
    try:
        from runners.machine import MacOS, Windows
    except ImportError as error:
        raise Skip(f"{error.name} is missing; `make venv` installs it") from None
    tag = re.sub(r"_\d+_\d+_", "_", wheel.stem.split("-")[-1])
    if tag not in TAGS:
        raise Skip(f"{tag}: the emulator is for {', '.join(TAGS)}")
    with tempfile.TemporaryDirectory(prefix="emulator-") as folder:
        library = checks.unpack(wheel, Path(folder))
        system = MacOS if tag.startswith("macosx") else Windows
        machines = system.open(library, TAGS[tag])
        others = [system.open(path, TAGS[tag]) for path in checks.others(library)]
        cffi = runpy.run_path(str(library.parents[1] / "_ffi.py"))
        functions = checks.functions(library)
    calls = runpy.run_path(str(FUNCTIONS))["check"] if FUNCTIONS.is_file() else None

    def check(api: Library) -> None:
        check_gate(api, functions, cffi)
        if calls:
            calls(api, cffi["ABI"])

    for architecture, machine in machines.items():
        api = Library(machine, cffi["PREFIX"])
        exports = [machine.exports, *(other[architecture].exports for other in others)]
        missing = [name for name in functions if not any(name in each for each in exports)]
        try:
            if missing:
                raise Failure(f"{', '.join(missing)} is not exported")
            check(api)
            # What is made once and kept is there now.
            blocks = len(machine.blocks)
            check(api)
            equal("blocks of memory after a second round", len(machine.blocks), blocks)
        except Failure as failure:
            raise Failure(f"{architecture}: {failure}") from None
    for architecture in machines:
        what = f"{architecture} slice" if system is MacOS else architecture
        protocol.report(protocol.FUNCTIONS_ONLY, f"{what} in unicorn {version('unicorn')}")
    if not system.panics:
        protocol.skipped("a panic in Rust: Windows itself, which is not there, unwinds the stack")
    return len(machines)
