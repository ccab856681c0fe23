"""A release, from the version to the index: what is refused, and in which words."""

import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import new_class

import pytest

import index
import reproduce
import roots
from support import (
    CARGO,
    FFIWHEEL,
    HELPERS,
    HOST_PLATFORM,
    NAME,
    PACKAGE,
    ROOT,
    Project,
    clean_environment,
    commit,
    ffiwheel,
    found_interpreters,
    git,
    link_tools,
    run,
)

ADD_RUST = f"""export! {{
    /// The sum of two numbers, or -1 on an error.
    fn {PACKAGE}_numbers_add(a: u32, b: u32) -> i64 {{
        Ok(i64::from(a) + i64::from(b))
    }}
"""
ADD_PYTHON = f"""

def add(a, b):
    return check(lib.{PACKAGE}_numbers_add(a, b), -1)
"""


def make(project, verb, *words, **options):
    """A verb of the Makefile, in a copy of the project, with the pipeline and the tools of this
    one."""
    link_tools(project)
    pipeline = " ".join(str(word) for word in FFIWHEEL)
    command = ["make", "--old-file=.venv/installed", f"FFIWHEEL={pipeline} --", verb, *words]
    return run(*command, cwd=project.root, **options)


def changelog(project, text):
    (project.root / "CHANGELOG.md").write_text(f"# Changelog\n\n{text}")


def one_target(project):
    """Leaves the table of targets with this machine's row."""
    path = project.root / "ci/targets.toml"
    own = f'only = ["manylinux_2_17_{os.uname().machine}"]'
    path.write_text(f"{own}\n{path.read_text()}")


# ---- One version ----------------------------------------------------------------------------


def everywhere(project):
    """Each file's idea of the version."""
    texts = {
        "rust/Cargo.toml": r'\nversion = "(.*)"',
        "rust/Cargo.lock": rf'name = "{NAME}"\nversion = "(.*)"',
        f"rust/include/{PACKAGE}.h": rf'#define {PACKAGE.upper()}_VERSION "(.*)"',
        f"python/{PACKAGE}/_ffi.py": r"\nVERSION = '(.*)'",
        "CHANGELOG.md": r"\n## (\S+)",
    }
    found = {
        name: re.search(pattern, (project.root / name).read_text())[1]
        for name, pattern in texts.items()
    }
    found["setup.py"] = project.setup("--quiet", "--version").strip()
    return found


def test_bump_changes_every_place_that_names_the_version(project):
    changelog(project, "## [Unreleased]\n\n- News.\n\n## 0.1.0\n\n- Old.\n")
    text = ffiwheel(project, "bump", "0.2.0")
    assert set(everywhere(project).values()) == {"0.2.0"}
    heading = (project.root / "CHANGELOG.md").read_text().splitlines()[2]
    assert re.fullmatch(r"## 0\.2\.0 - \d{4}-\d\d-\d\d", heading)
    assert "tag the commit v0.2.0" in text and "changed rust/Cargo.toml" in text
    # The tool's crate goes with it, as long as it has the same version.
    manifest, lock = (project.root / f"rust/ffiwheel/Cargo.{end}" for end in ("toml", "lock"))
    assert '\nversion = "0.2.0"\n' in manifest.read_text()
    assert 'name = "ffiwheel"\nversion = "0.2.0"\n' in lock.read_text()
    assert "changed rust/ffiwheel/Cargo.toml" in text
    # Again is fine, and changes nothing.
    assert "changed" not in ffiwheel(project, "bump", "0.2.0")


def test_a_version_before_a_release_is_what_python_calls_it(project):
    changelog(project, "## Unreleased\n\n- News.\n")
    ffiwheel(project, "bump", "1.0.0-rc.1")
    found = everywhere(project)
    cargo = {found.pop("rust/Cargo.toml"), found.pop("rust/Cargo.lock")}
    assert cargo == {"1.0.0-rc.1"} and set(found.values()) == {"1.0.0rc1"}
    commit(project)
    assert f"dist/{PACKAGE}-1.0.0rc1.tar.gz" in ffiwheel(project, "sdist")
    text = ffiwheel(project, "audit")
    assert text == f"ok dist/{PACKAGE}-1.0.0rc1.tar.gz\n"


