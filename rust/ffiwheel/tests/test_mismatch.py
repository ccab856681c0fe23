"""The library is of one state of the Rust source, and _ffi.py of another: for each kind of
change, each way to install, on the oldest Python, the newest, and PyPy. Never a crash, and
never a wrong answer: a build error that names `make header`, or an ImportError in words."""

import re
import shutil

import pytest

from support import (
    NAME,
    PACKAGE,
    ROOT,
    Project,
    clean_environment,
    ffiwheel,
    long,
    named_interpreter,
    run,
)

GENERATED = [
    f"rust/include/{PACKAGE}.h",
    f"python/{PACKAGE}/_ffi.py",
    f"python/{PACKAGE}/_ffi.pyi",
]
PYTHONS = ["2.7", "3.13", "pypy3"]
WAYS = ["wheel", "sdist", "editable"]
# What is there in rust/src/lib.rs, and what takes its place
KINDS = {
    "function added": [
        (
            "    // An owned text out.\n",
            f"    /// One more.\n    fn {PACKAGE}_more(number: i32) -> i32 {{\n"
            "        Ok(number)\n    }\n\n    // An owned text out.\n",
        )
    ],
    "function removed": [(r"    /// How often the guest.*?\n    }\n\n", "")],
    "argument added": [
        (r"cakes: u32, guests: u32\)", "cakes: u32, guests: u32, eaten: u32)"),
        (r"cakes / guests", "(cakes - eaten) / guests"),
    ],
    "type widened": [
        (r"cakes: u32, guests: u32\)", "cakes: u64, guests: u32)"),
        (r"i64::from\(cakes / guests\)", "(cakes / u64::from(guests)) as i64"),
    ],
    "struct field moved": [
        (
            r"(        /// The number of bytes.*?\n.*?\n)(        /// The number of l.*?\n.*?\n)",
            r"\2\1",
        )
    ],
    "struct field's type changed": [
        (r"pub lines: u64", "pub lines: u32"),
        (r"\.count\(\) as u64", ".count() as u32"),
    ],
    "enum value changed": [(r"Binary = 2,", "Binary = 3,")],
    "callback's argument changed": [
        (r"user_data: \*mut c_void, step: u32", "user_data: *mut c_void, step: u64"),
        (r"step\(user_data, number\)", "step(user_data, number.into())"),
    ],
}  # fmt: skip


class Changed:
    """The project after a change: with `library` and `ffi` as they then should be, and its
    own generated files as they were before."""

    def __init__(self, kind, folder):
        self.project = Project(folder / "project")
        text = self.project.source.read_text()
        for pattern, replacement in KINDS[kind]:
            text, count = re.subn(pattern, replacement, text, count=1, flags=re.DOTALL)
            assert count == 1, pattern
        self.project.source.write_text(text)
        ffiwheel(self.project, "header")
        self.project.setup("build_library", "--inplace")
        self.library = folder / self.project.library.name
        self.ffi = folder / "_ffi.py"
        shutil.move(self.project.library, self.library)
        self.project.stamp.unlink()
        shutil.copy(self.project.python / PACKAGE / "_ffi.py", self.ffi)
        for name in GENERATED:
            shutil.copy(ROOT / name, self.project.root / name)
        self.project.setup("sdist")
        (self.sdist,) = (self.project.python / "dist").iterdir()


@pytest.fixture(scope="session")
def changed(tmp_path_factory):
    """changed(kind) → Changed, made once."""
    made = {}

    def changed(kind):
        if kind not in made:
            made[kind] = Changed(kind, tmp_path_factory.mktemp("changed"))
        return made[kind]

    return changed


def install_editable(environment, project, number, **options):
    if number == (2, 7):
        words = [environment.python, "setup.py", "develop", "--no-deps"]
        return run(*words, cwd=project.python, **options)
    words = ["--no-build-isolation", "--no-deps", "--editable", project.python]
    return environment.pip("install", *words, **options)


# ---- The source has changed, `make header` has not run ---------------------------------------


