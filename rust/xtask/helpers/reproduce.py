"""Builds a commit in another clone and otherwise than here, and compares what comes of it, byte
by byte, with dist/, or with what an index has.

    reproduce.py [--backend B] TARGET…
    reproduce.py --release VERSION --repository REPOSITORY [--backend B] TARGET…

The other clone has another folder, other times, umask, time zone and number of jobs, and
its own tools and caches of zig. With --release it is of the version's tag, and what REPOSITORY
(pypi, testpypi or an address) has of the version is downloaded. Exit code 1 when a file differs.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import index
import process
import project
from project import ROOT

LONG_AGO = 1_000_000_000  # seconds since 1970


def build_elsewhere(clone: Path, targets: list[str], backend: str, tag: str | None = None) -> None:
    """Clones the commit, or that of a tag, and builds the sdist and the targets' wheels there."""
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
    subprocess.run(
        ["make", "sdist", "wheels", *words], cwd=clone, env=environment, check=True, umask=0o077
    )


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


def download(version: str, repository: str, folder: Path) -> None:
    """Downloads what an index has of a version of the project."""
    with index.packages(repository, project.NAME, version) as (client, found):
        if not found:
            sys.exit(f"error: {repository} has no {project.NAME} {version}")
        for package in found:
            client.download_package(package, folder / package.filename)


def compiler(wheel: Path) -> str | None:
    """The version of Rust that a wheel's SBOM names."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.endswith(".cdx.json"):
                components = json.loads(archive.read(name))["components"]
                return next((c["version"] for c in components if c["name"] == "rust-std"), None)
    return None


def check_compiler(folder: Path) -> None:
    """Ends the run when the wheels are another compiler's than the one here."""
    rustc = os.environ.get("RUSTC", "rustc")
    here = process.ask(rustc, "--version", cwd=ROOT / "rust").split()[1]
    for wheel in filter(zipfile.is_zipfile, folder.glob("*.whl")):
        used = compiler(wheel)
        if used and used != here:
            sys.exit(
                f"error: {wheel.name} was built by Rust {used}, and this is Rust {here}: its bytes "
                f"would differ. Install that one, and set RUSTUP_TOOLCHAIN={used}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("targets", nargs="+", metavar="TARGET")
    parser.add_argument("--backend", default="", help="what calls cargo, as in `make wheels`")
    parser.add_argument("--release", metavar="VERSION", help="compare with a released version")
    parser.add_argument("--repository", default="pypi", help="pypi, testpypi, or an address")
    options = parser.parse_args()
    tag = None
    if options.release is not None:
        tag = f"v{options.release}"
        if not options.release or not project.git("tag", "--list", tag):
            sys.exit(f"error: there is no tag {tag}: give a VERSION, or `git fetch --tags`")
    else:
        # Whatever the user's own settings are for what git shows.
        changed = project.git("status", "--porcelain", "--untracked-files=normal")
        if changed:
            sys.exit(
                f"error: a clone has what is committed. Commit these, or stash them:\n{changed}"
            )
    with tempfile.TemporaryDirectory(prefix="reproduce ") as folder:
        clone, dist = Path(folder, "another clone"), ROOT / "dist"
        if tag:
            dist = Path(folder, options.repository.replace("/", "_"))
            dist.mkdir()
            download(options.release, options.repository, dist)
            check_compiler(dist)
        try:
            build_elsewhere(clone, options.targets, options.backend, tag)
        except subprocess.CalledProcessError as error:
            sys.exit(f"error: the other clone was not built: {error.cmd[0]} failed, see above")
        except OSError as error:
            sys.exit(f"error: the other clone was not built: cannot run {error.filename}")
        commit = project.git("rev-parse", "--short", f"{tag or 'HEAD'}^{{commit}}")
        both = f"{options.repository}, and a clone of {tag}," if tag else "two clones of"
        print(f"{both} {commit}:")
        differ = compare(dist, clone / "dist")
        if tag:
            for path in sorted(dist.iterdir()):
                if not (clone / "dist" / path.name).exists():
                    print(f"not compared: {path.name}: these TARGETS do not build it")
    if differ:
        sys.exit(f"error: {differ} of these differ: the members above are not reproducible")


if __name__ == "__main__":
    main()
