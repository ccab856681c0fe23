"""What a verb cannot serve it refuses by name, before it changes a file."""

import pytest

from support import PACKAGE, Project, ffiwheel, link_tools

GENERATED = {
    "header": [
        f"rust/include/{PACKAGE}.h",
        f"python/{PACKAGE}/_ffi.py",
        f"python/{PACKAGE}/_ffi.pyi",
    ],
    "rules": ["docs/rules.md", "ci/platforms.toml"],
}
NOW = {"header": (), "rules": ("--write",)}


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("refusals") / "project")
    link_tools(project)
    return project


def contents(project):
    names = [name for names in GENERATED.values() for name in names]
    return {n: (project.root / n).read_bytes() for n in names if (project.root / n).is_file()}


# ---- Files that somebody wrote by hand -----------------------------------------------------


@pytest.mark.parametrize("options", [(), ("--check",)], ids=["written", "checked"])
@pytest.mark.parametrize("name", [name for names in GENERATED.values() for name in names])
def test_a_file_that_was_written_by_hand_is_not_overwritten(copy, name, options):
    verb = next(verb for verb in GENERATED if name in GENERATED[verb])
    path = copy.root / name
    before = path.read_bytes()
    path.write_bytes(b"/* \xe9crit \xe0 la main */\n" + before)
    try:
        mine = contents(copy)
        text = ffiwheel(copy, verb, *(options or NOW[verb]), fails=True)
        assert contents(copy) == mine
    finally:
        path.write_bytes(before)
    assert f"error: {name} would be overwritten" in text
    assert f"`make {verb}`" in text and "move it away" in text


def test_an_empty_or_missing_file_is_generated(copy):
    before = contents(copy)
    missing, empty, _ = [copy.root / name for name in GENERATED["header"]]
    missing.unlink()
    empty.write_text("\n")
    text = ffiwheel(copy, "header")
    assert contents(copy) == before
    assert text.count("wrote ") == 2


# ---- Settings -------------------------------------------------------------------------------

NONE = [
    "[build_library]\n# command = make\n; output = a\ncommand =\noutput =\n",
    "[build_library2]\ncommand = make\n[Build_Library]\ncommand = make\n",
    "[x]\na =\n    [build_library]\n    command = make\n",
]


@pytest.fixture
def settings(copy):
    path = copy.python / "setup.cfg"
    before = path.read_text()
    path.write_text(before.partition("[build_library]")[0])
    yield path
    path.write_text(before)


@pytest.mark.parametrize("text", NONE)
def test_what_setup_py_takes_for_no_command_is_none(copy, settings, text):
    settings.write_text(settings.read_text() + text)
    assert "are up to date" in ffiwheel(copy, "header", "--check")


def test_settings_that_cannot_be_read_are_one_sentence(copy, settings):
    settings.write_text("command = make\n")
    text = ffiwheel(copy, "sdist", fails=True)
    assert "error: cannot read python/setup.cfg: File contains no section headers" in text
    assert "Traceback" not in text