@pytest.mark.parametrize(
    ("version", "news", "words"),
    [
        ("", "## Unreleased\n- News.\n", 'cargo does not accept the version ""'),
        ("v1.0.0", "## Unreleased\n- News.\n", "use one like 1.2.3"),
        ("1.0", "## Unreleased\n- News.\n", "use one like 1.2.3"),
        ("1.0.0+linux", "## Unreleased\n- News.\n", "PyPI does not accept a version with a `+`"),
        (
            "1.0.0-nightly",
            "## Unreleased\n- News.\n",
            "1.0.0-nightly is not a valid Python version",
        ),
        ("1.0.0-1", "## Unreleased\n- News.\n", "Python sorts it after, as 1.0.0.post1"),
        ("-1", "## Unreleased\n- News.\n", 'cargo does not accept the version "-1"'),
        ("0.0.9", "## Unreleased\n- News.\n", "0.0.9 is older than 0.1.0"),
        ("0.2.0", "## Unreleased\n\n## 0.1.0\n- Old.\n", "nothing in `## Unreleased`"),
        ("0.2.0", "## Unreleased\n\n### Added\n\n## 0.1.0\n- Old.\n", "nothing in `## Unreleased`"),
        (
            "0.2.0",
            "## 0.1.0\n- Old.\n",
            "no section `## Unreleased`: add one that lists what changed",
        ),
        (
            "0.1.0",
            "## Unreleased\n- News.\n\n## 0.1.0\n- Old.\n",
            "already has a section `## 0.1.0`",
        ),
    ],
)
def test_bump_refuses(project, version, news, words):
    changelog(project, news)
    refused(project, version, words)


def test_a_bump_that_fails_half_way_changes_nothing(project):
    changelog(project, "## Unreleased\n- News.\n")
    with open(project.source, "a") as file:
        file.write("\nfn broken( {\n")
    refused(project, "0.2.0", "a command failed")


def refused(project, version, words):
    commit(project)
    assert words in make(project, "bump", f"VERSION={version}", fails=True)
    assert git(project, "status", "--porcelain") == ""


# ---- The tag --------------------------------------------------------------------------------


def test_a_tag_is_checked_before_anything_is_built(project, sdist, tmp_path):
    commit(project)
    git(project, "tag", "v0.1.0")
    text = make(project, "check-tag", "TAG=v0.1.0")
    assert "not checked: whether an index already has 0.1.0" in text and text.endswith(
        "can be built\n"
    )
    with index.Server(tmp_path / "index") as server:
        make(project, "check-tag", f"REPOSITORY={server.url}", env=server_environment(server))
        shutil.copy(sdist, server.folder)
        text = make(
            project, "check-tag", f"REPOSITORY={server.url}", env=server_environment(server)
        )
        assert f"has 1 files of {NAME} 0.1.0 and lacks 20: this release completes them" in text
        one_target(project)
        commit(project)
        row = "manylinux2014_x86_64.manylinux_2_17_x86_64"
        shutil.copy(sdist, server.folder / f"{PACKAGE}-0.1.0-py2.py3-none-{row}.whl")
        # Everything at once that stands against it.
        changelog(project, "## Unreleased\n- News.\n")
        project.edit(project.python / PACKAGE / "_ffi.py", "VERSION = '0.1.0'", "VERSION = '0.1'")
        text = make(project, "check-tag", "TAG=v0.1.1", f"REPOSITORY={server.url}", fails=True,
                    env=server_environment(server))  # fmt: skip
    assert "the tag is v0.1.1, but the version in rust/Cargo.toml is 0.1.0: tag v0.1.0" in text
    assert "has uncommitted changes" in text and " M CHANGELOG.md" in text
    assert "CHANGELOG.md has no section `## 0.1.0`" in text
    assert f"out of date: python/{PACKAGE}/_ffi.py; run `make header`" in text
    assert f"already has {NAME} 0.1.0" in text and "make bump VERSION=" in text
    assert "error: v0.1.1 cannot be released: see above" in text
    text = make(project, "check-tag", "TAG=v0.1.0", f"REPOSITORY={server.url}", fails=True)
    assert "the tag v0.1.0 points to another commit than HEAD" in text
    assert "simple/ cannot be read" in text  # The server has gone.


