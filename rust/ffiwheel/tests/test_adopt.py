"""Another library's author installs the tool from its wheel, which makes a project in which every
verb passes untouched."""

import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from support import (
    CARGO,
    ROOT,
    Adopter,
    Environment,
    Tree,
    clean_environment,
    git,
    link_roots,
    named_interpreter,
    run,
    take_standard_libraries,
)


@pytest.fixture(scope="session")
def made(links, tmp_path_factory):
    """An author, and what `new` printed of the project that it made."""
    author = Adopter(tmp_path_factory.mktemp("made") / "author", links)
    author.said = author("new", "Fast.Thing-2", "project")
    author.project = Tree(author.folder / "project", "fast_thing_2")
    return author


@pytest.fixture
def author(made, links, tmp_path):
    """Another one, who takes the tools in .venv from there: to install them takes a minute."""

    class Another(Adopter):
        def take_tools(self, project):
            (project.root / ".venv").symlink_to(made.project.root / ".venv")
            (project.root / ".git/info/exclude").write_text(".venv\n")
            pins = project.root / "ci/requirements.txt"
            if pins.exists():
                os.utime(pins, (0, 0))  # make goes by the time

    return Another(tmp_path / "author", links)


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# ---- new ------------------------------------------------------------------------------------


def test_a_new_project_passes_untouched(made, request):
    author, project = made, made.project
    assert "made project with 25 files, in one commit" in made.said
    assert git(project, "rev-list", "--count", "HEAD").strip() == "1"
    names = git(project, "ls-files").splitlines()
    assert len(names) == 25
    pins = (project.root / "ci/requirements.txt").read_text()
    assert re.search(r"\nffiwheel==\S+ \\\n    --hash=sha256:[0-9a-f]{64}\n", pins)

    author.make(project, "dev")
    code = "import fast_thing_2 as it; print(it.greeting('Zo\\u00eb'), it.rest(5, 3))"
    environment = Environment(project.root / ".venv")
    assert run(environment.python, "-c", code, cwd=author.folder) == "Hello Zoë from Rust! 2\n"
    author.make(project, "lint")
    text = author.make(project, "wheels", "sdist")
    assert "CPython" in text and "warning[W116]" in text
    author.make(project, "audit")
    assert git(project, "status", "--porcelain") == ""
    # What is left of the template is not released.
    assert "error[W116]" in author.make(project, "audit", "RELEASE=1", fails=True)
    author.make(project, "clean")
    assert not (project.root / "dist").exists() and git(project, "status", "--porcelain") == ""

    # The author's machine, without the tool: pip and setup.py are enough.
    python = named_interpreter(request.config, "2.7").environment(author.folder / "venv")
    python.pip("install", "--editable", project.python, env=clean_environment())
    run(python.python, project.root / "scripts/smoke.py", cwd=author.folder)


def test_a_new_project_of_a_program(author):
    author("new", "fast-tool", "--kind", "program", "--license", "MIT OR Apache-2.0")
    project = Tree(author.folder / "fast-tool", "fast_tool")
    author.take_tools(project)
    names = git(project, "ls-files").splitlines()
    assert {"LICENSE-MIT", "LICENSE-APACHE", "rust/src/main.rs"} < set(names) and len(names) <= 25
    author.make(project, "lint")
    author.make(project, "dev")
    environment = Environment(project.root / ".venv")
    for command in [[environment.bin / "fast-tool"], [environment.python, "-m", "fast_tool"]]:
        assert run(*command, "--version", cwd=author.folder) == "fast-tool 0.1.0\n"
    environment.pip("uninstall", "--yes", "fast-tool")
    author.make(project, "sdist", "audit")
    assert git(project, "status", "--porcelain") == ""


@pytest.mark.long
@pytest.mark.parametrize("kind", ["c-abi", "command"])
def test_a_new_project_with_a_header_of_its_own(author, kind):
    author("new", "fast-thing", "--kind", kind)  # which installs the tools
    project = Tree(author.folder / "fast-thing", "fast_thing")
    assert len(git(project, "ls-files").splitlines()) <= 25
    author.make(project, "lint")
    author.make(project, "dev")
    environment = Environment(project.root / ".venv")
    code = "import fast_thing; print(fast_thing.rest(5, 3))"
    assert run(environment.python, "-c", code, cwd=author.folder) == "2\n"
    environment.pip("uninstall", "--yes", "fast-thing")
    author.make(project, "wheels", "sdist")
    author.make(project, "audit")
    assert git(project, "status", "--porcelain") == ""


def test_without_git_the_project_has_no_commit(author, tmp_path):
    environment = {**author.environment, "PATH": str(tmp_path), "PYTHON": sys.executable}
    text = author("new", "fast-tool", "--kind", "program", env=environment)
    assert "made fast-tool, without a commit: git is not installed" in text
    assert not (author.folder / "fast-tool/.git").exists()
    run(CARGO, "metadata", "--locked", "--format-version=1", cwd=author.folder / "fast-tool/rust")


