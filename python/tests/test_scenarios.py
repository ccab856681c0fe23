"""The three ways in, each end to end, in a fresh environment of every Python."""

import pytest
from conftest import Project, run


@pytest.fixture(autouse=True)
def scenario(request, record_property):
    record_property("scenario", request.function.__name__.replace("test_", ""))


def test_wheel(interpreter, wheel, failing_cargo, tmp_path):
    """Installs without Rust."""
    environment = interpreter.environment(tmp_path / "venv")
    environment.pip("install", wheel, env=failing_cargo.environment)
    environment.check(env=failing_cargo.environment)
    assert failing_cargo.calls == []


def test_sdist(interpreter, sdist, working_cargo, tmp_path):
    """Installs by calling cargo once, which needs no network."""
    environment = interpreter.environment(tmp_path / "venv")
    environment.pip("install", "--no-binary", "hello-pyrust", sdist, env=working_cargo.environment)
    environment.check()
    (call,) = working_cargo.calls
    assert call.startswith("build ") and " --locked " in call


def test_develop(interpreter, tmp_path):
    """Builds in place; again when the Rust source has changed."""
    environment = interpreter.environment(tmp_path / "venv")
    project = Project(tmp_path / "project")
    legacy = interpreter.number == (2, 7)

    def install():
        if legacy:
            run(environment.python, "setup.py", "develop", cwd=project.python)
        else:
            environment.pip("install", "--editable", project.python)

    install()
    environment.check()

    project.edit(project.source, "from Rust!", "from edited Rust!")
    install()
    assert environment.greeting() == "Hello Python from edited Rust!"

    project.edit(project.python / "hello_pyrust/__init__.py", 'greeting(who="Python")',
                 'greeting(who="edited Python")')  # fmt: skip
    assert environment.greeting() == "Hello edited Python from edited Rust!"

    if legacy:
        environment.pip("install", "--editable", project.python)
        assert environment.greeting() == "Hello edited Python from edited Rust!"
