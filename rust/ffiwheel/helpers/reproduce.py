"""Builds a commit in another clone and otherwise than here, and compares what comes of it, byte
by byte, with dist/.

    reproduce [--backend B] TARGET…

The other clone has another folder, other times, umask, time zone and number of jobs, and
its own tools and caches of zig. Exit code 1 when a file differs.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from functools import partial
from pathlib import Path

import process
import project
from project import COMMAND, ROOT

# Where the other clone is. make cannot build where a path has a space; cargo can.
FOLDER, CLONE = ("reproduce-", "another-clone") if COMMAND else ("reproduce ", "another clone")
LONG_AGO = 1_000_000_000  # seconds since 1970


def build_elsewhere(clone: Path, targets: list[str], backend: str, tag: str | None = None) -> None:
    """Clones the commit, or that of a tag, and builds the sdist and the targets' wheels there;
    ends the run if that fails."""
    try:
        clone_and_build(clone, targets, backend, tag)
    except subprocess.CalledProcessError as error:
        sys.exit(f"error: the other clone was not built: {error.cmd[0]} failed, see above")
    except OSError as error:
        sys.exit(f"error: the other clone was not built: cannot run {error.filename}")


def clone_and_build(clone: Path, targets: list[str], backend: str, tag: str | None) -> None:
    words = ["--branch", tag, "-c", "advice.detachedHead=false"] if tag else []
    subprocess.run(
        ["git", "clone", "--quiet", "--no-hardlinks", *words, ROOT, clone], check=True, umask=0o077
    )
    for path in clone.rglob("*"):
        if not path.is_symlink():
            os.utime(path, (LONG_AGO, LONG_AGO))
    environment = process.outside_make()
    if tag:
        environment.pop("SOURCE_DATE_EPOCH", None)
    environment.update(
        TZ="Pacific/Kiritimati",
        ZIG_GLOBAL_CACHE_DIR=str(clone / "build/zig"),
        CARGO_ZIGBUILD_CACHE_DIR=str(clone / "build/zigbuild"),
    )
    words = [f"TARGETS={' '.join(targets)}", f"BACKEND={backend}", "JOBS=1", f"PYTHON={PYTHON}"]
    run = partial(subprocess.run, cwd=clone, env=environment, check=True, umask=0o077)
    if (clone / "Makefile").is_file():
        run(["make", "sdist", "wheels", *words])
    else:
        environment.update((name, value) for name, _, value in (w.partition("=") for w in words))
        for verb in ("sdist", "wheels"):
            run([environment["FFIWHEEL"], verb])


# The Python that .venv was made of: that of .venv goes with it.
PYTHON = Path(sys.base_prefix, "bin", f"python{sys.version_info[0]}.{sys.version_info[1]}")


def contents(path: Path) -> list[tuple[str, str]]:
    """The members of an archive, in their order: [(name, hash of all that is said of it)]"""
    found = []
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                facts = repr((info.date_time, info.external_attr, info.compress_type))
                found.append((info.filename, facts, archive.read(info)))
    else:
        with tarfile.open(path) as archive:
            for member in archive:
                facts = repr(sorted(member.get_info().items()))
                file = archive.extractfile(member)
                found.append((member.name, facts, file.read() if file else b""))
    return [(name, facts + hashlib.sha256(data).hexdigest()) for name, facts, data in found]


def difference(one: Path, other: Path) -> str | None:
    """What differs in two archives; None when they have the same bytes."""
    if one.read_bytes() == other.read_bytes():
        return None
    try:
        ours, theirs = contents(one), contents(other)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        return f"{one.name} is no archive: {error}"
    names = sorted({name for name, _ in set(ours) ^ set(theirs)})
    return ", ".join(names) or "the order of the members, or how they are packed"


def compare(folder: Path, other: Path) -> int:
    """Prints a row for each file of `other`. How many differ from those in `folder`?"""
    differ = 0
    files = sorted(other.iterdir())
    width = max(len(file.name) for file in files)
    for file in files:
        here = folder / file.name
        found = difference(here, file) if here.is_file() else f"there is none in {folder.name}"
        differ += found is not None
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        print(f"  {file.name:<{width}}  {sha256[:16]}  {'same' if found is None else 'DIFFERENT'}")
        if found:
            print(f"    {found}")
    return differ


def finish(differ: int) -> None:
    """Ends the run with an error where files differ."""
    if differ:
        sys.exit(f"error: {differ} of these differ: the members above are not reproducible")


def arguments(name: str, description: str) -> argparse.ArgumentParser:
    """A parser of what is built."""
    parser = argparse.ArgumentParser(name, description=description.split("\n\n")[0])
    parser.add_argument(
        "--backend", default=process.asked("BACKEND"), help="what calls cargo, as in `make wheels`"
    )
    return parser


def main() -> None:
    parser = arguments("reproduce", __doc__)
    parser.add_argument("targets", nargs="+", metavar="TARGET")
    options = parser.parse_args()
    # Whatever the user's own settings are for what git shows.
    changed = project.git("status", "--porcelain", "--untracked-files=normal")
    if changed:
        sys.exit(f"error: a clone has what is committed. Commit these, or stash them:\n{changed}")
    with tempfile.TemporaryDirectory(prefix=FOLDER) as folder:
        clone = Path(folder, CLONE)
        build_elsewhere(clone, options.targets, options.backend)
        print(f"two clones of {project.git('rev-parse', '--short', 'HEAD')}:")
        differ = compare(ROOT / "dist", clone / "dist")
    finish(differ)


if __name__ == "__main__":
    main()
