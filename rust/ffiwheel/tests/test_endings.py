"""Python ends, or the stack does, or memory: the process lives on, or exits with 0."""

import pytest

from support import PACKAGE, Project, clean_environment, ffiwheel, named_interpreter, run

RUNS = 3  # Of what depends on timing.
FAST = ["2.7", "3.8", "3.13", "pypy3"]
SLOW = ["3.6", "3.7", "3.9", "3.10", "3.11", "3.12"]

# In the library's place: the same, with a thread that calls back.
THREAD = """
    /// Starts a thread that calls `step` until it answers another value than 0.
    ///
    /// @param step called on the thread; not NULL.
    /// @param user_data given to `step` as it is; may be NULL.
    /// @return 0, or -1 on an error.
    fn PREFIX_thread_start(step: Step, user_data: *mut c_void) -> i32 {
        let step = step.ok_or_else(|| Error::argument("the callback is NULL"))?;
        let user_data = user_data as usize;
        std::thread::spawn(move || {
            while ffi::call_back(|| step(user_data as *mut c_void, 1)) == Some(0) {}
        });
        Ok(0)
    }
""".replace("PREFIX", PACKAGE)


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The folder of the package whose library has a thread."""
    project = Project(tmp_path_factory.mktemp("endings") / "project")
    project.edit(project.source, "    // An object behind a handle.\n", THREAD)
    ffiwheel(project, "header")
    project.setup("build_library", "--inplace")
    return project.python


@pytest.fixture(
    scope="module", params=FAST + [pytest.param(name, marks=pytest.mark.slow) for name in SLOW]
)
def python(request, package, tmp_path_factory):
    """python(code) runs it, and returns what it printed."""
    interpreter = named_interpreter(request.config, request.param)
    environment = interpreter.environment(tmp_path_factory.mktemp("python") / "venv")
    if "pypy" not in request.param:
        environment.pip("install", "cffi")
    env = clean_environment(PYTHONPATH=str(package), PYTHONDONTWRITEBYTECODE="1")

    def python(code, runs=1):
        for _ in range(runs):
            text = run(environment.python, "-c", code, cwd=package, env=env, timeout=100)
        return text

    return python


# ---- Python ends --------------------------------------------------------------------------

LET_GO = f"""
import gc, sys
def let_go():
    for name in list(sys.modules):
        if name.startswith("{PACKAGE}"):
            del sys.modules[name]
    for _ in range(3):
        gc.collect()
"""
# The thread that imported has ended: its variables no longer hold the library.
IN_A_THREAD = """
import threading
thread = threading.Thread(target=make)
thread.start()
thread.join()
del thread, make
let_go()
"""
OUTLIVING = {
    "a handle, at exit": f"""
def make():
    import {PACKAGE}
    sys.kept = {PACKAGE}.Guest("x")._handle
{IN_A_THREAD}
""",
    "a handle, before it": f"""
def make():
    import {PACKAGE}
    sys.kept = {PACKAGE}.Guest("x")._handle
{IN_A_THREAD}
del sys.kept
let_go()
""",
    "an object": f"""
def make():
    import {PACKAGE}
    sys.kept = {PACKAGE}.Guest("x")
{IN_A_THREAD}
""",
    "a cycle": f"""
class Cycle(object):
    pass
def make():
    import {PACKAGE}
    cycle = Cycle()
    cycle.itself, cycle.handle = cycle, {PACKAGE}.Guest("x")._handle
gc.disable()
{IN_A_THREAD}
""",
    "an import hook": f"""
class Hook(object):
    def find_spec(self, *_):
        pass
    find_module = find_spec
def make():
    import {PACKAGE}
    hook = Hook()
    hook.handle = {PACKAGE}.Guest("x")._handle
    sys.meta_path.insert(0, hook)
{IN_A_THREAD}
""",
}


@pytest.mark.parametrize("what", OUTLIVING)
def test_what_outlives_the_package_can_still_be_freed(what, python):
    assert python(LET_GO + OUTLIVING[what], RUNS) == ""


# What keeps Python ending for half a second, after the drain.
LATE = """
import sys, time
class Late(object):
    sleep = staticmethod(time.sleep)
    def __del__(self):
        self.sleep(.5)
