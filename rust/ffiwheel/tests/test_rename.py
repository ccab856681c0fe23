"""The project by the shortest name and by a long one: nothing but names depends on its name."""

import pytest

from support import BIN, commit, ffiwheel, renamed, run
from test_release import make


@pytest.mark.long
@pytest.mark.parametrize("name", ["q", "a_library_of_some_thirty_chars"])
def test_all_that_an_author_runs_works_under_another_name(name, tmp_path):
    project = renamed(tmp_path / "project", name)
    # The tool is the same: it is not compiled again.
    crate = "RUST_MANIFESTS=rust/Cargo.toml"
    ffiwheel(project, "header")
    make(project, "fmt", crate)
    commit(project)
    make(project, "lint", crate)
    for words in [["sdist"], ["wheels", "host"], ["audit"]]:
        ffiwheel(project, *words)
    if len(name) > 1:  # The other one's wheel ran on one Python, before it came into dist/.
        ffiwheel(project, "smoke")
    assert all(path.name.startswith(f"{name}-0.1.0") for path in project.root.glob("dist/*"))
    pythons = ["-k", "3.13 or test_c"]
    text = run(BIN / "python", "-m", "pytest", "python/tests", *pythons, cwd=project.root)
    assert " passed" in text
