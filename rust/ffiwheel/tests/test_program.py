"""A project whose wheels bring a program: setup.py by itself, the verbs, the judge."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

import audit_program
import program
import smoke_program
from audit_files import Wheel, codes, judged
from support import (
    BIN,
    HELPERS,
    ROOT,
    clean_environment,
    commit,
    ffiwheel,
    link_roots,
    link_tools,
    long,
    named_interpreter,
    run,
)
from testing import Environment

sys.path.insert(0, str(ROOT / "python"))  # setup.py imports it from there, too.
import platform_tag

VERSION = "half-way 1.2.0-rc.3"
WHEEL = (
    "half_way-1.2.0rc3-py2.py3-none-"
    "manylinux2014_x86_64.manylinux_2_17_x86_64.musllinux_1_2_x86_64.whl"
)
ZIG = [sys.executable, "-m", "ziglang", "cc"]
# The versions of setuptools, pip and the finder's ways differ most between these.
PYTHONS = ["2.7", "3.13", *long("3.6", "pypy3")]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The project, with what setup.py built of it."""
    project = program.make(tmp_path_factory.mktemp("program") / "project")
    project.wheel()
    project.setup("sdist")
    return project


@pytest.fixture(params=PYTHONS)
def one_of_pythons(request):
    return named_interpreter(request.config, request.param)


def file_of(project, pattern):
    (found,) = (project.python / "dist").glob(pattern)
    return found


def check_runs(environment, **options):
    for command in ([environment.bin / "half-way"], [environment.python, "-m", "half_way"]):
        assert run(*command, "--version", cwd=environment.folder, **options).strip() == VERSION
        assert run(*command, "84", cwd=environment.folder, **options).strip() == "42"
        failed = subprocess.run([*command, "x"], capture_output=True, cwd=environment.folder)
        assert failed.returncode == 3 and b"invalid digit" in failed.stderr


# ---- setup.py ------------------------------------------------------------------------------


def test_a_wheel_holds_the_program_as_a_command(built):
    wheel = file_of(built, "*.whl")
    assert wheel.name == "half_way-1.2.0rc3-py2.py3-none-linux_x86_64.whl"
    with zipfile.ZipFile(wheel) as archive:
        modes = {info.filename: info.external_attr >> 16 & 0o777 for info in archive.infolist()}
    assert modes.pop(audit_program.PROGRAM) == 0o755
    assert "half_way/_program.py" in modes and not any("/lib/" in name for name in modes)
    assert all(mode & 0o111 == 0 for name, mode in modes.items() if not name.endswith("/"))


def test_it_is_installed_and_found(built, one_of_pythons, tmp_path):
    environment = one_of_pythons.environment(tmp_path / "environment")
    for pattern in ("*.whl", "*.tar.gz"):
        environment.pip("install", file_of(built, pattern))
        check_runs(environment)
        environment.pip("uninstall", "--yes", "half-way")
        assert not (environment.bin / "half-way").exists()


def test_an_editable_install_brings_the_program(one_of_pythons, tmp_path):
    project = program.make(tmp_path / "project")
    environment = one_of_pythons.environment(tmp_path / "environment")
    environment.pip("install", "--editable", project.python)
    check_runs(environment)
    project.edit(project.source, 'println!("half-way {}"', 'println!("half-way is {}"')
    environment.pip("install", "--editable", project.python)
    printed = run(environment.python, "-m", "half_way", "--version", cwd=tmp_path)
    assert printed == "half-way is 1.2.0-rc.3\n"


