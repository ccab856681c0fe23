"""Uploads dist/ to an index of packages.

    publish [--dry-run] REPOSITORY

REPOSITORY is `pypi`, `testpypi`, or the address of another index that takes uploads. twine
asks for the token, or takes it from TWINE_PASSWORD, a keyring or ~/.pypirc
(https://twine.readthedocs.io/en/stable/).

Every file is compared with what the index has before the first one is uploaded. What is there
already, with the same bytes, is left out: an upload that stopped half-way goes on. A file that
is there with other bytes is an error, since an index never takes a name twice. The sdist is
the last to go: whoever finds it can find the wheels.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    parse_sdist_filename,
    parse_wheel_filename,
)

import index
import process
from process import Word
from project import ROOT

DIST = ROOT / "dist"
# How long an index may take to show what it was given, in seconds.
PATIENCE = 60


def distributions() -> tuple[str, str, list[Path]]:
    """(project, version, [path]) of what is in dist/, wheels first."""
    found: dict[tuple[str, str], list[Path]] = {}
    for path in sorted(DIST.glob("*"), key=lambda path: (path.suffix != ".whl", path.name)):
        try:
            parse = parse_wheel_filename if path.suffix == ".whl" else parse_sdist_filename
            name, number = parse(path.name)[:2]
        except (InvalidWheelFilename, InvalidSdistFilename) as error:
            sys.exit(f"error: dist/{path.name} is not for an index: {error}")
        found.setdefault((name, str(number)), []).append(path)
    if not found:
        sys.exit("error: dist/ is empty: run `make sdist` and `make wheels TARGETS=all`")
    if len(found) > 1:
        names = ", ".join(f"{project} {version}" for project, version in sorted(found))
        sys.exit(f"error: dist/ has files of several releases, {names}: remove what is old")
    [((project, version), paths)] = found.items()
    return project, version, paths


def compare(repository: str, project: str, version: str, paths: Sequence[Path]) -> list[Path]:
    """What of `paths` the index lacks; ends the run when it has one with other bytes."""
    has = index.files(repository, project, version)
    missing, wrong = [], []
    for path in paths:
        here = hashlib.sha256(path.read_bytes()).hexdigest()
        if path.name not in has:
            missing.append(path)
        elif has[path.name] != here:
            wrong.append(f"  {path.name}\n    here  {here}\n    there {has[path.name]}")
    if wrong:
        print("\n".join(wrong))
        sys.exit(
            f"error: {repository} has these files of {project} {version} with other bytes, and "
            "never takes a name twice. Release another version: `make bump VERSION=…`"
        )
    return missing


def twine(*words: Word) -> int:
    """Runs twine; returns its exit code."""
    command: list[Word] = [Path(sys.executable).with_name("twine"), *words]
    # To twine these variables come before the name of an index.
    foreign = {"TWINE_REPOSITORY", "TWINE_REPOSITORY_URL"}
    env = {name: value for name, value in os.environ.items() if name not in foreign}
    if sys.stdout.isatty():
        return subprocess.run(command, env=env).returncode
    # Else it would colour, wrap lines at 80 columns, and fill them up with blanks.
    command.insert(1, "--no-color")
    with subprocess.Popen(
        command,
        env={**env, "COLUMNS": "1000"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout
        for line in process.stdout:
            print(line.rstrip(), flush=True)
    return process.returncode


def upload(repository: str, paths: Sequence[Path]) -> bool:
    """Whether twine uploaded all of `paths`."""
    words = ["--verbose", "--repository", repository]  # says why the index refuses a file
    if repository not in index.REPOSITORIES:
        words = ["--verbose", "--repository-url", index.addresses(repository)[0]]
    if not sys.stdin.isatty():
        words.append("--non-interactive")
    if not sys.stdout.isatty():
        words.append("--disable-progress-bar")
    return twine("upload", *words, *paths) == 0


def main() -> None:
    parser = argparse.ArgumentParser("publish", description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "repository",
        nargs="?",
        default=process.asked("REPOSITORY"),
        help="pypi, testpypi, or an address",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        default=bool(process.asked("DRY_RUN")),
        help="upload nothing",
    )
    options = parser.parse_args()
    repository = options.repository
    address = urlsplit(index.addresses(repository)[0])  # or an error
    if address.scheme == "http" and address.hostname not in ("127.0.0.1", "::1", "localhost"):
        sys.exit(f"error: {repository} would be sent the password for all to read: use https://")
    project, version, paths = distributions()
    if twine("check", "--strict", *paths):
        sys.exit("error: an index would refuse what twine says above")
    missing = compare(repository, project, version, paths)
    name = f"{project} {version}"
    print(f"{repository} has {len(paths) - len(missing)} of the {len(paths)} files of {name}")
    for path in missing:
        print(f"  to upload: {path.name}")
    sys.stdout.flush()
    if options.dry_run or not missing:
        print("nothing was uploaded")
        return
    uploaded = upload(repository, missing)
    for _ in range(PATIENCE if uploaded else 1):
        missing = compare(repository, project, version, paths)
        if not missing:
            break
        time.sleep(1)
    if missing:
        print(f"{repository} lacks {len(missing)} of the {len(paths)} files of {name}:")
        for path in missing:
            print(f"  {path.name}")
        sys.exit(
            "error: the upload did not come to its end. What twine says above is why; then run "
            "the same again: it uploads what is missing"
        )
    print(f"{repository} has all {len(paths)} files of {name}, with these bytes")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("interrupted: run the same again, it uploads what is missing")
