"""What is packed: everything of the package, by every way; what is not, is refused by name."""

import shutil
import sys
import tarfile
import zipfile

import pytest

from support import PACKAGE, clean_environment, commit, ffiwheel, long, named_interpreter, run
from test_decisions import place

# A subpackage, its data, a folder of data, a folder with a name that cargo's has, too.
MORE = ["more/__init__.py", "more/data/table.csv", "data/text.txt", "target/__init__.py"]


def add(project, names):
    for name in names:
        path = project.python / PACKAGE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")


def names_in(path):
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as archive:
            # The old setuptools packs below .data/purelib, which pip unpacks to the same place.
            names = [name.split("/purelib/")[-1] for name in archive.namelist()]
    else:
        with tarfile.open(path) as archive:
            names = [member.name.split("/", 1)[1] for member in archive if member.isfile()]
    return {name.split("/", 1)[1] for name in names if name.startswith(f"{PACKAGE}/")}


@pytest.mark.parametrize("version", ["2.7", "3.6", "the newest setuptools"])
def test_what_setup_cfg_does_not_name_is_packed_too(version, request, project, built, tmp_path):
    python = sys.executable
    if "." in version:
        python = named_interpreter(request.config, version).environment(tmp_path / "venv").python
    add(project, MORE)
    place(project, built)
    run(python, "setup.py", "sdist", "bdist_wheel", cwd=project.python)
    wheel, sdist = (next((project.python / "dist").glob(end)) for end in ("*.whl", "*.gz"))
    package = names_in(sdist) - {"lib/README.md"}
    assert set(MORE) < package
    assert names_in(wheel) == package | {f"lib/{project.library.name}"}


def test_a_strict_editable_install_has_it_as_well(project, built, tmp_path):
    add(project, MORE)
    place(project, built)
    run(sys.executable, "-m", "venv", "--system-site-packages", tmp_path / "venv", cwd=tmp_path)
    words = ["--no-build-isolation", "--no-deps", "--config-settings", "editable_mode=strict"]
    python = tmp_path / "venv/bin/python"
    path = next(path for path in sys.path if path.endswith("site-packages"))
    environment = clean_environment(PYTHONPATH=path)
    pip = [python, "-m", "pip", "install", "--quiet", *words, "--editable", project.python]
    run(*pip, cwd=tmp_path, env=environment)
    code = f"import {PACKAGE}.more, {PACKAGE}.target as target; print(target.__file__)"
    assert "__editable__" in run(python, "-c", code, cwd=tmp_path, env=environment)


@pytest.mark.parametrize("name", ["libhelper.so", "helper.dll", "model.bin", "data/table.csv"])
def test_another_file_in_lib_is_refused_by_name(name, project, built):
    place(project, built)
    add(project, [f"lib/{name}"])
    for command in ["sdist", "bdist_wheel"]:
        text = project.setup(command, fails=True)
        assert f"{PACKAGE}/lib/{name} is not packed: a wheel holds what is built" in text
        assert "Traceback" not in text
    project.setup("build_library", "--inplace")  # It is where it is looked for.


def test_what_belongs_to_the_library_may_lie_beside_it(project, built):
    place(project, built)
    names = [f"{PACKAGE}.dll", f"lib{PACKAGE}.dylib", f"lib{PACKAGE}.so.debug", ".hidden", "x~"]
    add(project, [f"lib/{name}" for name in names])
    libraries = {name for name in names_in(project.wheel()) if name.startswith("lib/")}
    assert libraries == {f"lib/{project.library.name}"}


@pytest.mark.parametrize(
    "setting",
    [f"packages = {PACKAGE}, other", "py_modules = other", "scripts = other.sh"],
)
def test_what_lies_beside_the_package_is_refused_by_name(setting, project, built):
    place(project, built)
    (project.python / "other").mkdir()
    for name in ["other/__init__.py", "other.py", "other.sh"]:
        (project.python / name).write_text("")
    old = f"packages = {PACKAGE}\n"
    new = setting + "\n" if setting.startswith("packages") else f"{old}{setting}\n"
    project.edit(project.python / "setup.cfg", old, new)
    for command in ["sdist", "bdist_wheel"]:
        text = project.setup(command, fails=True)
        assert "setup.cfg names other" in text and f"under `{setting.split()[0]}`" in text


def test_the_judge_expects_what_is_committed_and_packed(project):
    """A subpackage and data; no hidden file, and nothing beside the package."""
    add(project, [*MORE[:3], ".editorconfig"])
    for name in ["rust/.gitignore", "rust/rustfmt.toml", "python/tox.ini"]:
        (project.root / name).write_text("")
    commit(project)
    ffiwheel(project, "sdist")
    ffiwheel(project, "wheels")
    assert "error" not in ffiwheel(project, "audit")
    (project.python / PACKAGE / "stray.txt").write_text("")
    shutil.rmtree(project.root / "dist")
    ffiwheel(project, "sdist")
    text = ffiwheel(project, "audit", fails=True)
    assert "stray.txt: it does not belong in the sdist; commit what belongs in" in text


@pytest.mark.parametrize("version", ["2.7", "the newest setuptools", *long("3.6")])
@pytest.mark.parametrize("way", ["egg_info -b .dev7 {}", "{} egg_info --tag-build .dev7", "file"])
def test_a_tag_is_in_every_name_and_in_all_metadata(
    way, version, request, project, built, tmp_path
):
    """And in what is built from the sdist."""
    python = sys.executable
    if "." in version:
        python = named_interpreter(request.config, version).environment(tmp_path / "venv").python
    place(project, built)
    if way == "file":
        with (project.python / "setup.cfg").open("a") as file:
            file.write("[egg_info]\ntag_build = .dev7\n")
    words = way.replace("file", "{}").format("sdist bdist_wheel").split()
    run(python, "setup.py", *words, cwd=project.python)
    (sdist,) = (project.python / "dist").glob("*.gz")
    (wheel,) = (project.python / "dist").glob("*.whl")
    assert sdist.name == f"{PACKAGE}-0.1.0.dev7.tar.gz"
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "unpacked")
    (tree,) = (tmp_path / "unpacked").iterdir()
    assert tree.name == f"{PACKAGE}-0.1.0.dev7"
    assert "\nVersion: 0.1.0.dev7\n" in (tree / "PKG-INFO").read_text()
    for path in built:
        shutil.copy(path, tree / PACKAGE / "lib")
    run(python, "setup.py", "bdist_wheel", "--dist-dir", tmp_path, cwd=tree)
    for made in [wheel, next(tmp_path.glob("*.whl"))]:
        assert made.name.startswith(f"{PACKAGE}-0.1.0.dev7-py2.py3-none-")
        with zipfile.ZipFile(made) as archive:
            info = f"{PACKAGE}-0.1.0.dev7.dist-info/METADATA"
            assert "\nVersion: 0.1.0.dev7\n" in archive.read(info).decode()


def test_a_release_has_no_tag(project):
    with (project.python / "setup.cfg").open("a") as file:
        file.write("[egg_info]\ntag_build = .dev7\n")
    for verb in ["sdist", "wheels"]:
        text = ffiwheel(project, verb, fails=True)
        assert "0.1.0.dev7.tar.gz" in text and "remove `tag_build`" in text
    assert not (project.root / "dist").exists()
