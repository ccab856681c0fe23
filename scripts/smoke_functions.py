"""Calls the library's C functions on an emulated processor: for a system whose programs do not
run here. The pipeline's helper runners/emulator.py calls check()."""

from typing import TYPE_CHECKING

from runners.emulator import Library, equal

if TYPE_CHECKING:
    from runners.machine import Machine

NAME = "Zo\u00eb \u2603 \U0001f980"
LATIN1 = b"Zo\xeb\0"
ARGUMENT, CALLBACK, PANIC = 1, 3, 4  # hello_pyrust_ErrorKind
UTF8 = 1  # hello_pyrust_Encoding


def check(library: Library, abi: str) -> None:
    """Calls every function, as rust/tests/program.c does. abi: the library's fingerprint, which
    is right."""
    call, text, machine = library.call, library.text, library.machine
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
