"""What setup.cfg may say otherwise: several licences, each with its file, and no command."""

import re
import tarfile
import zipfile

import pytest

from support import PACKAGE, commit, ffiwheel, named_interpreter, run

NAMES = ["LICENSE-APACHE", "LICENSE-MIT"]
LISTS = {
    "lines": "license_files =\n    LICENSE-MIT\n    LICENSE-APACHE",
    "commas": "license_files = LICENSE-MIT, LICENSE-APACHE",
    "a pattern": "license_files = LICENSE-*",
}


def licensed(project, listed):
    settings = project.python / "setup.cfg"
    project.edit(settings, "license = CC0-1.0", "license = MIT OR Apache-2.0")
    project.edit(settings, "license_files = LICENSE", LISTS[listed])
    for name in NAMES:
        (project.python / name).write_text(f"The text of {name}\n")
    (project.python / "LICENSE").unlink()
    return project


def packed(project, python):
    """The licences' files in an sdist and a wheel that a Python makes."""
    words = ["setup.py", "--quiet", "sdist", "bdist_wheel"]
    run(python, *words, cwd=project.python)
    dist = project.python / "dist"
    with tarfile.open(next(dist.glob("*.tar.gz"))) as archive:
        names = [name.split("/", 1)[1] for name in archive.getnames() if "LICENSE" in name]
    with zipfile.ZipFile(next(dist.glob("*.whl"))) as archive:
        inside = [name for name in archive.namelist() if "LICENSE" in name]
    assert all(".dist-info/" in name for name in inside)
    return sorted(names), sorted(name.split("/")[-1] for name in inside)


@pytest.mark.parametrize("listed", LISTS)
@pytest.mark.parametrize("version", ["2.7", "3.13"])
def test_each_licence_is_packed(listed, version, project, built, request, tmp_path):
    licensed(project, listed)
    for path in built:
        (project.lib / path.name).write_bytes(path.read_bytes())
    environment = named_interpreter(request.config, version).environment(tmp_path / "venv")
    if version != "2.7":  # virtualenv brings the last setuptools for that one
        environment.pip("install", "--quiet", "setuptools")
    assert packed(project, environment.python) == (NAMES, NAMES)


def test_the_judge_asks_for_each_licence(project):
    commit(licensed(project, "commas"))
    ffiwheel(project, "sdist")
    assert "ok dist/" in ffiwheel(project, "audit")
    (project.python / NAMES[0]).write_text("Another text\n")
    text = ffiwheel(project, "audit", "--release", fails=True)
    assert "S704" in text and NAMES[0] in text


def test_a_licence_that_is_not_there_is_named(project):
    licensed(project, "lines")
    (project.python / NAMES[1]).unlink()
    text = project.setup("bdist_wheel", fails=True)
    assert f"cannot read {NAMES[1]}: No such file" in text and "`license_files`" in text
    assert not (project.python / PACKAGE / "lib" / project.library.name).exists()
    settings = project.python / "setup.cfg"
    project.edit(settings, LISTS["lines"], "")
    assert "setup.cfg names no licence's file" in project.setup("sdist", fails=True)
    project.edit(settings, "license = MIT", "license_files = ../LICENSE\nlicense = MIT")
    assert "which is outside" in project.setup("sdist", fails=True)


def test_a_package_needs_no_command(project):
    settings = project.python / "setup.cfg"
    text_before = settings.read_text()
    settings.write_text(re.sub(r"(?s)\[options.entry_points\].*?\n\n", "", text_before))
    commit(project)
    for verb in "sdist", "wheels":
        ffiwheel(project, verb)
    text = ffiwheel(project, "audit")
    assert "findings" not in text and text.count("ok dist/") == 2
    settings.write_text(text_before)
    assert "entry_points.txt" in ffiwheel(project, "audit", fails=True)
