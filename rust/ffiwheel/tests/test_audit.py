"""The judge: every rule is broken once, in a good file, and seen, and nothing else is.

All the broken files of a run are judged together: a case is a file and the codes that it
must get beyond those of the file that it was made from.
"""

import re
import shutil
import sys

import pytest

import audit_program
from audit_files import CASES, INFO, LICENSE, VERSION, Sdist, Wheel, codes, judged
from audit_library import no_relro
from audit_packaging import SBOM, a_build_tag, a_stray_file, move_info
from support import FFIWHEEL, NAME, PACKAGE, ROOT, Project, ffiwheel, needs_wheel, run

# ---- The judgement --------------------------------------------------------------------------


def good_files():
    """{kind: a file of dist/ of that kind}"""
    found = {}
    for path in (ROOT / "dist").iterdir():
        if path.suffix == ".whl":
            found[path.stem.split("-")[-1].split(".")[-1]] = path
        elif path.name.endswith(".tar.gz"):
            found["sdist"] = path
    return found


def broken(base, function, path, folder):
    """The file of a case."""
    folder.mkdir()
    if base == "library":
        wheel = Wheel(path)
        data = bytearray(wheel.files[wheel.library])
        function(data)
        file = folder / wheel.library.split("/")[-1]
        file.write_bytes(data)
        return file
    file = (Sdist if base == "sdist" else Wheel)(path)
    function(file)
    return file.write(folder)


def unchanged(file):
    pass


@pytest.fixture(scope="session")
def verdicts(tmp_path_factory):
    """{case or kind of good file: its findings}"""
    folder = tmp_path_factory.mktemp("broken")
    good = good_files()
    good["library"] = good["manylinux_2_17_x86_64"]
    cases = {f"good {base}": (base, unchanged) for base in good}
    cases.update({name: (base, function) for name, (_, base, function) in CASES.items()})
    files = {
        str(broken(base, function, good[base], folder / name)): name
        for name, (base, function) in cases.items()
        if base in good
    }
    return {files[file]: findings for file, findings in judged(files).items()}


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(name, marks=[] if base in ("sdist", "library") else needs_wheel(base))
        for name, (_, base, _) in CASES.items()
    ],
)
def test_each_rule_sees_what_breaks_it_and_no_other_does(case, verdicts):
    expected, base, _ = CASES[case]
    if case not in verdicts:
        pytest.skip(f"dist/ holds no {base}: make wheels TARGETS=all")
    before = {(found["code"], found["member"]) for found in verdicts[f"good {base}"]}
    new = [found for found in verdicts[case] if (found["code"], found["member"]) not in before]
    assert codes(new) == expected, new
    assert all(found["severity"] == "error" for found in new)


def test_every_rule_has_a_case():
    text = (ROOT / "docs/rules.md").read_text()
    rules = set(re.findall(r"^\| ([A-Z]\d{3}) \|", text, re.MULTILINE))
    tested = set().union(*(codes for codes, *_ in [*CASES.values(), *audit_program.CASES.values()]))
    in_release = {"S704", "S707", "X801", "X802", "X803", "X804", "X805"}
    of_settings = {"W115", "W116"}  # test_settings.py
    # F102 stands for what nobody foresaw.
    assert rules - tested - in_release - of_settings == {"F102"}
    assert tested <= rules


def test_what_the_pipeline_made_is_good(verdicts):
    for kind in ["manylinux_2_17_x86_64", "sdist", "library"]:
        assert verdicts[f"good {kind}"] == []


def test_a_good_file_gets_one_line_and_a_bad_one_its_remedy(wheel, tmp_path):
    text = ffiwheel_at_root("audit", wheel)
    # Another test may run ffiwheel here meanwhile.
    lines = [line for line in text.splitlines() if not line.startswith("waiting for another run")]
    assert lines == [f"ok {wheel.relative_to(ROOT)}"]
    bad = Wheel(wheel)
    a_build_tag(bad)
    a_stray_file(bad)
    text = ffiwheel_at_root("audit", bad.write(tmp_path), fails=True)
    assert re.search(r"^error\[W103\] .*: it has the build tag 1; raise the version", text, re.M)
    assert re.search(r"^error\[R208\] .*/stray\.py: ", text, re.M)
    assert "2 findings" in text


def test_a_code_is_explained():
    text = ffiwheel_at_root("audit", "--explain", "h503")
    assert "BIND_NOW" in text and "remedy:" in text and "https://" in text
    assert "`ffiwheel rules`" in ffiwheel_at_root("audit", "--explain", "Q1", fails=True)


def ffiwheel_at_root(*words, **options):
    return run(*FFIWHEEL, "--", *words, cwd=ROOT, **options)