def test_a_tag_is_no_command(project):
    commit(project)
    text = make(project, "check-tag", fails=True, env=clean_environment(TAG="$(touch x);`touch x`"))
    assert "the tag is $(touch x);`touch x`" in text
    assert not (project.root / "x").exists()


def server_environment(server, **changes):
    return clean_environment(**{**server.bypass, **server.credentials, **changes})


# ---- The upload -----------------------------------------------------------------------------


@pytest.fixture
def shelf(project, wheel, sdist):
    """A copy of the project with a dist/ of three files; `publish` uploads it."""
    project.dist = project.root / "dist"
    project.dist.mkdir()
    shutil.copy(sdist, project.dist)
    shutil.copy(wheel, project.dist)
    other = wheel.name.replace(wheel.name.split("-none-")[1], "win32.whl")
    shutil.copy(wheel, project.dist / other)

    def publish(repository, *words, env=None, fails=False):
        words = [sys.executable, HELPERS / "publish.py", *words, repository]
        return run(*words, cwd=project.root, env=env, fails=fails)

    project.publish = publish
    return project


def there(server):
    return {path.name: path.read_bytes() for path in server.folder.iterdir()}


def here(project):
    return {path.name: path.read_bytes() for path in project.dist.iterdir()}


def test_an_upload_that_stopped_goes_on(shelf, sdist, tmp_path):
    with index.Server(tmp_path / "index") as server:
        env = server_environment(server)
        text = shelf.publish(server.url, "--dry-run", env=env)
        assert text.count("to upload: ") == 3 and text.endswith("nothing was uploaded\n")
        assert there(server) == {}
        # The index cannot store the last file.
        (server.folder / sdist.name).symlink_to("/nowhere/file")
        text = shelf.publish(server.url, env=env, fails=True)
        assert f"lacks 1 of the 3 files of {NAME} 0.1.0:\n  {sdist.name}\n" in text
        assert "error: the upload did not come to its end" in text
        (server.folder / sdist.name).unlink()
        assert len(there(server)) == 2  # the wheels go first
        text = shelf.publish(server.url, env=env)
        assert text.count("to upload: ") == 1 and "has all 3 files" in text
        assert there(server) == here(shelf)
        assert "nothing was uploaded" in shelf.publish(server.url, env=env)
        assert server.credentials["TWINE_PASSWORD"] not in text


def test_a_killed_upload_goes_on(shelf, tmp_path):
    with index.Server(tmp_path / "index") as server:
        env = server_environment(server)
        command = [sys.executable, HELPERS / "publish.py", server.url]
        options = dict(cwd=shelf.root, start_new_session=True, stdout=subprocess.DEVNULL)
        process = subprocess.Popen(command, env=env, **options)
        deadline = time.monotonic() + 60
        while not there(server) and time.monotonic() < deadline:
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        shelf.publish(server.url, env=env)
        assert there(server) == here(shelf)


