"""SOURCE_DATE_EPOCH means the same to setup.py and to the pipeline.
https://reproducible-builds.org/specs/source-date-epoch/"""

import re
import shutil
import sys
import tarfile
import zipfile

from support import (
    PACKAGE,
    clean_environment,
    commit,
    ffiwheel,
    found_interpreters,
    git,
    named_interpreter,
    run,
)

FIRST, LAST = 315532800, 4354819199  # of a zip file: 1980 to 2107
ACCEPTED = {
    "0": FIRST,
    str(FIRST - 1): FIRST,
    "1700000000": 1700000000,
    "01700000000": 1700000000,
    str(LAST): LAST,
}
REFUSED = ["1700000000000", str(LAST + 1), "9" * 30, "-1", "+1", "1.5", "1e9", "0x10", "1_0"]
REFUSED += [" ", " 1", "1\n", "９", "today", "2023-11-14"]


def date_of(folder):
    (sdist,) = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        (date,) = {member.mtime for member in archive}
    return date


def refusal(text):
    """The sentence of the error."""
    assert "Traceback" not in text
    return re.search(r'SOURCE_DATE_EPOCH is "[^"]*", which is not .*? 2107( \(\w+\?\))?', text)[0]


def test_setup_py_dates_by_it(project):
    for text, date in ACCEPTED.items():
        shutil.rmtree(project.python / "dist", ignore_errors=True)
        project.setup("sdist", env=clean_environment(SOURCE_DATE_EPOCH=text))
        assert date_of(project.python / "dist") == date, text


def test_a_wheel_has_the_first_date_of_a_zip_file_for_an_earlier_one(project, built):
    for path in built:
        shutil.copy(path, project.lib)
    wheel = project.wheel(env=clean_environment(SOURCE_DATE_EPOCH="0"))
    with zipfile.ZipFile(wheel) as archive:
        assert {info.date_time[0] for info in archive.infolist()} == {1980}


def test_empty_is_unset(project, built):
    for path in built:
        shutil.copy(path, project.lib)
    environment = clean_environment(SOURCE_DATE_EPOCH="")
    wheel = project.wheel(env=environment)
    with zipfile.ZipFile(wheel) as archive:
        assert archive.getinfo(f"{PACKAGE}-0.1.0.dist-info/WHEEL").date_time[0] > 2024
    commit(project)
    ffiwheel(project, "sdist", env=environment)
    assert date_of(project.root / "dist") == int(git(project, "log", "-1", "--format=%ct"))


def test_the_pipeline_dates_by_it(project):
    for text, date in ACCEPTED.items():
        ffiwheel(project, "sdist", env=clean_environment(SOURCE_DATE_EPOCH=text))
        assert date_of(project.root / "dist") == date, text


def test_anything_else_is_refused_in_the_same_words(project, request):
    programs = [sys.executable]
    if "2.7" in found_interpreters(request.config):
        venv = project.root.parent / "venv"
        programs.append(named_interpreter(request.config, "2.7").environment(venv).python)
    for text in REFUSED:
        environment = clean_environment(SOURCE_DATE_EPOCH=text)
        errors = [
            run(python, "setup.py", "--version", cwd=project.python, env=environment, fails=True)
            for python in programs
        ]
        errors.append(ffiwheel(project, "sdist", env=environment, fails=True))
        (found,) = {refusal(error) for error in errors}
        assert f'"{text}"' in found
        assert ("milliseconds" in found) == (text[:2] in ("17", "99")), found
    assert not (project.root / "dist").exists() and not (project.python / "dist").exists()
