"""`update`: the kit's files are replaced, all or none, and an edited one is never lost."""

import re

import pytest

from support import commit, ffiwheel, git

LOADER = "_load.py"


def kit_files(project):
    """The files whose first line says that they are the kit's, but that of the tool's package."""
    tracked = git(project, "ls-files", "-z", "--", ":!rust/ffiwheel").split("\0")
    paths = [project.root / name for name in tracked if name]
    return [path for path in paths if b"ffiwheel kit " in path.read_bytes().split(b"\n")[0]]


@pytest.fixture
def adopted(project):
    commit(project)
    return project


def test_a_kit_that_is_up_to_date_stays(adopted):
    assert len(kit_files(adopted)) == 11
    assert "is that of ffiwheel" in ffiwheel(adopted, "update")
    assert git(adopted, "status", "--porcelain", "--untracked-files=no") == ""


def test_an_older_kit_is_replaced(adopted):
    settings = adopted.python / "setup.cfg"
    (version,) = re.findall(r"^kit = (.*)$", settings.read_text(), re.MULTILINE)
    for path in kit_files(adopted):
        # A file of another version has another digest; here only the version differs.
        adopted.edit(path, f"kit {version} ", "kit 0.0.1 ")
    adopted.edit(settings, f"kit = {version}", "kit = 0.0.1")
    (adopted.python / "sources.py").unlink()
    text = ffiwheel(adopted, "update")
    assert text.count("\nchanged ") + text.startswith("changed ") == 11 and "wrote python/s" in text
    assert git(adopted, "status", "--porcelain", "--untracked-files=no") == ""


def test_an_edited_file_is_shown_and_nothing_is_written(adopted):
    loader = adopted.lib.parent / LOADER
    edited = loader.read_text() + "\nEDITED = True\n"
    loader.write_text(edited)
    (adopted.python / "platform_tag.py").unlink()
    text = ffiwheel(adopted, "update", fails=True)
    name = loader.relative_to(adopted.root)
    assert "nothing was written" in text and f"--force {name}" in text
    assert "\n-EDITED = True\n" in text
    assert loader.read_text() == edited and not (adopted.python / "platform_tag.py").exists()
    for words, part in [
        (["--force", "README.md"], "README.md is not a file of the kit"),
        (["--force", "python/setup.py"], "nothing was written"),
    ]:
        assert part in ffiwheel(adopted, "update", *words, fails=True)

    assert f"changed {name}" in ffiwheel(adopted, "update", "--force", name)
    assert git(adopted, "status", "--porcelain", "--untracked-files=no") == ""


def test_lint_says_that_a_file_was_edited(adopted):
    path = adopted.python / "setup.py"
    path.write_text(path.read_text().replace("import os", "import os  # edited"))
    text = ffiwheel(adopted, "lint", fails=True)
    assert "python/setup.py was edited; run `ffiwheel update`" in text


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("99.0.0", "install ffiwheel 99.0.0 or later"),
        ("newest", "is not a version: restore that line"),
    ],
)
def test_a_kit_that_is_too_new_is_refused_by_every_verb(version, words, adopted):
    settings = adopted.python / "setup.cfg"
    text = settings.read_text()
    settings.write_text(re.sub(r"(?m)^kit = .*$", f"kit = {version}", text))
    for verb in ["targets", "update", "clean"]:
        assert words in ffiwheel(adopted, verb, fails=True)


def test_files_with_windows_line_ends_are_the_kits(adopted):
    for path in kit_files(adopted):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert "changed Makefile" in ffiwheel(adopted, "update")
    assert git(adopted, "status", "--porcelain", "--untracked-files=no") == ""


def test_a_project_without_the_makefile_gets_none(adopted):
    """As `init --minimal` makes them."""
    (adopted.root / "Makefile").unlink()
    ffiwheel(adopted, "update")
    assert not (adopted.root / "Makefile").exists()
    assert "Makefile" not in ffiwheel(adopted, "lint")
