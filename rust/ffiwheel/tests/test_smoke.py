"""`make smoke`: wheels are run, and broken ones fail in words."""

import json
import re
import shutil
import signal
import sys
import time
import zipfile

import pytest

import process
import roots
from runners import checks, protocol
from support import (
    HELPERS,
    MARK,
    PACKAGE,
    ROOT,
    clean_environment,
    ffiwheel,
    link_roots,
    named_interpreter,
    run,
)

# What runs foreign wheels, by the target's short name. Each is of another kind.
FOREIGN = [
    "manylinux_aarch64",
    "manylinux_s390x",
    "musllinux_x86_64",
    "musllinux_aarch64",
    "macosx_x86_64",
    "macosx_arm64",
    "macosx_universal2",
    "win_amd64",
    "win32",
    "win_arm64",
]


def find_wheel(target):
    """The wheel in dist/ for a target's short name."""
    system, _, architecture = target.partition("_")
    pattern = (
        rf"[-.]{system}(_\d+_\d+)?_{architecture}\.whl$" if architecture else rf"-{target}\.whl$"
    )
    found = [path for path in ROOT.glob("dist/*.whl") if re.search(pattern, path.name)]
    if not found:
        pytest.skip(f"dist/ has no wheel for {target}: make wheels TARGETS={target}")
    return found[0]


