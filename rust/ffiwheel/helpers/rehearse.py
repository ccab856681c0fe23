"""Rehearses a release: uploads dist/ to an index on this machine, as `make publish` does, and
installs it from there by its name, as users do.

    rehearse [--jobs N]

Every Python of the machine installs the wheel with the newest pip that it has, and with uv;
builds the sdist with cargo, which may use no network; and, where it is old enough, installs
with pip 19.3, the oldest that sees the wheel, and is told what to do by one that does not. A
dist/ with nothing for this machine is filled first. The index listens on loopback, and lives
as long as the run does. Exit code 1 when something was wrong.
"""

import argparse
import configparser
import email
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from packaging.tags import sys_tags
from packaging.utils import canonicalize_name, parse_wheel_filename

import index
import interpreters
import process
import project
import publish
import smoke_program
from process import Failure, Word
from project import ROOT
from runners import checks

BIN = Path(sys.executable).parent
OLDEST_PIP = "pip==19.3.1"  # knows manylinux2014
# What these Pythons were released with: they do not.
TOO_OLD_PIP = {"2.7": "pip==19.2.3", "3.6": "pip==18.1"}
REMEDY = "pip 19.3 or later"


class Row(NamedTuple):
    """One installation: what the closing table says of it."""

    python: str
    installer: str
    chose: str
    result: str  # "ran", "refused" or "FAILED"


class Rehearsal:
    """What all the installations share."""

    def __init__(self, server: index.Server, folder: Path, wheel: Path) -> None:
        self.server, self.folder, self.wheel = server, folder, wheel
        self.simple = server.url + "simple/"
        self.requirement = "==".join(wheel.name.split("-")[:2])
        # What a build and the package need, of each Python's own; the index has none of it.
        self.needs: dict[str, Path] = {}

    def environment(self, cargo: interpreters.Cargo, **changes: str) -> dict[str, str]:
        """An environment in which pip finds the rehearsal's index and nothing else, and cargo
        writes down that it was called."""
        foreign = f"PIP|UV|CARGO|SOURCE_DATE|{project.PACKAGE.upper()}|RUSTFLAGS"
        kept = {
            name: value
            for name, value in process.environment().items()
            if not re.match(foreign, name) or name == "CARGO_HOME"
        }
        path = f"{cargo.folder}{os.pathsep}{os.environ['PATH']}"
        kept.update(self.server.bypass, PATH=path, CARGO_NET_OFFLINE="true")
        kept.update(PIP_CONFIG_FILE=os.devnull, PIP_NO_INPUT="1", PIP_DISABLE_PIP_VERSION_CHECK="1")
        return {**kept, **changes}

    def install(self, python: Path, name: str, *options: str, env: dict[str, str]) -> str:
        """Lets a Python's pip install the package by its name."""
        sources: list[Word] = ["--index-url", self.simple, "--find-links", self.needs[name]]
        words = ["install", *sources, "--no-cache-dir", "--no-compile", *options, self.requirement]
        return process.run([python, "-m", "pip", *words], cwd=self.folder, env=env, timeout=600)


def requires(wheel: Path) -> list[str]:
    """What a wheel's metadata says that it needs."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return email.message_from_bytes(archive.read(name)).get_all("Requires-Dist", [])


def prepare(rehearsal: Rehearsal, name: str, python: Path) -> None:
    """Downloads what pip needs besides the package, from the index that this machine uses."""
    folder = rehearsal.folder / f"needs {name}"
    requirements = ["setuptools>=44", "wheel", *requires(rehearsal.wheel)]
    process.run(
        [python, "-m", "pip", "download", "--quiet", "--dest", folder, *requirements],
        env=process.environment(),
        timeout=600,
    )
    rehearsal.needs[name] = folder


def platform_of(wheel: Path) -> str:
    return wheel.stem.split("-none-")[1]


def packages(python: Path) -> Path:
    code = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    return Path(process.run([python, "-c", code]).strip())


def metadata(python: Path) -> Path:
    """The folder `.dist-info` of the installed package, which old tools spell otherwise."""
    name = canonicalize_name(project.NAME)
    found = packages(python).glob("*.dist-info")
    (folder,) = (path for path in found if canonicalize_name(path.name.split("-")[0]) == name)
    return folder


def platform_tags(python: Path) -> set[str]:
    """The platforms that the installed package's WHEEL names."""
    text = (metadata(python) / "WHEEL").read_text()
    return set(re.findall(r"(?m)^Tag: \S+-none-(\S+)", text))