def test_other_bytes_are_refused_before_anything_is_uploaded(shelf, tmp_path):
    with index.Server(tmp_path / "index") as server:
        env = server_environment(server)
        wheel = max(shelf.dist.glob("*.whl"))
        (server.folder / wheel.name).write_bytes(b"something else")
        text = shelf.publish(server.url, env=env, fails=True)
        assert f"  {wheel.name}\n    here  {sha256(wheel)}\n    there " in text
        assert "make bump VERSION=" in text
        assert len(there(server)) == 1


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_wrong_password_is_told_and_no_password_is_shown(shelf, tmp_path):
    with index.Server(tmp_path / "index") as server:
        env = server_environment(server, TWINE_PASSWORD="no-secret-of-yours")
        text = shelf.publish(server.url, env=env, fails=True)
        assert "403" in text and "lacks 3 of the 3 files" in text
        assert "no-secret-of-yours" not in text
        for name in server.credentials:
            del env[name]
        env.update(HOME=str(tmp_path), PYTHON_KEYRING_BACKEND="keyring.backends.null.Keyring")
        text = shelf.publish(server.url, env=env, fails=True)
        assert "Credential not found" in text
        assert there(server) == {}
    text = shelf.publish("http://me:no-secret-of-yours@127.0.0.1:9/", fails=True)
    assert "an address is no place for a password" in text and "no-secret-of" not in text


# What twine reads of this user must not lead it elsewhere than where the files are compared.
BY_NAME = """
import sys
sys.path.insert(0, "rust/ffiwheel/helpers")
import index, publish
index.REPOSITORIES["pypi"] = index.addresses(sys.argv.pop())
publish.main()
"""


def test_an_interrupted_upload_says_what_to_do(shelf):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        url = "http://{}:{}".format(*silent.getsockname())
        command = [sys.executable, HELPERS / "publish.py", url]
        env = clean_environment(no_proxy="127.0.0.1", NO_PROXY="127.0.0.1")
        options = dict(cwd=shelf.root, stderr=subprocess.PIPE, text=True)
        with subprocess.Popen(command, env=env, **options) as process:
            connection, _ = silent.accept()  # closed, it would be an error of the index
            with connection:
                process.send_signal(signal.SIGINT)
                _, text = process.communicate(timeout=30)
    assert process.returncode == 1
    assert text == "interrupted: run the same again, it uploads what is missing\n"


def test_a_name_is_one_index(shelf, tmp_path):
    with index.Server(tmp_path / "index") as server:
        username, password = server.credentials.values()
        (tmp_path / ".pypirc").write_text(
            f"[pypi]\nrepository={server.url}\nusername={username}\npassword={password}\n"
        )
        env = clean_environment(**server.bypass, HOME=str(tmp_path))
        env["TWINE_REPOSITORY_URL"] = "http://127.0.0.1:9/"
        text = run(sys.executable, "-c", BY_NAME, "pypi", server.url, cwd=shelf.root, env=env)
        assert "pypi has all 3 files" in text and password not in text
        assert there(server) == here(shelf)
    # Where pypi.org takes uploads is not where it shows them.
    assert index.addresses("https://upload.pypi.org/legacy") == index.REPOSITORIES["pypi"]
    assert index.addresses("https://test.pypi.org/simple/") == index.REPOSITORIES["testpypi"]


def test_a_proxy_knows_no_loopback(tmp_path, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "example.org")
    monkeypatch.delenv("no_proxy", raising=False)
    with index.Server(tmp_path / "index") as server:
        assert server.bypass["no_proxy"] == "example.org,127.0.0.1"


class Garbage(BaseHTTPRequestHandler):
    """An index that says what its class was told."""

    def do_GET(self):
        self.send_response(self.status)
        self.send_header("Content-Type", self.type)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_):
        pass


JSON = "application/vnd.pypi.simple.v1+json"


@pytest.mark.parametrize(
    ("status", "type", "body"),
    [
        (500, "text/html", b""),
        (200, "image/png", b""),
        (200, JSON, b'{"meta":'),
        (200, JSON, b'{"meta": {"api-version": "9.0"}, "name": "a", "files": []}'),
    ],
)
def test_an_index_that_answers_something_else(shelf, status, type, body):
    told = {"status": status, "type": type, "body": body}
    handler = new_class("Handler", (Garbage,), exec_body=lambda names: names.update(told))
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        text = shelf.publish(f"http://127.0.0.1:{server.server_port}", fails=True)
        server.shutdown()
    assert re.search(r"(?m)^error: http://127\.0\.0\.1:\d+/simple/ cannot be read: ", text)
    assert "Traceback" not in text