@pytest.mark.long
@pytest.mark.parametrize("kind", ["gate", "c-abi", "command", "program"])
def test_each_kind_is_built_for_other_platforms_and_rehearsed(author, kind):
    author("new", "fast-thing", "--kind", kind)  # which installs the tools
    project = Tree(author.folder / "fast-thing", "fast_thing")
    if not (project.root / ".venv").exists():
        author.take_tools(project)
    link_roots(project)
    (project.root / ".git/info/exclude").write_text(".venv\n.roots\n")
    targets = ["manylinux_x86_64", "manylinux_aarch64", "macosx_arm64", "win_amd64"]
    if kind == "program":
        targets[:2] = ["linux_x86_64", "linux_aarch64"]
    summary = project.root / ("python/setup.cfg" if kind == "command" else "rust/Cargo.toml")
    project.edit(summary, "TODO: what it does, in a line", "Adds numbers")
    git(project, "commit", "--quiet", "--all", "--message", "A summary")
    take_standard_libraries(author("doctor", *targets, cwd=project.root), project)
    author.make(project, "wheels", "sdist", f"TARGETS={' '.join(targets)}")
    text = author.make(project, "audit", "smoke")
    assert text.count("ok dist/") == len(targets) + 1
    assert "4 wheels: 3 installed" in text
    author.make(project, "rehearse")
    assert git(project, "status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["class"], "a word of Python, Rust or C"),
        (["json"], "Python has a module json itself"),
        (["2fast"], "must begin with a letter"),
        (["a b"], "PyPI takes ASCII letters"),
        (["x", "there"], "exists: name another folder"),
        (["x", "repository/x"], "is in the git repository"),
        (["x", "--license", "GPL-9"], "there is a text for each of: MIT"),
        (["x", "--kind", "wheel"], "gate"),
        (["x", "--crate", "serde"], "NAME@VERSION"),
        (["x", "--kind", "command", "--crate", "itoa@1.0"], "--crate is for cargo"),
    ],
)
def test_what_cannot_be_is_one_error_and_nothing_is_written(words, part, author):
    (author.folder / "there").mkdir()
    (author.folder / "repository").mkdir()
    run("git", "init", "--quiet", cwd=author.folder / "repository")
    before = sorted(author.folder.iterdir())
    text = author("new", *words, fails=True)
    assert part in text and text.count("error: ") == 1
    assert sorted(author.folder.iterdir()) == before
    assert [path.name for path in (author.folder / "repository").iterdir()] == [".git"]


def test_an_index_without_the_tool_is_one_sentence(author):
    environment = {**author.environment, "FFIWHEEL_FIND_LINKS": "", "PIP_NO_INDEX": "1"}
    text = author("new", "x", env=environment, fails=True)
    assert len(text.splitlines()) == 1 and "has no ffiwheel" in text
    assert not (author.folder / "x").exists()


@pytest.mark.long
def test_a_crate_that_the_new_one_depends_on(author, repository):
    author("init", "thing", "--crate", "itoa@1.0", cwd=repository.root)
    crate = repository.root / "rust"
    assert re.search(r'\nitoa = "1\.0', (crate / "Cargo.toml").read_text())
    assert "use itoa as _;" in (crate / "src/lib.rs").read_text()
    assert 'name = "itoa"' in (crate / "Cargo.lock").read_text()
    run(CARGO, "check", "--quiet", "--locked", cwd=crate)
    (needed,) = re.findall(r'\nrust-version = "1\.(\d+)', (crate / "Cargo.toml").read_text())
    assert int(needed) > 63, "what itoa needs, not what the template does"
    author("new", "counter", "--kind", "program", "--crate", "itoa@1.0")
    run(CARGO, "check", "--quiet", "--locked", cwd=author.folder / "counter/rust")
    text = author("new", "other", "--crate", "no-such-crate-of-anybodys@9", fails=True)
    assert "cannot depend on no-such-crate-of-anybodys@9" in text
    assert not (author.folder / "other").exists()


def test_a_crate_of_the_repository_has_its_own_name(author, repository):
    """Not that of its folder."""
    crate = repository.root / "crates/core"
    crate.mkdir(parents=True)
    run(CARGO, "init", "--quiet", "--lib", "--vcs", "none", "--name", "the-sum", crate, cwd=crate)
    author("init", "thing", "--crate", "crates/core", cwd=repository.root)
    assert "use the_sum as _;" in (repository.root / "rust/src/lib.rs").read_text()


@pytest.mark.long
def test_a_crate_whose_functions_are_exported(author, repository):
    """Its header stays as it is, and is not overwritten."""
    crate = repository.root / "core"
    (crate / "src").mkdir(parents=True)
    (crate / "include").mkdir()
    (crate / "Cargo.toml").write_text('[package]\nname = "the-sum"\nversion = "0.1.0"\n')
    source = '#[no_mangle]\npub extern "C" fn sum(a: i32, b: i32) -> i32 { a + b }\n'
    (crate / "src/lib.rs").write_text(source)
    header = crate / "include/sum.h"
    before = files(repository.root)
    author("init", "thing", "--kind", "c-abi", "--crate", "core", cwd=repository.root, fails=True)
    assert files(repository.root) == before
    header.write_text("#include <stdint.h>\nint32_t sum(int32_t a, int32_t b);\n")
    author("init", "thing", "--kind", "c-abi", "--crate", "core", cwd=repository.root)
    taken = repository.root / "rust/include/sum.h"
    assert taken.read_text() == header.read_text()
    author.make(repository, "header", "dev")
    code = "import thing; print(thing.lib.sum(2, 3))"
    environment = Environment(repository.root / ".venv")
    assert run(environment.python, "-c", code, cwd=author.folder) == "5\n"
    environment.pip("uninstall", "--yes", "thing")


