"""The folders of foreign programs, which are unpacked once: Debian's packages, PyPI's wheels, and
the emulators among them."""

import hashlib
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from process import Failure, environment, run
from project import ROOT

# `make distclean` removes them.
ROOTS = ROOT / ".roots"


class Skip(Exception):
    """Something that the machine lacks, and what would bring it."""


def is_cached(name: str, recipe: str) -> bool:
    """Whether `cached` has the folder already."""
    stamp = ROOTS / name / ".recipe"
    return stamp.is_file() and stamp.read_text() == hashlib.sha256(recipe.encode()).hexdigest()


def cached(name: str, recipe: str, make: Callable[[Path], object]) -> Path:
    """The folder ROOTS/name, which `make(folder)` fills where there is none of this recipe.

    `recipe` is all that the content depends on, as text. Another process that wants the
    same folder waits; a killed one leaves nothing that is taken for whole.
    """
    import fcntl  # no part of Python on Windows, where nothing is unpacked

    ROOTS.mkdir(exist_ok=True)
    folder = ROOTS / name
    with open(ROOTS / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_cached(name, recipe):
            return folder
        print(f"making .roots/{name}, once", file=sys.stderr, flush=True)
        for left in ROOTS.glob(f"{name}.new-*"):
            shutil.rmtree(left, ignore_errors=True)
        new = Path(tempfile.mkdtemp(prefix=f"{name}.new-", dir=ROOTS))
        try:
            new.chmod(0o755)
            make(new)
            (new / ".recipe").write_text(hashlib.sha256(recipe.encode()).hexdigest())
            old = Path(f"{new}.old")
            if folder.exists():
                folder.rename(old)
            new.rename(folder)
            shutil.rmtree(old, ignore_errors=True)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
    return folder


DEBIAN = ("bookworm",)


def debian(
    name: str,
    architecture: str,
    packages: Collection[str],
    suites: Sequence[str] = DEBIAN,
    keep: Collection[str] = (),
) -> Path:
    """The folder ROOTS/name with Debian's packages, and all that they depend on, unpacked: those
    of the first of some suites that can be had. Of their files only those that match one of the
    globs of `keep` stay, if there are any.

    Nothing is installed, and no root rights are needed: apt resolves and downloads with a
    state of its own. The packages come from where this machine's own do, whatever its suite.
    """
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise Skip(f"{name}: it is unpacked from Debian's packages, by apt-get and dpkg-deb")
    packages = sorted(packages)

    def make(folder: Path) -> None:
        apt = folder / "apt"
        download(name, apt, architecture, suites, packages)
        (folder / "root").mkdir()
        for package in sorted((apt / "archives").glob("*.deb")):
            run(["dpkg-deb", "--extract", package, folder / "root"])
        shutil.rmtree(apt)
        if not (folder / "root/lib").exists():
            # Since trixie it is a link, which base-files alone has.
            (folder / "root/lib").symlink_to("usr/lib")
        make_links_relative(folder / "root")
        for path in (folder / "root").rglob("*") if keep else []:
            if not path.is_dir() and not any(map(path.match, keep)):
                path.unlink()

    recipe = " ".join([architecture, *suites, *packages, *keep])
    return cached(name, recipe, make) / "root"


def debian_sources(
    name: str, packages: Collection[str], folder: Path, suites: Sequence[str] = DEBIAN
) -> None:
    """Unpacks the upstream archives of Debian's source packages into a folder. `name` says in
    an error what they are for."""
    if not shutil.which("apt-get"):
        raise Skip(f"{name}: it is made from Debian's source packages, by apt-get")
    apt = folder / "apt"
    download(name, apt, "amd64", suites, packages, ["--tar-only", "source"], "deb-src")
    for archive in apt.glob("*.orig.tar.*"):
        shutil.unpack_archive(archive, folder)
    shutil.rmtree(apt)


def download(
    name: str,
    folder: Path,
    architecture: str,
    suites: Sequence[str],
    packages: Collection[str],
    verb: Sequence[str] = ("install",),
    kind: str = "deb",
) -> None:
    """Lets apt-get, with a state of its own in a folder, download packages, and all that they
    depend on, from the first of some suites where it can."""
    said = []
    for suite in suites:
        shutil.rmtree(folder, ignore_errors=True)
        unread: Failure | None = None
        try:
            get = apt_get(folder, architecture, suite, kind)
            try:
                run([*get, "update"])
            except Failure as failure:
                # It does not matter while other lists have the packages.
                unread = failure
            run([*get, "--download-only", *verb, *packages], cwd=folder, timeout=600)
            return
        except Failure as failure:
            # Without its list, "Unable to locate package" is all that apt says of a package.
            text = str(unread or failure)
            lines = [line for line in text.splitlines() if line.startswith(("E: ", "W: "))]
            said.append(f"{suite}: {' '.join(lines) or text}")
    raise Skip(f"{name}: apt-get cannot bring {' '.join(packages)}: {'; '.join(said)}")


def apt_get(folder: Path, architecture: str, suite: str, kind: str = "deb") -> list[str]:
    """The words that call apt-get with a state of its own, in a new folder, and nothing
    installed. After an `update` it knows a suite's packages, or for "deb-src" their sources."""
    for part in ["lists/partial", "archives/partial", "etc/sources.list.d"]:
        (folder / part).mkdir(parents=True)
    (folder / "status").touch()
    copy_sources(folder / "etc", suite, kind)
    options = {
        "APT::Architecture": architecture,
        "APT::Architectures::": architecture,
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "root",
        "APT::Update::Error-Mode": "any",
        "Acquire::Languages": "none",
        "Debug::NoLocking": "true",
        "Dir::Cache": folder,
        "Dir::Etc::sourcelist": folder / "etc/sources.list",
        "Dir::Etc::sourceparts": folder / "etc/sources.list.d",
        "Dir::State": folder,
        "Dir::State::status": folder / "status",
    }
    return ["apt-get", "-qq", *(f"-o{key}={value}" for key, value in options.items())]


def copy_sources(folder: Path, suite: str, kind: str) -> None:
    """This machine's sources of Debian's packages, and no others of its sources, for a suite;
    Debian's own where it has none. `kind` is "deb" or "deb-src".

    The suite itself, without its updates: those of an old one are listed for longer than
    they can be downloaded.
    """
    names = "buster|bullseye|bookworm|trixie|forky|sid|(old)*stable|testing|unstable"
    found = False
    for source in debian_lists():
        text = re.sub(rf"(?<=\s)({names})\b", suite, source.read_text())
        if source.suffix == ".sources":
            text = re.sub(rf"\s{suite}[-/]\S+", "", text)
            text = re.sub(r"(?m)^Types:.*", f"Types: {kind}", text)
            parts = re.split(r"\n\s*\n", text)
            text = "\n\n".join(part for part in parts if re.search(rf"\s{suite}(\s|$)", part))
        else:
            lines = [line for line in text.splitlines() if re.search(rf"\s{suite}\s", line)]
            text = re.sub(r"(?m)^deb(-src)?\b", kind, "\n".join(lines) + "\n")
        below = "sources.list.d" if source.suffix == ".sources" else ""
        (folder / below / source.name).write_text(text)
        if re.search(rf"(?m)^[^#\n]*\s{suite}(\s|$)", text):
            found = True
    if not found:
        (folder / "sources.list.d/debian.sources").write_text(
            f"Types: {kind}\nURIs: http://deb.debian.org/debian\nSuites: {suite}\n"
            f"Components: main\nSigned-By: {debian_keyring(folder)}\n"
        )


def debian_lists() -> list[Path]:
    """This machine's lists of sources that may be Debian's."""
    lists = [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("debian.*")]
    return [path for path in lists if path.is_file()]


def debian_keyring(folder: Path) -> Path:
    """Debian's keys, as another distribution packages them: those that this machine trusts."""
    run(["apt-get", "-qq", "download", "debian-archive-keyring"], cwd=folder)
    (package,) = folder.glob("debian-archive-keyring_*.deb")
    run(["dpkg-deb", "--extract", package, folder / "keyring"])
    (keyring,) = (folder / "keyring/usr/share/keyrings").glob("debian-archive-keyring.gpg")
    return keyring


def make_links_relative(root: Path) -> None:
    """Makes links to absolute paths, the loader of ppc64el for one, stay inside the folder."""
    for path in root.rglob("*"):
        if path.is_symlink() and os.readlink(path).startswith("/"):
            target = root / os.readlink(path).lstrip("/")
            path.unlink()
            path.symlink_to(os.path.relpath(target, path.parent))


# The pips that run in foreign Pythons: one that knows the tags of every platform, and the
# last one for Python 2.
PIP = "pip==26.3 --hash=sha256:f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13"
PIP2 = "pip==20.3.4 --hash=sha256:217ae5161a0e08c0fb873858806e3478c9775caffce5168b50ec885e358c199d"


def pinned(*projects: str) -> str:
    """The lines of ci/requirements.txt for some projects, as text: versions and hashes. It is the
    project's or, if there is none, the one that the tool brings."""
    own, brought = (folder / "ci/requirements.txt" for folder in (ROOT, Path(__file__).parents[1]))
    text = (own if own.is_file() else brought).read_text("utf-8")
    pattern = r"^(?:{})==(?:.*\\\n)*.*$".format("|".join(map(re.escape, projects)))
    return "\n".join(re.findall(pattern, text, re.MULTILINE))


def pypi(name: str, requirements: str, *options: str, unpacked: bool = False) -> Path:
    """The folder ROOTS/name with wheels from PyPI, as files for another pip or unpacked.

    `requirements` is text, a version and hashes for each; `options` are pip's, --platform
    for one.
    """
    verb = ["install", "--no-compile", "--target"] if unpacked else ["download", "--dest"]
    pip = [sys.executable, "-m", "pip", *verb]
    pins = ["--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes", *options]

    def make(folder: Path) -> None:
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write(requirements)
            file.flush()
            try:
                run([*pip, folder, *pins, "-r", file.name], env=environment(), timeout=600)
            except Failure as failure:
                raise Skip(f"{name}: pip cannot bring it: {failure}") from None

    return cached(name, " ".join([*pip[2:], *pins, requirements]), make)


# Debian's name of an architecture, and qemu's.
QEMU_NAMES = {
    "arm64": "aarch64",
    "armhf": "arm",
    "ppc64el": "ppc64le",
    "riscv64": "riscv64",
    "s390x": "s390x",
}


def emulator(architecture: str) -> list[Path]:
    """The words that go before a Linux program of an architecture, by Debian's name; none
    where an x86_64 kernel runs it. `-L FOLDER` after them says where the loader is.

    A program that starts another one needs a shell script in between: the kernel does not
    know the emulator.
    """
    if platform.machine() != "x86_64":
        raise Skip(f"{architecture}: foreign programs are run on x86_64 machines only")
    if architecture in ("amd64", "i386"):
        return []
    programs = {name: f"qemu-{qemu}-static" for name, qemu in QEMU_NAMES.items()}
    root = debian("qemu", "amd64", ["qemu-user-static"], keep=programs.values())
    return [root / "usr/bin" / programs[architecture]]
