"""The example of docs/html5ever.md: a parser of many crates becomes a package for every Python by
`new` and the author's files in docs/html5ever/, and is then built, run and counted."""

import re
import shutil
import sys

import pytest

from support import (
    ROOT,
    Adopter,
    Tree,
    commit,
    git,
    link_roots,
    named_interpreter,
    run,
    take_standard_libraries,
)

EXAMPLE = ROOT / "docs/html5ever"
MANIFEST = EXAMPLE / "rust/Cargo.toml"
PAGE = ROOT / "docs/html5ever.md"

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def author(links, tmp_path_factory):
    return Adopter(tmp_path_factory.mktemp("html5ever") / "author", links)


@pytest.fixture(scope="module")
def project(author):
    (version,) = re.findall(r'^html5ever = "(.*)"', MANIFEST.read_text(), re.M)
    author("new", "html5-tree", "--crate", f"html5ever@{version}")
    project = Tree(author.folder / "html5-tree", "html5_tree")
    shutil.copytree(EXAMPLE, project.root, dirs_exist_ok=True)
    author("header", cwd=project.root)
    commit(project)
    author("wheels", "host", cwd=project.root)
    author("sdist", cwd=project.root)
    return project


GENERATED = {"rust/Cargo.lock", "rust/include/html5_tree.h", "python/html5_tree/_ffi.py"}


def test_the_authors_lines_are_few_and_on_the_page(project):
    """Lines that were added to what `new` wrote."""
    lines = {"Rust": 0, "Python": 0, "the smoke test": 0, "everything else": 0}
    kinds = {"src/lib.rs": "Rust", "__init__.py": "Python", "smoke.py": "the smoke test"}
    for row in git(project, "diff", "--numstat", "HEAD~1", "HEAD").splitlines():
        added, _, name = row.split("\t")
        if name not in GENERATED:
            ends = [kind for end, kind in kinds.items() if name.endswith(end)]
            lines[ends[0] if ends else "everything else"] += int(added)
    assert lines["Rust"] <= 245 and lines["Python"] <= 170 and lines["everything else"] <= 20
    rows = dict(re.findall(r"^\| ([\w ]+) \| (\d+) \|", PAGE.read_text(), re.M))
    assert {kind: int(rows[kind]) for kind in lines} == lines


def test_it_is_formatted_and_the_judge_finds_nothing(author, project):
    # Debian's cargo, which the others may use, has no clippy of its own, and takes rustup's.
    chosen = {"CARGO", "RUSTC", "RUSTDOC"}
    environment = {name: it for name, it in author.environment.items() if name not in chosen}
    run("make", "lint", cwd=project.root, env=environment)
    text = author.make(project, "audit", "RELEASE=1", fails=True)
    assert {code for code in re.findall(r"error\[(\w+)\]", text)} == {"X801"}, "other platforms"


@pytest.mark.parametrize("version", ["2.7", "3.13", "pypy3"])
@pytest.mark.parametrize("kind", ["*.whl", "*.tar.gz"])
def test_it_works_installed(kind, version, project, request, tmp_path):
    environment = named_interpreter(request.config, version).environment(tmp_path / "venv")
    (path,) = (project.root / "dist").glob(kind)
    environment.pip("install", "--quiet", path)
    text = run(environment.python, project.root / "scripts/smoke.py", cwd=tmp_path)
    assert text == "html5_tree 0.1.0 is right\n"


LEAK = """
import gc, html5_tree

class Failing(html5_tree.Builder):
    def comment(self, text):
        raise KeyError(text)

def memory():
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

def rounds(count):
    for _ in range(count):
        try:
            html5_tree.parse("<p>" + 1000 * "<b>text</b>" + "<!--end-->", Failing())
        except KeyError:
            pass
        else:
            raise AssertionError("no error was raised")

rounds(20)
before = memory()
rounds(400)
print(memory() - before)
"""


def test_a_parser_that_an_exception_ends_is_freed(project, request, tmp_path):
    """What Rust keeps of a document of a thousand elements is 80 kB at least."""
    environment = named_interpreter(request.config, "3.13").environment(tmp_path / "venv")
    (wheel,) = (project.root / "dist").glob("*-manylinux*_x86_64.whl")
    environment.pip("install", "--quiet", wheel)
    assert int(run(environment.python, "-c", LEAK, cwd=tmp_path)) < 400 * 20_000


def test_a_panic_under_the_parser_is_an_exception(project, tmp_path):
    copy = Tree(tmp_path / "copy", "html5_tree")
    ignored = shutil.ignore_patterns(".venv", "dist")
    shutil.copytree(project.root, copy.root, ignore=ignored, symlinks=True)
    copy.edit(copy.source, "match (self.build)", 'assert_ne!(made, 3, "three"); match (self.build)')
    copy.setup("build_library", "--inplace")
    code = """
import html5_tree
try:
    html5_tree.parse("<p>")
except html5_tree.RustPanic as error:
    print(error)
"""
    text = run(sys.executable, "-c", code, cwd=copy.python)
    assert "three" in text and "(src/lib.rs:" in text and text.count("\n") <= 3


# How far each gets on one Linux machine.
PLATFORMS = {
    "manylinux_aarch64": "installed",
    "macosx_arm64": "functions only",
    "win_amd64": "installed",
}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_other_platforms_are_built_and_run(platform, author, project):
    take_standard_libraries(author("doctor", platform, cwd=project.root), project)
    link_roots(project)
    author("wheels", platform, cwd=project.root, timeout=1800)
    text = author("smoke", platform, cwd=project.root, timeout=1800)
    assert re.search(rf"^{platform} +{PLATFORMS[platform]} ", text, re.M)
