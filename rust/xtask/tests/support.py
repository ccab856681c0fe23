"""What the tests share: the interpreters of the machine, copies of the project, and the
table that says which interpreter ran what."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
from functools import partial
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HELPERS = ROOT / "rust/xtask/helpers"
sys.path.insert(0, str(HELPERS))
started_in = os.getcwd()
os.chdir(ROOT)  # Around it the helpers find the project, when they are first imported.

import interpreters  # noqa: E402
import roots  # noqa: E402, F401
from interpreters import EXPECTED, EXTRA  # noqa: E402

os.chdir(started_in)

PACKAGE = "hello_pyrust"
BIN = Path(sys.executable).parent
HOST_PLATFORM = sysconfig.get_platform().replace("-", "_")  # linux_x86_64

SCENARIOS = ["wheel", "sdist", "develop"]


class Failed(AssertionError):
    """A command ended otherwise than expected. The text is all that it printed."""


def clean_environment(**changes):
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


def run(*command, cwd, env=None, fails=False, timeout=600):
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


def smoke(python, **options):
    """Runs the smoke tests on a Python that has the package: what every library must pass, and the
    whole public API."""
    assert " runs on " in run(python, HELPERS / "smoke_gate.py", PACKAGE, **options)
    assert "the public API of" in run(python, ROOT / "scripts/smoke.py", **options)


# ---- Interpreters -----------------------------------------------------------------------


def pytest_configure(config):
    """The workers of xdist take over what the first process found."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        # So a script's shell starts what runs in the background (`make test &`), and so would
        # every program begin whose end by Ctrl-C is tested.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    inherited = getattr(config, "workerinput", {}).get("interpreters")
    config.interpreters = (
        json.loads(inherited)
        if inherited
        else {name: (str(path), version) for name, (path, version) in interpreters.find().items()}
    )


def pytest_configure_node(node):
    node.workerinput["interpreters"] = json.dumps(node.config.interpreters)


def pytest_generate_tests(metafunc):
    if "interpreter" in metafunc.fixturenames:
        found = metafunc.config.interpreters
        names = EXPECTED + [name for name in EXTRA if name in found]
        metafunc.parametrize("interpreter", names, indirect=True)


class Interpreter:
    def __init__(self, name, path, version):
        self.name, self.path, self.version = name, path, version
        self.number = tuple(int(part) for part in version.split()[1].split(".")[:2])

    def environment(self, folder):
        """A fresh virtual environment with a pip that knows manylinux2014 tags."""
        in_parent = partial(run, cwd=folder.parent)
        interpreters.make_environment(in_parent, self.path, self.version, folder)
        return Environment(folder)


class Environment:
    def __init__(self, folder):
        self.folder = folder
        self.bin = folder / "bin"
        self.python = self.bin / "python"

    def pip(self, *words, cwd=None, **options):
        return run(self.python, "-m", "pip", *words, cwd=cwd or self.folder, **options)

    def check(self, **options):
        """Runs the installed package: its module, its command, the whole public API."""
        greeting = "Hello Python from Rust!\n"
        options.setdefault("cwd", self.folder)
        assert run(self.python, "-m", PACKAGE, **options) == greeting
        assert run(self.bin / "hello-pyrust", **options) == greeting
        smoke(self.python, **options)

    def greeting(self):
        code = "import hello_pyrust; print(hello_pyrust.greeting())"
        return run(self.python, "-c", code, cwd=self.folder).strip()


def named_interpreter(config, name):
    """The interpreter of that name; the test is skipped where there is none."""
    found = config.interpreters.get(name)
    if not found:
        pytest.skip(f"this machine has no Python {name}")
    return Interpreter(name, *found)


@pytest.fixture
def interpreter(request, record_property):
    found = named_interpreter(request.config, request.param)
    record_property("interpreter", f"{found.name} ({found.version})")
    return found


# ---- What is tested ---------------------------------------------------------------------


