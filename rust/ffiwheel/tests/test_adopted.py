"""Projects that earlier versions of the tool have made: this one updates them, and what their
authors wrote goes on working as it stands."""

import tarfile

import pytest

from support import FIXTURES, Tree, commit, ffiwheel, git

# What `ffiwheel new fast-thing` wrote, but ci/requirements.txt, which pins the tool.
MADE = sorted(FIXTURES.glob("fast-thing-*.tar.gz"))


@pytest.mark.parametrize("archive", MADE, ids=lambda path: path.name.removesuffix(".tar.gz"))
def test_a_project_of_an_earlier_version(archive, tmp_path):
    with tarfile.open(archive) as file:
        file.extractall(tmp_path, filter="data")
    project = Tree(tmp_path / "fast-thing", "fast_thing")
    commit(project)
    written = ["rust/src/lib.rs", "python/fast_thing/__init__.py", "scripts/smoke.py"]
    before = [(project.root / name).read_bytes() for name in written]

    ffiwheel(project, "update")
    if git(project, "status", "--porcelain"):
        commit(project)
    ffiwheel(project, "lint")
    # The wheel is audited, installed, and run by the author's smoke test.
    assert "CPython" in ffiwheel(project, "wheels", "host")
    ffiwheel(project, "sdist")
    assert "error" not in ffiwheel(project, "audit")
    assert [(project.root / name).read_bytes() for name in written] == before
