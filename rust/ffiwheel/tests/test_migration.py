"""docs/migration.md, followed for an example of each tool that it names."""

import json
import re
import shutil

import pytest

from support import ROOT, Adopter, Environment, Tree, git, run

pytestmark = pytest.mark.long  # each compiles a crate twice

EXAMPLES = ROOT / "scripts/adoption"
TOOLS = {tool["folder"]: tool for tool in json.loads((EXAMPLES / "tools.json").read_bytes())}

# What a generator writes, or an author by hand, beside the files of EXAMPLES.
MATURIN = {
    "Cargo.toml": """\
[package]
name = "greet"
version = "0.1.0"
edition = "2024"

[lib]
crate-type = ["cdylib"]
""",
    "pyproject.toml": """\
[build-system]
requires = ["maturin>=1.0,<2.0"]
build-backend = "maturin"

[project]
name = "greet"
requires-python = ">=3.8"
dependencies = ["cffi"]
dynamic = ["version"]

[project.scripts]
greet = "greet.__main__:main"

[tool.maturin]
bindings = "cffi"
python-source = "python"
module-name = "greet.greet"
""",
    "python/greet/__main__.py": """\
from greet import welcome


def main():
    print(welcome("you"))
""",
}
BY_HAND = {
    "rust/Cargo.toml": MATURIN["Cargo.toml"],
    "setup.py": """\
import shutil
import subprocess

from setuptools import setup
from setuptools.command.build_py import build_py


class Build(build_py):
    def run(self):
        subprocess.check_call(["cargo", "build", "--release"], cwd="rust")
        shutil.copy("rust/target/release/libgreet.so", "greet")
        build_py.run(self)


setup(
    name="greet",
    version="0.1.0",
    packages=["greet"],
    package_data={"greet": ["*.so"]},
    install_requires=["cffi"],
    cmdclass={"build_py": Build},
    has_ext_modules=lambda: True,
)
""",
    "greet/__init__.py": """\
import os

import cffi

ffi = cffi.FFI()
ffi.cdef("int64_t greet_subtract(uint32_t from_, uint32_t number);")
lib = ffi.dlopen(os.path.join(os.path.dirname(__file__), "libgreet.so"))
""",
    "greet/data.txt": "data\n",
}
# {example: (files, where the Python modules are, what is deleted at the end)}
PROJECTS = {
    "milksnake": ({}, "greet", ["setup.py"]),
    "maturin-cffi": (MATURIN, "python/greet", ["pyproject.toml", "Cargo.toml", "src"]),
    "setuptools-rust": ({}, "python/greet", ["pyproject.toml", "Cargo.toml", "MANIFEST.in"]),
    "by-hand": (BY_HAND, "greet", ["setup.py"]),
}


def repository(name, folder):
    """A project that is built by another tool, with one commit."""
    folder.mkdir()
    project = Tree(folder, "greet")
    files, _, _ = PROJECTS[name]
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    if name in TOOLS:
        shutil.copytree(EXAMPLES / name, folder, dirs_exist_ok=True)
        borrowed = TOOLS[name]["borrowed"]
    else:
        borrowed = {"rust/src/lib.rs": "maturin-cffi/src/lib.rs"}
    for path, source in borrowed.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(EXAMPLES / source, folder / path)
    git(project, "init", "--quiet")
    commit(project, "by another tool")
    return project


def commit(project, message):
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", message)


@pytest.mark.parametrize("name", PROJECTS)
def test_an_example_is_migrated(name, links, request, tmp_path):
    author = Adopter(tmp_path / "author", links)
    project = repository(name, author.folder / "greet")
    root = project.root
    _, package, old = PROJECTS[name]

    # 1: what is in the way is named, and nothing is written.
    if any((root / it).exists() for it in ("rust", "python/greet/__init__.py")):
        text = author("init", "greet", cwd=root, fails=True)
        assert "would be overwritten: " in text and git(project, "status", "--porcelain") == ""
    for folder in {package.split("/")[0], "rust"}:
        if (root / folder).exists():
            git(project, "mv", folder, f"old-{folder}")
    author("init", "greet", cwd=root)

    # 2: the modules and the settings.
    for path in (root / f"old-{package}").iterdir():
        if path.name != "__init__.py":
            git(project, "mv", str(path.relative_to(root)), f"python/greet/{path.name}")
    if name == "maturin-cffi":
        script = "console_scripts =\n    greet = greet.__main__:main\n"
        project.edit(
            root / "python/setup.cfg",
            "\n[build_library]",
            f"\n[options.entry_points]\n{script}\n[build_library]",
        )

    # 3 and 4: what is exported, and the calls.
    shutil.copytree(EXAMPLES / "ffiwheel", root, dirs_exist_ok=True)
    author.make(project, "header")

    # 5
    git(project, "rm", "-r", "--quiet", "--cached", *[it for it in old if (root / it).exists()])
    for it in [*old, *[path.name for path in root.glob("old-*")]]:
        path = root / it
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    commit(project, "by this one")
    text = author.make(project, "test", "wheels")
    assert re.search(r"greet-0\.1\.0-py2\.py3-none-\S+\.whl", text)
    environment = Environment(root / ".venv")
    (wheel,) = (root / "dist").glob("*.whl")
    environment.pip("install", "--no-deps", "--force-reinstall", wheel)
    run(environment.python, EXAMPLES / "ffiwheel/scripts/smoke.py", cwd=tmp_path)
    if name == "maturin-cffi":
        assert run(environment.bin / "greet", cwd=tmp_path) == "Welcome, you!\n"
    if name == "by-hand":
        code = "import pkgutil; print(pkgutil.get_data('greet', 'data.txt').decode())"
        assert run(environment.python, "-c", code, cwd=tmp_path).strip() == "data"
    assert git(project, "status", "--porcelain") == ""
