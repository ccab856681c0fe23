"""The package as its users have it. `make test` also installs the wheel, the sdist and the folder
itself on every Python, and runs scripts/smoke.py there."""

import pytest

from project import NAME, PACKAGE
from testing import named_interpreter, run

GREETING = "Hello Python from Rust!"


def greeting(environment):
    code = f"import {PACKAGE}; print({PACKAGE}.greeting())"
    return run(environment.python, "-c", code, cwd=environment.folder).strip()


def test_the_command_and_the_module_say_hello(interpreter, wheel, tmp_path):
    environment = interpreter.environment(tmp_path / "venv")
    environment.pip("install", wheel)
    for command in [[environment.bin / NAME], [environment.python, "-m", PACKAGE]]:
        assert run(*command, cwd=environment.folder) == f"{GREETING}\n"


@pytest.mark.parametrize("name", ["2.7", "3.13"])
def test_an_editable_install_follows_the_sources(name, project, request, tmp_path):
    interpreter = named_interpreter(request.config, name)
    environment = interpreter.environment(tmp_path / "venv")

    def install():
        if interpreter.number == (2, 7):
            run(environment.python, "setup.py", "develop", cwd=project.python)
        else:
            environment.pip("install", "--editable", project.python)

    install()
    assert greeting(environment) == GREETING

    project.edit(project.source, "from Rust!", "from edited Rust!")
    install()
    assert greeting(environment) == "Hello Python from edited Rust!"

    module = project.python / PACKAGE / "__init__.py"
    project.edit(module, 'greeting(who="Python")', 'greeting(who="edited Python")')
    assert greeting(environment) == "Hello edited Python from edited Rust!"
