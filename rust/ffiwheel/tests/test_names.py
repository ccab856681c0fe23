"""Distribution, package and crate each have a name of their own, in a project of another author."""

import json
import sys
import tarfile
import zipfile
from configparser import Error, RawConfigParser

import pytest

from adopter import make
from support import FFIWHEEL, ROOT, commit, ffiwheel, named_interpreter, run

sys.path.insert(0, str(ROOT / "python"))
import platform_tag

STEM = "d_9_x-1.2.0rc3"
HALVES = """
import m
assert m.halve(8) == (4, u"c-3z"), m.halve(8)
try:
    m.halve(7)
except ValueError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def adopter(tmp_path_factory):
    project = make(tmp_path_factory.mktemp("names") / "project", "D.9-x", "m", "c-3z")
    commit(project)
    project.said = ffiwheel(project, "header")
    commit(project)
    return project


@pytest.fixture(scope="module")
def dist(adopter):
    ffiwheel(adopter, "sdist")
    ffiwheel(adopter, "wheels", "host")
    return adopter.root / "dist"


# ---- What each name is for -----------------------------------------------------------------


def test_the_header_is_named_after_the_crate(adopter):
    header = (adopter.root / "rust/include/c_3z.h").read_text()
    for text in ["int64_t c_3z_halve(uint32_t number);", '#define C_3Z_VERSION "1.2.0rc3"']:
        assert text in header
    module = (adopter.python / "m/_ffi.py").read_text()
    assert "DISTRIBUTION = 'D.9-x'\nPREFIX = 'c_3z'\n" in module
    assert adopter.said.count("wrote ") == 2
    assert "are up to date" in ffiwheel(adopter, "header", "--check")


def test_the_sdist_is_named_after_the_distribution(dist):
    with tarfile.open(dist / f"{STEM}.tar.gz") as archive:
        names = archive.getnames()
    assert {name.split("/")[0] for name in names} == {STEM}
    for name in ["m/__init__.py", "m/_ffi.py", "rust/src/ffi.rs", "LICENSE"]:
        assert f"{STEM}/{name}" in names


def test_a_wheel_is_named_after_the_distribution_and_its_library_after_the_module(dist, tmp_path):
    (wheel,) = dist.glob(f"{STEM}-py2.py3-none-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        library = archive.extract("m/lib/libm.so", tmp_path)
        metadata = archive.read(f"{STEM}.dist-info/METADATA").decode()
    assert "\nName: D.9-x\n" in metadata
    assert f"{STEM}.dist-info/sboms/m.cdx.json" in names
    assert not [name for name in names if "entry_points" in name]
    assert {name.split("/")[0] for name in names} == {"m", f"{STEM}.dist-info"}
    assert platform_tag.fingerprint(library, "c_3z")


def test_the_judge_knows_the_files_by_their_names(adopter, dist):
    judged = json.loads(ffiwheel(adopter, "audit", "--json"))
    assert [it["file"].split("/")[1].split("-")[0] for it in judged] == ["d_9_x"] * 2
    assert [it["findings"] for it in judged] == [[], []]
    text = ffiwheel(adopter, "audit", "--release", fails=True)
    assert f"error[X801] dist/: {STEM}-py2.py3-none-win_amd64.whl: it is missing" in text
    assert "X802" not in text and "X803" not in text


def test_the_judge_misses_what_the_settings_name(adopter, dist):
    settings = adopter.python / "setup.cfg"
    before = settings.read_text()
    settings.write_text(before + "[options.entry_points]\nconsole_scripts = a = m:halve\n")
    try:
        text = ffiwheel(adopter, "audit", fails=True)
    finally:
        settings.write_text(before)
    assert f"{STEM}.dist-info/entry_points.txt: it is missing" in text


def test_the_library_is_put_where_the_package_looks_for_it(adopter):
    assert ffiwheel(adopter, "lib").endswith("python/m/lib/libm.so\n")
    assert platform_tag.fingerprint(str(adopter.library), "c_3z")


@pytest.mark.parametrize("name", ["2.7", "3.13"])
def test_the_installed_wheel_works(dist, request, tmp_path, name):
    (wheel,) = dist.glob("*.whl")
    environment = named_interpreter(request.config, name).environment(tmp_path / "venv")
    environment.pip("install", "--quiet", wheel)
    printed = run(environment.python, "-c", HALVES, cwd=tmp_path)
    assert printed == "the number is odd\n"


@pytest.mark.parametrize("name", ["2.7", "3.13"])
def test_an_editable_install_builds_the_crate(adopter, request, tmp_path, name):
    project = make(tmp_path / "project", "D.9-x", "m", "c-3z")
    for path in ["rust/include/c_3z.h", "python/m/_ffi.py"]:
        (project.root / path).parent.mkdir(exist_ok=True)
        (project.root / path).write_bytes((adopter.root / path).read_bytes())
    environment = named_interpreter(request.config, name).environment(tmp_path / "venv")
    environment.pip("install", "--quiet", "-e", project.python)
    assert run(environment.python, "-c", HALVES, cwd=tmp_path) == "the number is odd\n"
    assert project.library.is_file()


# ---- Where the names come from -------------------------------------------------------------


def test_the_library_of_the_crate_may_have_another_name_than_its_package(tmp_path):
    module, lib = "m" * 30, "l" * 30
    project = make(tmp_path / "project", "d" * 30, module, "a-crate", lib=lib)
    ffiwheel(project, "header")
    assert (project.root / f"rust/include/{lib}.h").is_file()
    assert ffiwheel(project, "lib").endswith(f"python/{module}/lib/lib{module}.so\n")
    project.library.unlink()
    project.setup("build_library", "--inplace")
    assert platform_tag.fingerprint(str(project.library), lib)


@pytest.mark.parametrize(
    "line, write",
    [("name = D.9-x", "write `name = <name>`"), ("packages = m", "write `packages = <name>`")],
)
def test_a_name_that_is_missing_is_asked_for(tmp_path, line, write):
    project = make(tmp_path / "project", "D.9-x", "m", "c-3z")
    project.edit(project.python / "setup.cfg", line + "\n", "")
    text = ffiwheel(project, "header", fails=True)
    assert "error: python/setup.cfg" in text and write in text


def test_a_project_without_a_crate_is_told_what_packs_it(tmp_path):
    project = make(tmp_path / "project", "D.9-x", "m", "c-3z")
    (project.root / "rust/Cargo.toml").unlink()
    text = ffiwheel(project, "header", fails=True)
    assert "/rust/Cargo.toml: this tool builds the crate" in text
    assert "`command` there names another build" in text


def test_the_nearest_folder_with_settings_is_the_project(tmp_path):
    outer = make(tmp_path / "outer", "outer", "m", "c")
    inner = make(outer.root / "some/folder", "inner", "m", "c")
    inner.edit(inner.python / "setup.cfg", "name = inner", "name =")
    assert "does not name the project" in ffiwheel(inner, "targets", fails=True)
    ffiwheel(outer, "targets")
    text = run(*FFIWHEEL, "--", "targets", cwd=tmp_path, fails=True)
    assert "is not in a project: no folder above it contains python/setup.cfg" in text


def test_settings_are_read_as_python_reads_them():
    """The pipeline's tests hold its own reader against the same file."""
    for text, expected in json.loads(
        (ROOT / "rust/ffiwheel/tests/fixtures/setup_cfg.json").read_text("utf-8")
    ):
        parser = RawConfigParser()
        try:
            # A file's lines, as Python opens it, end with line feeds.
            parser.read_string(text.replace("\r\n", "\n").replace("\r", "\n"))
        except Error:
            assert expected is None, text
        else:
            assert {it: dict(parser.items(it)) for it in parser.sections()} == expected, text
