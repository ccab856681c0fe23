"""A plugin for pytest: every Python of this machine, what is in dist/, and copies of the project.

A conftest.py takes it with `pytest_plugins = ["testing"]`. A test that takes `interpreter` runs
once for each Python that a wheel promises to serve, and is skipped by name where there is none.
The table at the end says which Python ran what, by the tests' property `scenario`.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import interpreters
from interpreters import EXPECTED, EXTRA
from process import Word
from project import PACKAGE, PROGRAM, ROOT
from runners import checks

SCENARIOS = ["wheel", "sdist", "develop"]


class Failed(AssertionError):
    """A command ended otherwise than expected. The text is all that it printed."""


def clean_environment(**changes: str) -> dict[str, str]:
    """This environment without what would reach into a build from outside."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not re.match(
            "CARGO_(BUILD|PKG|MANIFEST|TARGET)|M(AKE)?FLAGS|MAKE(LEVEL|OVERRIDES)|PYTHON|RUSTFLAGS|"
            "SOURCE_DATE|VIRTUAL_ENV",
            name,
        )
    }
    environment.update(PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1")
    # Every environment is used once. pip gives what it reads here to what the option clears:
    # 0 it is, and 1 would compile.
    environment.update(PIP_NO_COMPILE="0")
    # What these builds are for does not depend on it, and it takes three quarters of their
    # time. The wheels in dist/, which are tested as they are, have it.
    environment.update(CARGO_PROFILE_RELEASE_LTO="off", LOCAL_SETTINGS="1")
    environment.update(changes)
    return environment


def run(
    *command: Word,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    fails: bool = False,
    timeout: float = 600,
) -> str:
    """Runs a command; returns all that it printed."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=env or clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=timeout,
    )
    text = done.stdout.decode("utf-8", "replace")
    if (done.returncode != 0) != fails:
        raise Failed(f"exit code {done.returncode} of {command}:\n{text}")
    if fails and done.returncode < 0:
        raise Failed(f"signal {-done.returncode} ended {command}:\n{text}")
    return text


# ---- Interpreters -----------------------------------------------------------------------


FOUND = pytest.StashKey[dict[str, tuple[str, str]]]()


def pytest_configure(config: pytest.Config) -> None:
    """The workers of xdist take over what the first process found."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        # So a script's shell starts what runs in the background (`make test &`), and so would
        # every program begin whose end by Ctrl-C is tested.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    inherited = getattr(config, "workerinput", {}).get("interpreters")
    config.stash[FOUND] = (
        json.loads(inherited)
        if inherited
        else {name: (str(path), version) for name, (path, version) in interpreters.find().items()}
    )


def found_interpreters(config: pytest.Config) -> dict[str, tuple[str, str]]:
    """{name: (path, "Implementation x.y.z")} of every Python of this machine."""
    return config.stash[FOUND]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Called by xdist, before a worker starts."""
    node.workerinput["interpreters"] = json.dumps(found_interpreters(node.config))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "interpreter" in metafunc.fixturenames:
        found = found_interpreters(metafunc.config)
        names = EXPECTED + [name for name in EXTRA if name in found]
        metafunc.parametrize("interpreter", names, indirect=True)


class Environment:
    """A virtual environment in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.python = self.bin / "python"

    def pip(self, *words: Word, cwd: Path | None = None, **options: Any) -> str:
        return run(self.python, "-m", "pip", *words, cwd=cwd or self.folder, **options)

    def check(self, **options: Any) -> str:
        """Runs the installed package, as `smoke` does, and its module; returns what it printed."""
        options.setdefault("cwd", self.folder)
        text = smoke(self.python, **options)
        if (ROOT / "python" / PACKAGE / "__main__.py").exists() and not PROGRAM:
            text += run(self.python, "-m", PACKAGE, **options)
        return text


def smoke(python: Word, **options: Any) -> str:
    """Runs the smoke tests on a Python that has the package: what every library must pass, and the
    author's. Returns what they printed."""
    text = "".join(run(python, *words, **options) for words in checks.smoke_tests())
    assert checks.RAN.search(text)
    return text


class Interpreter:
    """A Python of this machine."""

    def __init__(self, name: str, path: str, version: str) -> None:
        self.name, self.path, self.version = name, path, version
        self.number = tuple(int(part) for part in version.split()[1].split(".")[:2])

    def environment(self, folder: Path) -> Environment:
        """A fresh virtual environment with a pip that knows manylinux2014 tags."""
        in_parent = partial(run, cwd=folder.parent)
        interpreters.make_environment(in_parent, self.path, self.version, folder)
        return Environment(folder)


def named_interpreter(config: pytest.Config, name: str) -> Interpreter:
    """The interpreter of that name; the test is skipped where there is none."""
    found = found_interpreters(config).get(name)
    if not found:
        pytest.skip(f"this machine has no Python {name}")
    return Interpreter(name, *found)


@pytest.fixture
def interpreter(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> Interpreter:
    found = named_interpreter(request.config, request.param)
    record_property("interpreter", f"{found.name} ({found.version})")
    return found


# ---- What is tested ---------------------------------------------------------------------


# The wheel that `make test` makes. What else another run left in dist/ does not decide what the
# fast tests are: tests of those wheels are slow ones.
OWN = "manylinux_2_17_x86_64"


def only(pattern: str) -> Path:
    found = sorted(ROOT.glob(pattern))
    assert len(found) == 1, f"{pattern}: {found}; `make test` makes it first"
    return found[0]


@pytest.fixture(scope="session")
def wheel() -> Path:
    return only(f"dist/*-none-*{OWN}*.whl")


@pytest.fixture(scope="session")
def sdist() -> Path:
    return only("dist/*.tar.gz")


class Cargo(interpreters.Cargo):
    """A `cargo` first on PATH that writes down its arguments; the real one, or none."""

    def __init__(self, folder: Path, works: bool) -> None:
        super().__init__(folder, works)
        self.environment = clean_environment(
            PATH=f"{folder}{os.pathsep}{os.environ['PATH']}", CARGO_NET_OFFLINE="true"
        )
        self.environment.pop("CARGO", None)


@pytest.fixture
def working_cargo(tmp_path: Path) -> Cargo:
    return Cargo(tmp_path / "working cargo", works=True)


@pytest.fixture
def failing_cargo(tmp_path: Path) -> Cargo:
    return Cargo(tmp_path / "failing cargo", works=False)


class Tree:
    """A project in a folder. package: the name of its Python package."""

    def __init__(self, folder: Path, package: str) -> None:
        self.root = folder
        self.python = folder / "python"
        self.lib = self.python / package / "lib"
        self.source = folder / "rust/src/lib.rs"
        self.library = self.lib / f"lib{package}.so"
        self.stamp = self.lib / f"lib{package}.so.json"

    def edit(self, path: Path, old: str, new: str) -> None:
        text = path.read_text()
        assert old in text, (path, old)
        path.write_text(text.replace(old, new))

    def setup(self, *words: Word, **options: Any) -> str:
        return run(sys.executable, "setup.py", *words, cwd=self.python, **options)

    def wheel(self, **options: Any) -> Path:
        """Builds a wheel with setup.py; returns its path."""
        shutil.rmtree(self.python / "dist", ignore_errors=True)
        self.output = self.setup("bdist_wheel", **options)
        (wheel,) = (self.python / "dist").iterdir()
        return wheel


class Project(Tree):
    """A copy of the working tree, or of another such copy, without what builds left in it."""

    def __init__(self, folder: Path, root: Path = ROOT) -> None:
        shutil.copytree(
            root,
            folder,
            ignore=lambda path, names: [
                name
                for name in names
                if name in {".git", ".roots", ".venv", "target", "build", "dist", "__pycache__"}
                or name.endswith((".egg-info", ".so", ".dylib", ".dll", ".so.json"))
            ],
        )
        super().__init__(folder, PACKAGE)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A library of the current sources, with its stamp: (library, stamp)."""
    project = Project(tmp_path_factory.mktemp("built") / "project")
    project.setup("build_library", "--inplace")
    return project.library, project.stamp


# ---- The table --------------------------------------------------------------------------


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    rows: dict[str, dict[str, str]] = {}
    for report in terminalreporter.stats.get("passed", []):
        for name, row in report.user_properties:
            if name == "built":
                terminalreporter.write_line("{:<17} {:<28} {:>7}  {:<30}  {}".format(*row))
    words = {"passed": "ok", "failed": "FAILED", "skipped": "not run", "error": "FAILED"}
    for outcome, word in words.items():
        for report in terminalreporter.stats.get(outcome, []):
            properties = dict(getattr(report, "user_properties", ()))
            scenario = properties.get("scenario")
            match = re.search(r"\[([^\]]+)\]$", getattr(report, "nodeid", ""))
            if scenario and match:
                row = rows.setdefault(match.group(1), {})
                row["name"] = properties.get("interpreter", row.get("name", ""))
                # A failed test can pass its teardown: the worse word stays.
                if row.get(scenario) != "FAILED":
                    row[scenario] = word
    if not rows:
        return
    terminalreporter.section("which interpreter ran what")
    order = EXPECTED + EXTRA
    terminalreporter.write_line("{:<26}".format("") + "".join(f"{s:<10}" for s in SCENARIOS))
    for name in sorted(rows, key=order.index):
        row = rows[name]
        cells = "".join("{:<10}".format(row.get(scenario, "not run")) for scenario in SCENARIOS)
        terminalreporter.write_line("{:<26}".format(row["name"] or f"{name} (not found)") + cells)
