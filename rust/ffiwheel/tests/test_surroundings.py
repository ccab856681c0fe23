"""What a system lacks, and what stands in the way: the build goes on, or names it. It never
waits, and shows no traceback."""

import errno
import os
import shutil
import socket
import sys
import tarfile

import pytest

from support import NAME, PACKAGE, clean_environment, ffiwheel, named_interpreter, run
from test_decisions import HOST_TRIPLE, place

FIFO = "neither a file nor a folder"
LOST = "which cannot be reached"
NO_FILES = {
    "FIFO": (os.mkfifo, FIFO),
    "socket": (lambda path: bind(path), FIFO),
    "dangling link": (lambda path: path.symlink_to("gone"), LOST),
    "link to itself": (lambda path: path.symlink_to(path.name), LOST),
}


def bind(path):
    # The path of a socket is short.
    folder = os.open(path.parent, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(f"/proc/self/fd/{folder}/{path.name}")
    os.close(folder)


def as_a_user():
    """The words before a command for which file modes count, whoever runs the tests."""
    if os.geteuid() != 0:
        return []
    if not shutil.which("setpriv"):
        pytest.skip("file modes do not stop root, and there is no setpriv")
    lost = "-dac_override,-dac_read_search"
    return ["setpriv", f"--inh-caps={lost}", f"--bounding-set={lost}"]


def setup(project, *words, fails=False, before=(), python=sys.executable, **variables):
    """Runs setup.py for a short time; returns what it printed."""
    command = [*before, python, "setup.py", "--quiet", *words]
    environment = clean_environment(**variables)
    text = run(*command, cwd=project.python, env=environment, fails=fails, timeout=120)
    assert "Traceback" not in text, text
    return text


def refusal(project, *words, **options):
    """The one line in which setup.py says what is wrong."""
    lines = setup(project, *words, fails=True, **options).splitlines()
    (line,) = [line for line in lines if line.startswith((f"{NAME}: ", "error: "))]
    return line


# ---- What is not a file --------------------------------------------------------------------


@pytest.mark.parametrize("kind", NO_FILES)
def test_what_cannot_be_packed_is_named_where_it_would_be(kind, project, built):
    make, words = NO_FILES[kind]
    place(project, built)
    make(project.root / "rust/src/x.rs")
    setup(project, "build_library", "--inplace")
    setup(project, "bdist_wheel")
    text = refusal(project, "sdist")
    assert "../rust/src/x.rs is " in text and words in text
    (project.root / "rust/src/x.rs").unlink()
    make(project.python / PACKAGE / "x.json")
    for command in ["sdist", "bdist_wheel"]:
        text = refusal(project, command)
        assert f"{PACKAGE}/x.json is " in text and words in text
    setup(project, "build_library", "--inplace")


@pytest.mark.parametrize("kind", NO_FILES)
def test_what_is_not_a_file_is_no_library_and_no_stamp(kind, project, built):
    make, _ = NO_FILES[kind]
    make(project.library)
    assert project.library.name in refusal(project, "bdist_wheel")
    project.library.unlink()
    place(project, built)
    project.stamp.unlink()
    make(project.stamp)
    setup(project, "build_library", "--inplace")


def test_a_stamp_that_is_no_stamp_is_as_good_as_none(project, built):
    place(project, built)
    for text in ["", "[1]", "7", '"text"', "null"]:
        project.stamp.write_text(text)
        setup(project, "build_library", "--inplace")


def test_links_that_lead_back_are_not_followed(project, built):
    place(project, built)
    source, package = project.root / "rust/src", project.python / PACKAGE
    (source / "up").symlink_to("..")
    (source / "root").symlink_to("../..")
    (project.root / "away/there").mkdir(parents=True)
    (project.root / "away/there/back").symlink_to("../../rust/src")
    (project.root / "away/there/kept.rs").write_text("")
    (source / "there").symlink_to("../../away/there")
    (package / "self").symlink_to(".")
    setup(project, "sdist", "bdist_wheel")
    with tarfile.open(next((project.python / "dist").glob("*.tar.gz"))) as archive:
        names = [name.split("/", 1)[1] for name in archive.getnames()]
    links = ["/up/", "/root/", "/back/", "/self/"]
    assert not [name for name in names if any(link in name for link in links)]
    assert "rust/src/there/kept.rs" in names


# ---- What a build reads --------------------------------------------------------------------


@pytest.mark.parametrize("name", [f"{PACKAGE}/_ffi.py", "README.md", "setup.cfg", "LICENSE"])
def test_a_file_that_every_build_needs(name, project, built):
    place(project, built)
    path = project.python / name
    above = project.root / name
    kept = (path if path.exists() else above).read_bytes()
    path.write_bytes(kept)
    if above.exists():
        above.unlink()
    path.unlink()
    assert f"cannot read {name}: No such file" in refusal(project, "bdist_wheel")
    os.mkfifo(path)
    assert f"{name} is not a file" in refusal(project, "bdist_wheel")
    path.unlink()
    path.write_bytes(b"\xff\xfe")
    assert f"{name} is not UTF-8" in refusal(project, "bdist_wheel")
    path.write_bytes(kept)
    path.chmod(0)
    text = refusal(project, "bdist_wheel", before=as_a_user())
    assert f"cannot read {name}: Permission denied" in text
    path.chmod(0o644)
    if name.endswith("_ffi.py"):
        path.write_text("VERSIONS = 1\n")
        assert f"{name} has no VERSION" in refusal(project, "bdist_wheel")


def test_a_file_that_this_user_may_not_read(project, built):
    place(project, built)
    path = project.python / PACKAGE / "data.json"
    path.write_text("")
    path.chmod(0)
    for command in ["sdist", "bdist_wheel"]:
        text = refusal(project, command, before=as_a_user())
        assert f"{PACKAGE}/data.json: Permission denied" in text


# ---- What a build writes -------------------------------------------------------------------


def test_a_file_that_stands_where_a_folder_belongs(project, built):
    place(project, built)
    for name, command in [
        ("dist", "sdist"),
        ("dist", "bdist_wheel"),
        ("build", "bdist_wheel"),
        (f"{PACKAGE}.egg-info", "sdist"),
    ]:
        for old in ["build", "dist", f"{PACKAGE}.egg-info"]:
            shutil.rmtree(project.python / old, ignore_errors=True)
        (project.python / name).write_text("")
        assert name in refusal(project, command)
        (project.python / name).unlink()


def test_a_dist_that_cannot_be_written_to(project, built):
    place(project, built)
    (project.python / "dist").mkdir(mode=0o555)
    for command in ["sdist", "bdist_wheel"]:
        text = refusal(project, command, before=as_a_user())
        assert "dist/" in text and "Permission denied" in text


@pytest.mark.parametrize("command", ["sdist", "bdist_wheel"])
def test_a_full_disk_leaves_nothing_half_written(command, project, built):
    """In place of one: files cannot grow beyond a limit, in blocks of 512 or 1024 bytes."""
    place(project, built, stamp=False)
    blocks = 20 if command == "sdist" else built[0].stat().st_size // 1024 - 8
    if command == "bdist_wheel":
        # The library itself fits; what does not compress makes the wheel larger.
        (project.python / PACKAGE / "data").write_bytes(os.urandom(blocks * 512))
        (project.python / PACKAGE / "more").write_bytes(os.urandom(blocks * 512))
        blocks = built[0].stat().st_size // 512 + 8
    shell = ["sh", "-c", f'ulimit -f {blocks} && exec "$@"', "sh"]
    assert "File too large" in refusal(project, command, before=shell)
    dist = project.python / "dist"
    assert not dist.exists() or not list(dist.iterdir())


# ---- What a system lacks -------------------------------------------------------------------

SHIM = """
#include <errno.h>
int flock(int file, int operation) { (void)file; (void)operation; errno = %d; return -1; }
int symlink(const char *to, const char *path) { (void)to; (void)path; errno = 1; return -1; }
int link(const char *to, const char *path) { (void)to; (void)path; errno = 1; return -1; }
"""
WITHOUT_LOCKS = ["ENOLCK", "EOPNOTSUPP", "EINVAL", "ENOSYS"]


@pytest.fixture(params=WITHOUT_LOCKS)
def without_locks(request, tmp_path):
    """The environment of a process whose file system has no locks and no links."""
    compiler = shutil.which("cc")
    if not compiler:
        pytest.skip("there is no C compiler")
    source = tmp_path / "shim.c"
    source.write_text(SHIM % getattr(errno, request.param))
    run(compiler, "-shared", "-fPIC", "-o", tmp_path / "shim.so", source, cwd=tmp_path)
    return {"LD_PRELOAD": str(tmp_path / "shim.so")}


def test_a_file_system_without_locks_and_links(without_locks, project, built):
    place(project, built)
    setup(project, "sdist", "bdist_wheel", **without_locks)
    setup(project, "build_library", "--inplace", **without_locks)
    # Cargo itself needs locks on some of them; the pipeline does not.
    runner = f"CARGO_TARGET_{HOST_TRIPLE.replace('-', '_').upper()}_RUNNER"
    shim = clean_environment(**{runner: f"env LD_PRELOAD={without_locks['LD_PRELOAD']}"})
    text = ffiwheel(project, "targets", "--check", env=shim, timeout=120)
    assert "cannot lock" in text and "waiting" not in text


HOMES = {"none": None, "empty": "", "not there": "gone", "read-only": "home"}


@pytest.mark.parametrize("variable", ["HOME", "TMPDIR"])
@pytest.mark.parametrize("kind", HOMES)
def test_no_home_and_no_temporary_folder_are_needed(kind, variable, project, built, tmp_path):
    place(project, built)
    (tmp_path / "home").mkdir(mode=0o555)
    before = [*as_a_user(), "env", "-u", variable]
    if HOMES[kind] is not None:
        folder = HOMES[kind] and str(tmp_path / HOMES[kind])
        before = [*as_a_user(), "env", f"{variable}={folder}"]
    setup(project, "sdist", "bdist_wheel", before=before)
    setup(project, "build_library", "--inplace", before=before)


@pytest.mark.slow
@pytest.mark.parametrize("variable", ["HOME", "TMPDIR"])
def test_wheels_and_header_without_a_folder_of_the_user(variable, project, tmp_path):
    """Where nothing can be kept below HOME, zig keeps what it made in build/."""
    (tmp_path / "home").mkdir(mode=0o555)
    rust = {"CARGO_HOME": "~/.cargo", "RUSTUP_HOME": "~/.rustup"}
    words = [f"{n}={os.environ.get(n) or os.path.expanduser(p)}" for n, p in rust.items()]
    runner = f"CARGO_TARGET_{HOST_TRIPLE.replace('-', '_').upper()}_RUNNER"
    # zig prefers the other one to HOME.
    cache = ["-u", "XDG_CACHE_HOME"] if variable == "HOME" else []
    before = " ".join(["env", *cache, *words, f"{variable}={tmp_path / 'home'}"])
    environment = clean_environment(**{runner: " ".join([*as_a_user(), before])})
    ffiwheel(project, "header", "--check", env=environment)
    ffiwheel(project, "wheels", env=environment)
    assert (project.root / "build/cache").exists() == (variable == "HOME")


# ---- Old Pythons ---------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["2.7", "3.6"])
def test_an_old_python_says_it_as_well(version, request, project, built, tmp_path):
    place(project, built)
    venv = named_interpreter(request.config, version).environment(tmp_path / "venv")
    (project.root / "rust/src/up").symlink_to("..")
    os.mkfifo(project.root / "rust/src/x.rs")
    setup(project, "build_library", "--inplace", python=venv.python)
    assert FIFO in refusal(project, "sdist", python=venv.python)
    (project.root / "rust/src/x.rs").unlink()
    (project.python / "dist").write_text("")
    assert "cannot use dist" in refusal(project, "sdist", python=venv.python)
    for folder in [project.python, project.root]:
        (folder / "README.md").unlink()
    assert "cannot read README.md: No such file" in refusal(project, "sdist", python=venv.python)