def library_in(wheel):
    """The name and the bytes of a wheel's library."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (
            name
            for name in archive.namelist()
            if re.match(rf"{PACKAGE}/lib/.*\.(so|dylib|dll)$", name)
        )
        return name, archive.read(name)


def broken(wheel, folder, library, name=None):
    """A copy of a wheel, under its name, with other bytes for its library, or a file of it."""
    name = name or library_in(wheel)[0]
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(wheel) as source:
        with zipfile.ZipFile(folder / wheel.name, "w", zipfile.ZIP_DEFLATED) as copy:
            for member in source.infolist():
                content = library if member.filename == name else source.read(member)
                copy.writestr(member, content)
    return folder / wheel.name


def wrong_fingerprint(library):
    return re.sub(MARK + rb"[0-9a-f]{16}", MARK + b"0123456789abcdef", library)


def other_architecture(target, library):
    """A library for another architecture, of the same system where dist/ has one."""
    if target == "manylinux_x86_64":
        return library[:18] + b"\xb7\0" + library[20:]  # EM_AARCH64: dist/ need have none
    others = {
        "manylinux": ["manylinux_s390x", "manylinux_aarch64", "musllinux_aarch64"],
        "musllinux": ["musllinux_aarch64", "musllinux_x86_64", "manylinux_s390x"],
        "macosx": ["macosx_arm64", "macosx_x86_64"],
        "win": ["win_amd64", "win_arm64", "win32"],
    }[re.match("[a-z]+", target).group()]
    for other in others:
        if other != target:
            try:
                return library_in(find_wheel(other))[1]
            except pytest.skip.Exception:
                continue
    pytest.skip("dist/ has no library for another architecture")


BREAKAGES = {
    "another architecture": lambda target, library: other_architecture(target, library),
    "truncated": lambda target, library: library[: len(library) // 2],
    "wrong fingerprint": lambda target, library: wrong_fingerprint(library),
}
# What loaders, the linker and the emulator say of them.
WORDS = {
    "another architecture": r"cannot be loaded|is incompatible with|is for \w+|failed \(error c0",
    "truncated": r"its end is missing|cannot be loaded|cut off|past the end|SIG(BUS|SEGV)|"
    r"is not exported|truncated|is for \w+",
    "wrong fingerprint": r"0123456789abcdef",
}


def check_broken(project, target, breakage):
    wheel = find_wheel(target)
    library = BREAKAGES[breakage](target, library_in(wheel)[1])
    broken(wheel, project.root / "dist", library)
    text = ffiwheel(project, "smoke", "--json", fails=True)
    assert f"smoke test failed for {target}" in text
    (row,) = json.loads(text[text.index("[\n") : text.rindex("]") + 1])
    assert row["error"] and re.search(WORDS[breakage], row["error"]), row["error"]


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_a_broken_wheel_fails_on_this_machine(project, breakage):
    check_broken(project, "manylinux_x86_64", breakage)


def test_what_cannot_be_run_is_an_error(project):
    assert "run `make wheels`" in ffiwheel(project, "smoke", fails=True)
    assert "make wheels TARGETS=win32" in ffiwheel(project, "smoke", "win32", fails=True)
    wheel = find_wheel("manylinux_x86_64")
    dist = project.root / "dist"
    dist.mkdir()
    shutil.copy(wheel, dist / wheel.name.replace("x86_64", "sparc64"))
    assert "matches no row of ci/targets.toml" in ffiwheel(project, "smoke", fails=True)


def test_a_missing_emulator_is_said_aloud(project):
    """It does not count as passed."""
    (project.root / "dist").mkdir()
    wheel = find_wheel("manylinux_x86_64")
    row = project.root / "ci/targets.toml"
    project.edit(row, "manylinux_2_17_x86_64", "manylinux_2_17_sparc64")
    project.edit(row, "manylinux2014_x86_64", "manylinux2014_sparc64")
    project.edit(row, '"x86_64-unknown-linux-gnu"', '"sparc64-unknown-linux-gnu"')
    project.edit(row, '"debian amd64"', '"debian sparc64"')
    shutil.copy(wheel, project.root / "dist" / wheel.name.replace("x86_64", "sparc64"))
    text = ffiwheel(project, "smoke")
    assert re.search(r"manylinux_sparc64 +static only", text)
    assert "1 wheel: 1 static only" in text and "not run: sparc64: " in text


def test_the_tool_and_the_runners_have_the_same_levels_and_exit_code():
    source = (ROOT / "rust/ffiwheel/src/verbs/smoke.rs").read_text()
    levels = re.search(r"\bconst LEVELS: .*? = (\[.*?\]);", source, re.DOTALL).group(1)
    assert json.loads(levels) == list(protocol.LEVELS)
    code = re.search(r"\bconst NOTHING_RAN: i32 = (\d+);", source).group(1)
    assert int(code) == protocol.NOTHING_RAN


def fails(error):
    raise error


@pytest.mark.parametrize(
    ("runner", "code", "printed"),
    [
        (lambda wheel: 1, 0, ""),
        (lambda wheel: 0, protocol.NOTHING_RAN, ""),
        (lambda wheel: fails(roots.Skip("no\nwine")), protocol.NOTHING_RAN, "skipped\tno wine\n"),
        (lambda wheel: fails(process.Failure("it is wrong")), 1, "it is wrong\n"),
    ],
)
def test_how_a_runner_ends(runner, code, printed, capsys, monkeypatch):
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit) as ended:
        protocol.main(runner, "a wheel")
    assert (ended.value.code, "".join(capsys.readouterr())) == (code, printed)


def test_a_command_that_hangs_is_ended(tmp_path):
    """With what it has started itself."""
    before = time.monotonic()
    script = f"sleep 300 & echo $! > {tmp_path}/pid; wait"
    with pytest.raises(process.Failure, match="no end after 1 seconds"):
        process.run(["sh", "-c", script], timeout=1)
    assert time.monotonic() - before < 60
    pid = int((tmp_path / "pid").read_text())
    for _ in range(100):
        try:
            with open(f"/proc/{pid}/stat") as file:
                if file.read().rsplit(")", 1)[1].split()[0] == "Z":
                    return
        except FileNotFoundError:
            return
        time.sleep(0.1)
    raise AssertionError(f"process {pid} runs on")


def test_a_root_is_made_once_and_again_for_another_recipe(tmp_path, monkeypatch):
    monkeypatch.setattr(roots, "ROOTS", tmp_path / "roots")
    made = []

    def make(folder):
        made.append(folder)
        (folder / "file").write_text(str(len(made)))

    for recipe, count in [("a", "1"), ("a", "1"), ("b", "2"), ("b", "2")]:
        assert (roots.cached("name", recipe, make) / "file").read_text() == count

    def fail(folder):
        raise process.Failure("no")

    with pytest.raises(process.Failure):
        roots.cached("name", "c", fail)
    assert (roots.cached("name", "b", make) / "file").read_text() == "2"
    assert sorted(path.name for path in roots.ROOTS.iterdir()) == ["name", "name.lock"]


# ---- What every library must pass ------------------------------------------------------------

# What takes the place of what in _ffi.py, and what is said of it.
CHANGES = {
    "nothing": ("", "", f"{PACKAGE} .* runs on "),
    "fingerprint": (r"ABI = '\w+'", "ABI = '0123456789abcdef'", "is stale: its ABI is "),
    "missing function": (
        f"{PACKAGE}_hello'", f"{PACKAGE}_hellp'", f"lacks a function .*{PACKAGE}_hellp"
    ),
    "undeclared function": (
        rf"b'[^']*{PACKAGE}_hello',0,", "", f"exports {PACKAGE}_hello, which the header does not"
    ),
    "order of fields": (
        r"bytes'(,b'[^']*)lines'", r"lines'\1bytes'",
        "has `struct Tally .*`, _ffi.py has `struct Tally .* lines:0:8 bytes:8:8 ",
    ),
    "value": ("(?<=Encoding_Binary',)2", "3", "has `enum .*`, _ffi.py has `enum .*Binary=3"),
    "struct": (
        f"{PACKAGE}_Tally'", f"{PACKAGE}_Talle'", "has `struct Tally .*`, which _ffi.py does not"
    ),
    "no fingerprint": (r"ABI = '\w+'", "ABI = ''", f"{PACKAGE} .* runs on "),
}  # fmt: skip


@pytest.fixture(scope="module", params=["2.7", "3.13", "pypy3"])
def installed(request, wheel, tmp_path_factory):
    """An environment with the package, and the path of its _ffi.py."""
    interpreter = named_interpreter(request.config, request.param)
    environment = interpreter.environment(tmp_path_factory.mktemp("installed") / "venv")
    environment.pip("install", "--no-compile", wheel)
    (ffi,) = environment.folder.glob(f"**/{PACKAGE}/_ffi.py")
    return environment, ffi


@pytest.mark.parametrize("change", CHANGES)
def test_what_every_library_must_pass(installed, change):
    environment, ffi = installed
    pattern, new, expected = CHANGES[change]
    before = ffi.read_text()
    after, count = re.subn(pattern, new, before)
    assert count
    ffi.write_text(after)
    try:
        text = run(
            *(environment.python, HELPERS / "smoke_gate.py", PACKAGE),
            cwd=environment.folder,
            env=clean_environment(PYTHONDONTWRITEBYTECODE="1"),
            fails=" runs on " not in expected,
        )
    finally:
        ffi.write_text(before)
    assert re.search(expected, text), text
    assert "Traceback" not in text


def test_the_c_program_for_any_library(wheel, tmp_path, monkeypatch):
    """It finds every function, and cannot be linked where one is missing."""
    monkeypatch.setattr(checks, "C_PROGRAM", tmp_path / "none.c")
    library = checks.unpack(wheel, tmp_path / "wheel")
    program = checks.compile_program("x86_64-linux-gnu.2.17", library, tmp_path)
    environment = clean_environment(LD_LIBRARY_PATH=str(library.parent))
    checks.check_program(run(program, cwd=tmp_path, env=environment), library)

    ffi = library.parents[1] / "_ffi.py"
    text = ffi.read_text()
    ffi.write_text(re.sub(r"ABI = '\w+'", "ABI = ''", text))  # as of a library that is not Rust's
    program = checks.compile_program("x86_64-linux-gnu.2.17", library, tmp_path)
    printed = run(program, cwd=tmp_path, env=environment)
    assert re.fullmatch(r"\d+ functions were found\n", printed)
    checks.check_program(printed, library)

    ffi.write_text(text)
    program = checks.compile_program("x86_64-linux-gnu.2.17", library, tmp_path)
    library.write_bytes(wrong_fingerprint(library.read_bytes()))
    with pytest.raises(process.Failure, match="has the ABI 0123456789abcdef, _ffi.py expects"):
        checks.check_program(run(program, cwd=tmp_path, env=environment), library)

    (tmp_path / "library.c").write_text(
        f"char *{PACKAGE}_abi(void) {{ return 0; }}\n"
        f"char *{PACKAGE}_error_take(void *kind) {{ return kind; }}\n"
    )
    zig = [sys.executable, "-m", "ziglang", "cc", "-target", "x86_64-linux-gnu.2.17", "-shared"]
    run(*zig, "library.c", "-o", library, cwd=tmp_path)
    with pytest.raises(process.Failure, match=f"undefined symbol: {PACKAGE}_text_free"):
        checks.compile_program("x86_64-linux-gnu.2.17", library, tmp_path)


@pytest.mark.slow
def test_any_library_on_an_emulated_processor(tmp_path, monkeypatch, capsys):
    emulator = pytest.importorskip("runners.emulator")
    monkeypatch.setattr(emulator, "FUNCTIONS", tmp_path / "none.py")
    wheel = find_wheel("macosx_arm64")
    assert emulator.main(str(wheel)) == 1
    assert capsys.readouterr().out.startswith(f"{protocol.FUNCTIONS_ONLY}\tarm64 slice")
    name = f"{PACKAGE}/_ffi.py"
    with zipfile.ZipFile(wheel) as archive:
        before = archive.read(name).decode()
    for change in ["fingerprint", "order of fields", "value", "struct"]:
        pattern, new, expected = CHANGES[change]
        after = re.sub(pattern, new, before).encode()
        expected = "the ABI: " if change == "fingerprint" else expected
        with pytest.raises(process.Failure, match=expected):
            emulator.main(str(broken(wheel, tmp_path / change, after, name)))


@pytest.mark.slow
def test_debians_packages_where_another_distribution_runs(tmp_path, monkeypatch):
    """Neither its own sources nor unsigned ones are used."""
    lists = tmp_path / "sources.list"
    lists.write_text("deb http://archive.ubuntu.com/ubuntu jammy main\n")
    monkeypatch.setattr(roots, "debian_lists", lambda: [lists])
    get = roots.apt_get(tmp_path / "apt", "arm64", "bookworm")
    process.run([*get, "update"])
    uris = process.run([*get, "--print-uris", "install", "python3-minimal"])
    assert "_arm64.deb" in uris and "ubuntu" not in uris
    (source,) = (tmp_path / "apt/etc/sources.list.d").iterdir()
    assert "Signed-By: /" in source.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("target", FOREIGN)
def test_a_foreign_wheel_runs(project, target):
    (project.root / "dist").mkdir()
    shutil.copy(find_wheel(target), project.root / "dist")
    link_roots(project)
    text = ffiwheel(project, "smoke", "--json", timeout=1800)
    (row,) = json.loads(text[text.index("[\n") : text.rindex("]") + 1])
    if row["level"] == "static only":
        pytest.skip("; ".join(row["skipped"]))


@pytest.mark.slow
@pytest.mark.parametrize("breakage", BREAKAGES)
@pytest.mark.parametrize("target", FOREIGN)
def test_a_broken_foreign_wheel_fails(project, target, breakage):
    link_roots(project)
    check_broken(project, target, breakage)
