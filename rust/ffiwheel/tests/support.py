"""What the tests of the tool share, beside the helper `testing`."""

import os
import re
import shutil
import sys
import sysconfig
import tarfile
from pathlib import Path

import pytest

import roots
from project import NAME, PACKAGE, ROOT
from testing import (  # noqa: F401
    EXPECTED,
    EXTRA,
    OWN,
    Cargo,
    Environment,
    Failed,
    Interpreter,
    Project,
    Tree,
    clean_environment,
    found_interpreters,
    named_interpreter,
    run,
    smoke,
)

HELPERS = ROOT / "rust/ffiwheel/helpers"
FIXTURES = ROOT / "rust/ffiwheel/tests/fixtures"
MARK = f"{PACKAGE}.abi=".encode()  # before the fingerprint in a library
BIN = Path(sys.executable).parent
HOST_PLATFORM = sysconfig.get_platform().replace("-", "_")  # linux_x86_64


def renamed(folder, package):
    """A copy of the project under another name, which has letters and underscores."""
    names = {PACKAGE: package, NAME: package.replace("_", "-"), PACKAGE.upper(): package.upper()}

    def changed(data):
        for old, new in names.items():
            data = data.replace(old.encode(), new.encode())
        return data

    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT)
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            path = folder / changed(name.encode()).decode()
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(changed((ROOT / name).read_bytes()))
            shutil.copymode(ROOT / name, path)
    return Tree(folder, package)


# The Rust that CARGO and RUSTC name, as for make: `cargo` on PATH may be another one, or rustup
# without a toolchain.
CARGO = os.environ.get("CARGO") or "cargo"
FFIWHEEL = [
    CARGO,
    "run",
    "--quiet",
    "--locked",
    "--manifest-path",
    ROOT / "rust/ffiwheel/Cargo.toml",
]


def git(project, *words):
    return run(
        *("git", "-c", "user.name=a", "-c", "user.email=a@example.org", *words), cwd=project.root
    )


def commit(project):
    """Makes the copy a repository with all that it holds committed."""
    if not (project.root / ".git").exists():
        git(project, "init", "--quiet")
        # A link to the tools, which .gitignore, meaning a folder, does not name.
        (project.root / ".git/info/exclude").write_text(".venv\n.roots\n")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "all")


def link_tools(project):
    venv = project.root / ".venv"
    if not venv.exists():
        venv.symlink_to(ROOT / ".venv")


def ffiwheel(project, *words, **options):
    """The pipeline in a copy of the project, with this project's tools."""
    link_tools(project)
    return run(*FFIWHEEL, "--", *words, cwd=project.root, **options)


@pytest.fixture(scope="session")
def links(tmp_path_factory):
    """A folder with a wheel of the tool for this machine, built as setup.py builds it."""
    folder = tmp_path_factory.mktemp("tool")
    run(sys.executable, ROOT / "scripts/tool_project.py", folder / "project", cwd=ROOT)
    tree = Tree(folder / "project", "ffiwheel")
    # To compile it for release takes minutes, and is what the tests of wheels do.
    quick = {"LTO": "off", "OPT_LEVEL": "0", "CODEGEN_UNITS": "16", "DEBUG": "0"}
    settings = {f"CARGO_PROFILE_RELEASE_{name}": value for name, value in quick.items()}
    wheel = tree.wheel(env=clean_environment(**settings), timeout=1800)
    (folder / "links").mkdir()
    shutil.move(wheel, folder / "links")
    shutil.rmtree(tree.root)
    return folder / "links"


def needs_standard_libraries(told):
    """Skips the test where the doctor told that rustup would have to bring a standard library."""
    missing = re.findall(r"rustup, for ([\w-]+)", told)
    if missing:
        pytest.skip(
            f"this machine's Rust has no standard library for {' '.join(missing)}, nor its "
            "source; scripts/toolchain-debian.sh brings it"
        )


def build_without_network(sdist, folder):
    """Unpacks an sdist below a folder and builds a wheel of it, with no crates but its own;
    returns the tree."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "unpacked")
    (tree,) = (folder / "unpacked").iterdir()
    environment = clean_environment(CARGO_HOME=str(folder / "empty"), CARGO_NET_OFFLINE="true")
    run(sys.executable, "setup.py", "bdist_wheel", cwd=tree, env=environment)
    return tree


def link_roots(project):
    """Lets a project use what this one has unpacked: emulators, other Pythons."""
    roots.ROOTS.mkdir(exist_ok=True)
    if not (project.root / ".roots").exists():
        (project.root / ".roots").symlink_to(roots.ROOTS)


def take_standard_libraries(told, project):
    """Copies the ones that this project has built for targets that the doctor told of; skips the
    test where rustup would have to bring one."""
    needs_standard_libraries(told)
    for triple in re.findall(r"library(?:'s source,)? for ([\w-]+)", told):
        cargo = ROOT / "build" / triple / "cargo"
        taken = project.root / "build" / triple / "cargo"
        if cargo.exists() and not taken.exists():
            shutil.copytree(cargo, taken, symlinks=True)


class Adopter:
    """An author with an empty home, who has installed the tool."""

    def __init__(self, folder, links):
        self.folder = folder
        (folder / "home").mkdir(parents=True)
        run(sys.executable, "-m", "venv", folder / "tool", cwd=folder)
        self.tool = Environment(folder / "tool")
        self.tool.pip("install", "--quiet", "--no-index", "--find-links", links, "ffiwheel")
        home = os.environ.get("CARGO_HOME") or os.path.expanduser("~/.cargo")
        rustup = os.environ.get("RUSTUP_HOME") or os.path.expanduser("~/.rustup")
        self.environment = clean_environment(
            HOME=str(folder / "home"),
            FFIWHEEL_FIND_LINKS=str(links),
            GIT_CONFIG_NOSYSTEM="1",
            # What is installed of Rust stays.
            CARGO_HOME=home,
            RUSTUP_HOME=rustup,
        )
        # A wheel is then built as an author would build it.
        for name in ("CARGO_PROFILE_RELEASE_LTO", "LOCAL_SETTINGS"):
            del self.environment[name]

    def __call__(self, *words, cwd=None, **options):
        options.setdefault("env", self.environment)
        return run(self.tool.bin / "ffiwheel", *words, cwd=cwd or self.folder, **options)

    def make(self, project, *words, **options):
        return run(
            "make",
            "--no-print-directory",
            *words,
            cwd=project.root,
            env=self.environment,
            timeout=3600,
            **options,
        )


def long(*values):
    """Values of a parameter whose tests are long ones: the others show nearly as much."""
    return [pytest.param(value, marks=pytest.mark.long) for value in values]


def needs_wheel(platform):
    """The marks of a test that needs the wheel whose last tag is for a platform."""
    return [] if platform == OWN else [pytest.mark.slow]


def greeting(environment):
    """What the installed package says."""
    code = f"import {PACKAGE}; print({PACKAGE}.greeting())"
    return run(environment.python, "-c", code, cwd=environment.folder).strip()