# ---- init -----------------------------------------------------------------------------------


@pytest.fixture
def repository(author):
    """Somebody's repository, with a README and a commit."""
    folder = author.folder / "repository"
    folder.mkdir()
    (folder / "README.md").write_text("# Ours\n")
    project = Tree(folder, "thing")
    git(project, "init", "--quiet")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "ours")
    author.take_tools(project)
    return project


def test_init_adds_to_a_repository_and_changes_no_file(author, repository):
    text = author("init", "thing", cwd=repository.root)
    assert "wrote python/setup.cfg" in text
    assert (repository.root / "README.md").read_text() == "# Ours\n"
    assert git(repository, "diff", "--stat") == ""
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", "packaged")
    os.utime(repository.root / "ci/requirements.txt", (0, 0))
    author.make(repository, "wheels", "sdist")
    author.make(repository, "audit")
    assert "is a project already" in author("init", "thing", cwd=repository.root, fails=True)


def test_init_overwrites_nothing(author, repository):
    (repository.root / "Makefile").write_text("all:\n")
    before = files(repository.root)
    text = author("init", "thing", cwd=repository.root, fails=True)
    assert "would be overwritten: Makefile; move" in text
    assert files(repository.root) == before


@pytest.mark.long
def test_the_least_is_what_pip_and_setup_py_need(author, repository, request):
    (repository.root / ".venv").unlink()
    author("init", "thing", "--minimal", cwd=repository.root)
    found = git(repository, "ls-files", "--others").split()
    tops = {Path(name).parts[0] for name in found}
    assert tops == {"LICENSE", "python", "rust"} and len(found) == 18
    for version in ["2.7", "3.13"]:
        python = named_interpreter(request.config, version).environment(author.folder / version)
        python.pip("install", "--editable", repository.python, env=clean_environment())
        code = "import thing; assert thing.rest(5, 3) == 2"
        run(python.python, "-c", code, cwd=author.folder)


def test_an_environment_of_the_authors_stays(author, repository):
    venv = repository.root / ".venv"
    venv.unlink()
    venv.mkdir()
    (venv / "kept").touch()
    before = files(repository.root)
    text = author("init", "thing", cwd=repository.root, fails=True)
    assert "that ffiwheel has not made" in text and files(repository.root) == before
    shutil.copy(ROOT / "Makefile", repository.root)
    (repository.root / "ci").mkdir()
    (repository.root / "ci/requirements.txt").touch()
    assert "has not made" in author.make(repository, "lint", fails=True)
    assert (venv / "kept").exists()


# ---- A tool of another version ----------------------------------------------------------------


@pytest.mark.long
def test_update_in_a_new_project(author, repository):
    author("init", "thing", cwd=repository.root)
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", "packaged")
    os.utime(repository.root / "ci/requirements.txt", (0, 0))
    project = repository
    assert "is that of ffiwheel" in author("update", cwd=project.root)
    loader = project.python / "thing/_load.py"
    project.edit(loader, "import os", "import os  # mine")
    assert "nothing was written" in author("update", cwd=project.root, fails=True)
    assert "python/thing/_load.py was edited" in author.make(project, "lint", fails=True)
    workflow = project.root / ".github/workflows/ci.yml"
    project.edit(workflow, "timeout-minutes: 60", "timeout-minutes: 90")
    text = author("update", "--force", "python/thing/_load.py", cwd=project.root)
    assert "yours, and left alone: .github/workflows/ci.yml" in text
    assert "\n-    timeout-minutes: 90" in text and git(project, "diff", "--stat").count("|") == 1
    author("update", "--workflows", cwd=project.root)
    assert git(project, "status", "--porcelain") == ""


@pytest.mark.long
def test_the_index_that_pip_is_configured_for_has_the_hashes(author, links, repository):
    """A mirror, a private index or a folder: what the user's pip.conf says."""
    author("init", "thing", cwd=repository.root)
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", "packaged")
    pins = repository.root / "ci/requirements.txt"
    wanted = pins.read_text()
    pins.write_text(re.sub(r"(?m)^ffiwheel==(?s:.*)", "ffiwheel==0.0.1\n", wanted))
    settings = author.folder / "home/.config/pip/pip.conf"
    settings.parent.mkdir(parents=True)
    settings.write_text(f"[global]\nno-index = true\nfind-links = {links}\n")
    environment = {**author.environment, "FFIWHEEL_FIND_LINKS": ""}
    for name in list(environment):
        if name.startswith("PIP_"):
            del environment[name]
    author("update", "--workflows", cwd=repository.root, env=environment)
    assert pins.read_text() == wanted