def test_an_index_that_is_not_there(shelf):
    assert "error: http://127.0.0.1:9/simple/ cannot be read" in shelf.publish(
        "http://127.0.0.1:9", fails=True
    )
    assert "no repository is called 'pipy': pypi, testpypi" in shelf.publish("pipy", fails=True)
    assert "name the index: REPOSITORY=testpypi" in shelf.publish("", fails=True)
    assert "use https://" in shelf.publish("http://example.org/", fails=True)


def test_what_is_no_release_is_not_uploaded(shelf, sdist):
    (shelf.dist / "notes.txt").write_text("")
    assert "error: dist/notes.txt is not for an index" in shelf.publish("pypi", fails=True)
    (shelf.dist / "notes.txt").unlink()
    shutil.copy(sdist, shelf.dist / f"{PACKAGE}-0.0.9.tar.gz")
    text = shelf.publish("pypi", fails=True)
    assert f"files of several releases, {NAME} 0.0.9, {NAME} 0.1.0" in text
    shutil.rmtree(shelf.dist)
    assert "dist/ is empty" in shelf.publish("pypi", fails=True)


# ---- What is published beside the files -----------------------------------------------------


def test_checksums(shelf):
    text = make(shelf, "checksums", fails=True)
    assert "SHA256SUMS is missing: run `make gather`" in text
    lines = [f"{sha256(path)}  {path.name}\n" for path in sorted(shelf.dist.iterdir())]
    sums = shelf.root / "build/release/SHA256SUMS"
    sums.parent.mkdir(parents=True)
    sums.write_text("".join(lines))
    assert make(shelf, "checksums").count(": OK") == 3
    assert make(shelf, "checksums", f"SUMS={sha256(sums)}").count(": OK") == 3
    # Nor when the sum that was to be compared came as nothing.
    for other in ["0" * 64, ""]:
        text = make(shelf, "checksums", f"SUMS={other}", fails=True)
        assert f"is not the file that was written: it has another SHA-256 than '{other}'" in text
    other = shelf.root / "build/tool"
    (other / "build").mkdir(parents=True)
    shutil.copytree(sums.parent, other / "build/release")
    assert "dist/ is not what" in make(shelf, "checksums", "FOLDER=build/tool", fails=True)
    shutil.copytree(shelf.dist, other / "dist")
    assert make(shelf, "checksums", "FOLDER=build/tool").count(": OK") == 3
    (shelf.dist / "one more").write_text("")
    assert "holds 4 files" in make(shelf, "checksums", fails=True)
    (shelf.dist / "one more").unlink()
    next(shelf.dist.iterdir()).write_bytes(b"changed")
    assert "dist/ is not what" in make(shelf, "checksums", fails=True)


def test_a_release_on_github_needs_what_was_gathered(project):
    assert "name the tag: TAG=v1.2.3" in make(project, "github-release", fails=True)
    text = make(project, "github-release", "TAG=v0.1.0", fails=True)
    assert "notes.md is missing: run `make gather`" in text


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """A copy of the project with one row in its table, its release in dist/, and its tag."""
    project = Project(tmp_path_factory.mktemp("release") / "project")
    one_target(project)
    commit(project)
    git(project, "tag", "v0.1.0")
    # What is compared with another build is built as that one is.
    project.env = clean_environment()
    del project.env["CARGO_PROFILE_RELEASE_LTO"]
    ffiwheel(project, "sdist", env=project.env)
    ffiwheel(project, "wheels", env=project.env)
    project.dist = project.root / "dist"
    return project