@pytest.fixture(scope="module")
def builders(request, tmp_path_factory):
    """builders(version) → an environment that can build, made once, and its number."""
    made = {}

    def builders(version):
        if version not in made:
            interpreter = named_interpreter(request.config, version)
            environment = interpreter.environment(tmp_path_factory.mktemp("builder") / "venv")
            environment.pip("install", "setuptools", "wheel", "cffi")
            made[version] = environment, interpreter.number
        return made[version]

    return builders


def marks(version, kind):
    """Two kinds on one Python in the fast tests, one on the others in the slow ones."""
    few = ["function added", "type widened"] if version == "3.13" else ["function added"]
    if kind not in few:
        return pytest.mark.long
    return () if version == "3.13" else pytest.mark.slow


@pytest.mark.parametrize(
    "version, kind",
    [pytest.param(it, kind, marks=marks(it, kind)) for it in PYTHONS for kind in KINDS],
)
def test_a_build_says_that_make_header_is_due(version, kind, changed, builders):
    environment, number = builders(version)
    state = changed(kind)
    outputs = {
        "wheel": run(
            environment.python, "setup.py", "bdist_wheel", cwd=state.project.python, fails=True
        ),
        "sdist": environment.pip(
            *["install", "--no-build-isolation", "--no-deps", "--no-index", state.sdist], fails=True
        ),
        "editable": install_editable(environment, state.project, number, fails=True),
    }
    for way, text in outputs.items():
        assert "_ffi.py is stale" in text and "run `make header`" in text, (way, text)
    assert not list((state.project.python / "dist").glob("*.whl"))
    assert not state.project.library.exists()


# ---- The library, or _ffi.py, is another one than was installed ------------------------------


FAST = [("2.7", "wheel"), ("3.13", "editable"), ("3.13", "sdist")]
REST = [(it, way) for it in PYTHONS for way in WAYS if (it, way) not in FAST]


@pytest.fixture(scope="module", params=[*FAST, *long(*REST)], ids="-".join)
def installed(request, wheel, sdist, tmp_path_factory):
    """An environment with the package, installed in one of the ways."""
    version, way = request.param
    interpreter = named_interpreter(request.config, version)
    folder = tmp_path_factory.mktemp("installed")
    environment = interpreter.environment(folder / "venv")
    if way == "editable":
        project = Project(folder / "project")
        environment.pip("install", "setuptools", "wheel", "cffi")
        install_editable(environment, project, interpreter.number)
    elif way == "sdist":
        environment.pip("install", "--no-binary", NAME, sdist)
    else:
        environment.pip("install", wheel)
    base = environment.folder if way != "editable" else project.python
    (environment.library,) = base.glob(f"**/lib/lib{PACKAGE}.so")
    environment.ffi = environment.library.parents[1] / "_ffi.py"
    for path in base.glob("**/_ffi.*pyc"):
        path.unlink()  # One may pass for that of a file that is swapped in the same second.
    for path in (environment.library, environment.ffi):
        shutil.copy(path, path.with_suffix(".kept"))
    return environment


def start(environment, *words, **options):
    env = clean_environment(PYTHONDONTWRITEBYTECODE="1")
    return run(environment.python, *words, cwd=environment.folder, env=env, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_an_import_is_refused(kind, installed, changed):
    state = changed(kind)
    swaps = [(installed.library, state.library), (installed.ffi, state.ffi)]
    try:
        for path, other in swaps:
            shutil.copyfile(other, path)
            text = start(installed, "-m", PACKAGE, fails=True)
            assert "ImportError: the library " in text and " is stale: its ABI is " in text
            assert "make header" in text and "Hello" not in text
            shutil.copyfile(path.with_suffix(".kept"), path)
        assert start(installed, "-m", PACKAGE) == "Hello Python from Rust!\n"
        # Both at once are one state again.
        for path, other in swaps:
            shutil.copyfile(other, path)
        start(installed, "-c", f"import {PACKAGE}")
    finally:
        for path, _ in swaps:
            shutil.copyfile(path.with_suffix(".kept"), path)