# The wheel that `make test` makes. What else another run left in dist/ does not decide what the
# fast tests are: tests of those wheels are slow ones.
OWN = "manylinux_2_17_x86_64"


def needs_wheel(platform):
    """The marks of a test that needs the wheel whose last tag is for a platform."""
    return [] if platform == OWN else [pytest.mark.slow]


def only(pattern):
    found = sorted(ROOT.glob(pattern))
    assert len(found) == 1, f"{pattern}: {found}; `make test` makes it first"
    return found[0]


@pytest.fixture(scope="session")
def wheel():
    return only(f"dist/{PACKAGE}-*-py2.py3-none-*.{OWN}.whl")


@pytest.fixture(scope="session")
def sdist():
    return only(f"dist/{PACKAGE}-*.tar.gz")


class Cargo(interpreters.Cargo):
    """A `cargo` first on PATH that writes down its arguments; the real one, or none."""

    def __init__(self, folder, works):
        super().__init__(folder, works)
        self.environment = clean_environment(
            PATH=f"{folder}{os.pathsep}{os.environ['PATH']}", CARGO_NET_OFFLINE="true"
        )
        self.environment.pop("CARGO", None)


@pytest.fixture
def working_cargo(tmp_path):
    return Cargo(tmp_path / "working cargo", works=True)


@pytest.fixture
def failing_cargo(tmp_path):
    return Cargo(tmp_path / "failing cargo", works=False)


class Tree:
    """A project in a folder. `package`: the name of its Python package."""

    def __init__(self, folder, package):
        self.root = folder
        self.python = folder / "python"
        self.lib = self.python / package / "lib"
        self.source = folder / "rust/src/lib.rs"
        self.library = self.lib / f"lib{package}.so"
        self.stamp = self.lib / f"lib{package}.so.json"

    def edit(self, path, old, new):
        text = path.read_text()
        assert old in text, (path, old)
        path.write_text(text.replace(old, new))

    def setup(self, *words, **options):
        return run(sys.executable, "setup.py", *words, cwd=self.python, **options)

    def wheel(self, **options):
        """Builds a wheel with setup.py; returns its path."""
        shutil.rmtree(self.python / "dist", ignore_errors=True)
        self.output = self.setup("bdist_wheel", **options)
        (wheel,) = (self.python / "dist").iterdir()
        return wheel


class Project(Tree):
    """A copy of the working tree, or of another such copy, without what builds left in it."""

    def __init__(self, folder, root=ROOT):
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


# The Rust that CARGO and RUSTC name, as for make: `cargo` on PATH may be another one, or rustup
# without a toolchain.
CARGO = os.environ.get("CARGO") or "cargo"
XTASK = [CARGO, "run", "--quiet", "--locked", "--manifest-path", ROOT / "rust/xtask/Cargo.toml"]


def git(project, *words):
    return run(
        *("git", "-c", "user.name=a", "-c", "user.email=a@example.org", *words), cwd=project.root
    )


def commit(project):
    """Makes the copy a repository with all that it holds committed."""
    if not (project.root / ".git").exists():
        git(project, "init", "--quiet")
        # A link to the tools, which .gitignore, meaning a folder, does not name.
        (project.root / ".git/info/exclude").write_text(".venv\n")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "all")


def link_tools(project):
    venv = project.root / ".venv"
    if not venv.exists():
        venv.symlink_to(ROOT / ".venv")


def xtask(project, *words, **options):
    """The pipeline in a copy of the project, with this project's tools."""
    link_tools(project)
    return run(*XTASK, "--", *words, cwd=project.root, **options)


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path / "project")


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """A library of the current sources, with its stamp: (library, stamp)."""
    project = Project(tmp_path_factory.mktemp("built") / "project")
    project.setup("build_library", "--inplace")
    return project.library, project.stamp


# ---- The table --------------------------------------------------------------------------


def pytest_terminal_summary(terminalreporter):
    rows = {}
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
                row["name"] = properties.get("interpreter", row.get("name"))
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
