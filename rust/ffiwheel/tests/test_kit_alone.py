"""The kit without the tool: no Makefile, no .venv, no git; only what docs/without-the-tool.md
names."""

import shutil
import tarfile
import zipfile

import pytest

from adopter import KIT, make
from support import clean_environment, ffiwheel, named_interpreter, run
from test_cargo_settings import HOST
from test_crate_folder import CHECK


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    project = make(tmp_path_factory.mktemp("kit") / "project", "d", "m", "c")
    ffiwheel(project, "header")
    return project


@pytest.mark.parametrize("version", ["2.7", "3.13"])
def test_the_kit_alone_installs_and_packs(version, generated, request, tmp_path):
    root = tmp_path / "project"
    (root / "python").mkdir(parents=True)
    for name in [*KIT, "setup.cfg"]:
        shutil.copy(generated.python / name, root / "python")
    shutil.copytree(generated.python / "m", root / "python/m")
    shutil.copytree(generated.crate, root / "rust")
    for name in ["README.md", "LICENSE"]:
        shutil.copy(generated.root / name, root)
    environment = named_interpreter(request.config, version).environment(tmp_path / "venv")
    if version != "2.7":  # virtualenv brings the last ones for that
        environment.pip("install", "--quiet", "setuptools")
    options = ["--quiet", "--no-build-isolation"]
    environment.pip("install", *options, "-e", root / "python")
    run(environment.python, "-c", CHECK, cwd=tmp_path)
    environment.pip("uninstall", "--quiet", "--yes", "d")
    shutil.rmtree(root / "python/m/lib")
    variables = clean_environment(CARGO_BUILD_TARGET=HOST)
    words = ["setup.py", "--quiet", "sdist", "bdist_wheel"]
    run(environment.python, *words, cwd=root / "python", env=variables)
    assert (root / "rust/target" / HOST / "release").is_dir()
    dist = root / "python/dist"
    (sdist,), (wheel,) = dist.glob("*.tar.gz"), dist.glob("*.whl")
    assert wheel.name == "d-1.2.0rc3-py2.py3-none-linux_x86_64.whl"
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[-1] for name in archive.getnames()}
    assert {*KIT, "setup.cfg", "rust/src/lib.rs", "README.md", "LICENSE"} < names
    with zipfile.ZipFile(wheel) as archive:
        assert "d-1.2.0rc3.dist-info/licenses/LICENSE" in archive.namelist()
    for path in [sdist, wheel]:
        environment.pip("install", *options, path)
        run(environment.python, "-c", CHECK, cwd=tmp_path)
        where = "import m, os; print(os.path.dirname(os.path.dirname(m.__file__)))"
        folder = run(environment.python, "-c", where, cwd=tmp_path).strip()
        assert not set(KIT) & set(run("ls", folder, cwd=tmp_path).split())
        environment.pip("uninstall", "--quiet", "--yes", "d")
