"""Commands: each ends with the program that ran it, or when its time is up."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

# What may be a word of a command.
Word = str | Path

TIME_LIMIT = 180  # in seconds, for one command that runs the wheel
LAST_LINES = 20


class Failure(Exception):
    """What the wheel, or a command, did wrong."""


def die_with_parent() -> None:
    """Asks Linux to kill this process when the one that started it is killed: prctl(2)."""
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


# The commands that run now, on whatever thread.
RUNNING: set[subprocess.Popen[bytes]] = set()
STOPPED: list[bool] = []


def stop() -> None:
    """Ends every command that `run` runs, and lets it begin no other one: for a program with
    threads that ends."""
    STOPPED.append(True)
    for process in list(RUNNING):
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    if os.name == "nt":
        process.kill()
    else:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def run(
    command: Sequence[Word],
    *,
    timeout: float = TIME_LIMIT,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
) -> str:
    """Runs a command; returns what it printed. Ends it, and all that it started, when it
    fails, is interrupted or takes longer than `timeout` seconds."""
    words = [str(word) for word in command]
    if STOPPED:
        raise Failure("interrupted")
    try:
        process = subprocess.Popen(
            words,
            cwd=cwd,
            env=env,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent if sys.platform == "linux" else None,
        )
    except OSError as error:
        raise Failure(f"cannot run {words[0]}: {error.strerror}") from None
    RUNNING.add(process)
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired as expired:
        last = last_lines((expired.output or b"").decode("utf-8", "replace"))
        raise Failure(f"no end after {timeout} seconds: {' '.join(words)}\n{last}") from None
    finally:
        end(process)
        process.wait()
        RUNNING.discard(process)
    text = output.decode("utf-8", "replace")
    if process.returncode:
        how = f"exit code {process.returncode}"
        if process.returncode < 0:
            how = signal.Signals(-process.returncode).name
        raise Failure(f"{how} of {' '.join(words)}\n{last_lines(text)}")
    return text


def ask(*command: Word, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    """What a command prints, stripped; ends the run where it fails or is missing."""
    try:
        done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    except OSError as error:
        sys.exit(f"error: cannot run {command[0]}: {error.strerror}")
    if done.returncode:
        said = " ".join(done.stderr.split())
        sys.exit(f"error: {' '.join(map(str, command[:2]))} failed: {said}")
    return done.stdout.strip()


def last_lines(text: str) -> str:
    return "\n".join(text.splitlines()[-LAST_LINES:])


def environment(**changes: str) -> dict[str, str]:
    """This process's environment, without what would reach into a Python, and with changes."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "VIRTUAL_ENV", "LD_"))
    }
    kept.update(PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1")
    return {**kept, **changes}


def asked(name: str) -> str:
    """What the variable of the environment says that a verb takes an argument from: TARGETS, for
    example. An empty one counts as unset."""
    return os.environ.get(name) or ""


def outside_make() -> dict[str, str]:
    """This process's environment, without what the make that called it tells its recipes."""
    told = {"MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS"}
    return {name: value for name, value in os.environ.items() if name not in told}
