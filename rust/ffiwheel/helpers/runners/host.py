"""Runs a wheel for this machine: `host WHEEL`.

In a fresh environment of each Python of the machine, pip installs the wheel, and cffi from
PyPI; then the smoke tests run. What is for musl, too, runs there as well.
"""

import tempfile
from pathlib import Path

import interpreters
import process
from process import Failure, Word
from roots import Skip
from runners import checks, musl, protocol


def run_in(wheel: Path, path: Path, version: str, folder: Path) -> None:
    env = process.environment(PIP_NO_COMPILE="1")

    def run(*command: Word) -> str:
        return process.run(command, cwd=folder, env=env)

    python = interpreters.make_environment(run, path, version, folder / "environment")
    run(python, "-m", "pip", "install", "--quiet", wheel)  # pip refuses a tag not its own
    packages = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    checks.check_installed(wheel, run(python, "-c", packages).strip())
    checks.smoke(python, cwd=folder, env=env)
    protocol.report(protocol.INSTALLED, version)


def main(path: str) -> int:
    wheel = Path(path).resolve()
    found = interpreters.find()
    for name in interpreters.EXPECTED + interpreters.EXTRA:
        if name in found:
            with tempfile.TemporaryDirectory(prefix="host-") as folder:
                try:
                    run_in(wheel, *found[name], Path(folder))
                except Failure as failure:
                    raise Failure(f"{found[name][1]}: {failure}") from None
        elif name in interpreters.EXPECTED:
            protocol.skipped(f"Python {name}: this machine has none")
    if not any(name.endswith("t") for name in found):
        protocol.skipped("free-threaded CPython: this machine has none")
    if "musllinux" in wheel.name and wheel.stem.endswith("x86_64"):
        try:
            return len(found) + musl.main("amd64", path)
        except Skip as skip:
            protocol.skipped(str(skip))
    return len(found)
