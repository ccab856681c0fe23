"""What git does not answer is never taken for an empty answer."""

import shutil
import tarfile

import pytest

from support import (
    BIN,
    HELPERS,
    clean_environment,
    commit,
    ffiwheel,
    git,
    link_tools,
    run,
)

STRAY = "rust/src/stray.rs"


@pytest.fixture
def stray(project):
    """An sdist with a file that git does not know: the judge finds it where git answers."""
    commit(project)
    (project.root / STRAY).write_text("")
    link_tools(project)
    ffiwheel(project, "sdist")
    return next((project.root / "dist").glob("*.tar.gz"))


def audit(project, sdist, **options):
    return ffiwheel(project, "audit", sdist, **options)


def without_git(folder):
    """An environment in which there is Rust and no git."""
    folder.mkdir()
    for program in ("cargo", "rustc"):
        (folder / program).symlink_to(shutil.which(program))
    return clean_environment(PATH=str(folder))


def reproduce(project, **options):
    return ffiwheel(project, "reproduce", "host", fails=True, **options)


def test_git_says_what_belongs_in_the_sdist(project, stray):
    text = audit(project, stray, fails=True)
    assert f"{STRAY}: it does not belong in the sdist" in text and "note:" not in text


def test_without_a_repository_the_files_that_are_there_count_and_that_is_said(project, stray):
    shutil.rmtree(project.root / ".git")
    assert f"note: {project.root} is not a git repository" in audit(project, stray)
    assert f"error: {project.root} is not a git repository" in reproduce(project)
    assert f"{project.root} is not a git repository" in ffiwheel(project, "check-tag", fails=True)


def test_a_repository_around_the_project_is_not_the_projects(project, stray):
    """It knows none of the files, and its last commit is another's."""
    shutil.rmtree(project.root / ".git")
    outer = project.root.parent
    run("git", "init", "--quiet", cwd=outer)
    (outer / ".gitignore").write_text("*\n")
    run("git", "add", "--force", ".gitignore", cwd=outer)
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    run("git", *who, "commit", "--quiet", "--message", "all", cwd=outer)
    assert "is not a git repository" in audit(project, stray)
    assert "is not a git repository" in reproduce(project)
    ffiwheel(project, "sdist")
    with tarfile.open(stray) as archive:
        assert {member.mtime for member in archive} == {315532800}


@pytest.mark.parametrize("verb", ["audit", "sdist", "check-tag", "reproduce"])
def test_a_refusal_of_git_is_an_error_with_its_words(project, stray, verb):
    environment = clean_environment(GIT_TEST_ASSUME_DIFFERENT_OWNER="1")
    before = stray.read_bytes()
    if verb == "reproduce":
        text = reproduce(project, env=environment)
    else:
        words = [verb, stray] if verb == "audit" else [verb]
        text = ffiwheel(project, *words, env=environment, fails=True)
    assert "error: git " in text and "dubious ownership" in text
    assert f"git config --global --add safe.directory {project.root}" in text
    assert "Traceback" not in text and stray.read_bytes() == before


def test_a_missing_git_is_an_error_in_a_repository_alone(project, stray, tmp_path):
    environment = without_git(tmp_path / "bin")
    assert "is a git repository: install git" in audit(project, stray, env=environment, fails=True)
    assert "error: cannot run git" in reproduce(project, env=environment)
    shutil.rmtree(project.root / ".git")
    assert "is not a git repository" in audit(project, stray, env=environment)


def test_a_damaged_repository_is_an_error(project, stray):
    head = git(project, "rev-parse", "HEAD").strip()
    (project.root / f".git/objects/{head[:2]}/{head[2:]}").unlink()
    assert "bad object HEAD" in ffiwheel(project, "sdist", fails=True)
    (project.root / ".git/index").write_bytes(b"DIRC")
    assert "index" in audit(project, stray, fails=True)
    (project.root / ".git/HEAD").unlink()
    assert "not a git repository" in audit(project, stray, fails=True)
    run("git", "init", "--quiet", cwd=project.root.parent)
    text = audit(project, stray, fails=True)
    assert f"{project.root}/.git for no repository, but {project.root.parent}: repair it" in text
    assert f"{project.root}/.git for no repository" in reproduce(project)


def test_before_the_first_commit_there_is_no_date(project):
    git(project, "init", "--quiet")
    ffiwheel(project, "sdist")
    (sdist,) = (project.root / "dist").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        assert {member.mtime for member in archive} == {315532800}
    # Nothing is known to git yet: what is there counts.
    audit(project, sdist)


def test_a_hook_of_another_repository_does_not_lead_astray(project, stray, tmp_path):
    other = tmp_path / "other"
    run("git", "init", "--quiet", other, cwd=tmp_path)
    environment = clean_environment(GIT_DIR=str(other / ".git"), GIT_INDEX_FILE="index")
    assert f"{STRAY}: it does not belong" in audit(project, stray, env=environment, fails=True)


def test_the_users_settings_of_git_change_no_date(project, stray, tmp_path):
    settings = tmp_path / "gitconfig"
    settings.write_text("[log]\n\tshowSignature = true\n[color]\n\tui = always\n")
    ffiwheel(project, "sdist", env=clean_environment(GIT_CONFIG_GLOBAL=str(settings)))
    with tarfile.open(stray) as archive:
        dates = {member.mtime for member in archive}
    assert dates == {int(git(project, "log", "-1", "--format=%ct"))}


def test_a_program_that_a_script_lacks_is_named(tmp_path):
    for call, end in [("run(['absent'])", "Failure"), ("ask('absent')", "error")]:
        code = f"import process; process.{call}"
        environment = clean_environment(PYTHONPATH=str(HELPERS))
        text = run(BIN / "python", "-c", code, cwd=tmp_path, env=environment, fails=True)
        assert text.strip().endswith(f"{end}: cannot run absent: No such file or directory")
