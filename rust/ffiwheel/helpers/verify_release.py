"""Builds a released version again from its tag, in another clone as `reproduce` does, and compares
what comes of it, byte by byte, with what an index has.

    verify-release [--repository REPOSITORY] [--backend B] VERSION TARGET…

What REPOSITORY (pypi, testpypi or an address) has of the version is downloaded. Exit code 1 when
a file differs.
"""

import json
import os
import sys
import tempfile
import zipfile
from pathlib import Path

import index
import process
import project
import reproduce
from project import CRATE


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
    here = process.ask(rustc, "--version", cwd=CRATE).split()[1]
    for wheel in filter(zipfile.is_zipfile, folder.glob("*.whl")):
        used = compiler(wheel)
        if used and used != here:
            sys.exit(
                f"error: {wheel.name} was built by Rust {used}, and this is Rust {here}: its bytes "
                f"would differ. Install that one, and set RUSTUP_TOOLCHAIN={used}"
            )


def main() -> None:
    parser = reproduce.arguments("verify-release", __doc__)
    parser.add_argument(
        "version",
        metavar="VERSION",
        nargs="?",
        default=process.asked("VERSION"),
        help="the released version",
    )
    targets = process.asked("TARGETS").split() or ["host"]
    parser.add_argument("targets", nargs="*", metavar="TARGET", default=targets)
    parser.add_argument(
        "--repository",
        default=process.asked("REPOSITORY") or "pypi",
        help="pypi, testpypi, or an address",
    )
    options = parser.parse_args()
    tag = f"v{options.version}"
    if not options.version or not project.git("tag", "--list", tag):
        sys.exit(f"error: there is no tag {tag}: give a VERSION, or `git fetch --tags`")
    repository = options.repository
    with tempfile.TemporaryDirectory(prefix=reproduce.FOLDER) as folder:
        clone, dist = Path(folder, reproduce.CLONE), Path(folder, repository.replace("/", "_"))
        dist.mkdir()
        download(options.version, repository, dist)
        check_compiler(dist)
        reproduce.build_elsewhere(clone, options.targets, options.backend, tag)
        commit = project.git("rev-parse", "--short", f"{tag}^{{commit}}")
        print(f"{repository}, and a clone of {tag}, {commit}:")
        differ = reproduce.compare(dist, clone / "dist")
        for path in sorted(dist.iterdir()):
            if not (clone / "dist" / path.name).exists():
                print(f"not compared: {path.name}: these TARGETS do not build it")
    reproduce.finish(differ)


if __name__ == "__main__":
    main()