@pytest.mark.parametrize("option", ["--target", "--prefix", "--user"])
def test_it_is_found_wherever_it_was_installed(built, one_of_pythons, option, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    environment = one_of_pythons.environment(tmp_path / "environment")
    python, words = environment.python, [option, elsewhere]
    if option == "--user":
        python, words = one_of_pythons.path, [option]
        if subprocess.run([python, "-m", "pip", "--version"], capture_output=True).returncode:
            pytest.skip(f"{python} has no pip")
    env = clean_environment(PYTHONUSERBASE=str(elsewhere), PIP_BREAK_SYSTEM_PACKAGES="1")
    run(python, "-m", "pip", "install", *words, file_of(built, "*.whl"), cwd=tmp_path, env=env)
    (package,) = elsewhere.rglob("_program.py")
    if option != "--user":
        env["PYTHONPATH"] = str(package.parents[1])
    printed = run(python, "-m", "half_way", "--version", cwd=tmp_path, env=env)
    assert printed.strip() == VERSION


def test_uvx_runs_the_wheel(built, tmp_path):
    words = [BIN / "uvx", "--no-config", "--no-cache", "--offline", "--python", sys.executable]
    words += ["--from", file_of(built, "*.whl"), "half-way", "--version"]
    printed = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, check=True)
    assert printed.stdout.strip() == VERSION


def test_a_program_that_is_gone_is_reported(built, tmp_path):
    folder = tmp_path / "half_way"
    shutil.copytree(built.python / "half_way", folder)
    text = run(sys.executable, "-m", "half_way", cwd=tmp_path, fails=True)
    assert "error: the program half-way, which is installed with the package half_way" in text
    assert "install the package again" in text and "Traceback" not in text


@pytest.mark.parametrize(
    "file, old, new, expected",
    [
        ("python/setup.cfg", "kind = program", "kind = book", "setup.cfg has the kind book below"),
        (
            "python/setup.cfg",
            "kind = program",
            "kind = program\nprogram = other",
            "write `program = <name>` below [build_library] in setup.cfg",
        ),
        (
            "python/setup.cfg",
            "[build_library]",
            "[options.entry_points]\nconsole_scripts = half-way = a:b\n[build_library]",
            "which would replace the program",
        ),
        ("rust/Cargo.toml", '"1.2.0-rc.3"', '"1.2.0-gamma"', "which is none of Python's"),
    ],
)
def test_a_mistake_gets_one_sentence(file, old, new, expected, tmp_path):
    project = program.make(tmp_path / "project")
    project.edit(project.root / file, old, new)
    text = project.setup("bdist_wheel", fails=True)
    assert expected in text and "Traceback" not in text


def test_no_program_of_another_platform_is_packed(built, compiled, tmp_path):
    project = program.make(tmp_path / "project")
    for name, expected in [("library", "is not a program"), ("windows", "not for linux x86_64")]:
        path = tmp_path / name
        path.write_bytes(compiled[name])
        words = ("build_library", "--library", path, "bdist_wheel")
        assert expected in project.setup(*words, fails=True)


# ---- What a program is for, by its bytes ---------------------------------------------------

C = """\
#include <stdio.h>
int main(void) { return puts("half-way 1.2.0-rc.3") < 0; }
"""
COMPILED = {
    "static": ["-target", "x86_64-linux-musl", "-static", "-fPIE", "-pie"],
    "fixed": ["-target", "x86_64-linux-musl", "-static"],
    "dynamic": ["-target", "x86_64-linux-gnu.2.17", "-fPIE", "-pie", "-Wl,-z,now"],
    "library": ["-target", "x86_64-linux-musl", "-shared", "-nostdlib", "-Wl,-z,now"],
    "windows": ["-target", "x86_64-windows-gnu"],
    "dll": ["-target", "x86_64-windows-gnu", "-shared"],
    "macos": ["-target", "aarch64-macos.11.0"],
    "dylib": ["-target", "aarch64-macos.11.0", "-shared"],
}


@pytest.fixture(scope="session")
def compiled(tmp_path_factory):
    """{name: the bytes of a program or library in C}"""
    folder = tmp_path_factory.mktemp("compiled")
    (folder / "main.c").write_text(C)
    (folder / "library.c").write_text("int halve(int number) { return number / 2; }\n")
    for name, words in COMPILED.items():
        source = "library.c" if "-shared" in words else "main.c"
        run(*ZIG, *words, "-O1", "-s", "-o", name, source, cwd=folder)
    return {name: (folder / name).read_bytes() for name in COMPILED}


