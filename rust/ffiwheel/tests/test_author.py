"""What an author may do, in a project of another author."""

import re
import sys
import zipfile

import pytest

from adopter import make
from support import (
    CARGO,
    build_without_network,
    clean_environment,
    commit,
    ffiwheel,
    git,
    named_interpreter,
    needs_standard_libraries,
    run,
)
from test_crate_folder import findings, names_in

MORE = """\
//! A module of its own, with its own exports.

use crate::ffi::export;

export! {
    /// Twice a number.
    fn c_more_twice(number: u32) -> u64 {
        Ok(u64::from(number) * 2)
    }
}
"""
SETTINGS = """\
[metadata]
name = d
license_files = LICENSE-MIT, LICENSE-APACHE

[options]
packages = m
python_requires = >=2.7
install_requires =
    cffi>=1.15.1; platform_python_implementation != "PyPy"
    six

[options.extras_require]
more = pluggy

[options.entry_points]
console_scripts =
    halve = m.more.command:main
    twice = m.more.command:other
"""
COMMAND = """\
import m


def main():
    print(m.halve(8)[0])


def other():
    print(m.twice(8))
"""


@pytest.fixture(scope="module")
def rich(tmp_path_factory):
    """A project with two commands, a subpackage, data, types, an extra, two licences, README.rst,
    and exports in two modules of its crate."""
    folder = tmp_path_factory.mktemp("rich") / "project"
    names = ["LICENSE-MIT", "LICENSE-APACHE"]
    project = make(folder, "d", "m", "c", licences=names, licence="MIT OR Apache-2.0")
    (project.root / "README.md").rename(project.root / "README.rst")
    (project.root / "README.rst").write_text("d\n=\n\nHalves numbers.\n")
    (project.python / "setup.cfg").write_text(SETTINGS)
    (project.crate / "src/more.rs").write_text(MORE)
    project.edit(project.source, "mod ffi;\n", "mod ffi;\nmod more;\n")
    unnamed = run(CARGO, "check", cwd=project.crate, fails=True)
    assert "constant `EXPORTS` is never used" in unnamed
    project.edit(project.source, "export! {\n", "export! {\n    mod more;\n\n")
    for name, text in {
        "more/__init__.py": "",
        "more/command.py": COMMAND,
        "more/command.pyi": "def main() -> None: ...\ndef other() -> None: ...\n",
        "data/table.csv": "1,2\n",
        "py.typed": "",
    }.items():
        (project.python / "m" / name).parent.mkdir(exist_ok=True)
        (project.python / "m" / name).write_text(text)
    with (project.python / "m/__init__.py").open("a") as file:
        file.write("def twice(n): return lib.c_more_twice(n)\n")
    ffiwheel(project, "header")
    commit(project)
    ffiwheel(project, "sdist")
    ffiwheel(project, "wheels")
    return project