def commands(python: Path) -> list[str]:
    """The names of the installed package's console scripts."""
    settings = configparser.ConfigParser(delimiters="=", interpolation=None)
    settings.optionxform = str  # type: ignore[assignment, method-assign]
    settings.read(metadata(python) / "entry_points.txt", "utf-8")
    return [*settings["console_scripts"]] if "console_scripts" in settings else []


def check_runs(python: Path) -> None:
    """Runs the smoke tests, after a look for the package's commands: what one does, only its
    author's test can know."""
    for command in commands(python):
        expect((python.parent / command).is_file(), f"the command {command} was not installed")
    checks.smoke(python, env=process.environment())


def from_wheel(rehearsal: Rehearsal, python: Path, cargo: interpreters.Cargo) -> tuple[str, str]:
    """What was installed is the wheel, and no other file; cargo stayed out of it."""
    checks.check_installed(rehearsal.wheel, packages(python))
    expect(cargo.calls == [], f"cargo was called: {cargo.calls}")
    check_runs(python)
    return "the wheel " + platform_of(rehearsal.wheel), "ran"


def with_pip(
    rehearsal: Rehearsal, name: str, python: Path, cargo: interpreters.Cargo
) -> tuple[str, str]:
    rehearsal.install(python, name, env=rehearsal.environment(cargo))
    return from_wheel(rehearsal, python, cargo)


def with_uv(
    rehearsal: Rehearsal, name: str, python: Path, cargo: interpreters.Cargo
) -> tuple[str, str]:
    uv: list[Word] = [BIN / "uv", "pip", "install", "--python", python, "--no-cache", "--no-config"]
    sources: list[Word] = [
        "--default-index",
        rehearsal.simple,
        "--find-links",
        rehearsal.needs[name],
    ]
    env = rehearsal.environment(cargo)
    process.run([*uv, *sources, rehearsal.requirement], cwd=rehearsal.folder, env=env, timeout=600)
    return from_wheel(rehearsal, python, cargo)


def with_uvx(
    rehearsal: Rehearsal, name: str, python: Path, cargo: interpreters.Cargo
) -> tuple[str, str]:
    """Runs the program without installing it."""
    words: list[Word] = [BIN / "uvx", "--python", python, "--no-cache", "--no-config"]
    words += ["--default-index", rehearsal.simple, "--from", rehearsal.requirement]
    env = rehearsal.environment(cargo)
    printed = process.run(
        [*words, project.PROGRAM or "", "--version"], cwd=rehearsal.folder, env=env
    )
    try:
        smoke_program.check_version(printed, rehearsal.requirement.split("==")[1])
    except smoke_program.Wrong as error:
        raise Failure(f"{project.PROGRAM}: {error}") from None
    expect(cargo.calls == [], f"cargo was called: {cargo.calls}")
    return "the wheel " + platform_of(rehearsal.wheel), "ran"


def from_sdist(
    rehearsal: Rehearsal, name: str, python: Path, cargo: interpreters.Cargo
) -> tuple[str, str]:
    """Builds the sdist, with one call of cargo or, where there is one, the author's command."""
    env = rehearsal.environment(cargo)
    rehearsal.install(python, name, "--no-binary", project.NAME, env=env)
    builds = [call for call in cargo.calls if call.startswith("build ")]
    right = len(builds) == 1 and " --locked" in builds[0]
    expect(not builds if project.COMMAND else right, f"cargo was called with {cargo.calls}")
    (tag,) = platform_tags(python)
    expect(tag not in rehearsal.wheel.name, f"the sdist became {tag}")
    check_runs(python)
    builder = "the build command" if project.COMMAND else "cargo"
    return f"the sdist, which {builder} built for {tag}", "ran"