@pytest.mark.slow
def test_a_release_is_gathered_and_published(release, tmp_path):
    text = make(release, "gather", env=clean_environment(GITHUB_OUTPUT=str(tmp_path / "output")))
    folder = release.root / "build/release"
    (wheel,) = release.dist.glob("*.whl")
    assert {path.name for path in folder.iterdir()} == {
        "SHA256SUMS",
        "notes.md",
        f"{wheel.stem}.cdx.json",
    }
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".cdx.json")]
        assert (folder / f"{wheel.stem}.cdx.json").read_bytes() == archive.read(name)
    assert "- `make wheels` for twenty platforms" in (folder / "notes.md").read_text()
    sums = f"sums={sha256(folder / 'SHA256SUMS')}\n"
    assert (tmp_path / "output").read_text() == sums and text.endswith(sums)
    assert make(release, "checksums", f"SUMS={sums[5:-1]}").count(": OK") == 2

    with index.Server(tmp_path / "index") as server:
        env = server_environment(server)
        where = f"REPOSITORY={server.url}"
        text = make(release, "publish", where, "DRY_RUN=1", env=env)
        assert "the release is complete" in text and "nothing was uploaded" in text
        make(release, "publish", where, env=env)
        assert there(server) == here(release)
        # The tag is released now.
        text = make(release, "check-tag", where, env=env, fails=True)
        assert f"already has {NAME} 0.1.0" in text

    kept = wheel.rename(wheel.with_suffix(".kept"))
    text = make(release, "publish", "REPOSITORY=pypi", fails=True)
    assert "X801" in text and "it is missing" in text
    kept.rename(wheel)


@pytest.mark.long
def test_anybody_builds_a_release_again(release, tmp_path):
    def verify(*words, **options):
        return make(release, "verify-release", f"PYTHON={sys.executable}", *words, **options)

    assert "there is no tag v9.9.9" in verify("VERSION=9.9.9", fails=True)
    assert "give a VERSION" in verify(fails=True)
    with index.Server(tmp_path / "index") as server:
        where = f"REPOSITORY={server.url}"
        text = verify("VERSION=0.1.0", where, fails=True)
        assert f"error: {server.url} has no {NAME} 0.1.0" in text
        for path in release.dist.iterdir():
            shutil.copy(path, server.folder)
        (wheel,) = server.folder.glob("*.whl")
        (server.folder / f"{PACKAGE}-0.1.0-py2.py3-none-win32.whl").write_bytes(b"no wheel")
        text = verify("VERSION=0.1.0", where, env=release.env, timeout=1500)
        lines = re.findall(rf"(?m)^  ({PACKAGE}-\S+) +[0-9a-f]{{16}}  (\w+)$", text)
        assert sorted(lines) == [(path.name, "same") for path in sorted(release.dist.iterdir())]
        assert f"not compared: {PACKAGE}-0.1.0-py2.py3-none-win32.whl" in text

        rewrite(wheel, ".cdx.json", b'"version": "1.', b'"version": "0.')
        text = verify("VERSION=0.1.0", where, env=release.env, fails=True)
        assert re.search(r"was built by Rust 0\.\S+, and this is Rust 1\.", text)