sys.kept = Late()
"""
START = f"""
import threading
from {PACKAGE} import _native
begun = threading.Event()
@_native.ffi.callback("{PACKAGE}_Step", error=1)
def step(_, number):
    begun.set()
    time.sleep(SECONDS)
    return 0
for _ in range(THREADS):
    assert _native.lib.{PACKAGE}_thread_start(step, _native.ffi.NULL) == 0
begun.wait(60)
"""


@pytest.mark.parametrize("threads,seconds", [(1, 0.5), (1, 0), (8, 0.001)])
def test_python_ends_while_a_thread_of_the_library_calls_back(threads, seconds, python):
    code = START.replace("SECONDS", str(seconds)).replace("THREADS", str(threads))
    assert python(LATE + code, RUNS) == ""


def test_python_ends_while_a_thread_of_its_own_is_in_a_callback(python):
    for step in ["lambda number: None", "lambda number: time.sleep(.2)"]:
        code = f"""
import threading, {PACKAGE}
thread = threading.Thread(target={PACKAGE}.countdown, args=(2**32 - 1, {step}))
thread.daemon = True
thread.start()
time.sleep(.05)
"""
        python(LATE + code, RUNS)  # Python 2 prints what it took away from the thread.


def test_a_callback_that_takes_longer_is_named(python):
    code = START.replace("SECONDS", ".5").replace("THREADS", "1")
    text = python("import time\n" + code + "_native._end_callbacks(drain=0)\n")
    assert f"{PACKAGE}: callbacks still running at exit: 1, after 0 seconds." in text


def test_a_forked_child_does_not_wait_for_the_callbacks_of_its_parent(python):
    code = START.replace("SECONDS", ".5").replace("THREADS", "1")
    code += """
import os
if os.fork():
    assert os.wait()[1] == 0
else:
    start = time.time()
    _native._end_callbacks()
    assert time.time() - start < _native.DRAIN - 1
    os._exit(0)
"""
    python("import time\n" + code)  # Newer ones warn that it forks with threads.


def test_what_python_itself_calls_at_its_end_may_still_call_back(python):
    code = f"""
import atexit
def last():
    {PACKAGE}.countdown(1, steps.append)
    print(steps)
steps = []
atexit.register(last)
import {PACKAGE}
"""
    assert python(code) == "[1, 0]\n"


# ---- The stack ends -----------------------------------------------------------------------


def test_a_stack_that_ends_in_a_callback_comes_out_of_it_at_every_depth(python):
    code = f"""
import sys, {PACKAGE}
sys.setrecursionlimit(400)
def deep(depth, function):
    return deep(depth - 1, function) if depth else function()
def direct():
    {PACKAGE}.countdown(0, lambda number: direct())
def step(number):
    indirect()
def indirect():
    {PACKAGE}.countdown(2, step)
for depth in range(24):
    for function in direct, indirect:
        try:
            deep(depth, function)
        except RuntimeError as error:  # of Python 3: RecursionError, which is one
            if "recursion" not in str(error):
                raise
        else:
            raise AssertionError(depth)
"""
    assert python(code) == "", "nor is anything printed"


# ---- Memory ends --------------------------------------------------------------------------


def test_a_text_that_memory_does_not_hold_twice_is_a_memory_error(python):
    code = f"""
import resource, {PACKAGE}
MEBI = 2**20
def fails(room, function, *arguments):
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + room * MEBI, -1))
    try:
        function(*arguments)
    except MemoryError:
        return True
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
text = "x" * (100 * MEBI)
guest = {PACKAGE}.Guest(text)
for function, arguments in [
    ({PACKAGE}.greeting, [text]),
    ({PACKAGE}.hello, [text]),
    ({PACKAGE}.Guest, [text]),
    (guest.greet, []),
]:
    assert fails(10, function, *arguments), function
    assert fails(70, function, *arguments), function
    if function is not {PACKAGE}.hello:  # It would print that much.
        fails(125, function, *arguments)
        fails(225, function, *arguments)
"""
    assert python(code) == ""
