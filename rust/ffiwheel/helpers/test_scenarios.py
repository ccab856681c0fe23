"""The three ways in, each end to end, in a fresh environment of every Python, for any project.
`ffiwheel test` runs this file, and the author's own tests after it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from project import COMMAND, CRATE, HEADER, NAME, PROGRAM, ROOT
from testing import Cargo, Interpreter, Project, run


@pytest.fixture(autouse=True)
def scenario(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> None:
    record_property("scenario", request.function.__name__.replace("test_", ""))


def test_wheel(interpreter: Interpreter, wheel: Path, failing_cargo: Cargo, tmp_path: Path) -> None:
    """Installs without Rust."""
    environment = interpreter.environment(tmp_path / "venv")
    environment.pip("install", wheel, env=failing_cargo.environment)
    environment.check(env=failing_cargo.environment)
    assert failing_cargo.calls == []


def test_sdist(interpreter: Interpreter, sdist: Path, working_cargo: Cargo, tmp_path: Path) -> None:
    """Installs by calling cargo once, with what the lock file names; or by the author's command."""
    environment = interpreter.environment(tmp_path / "venv")
    environment.pip("install", "--no-binary", NAME, sdist, env=working_cargo.environment)
    environment.check()
    if COMMAND:
        assert working_cargo.calls == []
        return
    (call,) = working_cargo.calls
    assert call.startswith("build ") and " --locked " in call


def test_develop(interpreter: Interpreter, project: Project, tmp_path: Path) -> None:
    """Builds in place; again when a source has changed."""
    environment = interpreter.environment(tmp_path / "venv")
    legacy = interpreter.number == (2, 7)

    def install() -> str:
        if legacy:
            run(environment.python, "setup.py", "develop", cwd=project.python)
        else:
            environment.pip("install", "--editable", project.python)
        environment.check()
        if PROGRAM:
            return ""
        sources: str = json.loads(project.stamp.read_text())["sources"]
        return sources

    before = install()
    if PROGRAM:
        return  # An installed one is a copy.
    source = project.source
    if COMMAND:
        source = project.root / CRATE.relative_to(ROOT) / HEADER
    with source.open("a") as file:
        file.write("\n/* A change. */\n")
    assert install() != before
    if legacy:
        environment.pip("install", "--editable", project.python)
        environment.check()