def test_a_released_wheel_that_is_cut_short_differs(wheel, tmp_path, capsys):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for folder in (ours, theirs):
        folder.mkdir()
        shutil.copy(wheel, folder)
    assert reproduce.compare(ours, theirs) == 0
    (ours / wheel.name).write_bytes(wheel.read_bytes()[: wheel.stat().st_size // 2])
    assert reproduce.compare(ours, theirs) == 1
    text = capsys.readouterr().out
    assert "DIFFERENT" in text and f"{wheel.name} is no archive" in text


def rewrite(wheel, part, old, new):
    """Replaces bytes in the member of a wheel that has `part` in its name."""
    with zipfile.ZipFile(wheel) as archive:
        members = [(info, archive.read(info)) for info in archive.infolist()]
    with zipfile.ZipFile(wheel, "w") as archive:
        for info, data in members:
            assert part not in info.filename or old in data
            archive.writestr(info, data.replace(old, new) if part in info.filename else data)


# ---- The rehearsal --------------------------------------------------------------------------


@pytest.fixture
def few_pythons(tmp_path, request):
    """An environment in which this Python is the only one that is found, but for the system's."""
    found = found_interpreters(request.config)
    name = "{}.{}".format(*sys.version_info)
    if name not in found:
        pytest.skip(f"Python {name} is found nowhere")
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / f"python{name}").symlink_to(found[name][0])
    cargo = Path(shutil.which(CARGO)).parent
    return clean_environment(PATH=f"{folder}:{cargo}:/usr/bin:/bin")


def rehearsal(project):
    link_tools(project)
    return [ROOT / "rust/ffiwheel/target/debug/ffiwheel", "rehearse"]


@pytest.mark.slow
def test_a_rehearsal_finds_a_wheel_that_does_not_run(shelf, few_pythons):
    wheel = max(shelf.dist.glob("*manylinux*.whl"))
    next(shelf.dist.glob("*win32.whl")).unlink()
    rewrite(wheel, f"{PACKAGE}/__init__.py", b"def greeting(", b"def welcome(")
    text = run(*rehearsal(shelf), cwd=shelf.root, env=few_pythons, fails=True)
    assert "pip chooses each wheel for its platform: 1" in text
    assert re.search(r"CPython 3\.\S+ +pip \S+ +with pip +FAILED", text)
    assert re.search(rf"CPython 3\.\S+ +pip \S+ +the sdist, .* {HOST_PLATFORM} +ran", text)
    assert "not run: Python 2.7: this machine has none" in text
    assert not processes_of(shelf.root)


@pytest.mark.long
def test_an_interrupted_rehearsal_leaves_nothing(shelf, few_pythons, tmp_path):
    next(shelf.dist.glob("*win32.whl")).unlink()
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    few_pythons["TMPDIR"] = str(temporary)
    command = rehearsal(shelf)
    for number in [signal.SIGTERM, signal.SIGINT, signal.SIGKILL]:
        with subprocess.Popen(
            command,
            cwd=shelf.root,
            env=few_pythons,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            for line in process.stdout:
                if line.startswith("pip chooses"):
                    break
            time.sleep(2)  # Then pips run.
            process.send_signal(number)
            process.communicate(timeout=30)
        assert process.returncode != 0
        deadline = time.monotonic() + 20
        while servers(temporary) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert servers(temporary) == []
        if number != signal.SIGKILL:
            assert list(temporary.glob("rehearsal*")) == []


def servers(folder):
    """The processes that serve an index below a folder: another rehearsal may run beside."""
    return [command for command in processes_of(folder) if b"pypiserver" in command]


def processes_of(folder):
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if os.fsencode(folder) in path.read_bytes():
                found.append(path.read_bytes())
        except OSError:
            pass
    return found


# ---- Upgrades -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def next_version(tmp_path_factory):
    """The wheel and the sdist of a version 0.2.0 with another ABI: (wheel, sdist)."""
    project = Project(tmp_path_factory.mktemp("next") / "project")
    changelog(project, "## Unreleased\n- Sums.\n")
    project.edit(project.source, "export! {\n", ADD_RUST)
    with open(project.python / PACKAGE / "__init__.py", "a") as file:
        file.write(ADD_PYTHON)
    ffiwheel(project, "bump", "0.2.0")
    ffiwheel(project, "sdist")
    ffiwheel(project, "wheels")
    (wheel,) = project.root.glob("dist/*.whl")
    (sdist,) = project.root.glob("dist/*.tar.gz")
    return wheel, sdist


# It has the first version loaded while the second one is installed. What is loaded goes on;
# glibc gives a path that it knows the library that it has, which is refused.
OLD_PROCESS = f"""
import sys
import {PACKAGE}
guest = {PACKAGE}.Guest("old")
print({PACKAGE}.__version__)
sys.stdout.flush()
sys.stdin.readline()
loaded = sys.modules.pop("{PACKAGE}")
for name in [name for name in sys.modules if name.startswith("{PACKAGE}.")]:
    del sys.modules[name]
try:
    import {PACKAGE}
    print("imported")
except ImportError as error:
    print(error)
print(guest.greet())
print(loaded.greeting("you"))
"""


@pytest.mark.slow
def test_an_upgrade_with_another_abi(interpreter, wheel, next_version, tmp_path):
    environment = interpreter.environment(tmp_path / "venv")
    environment.pip("install", wheel)
    with index.Server(tmp_path / "index") as server:
        for path in [wheel, *next_version]:
            shutil.copy(path, server.folder)
        old = subprocess.Popen([environment.python, "-c", OLD_PROCESS], cwd=environment.folder,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)  # fmt: skip
        try:
            assert old.stdout.readline() == "0.1.0\n"
            upgrade = ["install", "--upgrade", "--no-deps", "--index-url", f"{server.url}simple/"]
            environment.pip(*upgrade, NAME, env=server_environment(server))
            printed, _ = old.communicate("\n", timeout=120)
        finally:
            old.kill()
            old.wait()
    refused, *goes_on = printed.splitlines()
    assert re.search(r"the library .* was replaced, .* has loaded the earlier one, .*: "
                     "restart the process", refused)  # fmt: skip
    assert goes_on == ["Hello old from Rust! (visit 1)", "Hello you from Rust!"]
    code = f"import {PACKAGE}; print({PACKAGE}.__version__, {PACKAGE}.add(2, 3))"
    assert "0.2.0" in run(environment.python, "-c", code, cwd=environment.folder)


@pytest.mark.slow
def test_an_upgrade_past_a_wheel_in_pips_cache(
    interpreter, sdist, next_version, working_cargo, tmp_path
):
    """Where there are sdists only, pip keeps the wheels that it built."""
    environment = interpreter.environment(tmp_path / "venv")
    environment.pip("install", "setuptools", "wheel", "cffi")
    with index.Server(tmp_path / "index") as server:
        env = {**working_cargo.environment, **server.bypass}
        env["PIP_CACHE_DIR"] = str(tmp_path / "cache")
        shutil.copy(sdist, server.folder)

        def install(*words, calls):
            before = len(working_cargo.calls)
            options = ["--upgrade", "--no-deps", "--no-build-isolation"]
            options += ["--index-url", f"{server.url}simple/"]
            environment.pip("install", *options, *words, env=env)
            assert len(working_cargo.calls) - before == calls
            code = f"import {PACKAGE}; print({PACKAGE}.__version__)"
            return run(environment.python, "-c", code, cwd=environment.folder).strip()

        assert install(NAME, calls=1) == "0.1.0"
        shutil.copy(next_version[1], server.folder)
        assert install(NAME, calls=1) == "0.2.0"
        # And back, with what is in the cache.
        assert install(f"{NAME}==0.1.0", calls=0) == "0.1.0"
        assert install(f"{NAME}==0.2.0", calls=0) == "0.2.0"


# ---- The oldest Rust ------------------------------------------------------------------------


@pytest.mark.slow
def test_the_oldest_rust_builds_the_sdist(sdist, tmp_path):
    """The one that `rust-version` names: Debian 12's is of that version."""
    try:
        root = roots.debian("rust", "amd64", ["rustc", "cargo"])
    except roots.Skip as skip:
        pytest.skip(str(skip))
    shutil.unpack_archive(sdist, tmp_path)
    (crate,) = tmp_path.glob("*/rust")
    wanted = re.search(r'rust-version = "(.*)"', (crate / "Cargo.toml").read_text())[1]
    env = clean_environment(
        LD_LIBRARY_PATH=str(root / "usr/lib/x86_64-linux-gnu"), RUSTC=str(root / "usr/bin/rustc")
    )
    version = run(env["RUSTC"], "--version", cwd=crate, env=env)
    assert version.startswith(f"rustc {wanted}."), f"{version} is not the oldest, {wanted}"
    run(root / "usr/bin/cargo", "build", "--release", "--locked", "--offline", cwd=crate, env=env)
    (library,) = crate.glob(f"target/release/lib{PACKAGE}.so")
    sys.path.insert(0, str(ROOT / "python"))
    import platform_tag

    ffi = (ROOT / f"python/{PACKAGE}/_ffi.py").read_text()
    assert f"ABI = '{platform_tag.fingerprint(str(library), PACKAGE)}'" in ffi