@pytest.mark.parametrize(
    "name, tag, libc",
    [
        ("static", "linux_x86_64", ""),
        ("fixed", "linux_x86_64", ""),
        ("dynamic", "linux_x86_64", "glibc"),
        ("windows", "win_amd64", ""),
        ("macos", "macosx_11_0_arm64", ""),
    ],
)
def test_the_platform_of_a_program(compiled, name, tag, libc, tmp_path):
    path = tmp_path / name
    path.write_bytes(compiled[name])
    found = platform_tag.of_program(path)
    assert (found.tag, found.libc) == (tag, libc)
    with pytest.raises(platform_tag.NotALibrary, match="not a (dynamic library|DLL)"):
        platform_tag.of_library(path)


@pytest.mark.parametrize("name", ["library", "dll", "dylib"])
def test_a_library_is_no_program(compiled, name, tmp_path):
    path = tmp_path / name
    path.write_bytes(compiled[name])
    with pytest.raises(platform_tag.NotALibrary, match="but not a program"):
        platform_tag.of_program(path)
    platform_tag.of_library(path)


# ---- The judge -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def good(compiled, tmp_path_factory):
    """The project, a repository, and a wheel of it with every tag, whose program C made."""
    folder = tmp_path_factory.mktemp("judged")
    project = program.make(folder / "project")
    link_tools(project)
    commit(project)
    (folder / "half-way").write_bytes(compiled["static"])
    environment = clean_environment(SOURCE_DATE_EPOCH="1700000000")
    words = ("build_library", "--library", folder / "half-way", "bdist_wheel")
    project.setup(*words, env=environment)
    tags = WHEEL.split("-")[-1].removesuffix(".whl").split(".")
    words = (HELPERS / "set_platforms.py", file_of(project, "*.whl"), folder, *tags)
    run(sys.executable, *words, cwd=folder, env=environment)
    return project, folder / WHEEL


@pytest.fixture(scope="module")
def verdicts(good, compiled, tmp_path_factory):
    """{case: its findings}"""
    project, path = good
    files = {str(path): "good"}
    for name, (_, function) in audit_program.CASES.items():
        folder = tmp_path_factory.mktemp("broken")
        wheel = Wheel(path)
        function(wheel, compiled)
        files[str(wheel.write(folder))] = name
    found = judged(files, cwd=project.root)
    return {files[file]: findings for file, findings in found.items()}


def test_a_good_wheel_of_a_program_is_good(verdicts):
    assert verdicts["good"] == []


@pytest.mark.parametrize("case", audit_program.CASES)
def test_each_rule_sees_what_breaks_a_program(case, verdicts):
    assert codes(verdicts[case]) == audit_program.CASES[case][0], verdicts[case]


# ---- The smoke test ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "printed", ["half-way 1.2.0-rc.3", "1.2.0rc3", "half-way v1.2.0-rc.3 (2026)"]
)
def test_a_version_is_one_in_either_spelling(printed):
    smoke_program.check_version(printed, "1.2.0rc3")


@pytest.mark.parametrize("printed", ["half-way 1.2.0", "half-way", "", "half-way 1.2.0-rc.30"])
def test_another_version_is_wrong(printed):
    with pytest.raises(smoke_program.Wrong):
        smoke_program.check_version(printed, "1.2.0rc3")