def refused(
    rehearsal: Rehearsal, name: str, python: Path, cargo: interpreters.Cargo
) -> tuple[str, str]:
    """A pip that sees no wheel, where there is no cargo, says which pip does. What a build command
    needs may be everywhere."""
    if project.COMMAND:
        return from_sdist(rehearsal, name, python, cargo)
    env = rehearsal.environment(cargo, CARGO="no-cargo-here")
    try:
        rehearsal.install(python, name, env=env)
    except Failure as failure:
        expect(REMEDY in str(failure), f"the error does not help:\n{failure}")
        return "the sdist, and it says which pip sees the wheel", "refused"
    raise Failure("it installed something")


# Installs the package; returns what was chosen, and what came of it.
Installation = Callable[[Rehearsal, str, Path, interpreters.Cargo], tuple[str, str]]


def expect(condition: bool, message: str) -> None:
    if not condition:
        raise Failure(message)


def installations(name: str, version: str) -> Iterator[tuple[str, str | None, Installation]]:
    """(the installer's name, the pip to install first, what to do) for a Python."""
    number = tuple(int(part) for part in version.split()[1].split(".")[:2])
    yield "pip", None, with_pip
    yield "pip", None, from_sdist
    if (3, 8) <= number:
        yield "uv", None, with_uv
        if project.PROGRAM:
            yield "uvx", None, with_uvx
    if number <= (3, 8) and sys.platform == "linux":
        yield "pip", OLDEST_PIP, with_pip
    if name in TOO_OLD_PIP and sys.platform == "linux":
        yield "pip", TOO_OLD_PIP[name], refused


def rehearse(
    rehearsal: Rehearsal, name: str, path: Path, version: str, say: Callable[[str], None]
) -> list[Row]:
    """The rows of one Python."""
    rows = []
    for installer, pip, how in installations(name, version):
        folder = Path(tempfile.mkdtemp(prefix=f"{name} ", dir=rehearsal.folder))
        label = installer
        try:
            python = interpreters.make_environment(
                lambda *words: process.run(words, env=process.environment()),
                path, version, folder / "environment",
            )  # fmt: skip
            if installer.startswith("uv"):
                label = " ".join(process.run([BIN / installer, "--version"]).split()[:2])
            else:
                upgrade: list[Word] = [
                    python,
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--upgrade",
                    pip or "pip",
                ]
                process.run(upgrade, env=process.environment(), timeout=600)
                label = " ".join(process.run([python, "-m", "pip", "--version"]).split()[:2])
            if name not in rehearsal.needs:
                prepare(rehearsal, name, python)
            cargo = interpreters.Cargo(folder / "cargo")
            row = Row(version, label, *how(rehearsal, name, python, cargo))
        except Exception as failure:  # The others go on.
            say(str(failure) if isinstance(failure, Failure) else repr(failure))
            row = Row(version, label, how.__name__.replace("_", " "), "FAILED")
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        say(f"{row.python}, {row.installer}: {row.chose}: {row.result}")
        rows.append(row)
    return rows


def check_uploads(rehearsal: Rehearsal, paths: Sequence[Path]) -> None:
    """The index has all of dist/, takes nothing twice, and serves each file to its platform."""
    url, env = rehearsal.server.url, rehearsal.server.environment()
    command = [sys.executable, publish.__file__, url]
    subprocess.run(command, check=True, env=env)
    again = process.run(command, env=env)
    expect("nothing was uploaded" in again, f"a second upload is not left out:\n{again}")
    twine: list[Word] = [BIN / "twine", "--no-color", "upload", "--non-interactive", "--verbose"]
    try:
        process.run([*twine, "--repository-url", url, paths[0]], env=env)
    except Failure as failure:
        said = " ".join(str(failure).split())  # twine breaks lines where a name is long
        expect("already exists" in said, f"twine failed for another reason:\n{failure}")
    else:
        raise Failure(f"the index took {paths[0].name} twice")
    wheels = [path for path in paths if path.suffix == ".whl"]
    env = rehearsal.environment(interpreters.Cargo(rehearsal.folder / "none"))
    for path in wheels:
        folder = rehearsal.folder / "downloaded"
        # The last tags of each libc that it is for.
        tags = platform_of(path).split(".")
        for platform_tag in {tag.split("_")[0][:4]: tag for tag in tags}.values():
            words = ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--dest", str(folder)]
            words += ["--platform", platform_tag, "--index-url", rehearsal.simple]
            pip = [sys.executable, "-m", "pip", "download", *words, rehearsal.requirement]
            process.run(pip, env=env)
            (found,) = folder.iterdir()
            same = found.name == path.name and found.read_bytes() == path.read_bytes()
            expect(same, f"for {platform_tag} pip chose {found.name}")
            found.unlink()
    print(f"pip chooses each wheel for its platform: {len(wheels)}")