def test_wheels_of_others_are_not_judged_as_this_project(wheel, tmp_path):
    """The same wheel under another name: hardening is advice, this project's rules are off."""
    other = Wheel(wheel)
    other.name = other.name.replace(PACKAGE, "other")
    other.edit(f"{INFO}/METADATA", f"Name: {NAME}", "Name: other")
    no_relro(other)
    a_stray_file(other)
    move_info(other, f"other-{VERSION}.dist-info")
    (found,) = judged([other.write(tmp_path)]).values()
    assert [(one["code"], one["severity"]) for one in found] == [("H502", "warning")]


@pytest.mark.parametrize(
    "target, words, tag, expected",
    [
        ("arm-linux-gnueabihf", ["-mcpu=arm1176jzf_s"], "manylinux_2_17_armv7l", []),
        ("arm-linux-gnueabihf", ["-mcpu=cortex_a7"], "manylinux_2_17_armv7l", []),
        (
            "arm-linux-gnueabihf",
            ["-mcpu=cortex_a53"],
            "manylinux_2_17_armv7l",
            [("L304", "it is for armv8l, but the tag says armv7l")],
        ),
        (
            "aarch64-linux-musl",
            ["note.s"],
            "musllinux_1_2_aarch64",
            [("L306", "it is for Android, but the tag is for Linux")],
        ),
    ],
)
def test_which_arm_and_which_system_a_library_is_for(target, words, tag, expected, wheel, tmp_path):
    (tmp_path / "x.c").write_text("int x(void) { return 0; }\n")
    (tmp_path / "note.s").write_text(
        '.section .note.android.ident,"a",%note\n.long 8, 4, 1\n.asciz "Android"\n.long 21\n'
    )
    command = [sys.executable, "-m", "ziglang", "cc", "-target", target, "-nostdlib", "-s"]
    run(*command, "-shared", "-Wl,-z,now", "-o", "x.so", "x.c", *words, cwd=tmp_path)
    other = Wheel(wheel)
    other.tag("manylinux2014_x86_64.manylinux_2_17_x86_64", tag)
    other.name = other.name.replace(PACKAGE, "other")
    other.edit(f"{INFO}/METADATA", f"Name: {NAME}", "Name: other")
    other.files[other.library] = (tmp_path / "x.so").read_bytes()
    move_info(other, f"other-{VERSION}.dist-info")
    (found,) = judged([other.write(tmp_path)]).values()
    assert [(one["code"], one["message"]) for one in found] == expected


# ---- The release ----------------------------------------------------------------------------


def released(folder, wheel, sdist):
    """A copy of the project with these two files in dist/: the codes of the release."""
    project = Project(folder)
    dist = project.root / "dist"
    dist.mkdir()
    (project.root / ".venv").symlink_to(ROOT / ".venv")
    for file in (wheel, sdist):
        file.write(dist) if not hasattr(file, "suffix") else shutil.copy(file, dist)
    return project, dist


def release_codes(project):
    return codes(judged([], "--release", cwd=project.root)["dist/"])


def test_a_release_that_lacks_files(wheel, sdist, tmp_path):
    project, dist = released(tmp_path / "project", wheel, sdist)
    found = judged([], "--release", cwd=project.root)["dist/"]
    missing = {one["member"] for one in found if one["code"] == "X801"}
    table = (ROOT / "ci/targets.toml").read_text()
    assert len(missing) == table.count("[[target]]") - 1
    assert not {"X802", "X803", "S704", "S707"} & codes(found)


def test_a_release_with_a_file_too_many(wheel, sdist, tmp_path):
    project, dist = released(tmp_path / "project", wheel, sdist)
    (dist / "notes.txt").write_text("")
    assert "X802" in release_codes(project)


def test_a_release_of_several_sources(wheel, sdist, tmp_path):
    changed = Wheel(wheel)
    changed.edit(f"{PACKAGE}/__main__.py", "\n", "\n\n")
    changed.infos[LICENSE].date_time = (2001, 2, 3, 4, 5, 6)
    del changed.files[SBOM]
    source = Sdist(sdist)
    source.edit("rust/src/lib.rs", "pub const ANSWER: i32 = 42;", "pub const ANSWER: i32 = x;")
    project, dist = released(tmp_path / "project", changed, source)
    assert {"X803", "X804", "X805", "S704", "S707"} <= release_codes(project)


# ---- What is generated ----------------------------------------------------------------------


def test_what_the_rules_are_made_of_is_up_to_date(project):
    assert ffiwheel(project, "rules", "--check") == ""
    platforms = project.root / "ci/platforms.toml"
    platforms.write_text(platforms.read_text().replace("GLIBC_2.17", "GLIBC_2.16"))
    assert "make rules" in ffiwheel(project, "rules", "--check", fails=True)
