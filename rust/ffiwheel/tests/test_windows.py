"""The tool's wheel for Windows: what runs there, in a CPython for Windows under wine."""

import shutil
import subprocess
import sys

import pytest

from runners.protocol import NOTHING_RAN
from support import HELPERS, ROOT, Tree, clean_environment, ffiwheel, named_interpreter, run
from test_targets import prepared
from wine_batch import VERSION

pytestmark = pytest.mark.long  # compiles the tool for release

# Each step prints its name. What must fail ends the batch if it does not.
BATCH = r"""
@echo off
set PATH=%CD%\python;%CD%\python\Scripts;%PATH%
set PIP_NO_INDEX=1
set FFIWHEEL_FIND_LINKS=%CD%\links
set PYTHON=%CD%\python\python.exe
set TEMP=%CD%
set TMP=%CD%
python -m pip install --quiet --no-compile --no-warn-script-location --find-links=links ffiwheel
if errorlevel 1 exit 1
echo == version
ffiwheel --version
if errorlevel 1 exit 1
echo == a name that cannot be
ffiwheel new 2fast 2>&1
if not errorlevel 1 exit 1
echo == new
ffiwheel new fast-tool --kind program 2>&1
if errorlevel 1 exit 1
cd fast-tool
echo == update
ffiwheel update 2>&1
if errorlevel 1 exit 1
echo # mine>>python\fast_tool\_program.py
echo == update after an edit
ffiwheel update 2>&1
if not errorlevel 1 exit 1
echo == update with force
ffiwheel update --force python/fast_tool/_program.py 2>&1
if errorlevel 1 exit 1
echo == targets
ffiwheel targets 2>&1
if errorlevel 1 exit 1
echo == matrix
ffiwheel matrix all 2>&1
if errorlevel 1 exit 1
echo == rules
ffiwheel rules 2>&1
if errorlevel 1 exit 1
echo == a verb that does not run here
ffiwheel wheels 2>&1
if not errorlevel 1 exit 1
ffiwheel bump 0.2.0 2>&1
if not errorlevel 1 exit 1
cd ..\project
python -m venv --without-pip .venv
if errorlevel 1 exit 1
rem What these verbs call of the tools is Python alone.
copy ci\requirements.txt .venv\installed >nul
echo == audit
ffiwheel audit 2>&1
if errorlevel 1 exit 1
echo == audit of a wheel that is damaged
copy damaged dist\damaged-1-py2.py3-none-win_amd64.whl >nul
ffiwheel audit 2>&1
if not errorlevel 1 exit 1
echo == end
exit 0
"""


@pytest.fixture(scope="module")
def links(tmp_path_factory):
    """A folder with the tool's wheel for Windows."""
    folder = tmp_path_factory.mktemp("tool")
    run(sys.executable, ROOT / "scripts/tool_project.py", folder / "project", cwd=ROOT)
    tool = Tree(folder / "project", "ffiwheel")
    environment = prepared(tool, "win_amd64")
    ffiwheel(tool, "wheels", "win_amd64", env=environment, timeout=3600)
    return tool.root / "dist"


def test_what_runs_on_windows(links, project, wheel, sdist, request, tmp_path):
    python = named_interpreter(request.config, VERSION).path
    code = "import sysconfig; print(sysconfig.get_path('stdlib'))"
    stdlib = run(python, "-c", code, cwd=tmp_path).strip()
    folder = tmp_path / "windows"
    folder.mkdir()
    shutil.copytree(links, folder / "links")
    dist = project.root / "dist"
    dist.mkdir()
    for path in (wheel, sdist):
        shutil.copy(path, dist)
    shutil.move(project.root, folder / "project")
    (folder / "project/damaged").write_bytes(wheel.read_bytes()[:-100])
    (folder / "run.cmd").write_text(BATCH.strip().replace("\n", "\r\n") + "\r\n")
    done = subprocess.run(
        [sys.executable, ROOT / "rust/ffiwheel/tests/wine_batch.py", folder, "run.cmd", stdlib],
        cwd=ROOT,
        env=clean_environment(PYTHONPATH=str(HELPERS)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1200,
    )
    if done.returncode == NOTHING_RAN:
        pytest.skip(done.stdout)
    assert done.returncode == 0, done.stdout
    said = {}
    for part in ("\n" + done.stdout).split("\n== ")[1:]:
        step, _, text = part.partition("\n")
        said[step.strip()] = text
    for step, expected in {
        "version": "ffiwheel ",
        "a name that cannot be": "must begin with a letter",
        "new": "made fast-tool, without a commit: git is not installed",
        "update": "is that of ffiwheel",
        "update after an edit": "nothing was written",
        "update with force": "changed python/fast_tool/_program.py",
        "targets": "win_amd64",
        "matrix": "win_amd64",
        "rules": "| Z101 |",
        "a verb that does not run here": "`ffiwheel bump` does not run on Windows yet",
        "audit": f"ok dist\\{wheel.name}",
        "audit of a wheel that is damaged": "error[",
    }.items():
        assert expected in said[step], (step, said[step])