def test_the_smoke_test_of_a_program(built, tmp_path):
    run(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    environment = Environment(tmp_path / "venv")
    environment.pip("install", file_of(built, "*.whl"))
    command = [environment.python, HELPERS / "smoke_program.py", "half-way", "half-way", "half_way"]
    assert re.match("half_way 1.2.0rc3 runs on CPython 3", run(*command, cwd=tmp_path))
    path = environment.bin / "half-way"
    path.write_text("#!/bin/sh\necho half-way 7.0.0\n")
    text = run(*command, cwd=tmp_path, fails=True)
    assert "with --version it prints 'half-way 7.0.0', not the version 1.2.0rc3" in text
    path.write_text(f"#!/bin/sh\n[ -e {tmp_path}/ran ] || echo {VERSION}\ntouch {tmp_path}/ran\n")
    assert "`python -m half_way --version` prints ''" in run(*command, cwd=tmp_path, fails=True)


# ---- The verbs -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    project = program.make(tmp_path_factory.mktemp("verbs") / "project")
    link_tools(project)
    commit(project)
    return project


@pytest.mark.parametrize("verb", ["header", "lib"])
def test_verbs_for_libraries_refuse_by_name(repository, verb):
    text = ffiwheel(repository, verb, fails=True)
    expected = f"error: `make {verb}` is for a library, and this project's wheels bring the program"
    assert f"{expected} half-way" in text


@pytest.mark.parametrize("verb", ["wheels", "matrix"])
@pytest.mark.parametrize("backend", ["docker", "cross", "cibuildwheel"])
def test_no_image_builds_a_program(repository, verb, backend):
    assert "leave BACKEND out" in ffiwheel(
        repository, verb, "--backend", backend, "linux_x86_64", fails=True
    )


def test_a_job_builds_one_wheel_for_every_libc(repository):
    text = ffiwheel(repository, "matrix", "linux")
    rows = json.loads(re.search("^build=(.*)$", text, re.MULTILINE).group(1))["include"]
    assert {row["target"].split("_", 1)[0] for row in rows} == {"linux"}
    assert {(row["backend"], row["image"]) for row in rows} == {("zig", "")}
    assert rows[0]["emulator"] == "" and rows[2]["emulator"] == "linux arm64"
    assert WHEEL.split("-")[-1].removesuffix(".whl") in ffiwheel(repository, "targets")


def test_an_sdist_is_packed_and_judged(repository):
    ffiwheel(repository, "sdist")
    assert ffiwheel(repository, "audit").strip() == "ok dist/half_way-1.2.0rc3.tar.gz"


def test_the_kit_of_a_program_is_updated(tmp_path):
    """Without the header, which a program has not."""
    project = program.make(tmp_path / "project")
    commit(project)
    (project.python / "sources.py").unlink()
    text = ffiwheel(project, "update", "--force", "python/pyproject.toml")
    assert "wrote python/sources.py" in text and "changed python/pyproject.toml" in text


def test_the_version_is_set_where_it_is(tmp_path):
    project = program.make(tmp_path / "project")
    link_tools(project)
    changes = "# Changelog\n\n## Unreleased\n\n- More.\n\n"
    project.edit(project.root / "CHANGELOG.md", "# Changelog\n\n", changes)
    commit(project)
    text = ffiwheel(project, "bump", "1.2.0")
    assert {"rust/Cargo.toml", "rust/Cargo.lock"} <= set(re.findall("changed (.*)", text))
    commit(project)
    assert "v1.2.0 can be built" in ffiwheel(project, "check-tag", "v1.2.0")
    project.wheel()
    assert file_of(project, "*.whl").name.startswith("half_way-1.2.0-py2.py3-none-")


# ---- Other platforms -----------------------------------------------------------------------


@pytest.mark.long
def test_wheels_for_every_kind_of_platform_are_run(tmp_path):
    project = program.make(tmp_path / "project")
    link_tools(project)
    commit(project)
    link_roots(project)
    targets = ["linux_x86_64", "manylinux_aarch64", "macosx_arm64", "win_amd64"]
    ffiwheel(project, "wheels", *targets, timeout=3000)
    assert (project.root / "dist" / WHEEL).exists()
    ffiwheel(project, "audit")
    text = ffiwheel(project, "smoke", "--json", timeout=3000)
    rows = json.loads(text[text.index("[\n") : text.rindex("]") + 1])
    levels = {row["target"]: (row["level"], row["skipped"]) for row in rows}
    assert levels["linux_x86_64"][0] == "installed"
    assert "only its own system runs" in levels["macosx_arm64"][1][0]
    for name in ("linux_aarch64", "win_amd64"):
        level, skipped = levels[name]
        assert level == "installed" or skipped, levels
    environment = clean_environment(PATH=f"{BIN}{os.pathsep}{os.environ['PATH']}")
    assert "uv" in ffiwheel(project, "rehearse", timeout=3000, env=environment)
