"""Runs a wheel for this machine: `host.py WHEEL`.

In a fresh environment of each Python of the machine, pip installs the wheel, and cffi from
PyPI; then the smoke test runs.
"""

import sys
import tempfile
from pathlib import Path

import common
import interpreters


def run_in(wheel, path, version, folder):
    env = common.environment(PIP_NO_COMPILE="1")

    def run(*command):
        return common.run(command, cwd=folder, env=env)

    python = interpreters.make_environment(run, path, version, folder / "environment")
    run(python, "-m", "pip", "install", "--quiet", wheel)  # pip refuses a tag not its own
    packages = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    common.check_installed(wheel, run(python, "-c", packages).strip())
    common.smoke(python, cwd=folder, env=env)
    common.report("installed", version)


def main(wheel):
    wheel = Path(wheel).resolve()
    found = interpreters.find()
    for name in interpreters.EXPECTED + interpreters.EXTRA:
        if name in found:
            with tempfile.TemporaryDirectory(prefix="host-") as folder:
                try:
                    run_in(wheel, *found[name], Path(folder))
                except common.Failure as failure:
                    raise common.Failure(f"{found[name][1]}: {failure}") from None
        elif name in interpreters.EXPECTED:
            common.skipped(f"Python {name}: this machine has none")
    if not any(name.endswith("t") for name in found):
        common.skipped("free-threaded CPython: this machine has none")
    return len(found)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    common.main(main)
