"""How a runner is called, and what it prints.

`run_wheel.py` calls a runner's `main` with the words of the target's row and the path of the
wheel. A runner prints a line `LEVEL<TAB>WHAT` for each thing that ran the wheel, and
`skipped<TAB>WHAT` for each thing that is missing, with the reason. It exits with 0 when all that
ran was right, with NOTHING_RAN when nothing could run, and with 1 and the reason on standard
error when something was wrong. src/verbs/smoke.rs reads that.
"""

import signal
import sys
from collections.abc import Callable

from process import Failure
from roots import Skip

# A pip of that platform chose and installed the wheel, and it ran.
INSTALLED = "installed"
# There was no Python: a program or an emulator called the library's functions.
FUNCTIONS_ONLY = "functions only"
# There was no Python: the program ran by itself.
PROGRAM_ONLY = "program only"
# How far a wheel got, best first. These and the exit code stand in src/verbs/smoke.rs, too.
LEVELS = (INSTALLED, FUNCTIONS_ONLY, PROGRAM_ONLY)
NOTHING_RAN = 77  # the exit code where the machine lacks what the runner needs


def report(level: str, what: str) -> None:
    """Says that the wheel ran: `level` is one of LEVELS."""
    assert level in LEVELS
    print(f"{level}\t{what}", flush=True)


def skipped(what: str) -> None:
    print(f"skipped\t{' '.join(what.split())}", flush=True)


def main(function: Callable[..., int], *arguments: str) -> None:
    """Calls `function(*arguments)`, which returns the number of things that ran the wheel,
    and exits as a runner does."""
    for number in [signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)]:
        # Python would end without its `finally`s: what runs would run on.
        signal.signal(number, lambda number, frame: sys.exit(128 + number))
    try:
        count = function(*arguments)
    except Skip as skip:
        skipped(str(skip))
        sys.exit(NOTHING_RAN)
    except Failure as failure:
        print(failure, file=sys.stderr)
        sys.exit(1)
    sys.exit(0 if count else NOTHING_RAN)