def wheel_of_this_machine(paths: Sequence[Path]) -> Path | None:
    """The wheel that pip would choose here, as the tags' specification has it."""
    order = {str(tag): number for number, tag in enumerate(sys_tags())}
    best = {}
    for path in (path for path in paths if path.suffix == ".whl"):
        numbers = [order[str(t)] for t in parse_wheel_filename(path.name)[3] if str(t) in order]
        if numbers:
            best[min(numbers)] = path
    return best[min(best)] if best else None


def files() -> list[Path]:
    """The paths in dist/, which are made where this machine has nothing to install."""
    paths = sorted((ROOT / "dist").glob("*"))
    verbs = [] if any(path.name.endswith(".tar.gz") for path in paths) else ["sdist"]
    verbs += [] if wheel_of_this_machine(paths) else ["wheels"]
    if verbs:
        print(f"dist/ lacks what this machine installs: {', '.join(verbs)}", flush=True)
        env = process.outside_make()
        for name in ("TARGETS", "BACKEND"):  # of what is rehearsed
            env.pop(name, None)
        for verb in verbs:
            subprocess.run([env["FFIWHEEL"], verb], cwd=ROOT, check=True, env=env)
    return publish.distributions()[2]


def main() -> None:
    parser = argparse.ArgumentParser("rehearse", description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "--jobs",
        type=int,
        default=int(process.asked("JOBS") or os.cpu_count() or 1),
        help="Pythons at a time",
    )
    options = parser.parse_args()
    if os.name == "nt":
        sys.exit("error: the rehearsal runs on Linux and macOS: what stands for cargo is a script")
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    begin = time.monotonic()
    lock = threading.Lock()

    def say(text: str) -> None:
        with lock:
            print(text, flush=True)

    try:
        paths = files()
    except subprocess.CalledProcessError as error:
        sys.exit(f"error: {' '.join(error.cmd)} failed, see above")
    wheel = wheel_of_this_machine(paths)
    if not wheel:
        sys.exit("error: dist/ has no wheel for this machine")
    found = interpreters.find()
    with tempfile.TemporaryDirectory(prefix="rehearsal ") as temporary:
        folder = Path(temporary)
        with index.Server(folder / "index") as server:
            rehearsal = Rehearsal(server, folder, wheel)
            try:
                check_uploads(rehearsal, paths)
            except (Failure, subprocess.CalledProcessError) as failure:
                sys.exit(f"error: {failure}")
            with ThreadPoolExecutor(options.jobs) as pool:
                work = [
                    pool.submit(rehearse, rehearsal, name, *found[name], say)
                    for name in interpreters.EXPECTED + interpreters.EXTRA
                    if name in found
                ]
                try:
                    rows = [row for done in work for row in done.result()]
                except BaseException:
                    pool.shutdown(wait=False, cancel_futures=True)
                    process.stop()
                    raise
    print()
    rows.insert(0, Row("Python", "installer", "what was chosen", "result"))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        print("  ".join([*cells, row.result]))
    for name in interpreters.EXPECTED:
        if name not in found:
            print(f"not run: Python {name}: this machine has none")
    if platform.system() != "Linux":
        print("not run: pip 19.3 and older ones: this is not Linux")
    failed = sum(row.result == "FAILED" for row in rows)
    seconds = time.monotonic() - begin
    right = len(rows) - 1 - failed
    print(f"{right} installations were right, {failed} were wrong, in {seconds:.0f} s")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
