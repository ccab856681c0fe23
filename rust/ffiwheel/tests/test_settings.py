"""What setup.cfg may say otherwise: several licences, each with its file, and no command."""

import re
import shutil
import sys
import tarfile
import zipfile
from email import message_from_string

import pytest

from adopter import make
from support import PACKAGE, commit, ffiwheel, long, named_interpreter, run

NAMES = ["LICENSE-APACHE", "LICENSE-MIT"]
LISTS = {
    "lines": "license_files =\n    LICENSE-MIT\n    LICENSE-APACHE",
    "commas": "license_files = LICENSE-MIT, LICENSE-APACHE",
    "a pattern": "license_files = LICENSE-*",
}


def licensed(project, listed):
    settings = project.python / "setup.cfg"
    project.edit(project.root / "rust/Cargo.toml", '"CC0-1.0"', '"MIT OR Apache-2.0"')
    project.edit(settings, "license_files = LICENSE", LISTS[listed])
    # One here, one in the project's folder.
    for name, folder in zip(NAMES, [project.root, project.python]):
        (folder / name).write_text(f"The text of {name}\n")
    (project.root / "LICENSE").unlink()
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
@pytest.mark.parametrize("version", ["3.13", *long("2.7")])
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
    (project.root / NAMES[0]).write_text("Another text\n")
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
    project.edit(settings, "[metadata]", "[metadata]\nlicense_files = ../LICENSE-APACHE")
    assert "which is outside" in project.setup("sdist", fails=True)


# ---- What the crate says ---------------------------------------------------------------------


def headers(project, python):
    """Of the metadata of a wheel that a Python makes."""
    shutil.rmtree(project.python / "dist", ignore_errors=True)
    run(python, "setup.py", "--quiet", "bdist_wheel", cwd=project.python)
    with zipfile.ZipFile(next((project.python / "dist").glob("*.whl"))) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
        return message_from_string(archive.read(name).decode())


@pytest.mark.parametrize("version", ["2.7", "3.6", "the newest setuptools"])
def test_setup_cfg_need_not_repeat_what_cargo_toml_says(version, request, tmp_path):
    project = make(tmp_path / "project", "d", "m", "c")
    manifest = project.crate / "Cargo.toml"
    more = 'homepage = "https://c.org"\nrepository = "https://c.org/git"\n\n[lib]'
    project.edit(manifest, "[lib]", more)
    ffiwheel(project, "header")
    python = sys.executable
    if "." in version:
        python = named_interpreter(request.config, version).environment(tmp_path / "venv").python
    said = headers(project, python)
    assert said["Summary"] == "Halves numbers" and said["License"] == "MIT"
    assert said["Home-page"] == "https://c.org" and said["Version"] == "1.2.0rc3"
    assert said["Project-URL"] == "Repository, https://c.org/git"
    assert said["Description-Content-Type"] == "text/markdown"
    settings = "description = Tiny\nlicense = MIT-0\nproject_urls =\n    Docs = https://d.org\n"
    project.edit(project.python / "setup.cfg", "license_files", settings + "license_files")
    said = headers(project, python)
    assert said["Summary"] == "Tiny" and said["License"] == "MIT-0"
    assert said.get("Home-page") in (None, "UNKNOWN")
    assert said["Project-URL"] == "Docs, https://d.org"


def test_the_judge_refuses_a_contradiction_and_what_is_left_of_a_template(tmp_path):
    project = make(tmp_path / "project", "d", "m", "c")
    project.edit(project.crate / "Cargo.toml", "Halves numbers", "TODO: what it does")
    project.edit(
        project.python / "setup.cfg",
        "license_files",
        "license = CC0-1.0\nurl = https://git.example.com/d\nlicense_files",
    )
    ffiwheel(project, "header")
    commit(project)
    ffiwheel(project, "sdist")
    text = ffiwheel(project, "audit", fails=True)
    assert text.count("error[W115]") == 1 and text.count("warning[W116]") == 2
    assert ffiwheel(project, "audit", "--release", fails=True).count("error[W116]") == 2
    assert 'its licence is "CC0-1.0" in setup.cfg, but "MIT" in Cargo.toml (license)' in text
    assert 'its summary is "TODO: what it does"' in text
    assert 'its address is "https://git.example.com/d"' in text


def test_a_field_of_the_crate_that_is_no_text_is_named(tmp_path):
    project = make(tmp_path / "project", "d", "m", "c")
    ffiwheel(project, "header")
    project.edit(project.crate / "Cargo.toml", '"Halves numbers"', '["Halves numbers"]')
    text = project.setup("--version", fails=True)
    assert "../rust/Cargo.toml has a `description` that is not a text" in text


def test_a_generated_file_of_another_version_is_stale(tmp_path):
    project = make(tmp_path / "project", "d", "m", "c")
    ffiwheel(project, "header")
    project.edit(project.crate / "Cargo.toml", "1.2.0-rc.3", "1.2.0")
    text = project.setup("--version", fails=True)
    assert "m/_ffi.py is stale: it has version 1.2.0rc3, but the crate has 1.2.0" in text
    assert "run `make header`" in text


# ---- What a project need not have ------------------------------------------------------------


@pytest.mark.parametrize("version", ["2.7", "the newest setuptools"])
def test_a_readme_of_any_kind_here_or_above_is_the_description(version, request, tmp_path):
    project = make(tmp_path / "project", "d", "m", "c")
    ffiwheel(project, "header")
    (project.root / "README.md").unlink()
    python = sys.executable
    if "." in version:
        python = named_interpreter(request.config, version).environment(tmp_path / "venv").python
    text = project.setup("--version", fails=True)
    assert "cannot read README.md" in text and "pip 21.3 or later" in text
    (project.root / "README.rst").write_text("d\n=\n")
    assert headers(project, python)["Description-Content-Type"] == "text/x-rst"
    (project.python / "about.txt").write_text("d\n")
    settings = "long_description = file: about.txt\n"
    project.edit(project.python / "setup.cfg", "license_files", settings + "license_files")
    said = headers(project, python)
    assert said["Description-Content-Type"] == "text/plain"
    commit(project)
    ffiwheel(project, "sdist")
    assert "ok dist/" in ffiwheel(project, "audit")


def test_a_stub_is_generated_for_a_package_with_types_alone(tmp_path):
    project = make(tmp_path / "project", "d", "m", "c")
    assert "_ffi.pyi" not in ffiwheel(project, "header")
    (project.python / "m/py.typed").touch()
    assert "m/_ffi.pyi" in ffiwheel(project, "header", "--check", fails=True)
    ffiwheel(project, "header")
    assert "c_halve" in (project.python / "m/_ffi.pyi").read_text()


def test_a_changelog_is_not_needed(tmp_path):
    project = make(tmp_path / "project", "d", "m", "c")
    ffiwheel(project, "header")
    assert "the version is 1.2.0:" in ffiwheel(project, "bump", "1.2.0")
    assert not (project.root / "CHANGELOG.md").exists()
    commit(project)
    assert "v1.2.0 can be built" in ffiwheel(project, "check-tag")


def test_a_constant_has_the_librarys_name_in_capitals(tmp_path):
    project = make(tmp_path / "project", "d", "m", "c-3z")
    with project.source.open("a") as file:
        file.write("\n/// Of halves.\npub const TWO: u32 = 2;\n")
    ffiwheel(project, "header")
    assert "#define C_3Z_TWO 2" in (project.crate / "include/c_3z.h").read_text()


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
