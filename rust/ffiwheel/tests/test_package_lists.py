"""A mirror that is just replaced has lists that do not fit its Release file: apt then reads none,
and cannot locate a package. What is reported is the former; another suite may serve."""

import hashlib
import os
import re
import shutil
import subprocess

import pytest

import roots
from support import ROOT, run

pytestmark = pytest.mark.skipif(
    not shutil.which("apt-get") or not shutil.which("dpkg-deb"),
    reason="this machine has no apt-get or no dpkg-deb",
)
DISORDER = "Failed to fetch .*(Hash Sum mismatch|unexpected size)"


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A mirror whose suite sid has the package `tiny`, and whose trixie is in disorder."""
    mirror = tmp_path / "mirror"
    tree = tmp_path / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    control = "Package: tiny\nVersion: 1\nArchitecture: amd64\nMaintainer: a <a@example.org>\n"
    (tree / "DEBIAN/control").write_text(control + "Description: a file\n")
    (tree / "usr/share").mkdir(parents=True)
    (tree / "usr/share/tiny").write_text("here")
    (mirror / "pool").mkdir(parents=True)
    package = mirror / "pool/tiny.deb"
    run("dpkg-deb", "--root-owner-group", "--build", tree, package, cwd=tmp_path)
    data = package.read_bytes()
    stanza = (
        f"{control}Filename: pool/tiny.deb\nSize: {len(data)}\n"
        f"SHA256: {hashlib.sha256(data).hexdigest()}\nDescription: a file\n"
    ).encode()
    for suite, more in [("sid", b""), ("trixie", b"\nPackage: newer\n")]:
        folder = mirror / f"dists/{suite}"
        (folder / "main/binary-amd64").mkdir(parents=True)
        (folder / "main/binary-amd64/Packages").write_bytes(stanza + more)
        (folder / "Release").write_text(
            f"Suite: {suite}\nCodename: {suite}\nArchitectures: amd64\nComponents: main\n"
            "Date: Wed, 01 Jan 2025 00:00:00 UTC\nSHA256:\n"
            f" {hashlib.sha256(stanza).hexdigest()} {len(stanza)} main/binary-amd64/Packages\n"
        )
    lists = tmp_path / "sources.list"
    lists.write_text(f"deb [trusted=yes] copy:{mirror} trixie main\n")
    monkeypatch.setattr(roots, "debian_lists", lambda: [lists])
    monkeypatch.setattr(roots, "ROOTS", tmp_path / "roots")
    return lists


def test_another_suite_serves_where_one_cannot_be_read(mirror):
    root = roots.debian("tiny", "amd64", ["tiny"], ("trixie", "sid"))
    assert (root / "usr/share/tiny").read_text() == "here"


def test_the_cause_is_named_for_every_suite(mirror):
    with pytest.raises(roots.Skip, match=r"tiny: .*; sid: E: Unable to locate"):
        roots.debian("tiny", "amd64", ["tiny", "absent"], ("trixie", "sid"))
    with pytest.raises(roots.Skip, match=rf"bring tiny: trixie: E: {DISORDER}") as found:
        roots.debian("tiny", "amd64", ["tiny"], ("trixie",))
    assert "Unable to locate" not in str(found.value) and "-oAPT" not in str(found.value)
    assert [path.name for path in roots.ROOTS.iterdir()] == ["tiny.lock"]


def test_an_installation_names_the_list_that_it_lacks(mirror, tmp_path):
    state = tmp_path / "state"
    (state / "lists/partial").mkdir(parents=True)
    (state / "status").touch()
    settings = tmp_path / "apt.conf"
    settings.write_text(
        f'APT::Sandbox::User "root";\nDebug::NoLocking "true";\nDir::Cache "{state}";\n'
        f'Dir::Etc::sourcelist "{mirror}";\nDir::Etc::sourceparts "/nowhere";\n'
        f'Dir::State "{state}";\nDir::State::status "{state}/status";\n'
    )
    done = subprocess.run(
        ["sh", ROOT / "scripts/apt-install.sh", "tiny"],
        env={**os.environ, "APT_CONFIG": str(settings), "LC_ALL": "C.UTF-8"},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert done.returncode == 1
    assert "error: these are not installed: tiny. Package lists could not be" in done.stderr
    assert re.search(DISORDER, done.stderr)