def test_the_judge_knows_all_that_is_in_a_rich_package(rich):
    assert findings(rich) == []
    (wheel,) = (rich.root / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read("d-1.2.0rc3.dist-info/METADATA").decode()
    for name in ["more/command.pyi", "data/table.csv", "py.typed", "_ffi.pyi"]:
        assert f"m/{name}" in names
    assert "License: MIT OR Apache-2.0" in metadata
    assert metadata.count("License-File: ") == 2 and "text/x-rst" in metadata
    assert re.search("Provides-Extra: more", metadata)


@pytest.mark.parametrize("version", ["2.7", "3.13"])
@pytest.mark.parametrize("kind", ["*.whl", "*.tar.gz"])
def test_a_rich_package_works_installed(version, kind, rich, request, tmp_path):
    environment = named_interpreter(request.config, version).environment(tmp_path / "venv")
    if version != "2.7":
        environment.pip("install", "--quiet", "setuptools")
    (path,) = (rich.root / "dist").glob(kind)
    environment.pip("install", "--quiet", "--no-build-isolation", path)
    assert run(environment.bin / "halve", cwd=tmp_path) == "4\n"
    assert run(environment.bin / "twice", cwd=tmp_path) == "16\n"
    data = "import m, os; print(os.listdir(os.path.join(os.path.dirname(m.__file__), 'data')))"
    assert run(environment.python, "-c", data, cwd=tmp_path) == "['table.csv']\n"


@pytest.mark.long
def test_without_python_2_the_tag_says_so_everywhere(tmp_path):
    project = make(tmp_path / "project", "d", "m", "c")
    project.edit(project.python / "setup.cfg", "= >=2.7", "= >=3.8, !=3.9.0")
    ffiwheel(project, "header")
    commit(project)
    ffiwheel(project, "sdist")
    ffiwheel(project, "wheels")
    assert findings(project) == []
    assert len(list((project.root / "dist").glob("*-py3-none-manylinux*.whl"))) == 1
    assert project.wheel().name == "d-1.2.0rc3-py3-none-linux_x86_64.whl"
    text = ffiwheel(project, "smoke", "host")
    assert "2.7" not in text and "3.6" not in text and "3.13" in text
    (wheel,) = (project.root / "dist").glob("*.whl")
    wheel.rename(str(wheel).replace("-py3-", "-py2.py3-"))
    text = ffiwheel(project, "audit", fails=True)
    assert "W109" in text and "its tag is py2.py3-none, not py3-none" in text


def test_features_of_the_crate_are_chosen_in_setup_cfg(tmp_path):
    project = make(tmp_path / "project", "d", "m", "c")
    project.edit(project.crate / "Cargo.toml", "[lib]", "[features]\nloud = []\nbig = []\n\n[lib]")
    body = 'if cfg!(all(feature = "loud", feature = "big")) { "loud" } else { "quiet" }'
    project.edit(project.source, 'env!("CARGO_PKG_NAME")', body)
    ffiwheel(project, "header")
    settings = project.python / "setup.cfg"
    ask = "import m; print(m.halve(8)[1])"

    def says():
        return run(sys.executable, "-c", ask, cwd=project.python).strip()

    ffiwheel(project, "lib")
    assert says() == "quiet"
    settings.write_text(settings.read_text() + "\n[build_library]\nfeatures = loud, big\n")
    text = project.setup("build_library", "--inplace")
    assert "was built with other features" in text and "--features loud,big" in text
    assert says() == "loud"
    commit(project)
    ffiwheel(project, "lib")
    assert says() == "loud" and "cargo" not in project.setup("build_library", "--inplace")
    ffiwheel(project, "header", "--check")
    ffiwheel(project, "sdist")
    ffiwheel(project, "wheels")
    assert findings(project) == []
    project.edit(settings, "loud, big", "quiet")
    assert "quiet" in project.setup("build_library", "--inplace", fails=True)


def test_a_crate_from_git_is_vendored(tmp_path):
    class dependency:
        root = tmp_path / "dependency"

    (dependency.root / "src").mkdir(parents=True)
    (dependency.root / "src/lib.rs").write_text("pub fn two() -> u32 {\n    2\n}\n")
    (dependency.root / "Cargo.toml").write_text('[package]\nname = "two"\nversion = "0.1.0"\n')
    commit(dependency)
    project = make(tmp_path / "project", "d", "m", "c")
    needed = f'[dependencies]\ntwo = {{ git = "file://{dependency.root}" }}\n\n[lib]'
    project.edit(project.crate / "Cargo.toml", "[lib]", needed)
    project.edit(project.source, "number / 2", "number / two::two()")
    run(CARGO, "generate-lockfile", cwd=project.crate)
    commit(project)
    ffiwheel(project, "header")
    git(project, "add", "--all")
    ffiwheel(project, "sdist", "--vendor")
    (sdist,) = (project.root / "dist").glob("*.tar.gz")
    assert "rust/vendor/two/src/lib.rs" in names_in(sdist)
    dependency.root.rename(tmp_path / "gone")
    build_without_network(sdist, tmp_path)


BUILD = """\
fn main() {
    cc::Build::new().file("src/twice.c").compile("twice");
    println!("cargo:rerun-if-changed=src/twice.c");
}
"""
CALL = """\

#[allow(unsafe_code)]
mod c {
    pub fn twice(number: u32) -> u32 {
        extern "C" {
            fn twice_in_c(number: u32) -> u32;
        }
        unsafe { twice_in_c(number) }
    }
}
"""
PLATFORMS = ["manylinux_x86_64", "manylinux_aarch64", "win_amd64", "macosx_arm64"]


@pytest.mark.long
@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_build_script_compiles_c_for_the_target(platform, tmp_path):
    """By the crate cc, which takes the compiler of the linker: zig's."""
    project = make(tmp_path / "project", "d", "m", "c")
    needs_standard_libraries(ffiwheel(project, "doctor", platform))
    needed = '[build-dependencies]\ncc = "=1.2.30"\n\n[lib]'
    project.edit(project.crate / "Cargo.toml", "[lib]", needed)
    (project.crate / "build.rs").write_text(BUILD)
    (project.crate / "src/twice.c").write_text(
        "unsigned twice_in_c(unsigned number) { return number * 2; }\n"
    )
    project.edit(project.source, "number / 2)", "c::twice(number) / 4)")
    project.source.write_text(project.source.read_text() + CALL)
    run(CARGO, "generate-lockfile", cwd=project.crate)
    ffiwheel(project, "header")
    commit(project)
    ffiwheel(project, "sdist")
    environment = clean_environment()
    if platform.startswith("macosx"):
        environment["CARGO_PROFILE_RELEASE_LTO"] = "true"  # which hides Rust's functions
    ffiwheel(project, "wheels", platform, env=environment)
    assert findings_of_builds(project) == []


def findings_of_builds(project):
    """Without the sdist's own build, which needs the crate cc from the network's cache."""
    return [line for line in findings(project) if "S707" not in line]
