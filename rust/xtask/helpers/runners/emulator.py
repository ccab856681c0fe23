"""Runs a wheel for macOS or ARM64 Windows, no program of which runs here: `emulator WHEEL`.

An emulated processor executes the library's functions, each slice of a universal2 one.
"""

import re
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import project
from process import Failure
from roots import Skip
from runners import checks, protocol

if TYPE_CHECKING:
    from runners.machine import Machine

NAME = "Zo\u00eb \u2603 \U0001f980"
LATIN1 = b"Zo\xeb\0"
ARGUMENT, CALLBACK, PANIC = 1, 3, 4  # hello_pyrust_ErrorKind
UTF8 = 1  # hello_pyrust_Encoding
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

    def __init__(self, machine: "Machine") -> None:
        self.machine = machine

    def call(self, function: str, *arguments: int | bytes, bits: int = 64) -> int:
        return self.machine.call(f"{project.PACKAGE}_{function}", *arguments, bits=bits)

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


def check(library: Library, abi: str) -> None:
    """Calls every function, as rust/tests/program.c does."""
    call, text, machine = library.call, library.text, library.machine
    equal("the ABI", machine.string(call("abi")).decode("latin-1"), abi)
    name, greeting = NAME.encode() + b"\0", f"Hello {NAME} from Rust!"

    machine.written[1] = b""
    equal("hello", call("hello", name, bits=32), 42)
    equal("what hello printed", machine.written[1].decode("utf-8"), greeting + "\n")
    equal("hello of NULL", call("hello", 0, bits=32), -1)
    library.check_error(ARGUMENT, "NULL")

    equal("greeting_new", text("greeting_new", name), greeting)
    equal("greeting_new of NULL", call("greeting_new", 0), 0)
    library.check_error(ARGUMENT, "NULL")
    equal("greeting_new of Latin-1", call("greeting_new", LATIN1), 0)
    library.check_error(ARGUMENT, "not UTF-8")

    # A struct of two words is passed as two arguments.
    data, tally = "one\ntwo \u00eb\n".encode(), machine.allocate(24)
    equal("bytes_count", call("bytes_count", data, len(data), tally, bits=32), 0)
    found = (machine.word(tally), machine.word(tally + 8), machine.read(tally + 16, 1)[0])
    equal("the tally", found, (len(data), 2, UTF8))
    equal("bytes_count of NULL", call("bytes_count", 0, 1, tally, bits=32), -1)
    library.check_error(ARGUMENT, "NULL")
    place = machine.write(machine.allocate(len(data)), data)
    equal("bytes_shout", call("bytes_shout", place, len(data)), 6)
    equal("what bytes_shout left", machine.read(place, len(data)), "ONE\nTWO \u00eb\n".encode())
    machine.free(tally)
    machine.free(place)

    equal("cakes_share", call("cakes_share", 7, 2), 3)
    if machine.panics:
        equal("cakes_share with nobody", call("cakes_share", 7, 0), -1)
        library.check_error(PANIC, "attempt to divide by zero")

    steps: list[tuple[int, int]] = []

    def note(_: "Machine", data: int, number: int) -> int:
        steps.append((data, number))
        return 0

    step = machine.stub("the callback", note)
    equal("countdown_run", call("countdown_run", 3, step, 77, bits=32), 0)
    equal("the steps", steps, [(77, 3), (77, 2), (77, 1), (77, 0)])
    stop = machine.stub("the callback", lambda _: 5)
    equal("countdown_run that is stopped", call("countdown_run", 3, stop, 0, bits=32), -1)
    library.check_error(CALLBACK, "answered 5")

    guest = call("guest_new", name)
    equal("guest_greet", text("guest_greet", guest), f"{greeting} (visit 1)")
    equal("guest_visits", call("guest_visits", guest), 1)
    call("guest_free", guest)
    equal("guest_visits of NULL", call("guest_visits", 0), -1)
    library.check_error(ARGUMENT, "NULL")


def main(path: str) -> int:
    wheel = Path(path)
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
        abi = checks.expected_abi(library)
    for architecture, machine in machines.items():
        api = Library(machine)
        try:
            check(api, abi)
            # What is made once and kept is there now.
            blocks = len(machine.blocks)
            check(api, abi)
            equal("blocks of memory after a second round", len(machine.blocks), blocks)
        except Failure as failure:
            raise Failure(f"{architecture}: {failure}") from None
    for architecture in machines:
        what = f"{architecture} slice" if system is MacOS else architecture
        protocol.report(protocol.FUNCTIONS_ONLY, f"{what} in unicorn {version('unicorn')}")
    if not system.panics:
        protocol.skipped("a panic in Rust: Windows itself, which is not there, unwinds the stack")
    return len(machines)
