"""Programs that PyInstaller freezes have the library: the package brings its hook."""

import shutil

import pytest

from support import PACKAGE, clean_environment, named_interpreter, run

# One that reads the package's entry point, and runs on that Python: a new one may not.
FREEZER = "pyinstaller==6.22.3"


@pytest.mark.slow
def test_a_frozen_program_has_the_library_or_says_how_to_get_it(request, wheel, tmp_path):
    interpreter = named_interpreter(request.config, "3.11")
    environment = interpreter.environment(tmp_path / "venv")
    environment.pip("install", FREEZER, wheel)
    program = tmp_path / "program.py"
    program.write_text(f"import {PACKAGE}\nprint({PACKAGE}.greeting())\n")
    env = clean_environment(PYINSTALLER_CONFIG_DIR=str(tmp_path / "cache"))
    for kind in "--onefile", "--onedir":
        words = [kind, "--distpath", tmp_path / kind, program]
        run(environment.python, "-m", "PyInstaller", *words, cwd=tmp_path, env=env)
    assert run(tmp_path / "--onefile/program", cwd=tmp_path) == "Hello Python from Rust!\n"
    folder = tmp_path / "--onedir/program"
    assert run(folder / "program", cwd=tmp_path) == "Hello Python from Rust!\n"

    shutil.rmtree(folder / f"_internal/{PACKAGE}/lib")
    text = run(folder / "program", cwd=tmp_path, fails=True)
    assert "is missing. The program was frozen without it" in text
    assert f"--collect-binaries {PACKAGE}" in text and "pip install" not in text
