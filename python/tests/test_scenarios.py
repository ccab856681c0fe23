"""The three ways in, each end to end, in a fresh environment of every Python."""

import pytest

from project import NAME, PACKAGE
from testing import run

GREETING = "Hello Python from Rust!"


@pytest.fixture(autouse=True)
def scenario(request, record_property):
    record_property("scenario", request.function.__name__.replace("test_", ""))


def greeting(environment):
    code = f"import {PACKAGE}; print({PACKAGE}.greeting())"
    return run(environment.python, "-c", code, cwd=environment.folder).strip()


def check(environment, **options):
    """Runs the installed package: the smoke tests, its module, its command."""
    text = environment.check(**options)
    assert "the public API of" in text and text.endswith(f"\n{GREETING}\n")
    assert run(environment.bin / NAME, cwd=environment.folder, **options) == f"{GREETING}\n"


def test_wheel(interpreter, wheel, failing_cargo, tmp_path):
    """Installs without Rust."""
    environment = interpreter.environment(tmp_path / "venv")
    environment.pip("install", wheel, env=failing_cargo.environment)
    check(environment, env=failing_cargo.environment)
    assert failing_cargo.calls == []


def test_sdist(interpreter, sdist, working_cargo, tmp_path):
    """Installs by calling cargo once, which needs no network."""
    environment = interpreter.environment(tmp_path / "venv")
    environment.pip("install", "--no-binary", NAME, sdist, env=working_cargo.environment)
    check(environment)
    (call,) = working_cargo.calls
    assert call.startswith("build ") and " --locked " in call


def test_develop(interpreter, project, tmp_path):
    """Builds in place; again when the Rust source has changed."""
    environment = interpreter.environment(tmp_path / "venv")
    legacy = interpreter.number == (2, 7)

    def install():
        if legacy:
            run(environment.python, "setup.py", "develop", cwd=project.python)
        else:
            environment.pip("install", "--editable", project.python)

    install()
    check(environment)

    project.edit(project.source, "from Rust!", "from edited Rust!")
    install()
    assert greeting(environment) == "Hello Python from edited Rust!"

    project.edit(project.python / PACKAGE / "__init__.py", 'greeting(who="Python")',
                 'greeting(who="edited Python")')  # fmt: skip
    assert greeting(environment) == "Hello edited Python from edited Rust!"

    if legacy:
        environment.pip("install", "--editable", project.python)
        assert greeting(environment) == "Hello edited Python from edited Rust!"
