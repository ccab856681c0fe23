"""The library as a C program uses it: its header is complete, and nothing leaks."""

import re
import shutil

import pytest

from project import PACKAGE, ROOT
from testing import Failed, clean_environment, run

PROGRAM = ROOT / "rust/tests/program.c"
INCLUDE = ROOT / "rust/include"
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"]
OUTPUT = "Hello C from Rust!\nevery call was right, with "

ENVIRONMENT = clean_environment(
    ASAN_OPTIONS="detect_leaks=1:exitcode=23", LSAN_OPTIONS="exitcode=23"
)
VALGRIND = ["valgrind", "--quiet", "--leak-check=full", "--error-exitcode=23"]
DETECTORS = {
    "address sanitizer": ([], ["-fsanitize=address,leak"]),
    "valgrind": (VALGRIND, []),
}


def compiled(library, folder, *flags):
    """The program, linked with the library."""
    if not shutil.which("cc"):
        pytest.skip("this machine has no C compiler")
    program = folder / "program"
    link = [library, f"-Wl,-rpath,{library.parent}"]
    run("cc", *STRICT, "-g", *flags, "-I", INCLUDE, PROGRAM, *link, "-o", program, cwd=folder)
    return program


def test_the_program_calls_every_function_of_the_header():
    header = (INCLUDE / f"{PACKAGE}.h").read_text("utf-8")
    code = re.sub(r"//.*", "", header)
    functions = set(re.findall(rf"\b({PACKAGE}_\w+)\(", code))
    assert f"{PACKAGE}_abi" in functions
    called = set(re.findall(rf"\b({PACKAGE}_\w+)\(", PROGRAM.read_text()))
    assert functions == called


def test_every_call_from_c_is_right(built, tmp_path):
    library, _ = built
    assert OUTPUT in run(compiled(library, tmp_path), cwd=tmp_path)


@pytest.mark.parametrize("detector", DETECTORS)
def test_nothing_leaks(built, tmp_path, detector):
    library, _ = built
    command, flags = DETECTORS[detector]
    if command and not shutil.which(command[0]):
        pytest.skip(f"this machine has no {detector}")
    try:
        program = compiled(library, tmp_path, *flags)
    except Failed as failed:
        if re.search(r"cannot find .*(asan|lsan)|-fsanitize", str(failed).split(":\n", 1)[1]):
            pytest.skip(f"the compiler has no {detector}")
        raise
    try:
        assert OUTPUT in run(*command, program, cwd=tmp_path, env=ENVIRONMENT)
    except Failed as failed:
        if "LeakSanitizer has encountered a fatal error" in str(failed):
            pytest.skip("the leak sanitizer needs ptrace, which this machine refuses")
        raise

    # Does the detector see what it should?
    with pytest.raises(Failed) as leaky:
        run(*command, program, "leak", cwd=tmp_path, env=ENVIRONMENT)
    message = str(leaky.value)
    assert message.startswith("exit code 23 "), message
    assert re.search(r"24 byte.* leaked|24 bytes .*definitely lost", message), message
