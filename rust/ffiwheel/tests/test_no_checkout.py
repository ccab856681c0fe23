"""The tool needs no checkout: its program, copied elsewhere, serves another project while the
pipeline's own sources cannot be read."""

import shutil
import subprocess

import pytest

from adopter import make
from support import CARGO, ROOT, clean_environment, link_tools, run

# Hides the folders that the arguments before `--` name, and runs what stands after it.
HIDE = """
while [ "$1" != -- ]; do
    mount -t tmpfs -o mode=000 none "$1"
    shift
done
shift
exec "$@"
"""
HIDDEN = ["rust", "ci", "docker", "python", "scripts", "docs", ".ci", ".github"]


def tool(folder):
    """The words that run the program, copied to a folder, where this checkout cannot be read."""
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
        pytest.skip("needs to hide folders: unshare --mount, as root")
    run(CARGO, "build", "--quiet", "--locked", cwd=ROOT / "rust/ffiwheel")
    program = folder / "ffiwheel"
    shutil.copy(ROOT / "rust/ffiwheel/target/debug/ffiwheel", program)
    folders = [ROOT / name for name in HIDDEN if (ROOT / name).exists()]
    return ["unshare", "--mount", "sh", "-c", HIDE, "sh", *folders, "--", program]


def other_project(folder):
    """A project with neither the tool's sources nor tables of its own."""
    link_tools(make(folder, "other-thing", "other_thing", "other-thing-sys"))
    return folder


@pytest.mark.slow
def test_another_project_is_served(tmp_path):
    project, program = other_project(tmp_path / "project"), tool(tmp_path)

    def verb(*words, **options):
        return run(*program, *words, cwd=project, **options)

    assert "| `win_arm64` |" in verb("targets")
    assert "manylinux_x86_64" in verb("doctor", "host")
    verb("header")
    module = project / "python/other_thing/_ffi.py"
    assert "make header" in module.read_text().split("\n")[0]
    verb("wheels", "host")
    verb("sdist")
    text = verb("smoke")
    assert "installed" in text and "1 wheel: 1 installed" in text
    assert verb("audit").count("\nok dist/") == 2
    assert "usage: publish" in verb("publish", "--help")
    # What is left of the folder that another version wrote.
    (folder,) = (project / "build").glob("tool-*")
    (folder / "helpers/ffi_module.py").write_text("raise SystemExit('damaged')\n")
    verb("header", "--check")
    assert list((project / "build").glob("tool-*")) == [folder]


def test_a_verb_that_is_a_python_program_takes_its_words(project):
    (project.root / ".venv").symlink_to(ROOT / ".venv")
    program = ROOT / "rust/ffiwheel/target/debug/ffiwheel"
    options = dict(cwd=project.root, env=clean_environment())
    assert "--jobs" in run(program, "rehearse", "--help", **options)
    for words, message in [
        (["publish", "pypi"], "error: dist/ is empty"),  # it is audited first
        (["verify-release", "--repository", "pypi", "--", "", "host"], "give a VERSION"),
        (["verify-release", "--no-such-option"], "unrecognized arguments: --no-such-option"),
    ]:
        assert message in run(program, *words, fails=True, **options)
    command = [program, "rehearse", "--jobs", "many"]
    done = subprocess.run(command, cwd=project.root, capture_output=True)
    assert done.returncode == 2 and b"usage: rehearse " in done.stderr  # argparse's exit code
