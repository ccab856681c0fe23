"""What the process does when Python ends while a thread is inside the library."""

import subprocess
import zipfile

from support import PACKAGE, ROOT, clean_environment

# CPython 3.6 to 3.13 ends such a thread with pthread_exit, which unwinds its stack through
# the library's frames. What Python frees meanwhile gives the thread time to get there.
PROGRAM = """\
import sys, threading, time
import {package} as library

class Late(object):
    def __del__(self, sleep=time.sleep):
        sleep(0.5)

if {late}:
    sys.late = Late()
inside = threading.Event()
thread = threading.Thread(
    target=library.countdown, args=(2**32 - 1, lambda number: inside.set())
)
thread.daemon = True
thread.start()
assert inside.wait(60)
try:
    library.share(1, 0)
except library.RustPanic as error:
    print(error)
"""


def test_python_ends_while_a_thread_is_inside_a_callback(interpreter, wheel, tmp_path):
    environment = interpreter.environment(tmp_path / "venv")
    environment.pip("install", wheel)
    runs = [
        subprocess.Popen(
            [environment.python, "-c", PROGRAM.format(late=late, package=PACKAGE)],
            cwd=tmp_path,
            env=clean_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for late in [True, True, False]
    ]
    said = [process.communicate(timeout=120) for process in runs]
    assert [process.returncode for process in runs] == [0, 0, 0], said
    assert all("divide by zero" in out for out, _ in said), said


def test_glibc_libraries_have_no_unwinder_of_their_own():
    wheels = sorted((ROOT / "dist").glob("*-manylinux*.whl"))
    assert wheels
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            library = archive.read(f"{PACKAGE}/lib/lib{PACKAGE}.so")
        assert b"\0libgcc_s.so.1\0" in library, wheel.name
        assert b"libunwind: " not in library, wheel.name  # LLVM's messages
