"""Measures the pipeline against its peers, on the same crate, profile and toolchain.

Usage: benchmark.py [TARGET...]    (names of ci/targets.toml; default: ten of them)

Everything happens in a copy of the project, in one run: only the ratios mean anything.
Standard libraries are built, or taken from build/, before anything is timed; before each
timed command the crate's source changes. maturin comes from PyPI, into an environment of
its own.
"""

import json
import os
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "rust/ffiwheel/helpers"))
os.chdir(ROOT)  # around it the helpers find the project

import process  # noqa: E402
import project  # noqa: E402

BIN = Path(sys.executable).parent
MATURIN = "maturin==1.16.0"
TARGETS = [
    "manylinux_x86_64",
    "manylinux_aarch64",
    "manylinux_armv7l",
    "manylinux_s390x",
    "musllinux_x86_64",
    "musllinux_aarch64",
    "macosx_x86_64",
    "macosx_arm64",
    "win_amd64",
    "win_arm64",
]
PYPROJECT = """\
[build-system]
requires = ["maturin>=1.0,<2.0"]
build-backend = "maturin"
[project]
name = "hello-pyrust"
dynamic = ["version"]
readme = "README.md"
license = "CC0-1.0"
license-files = ["LICENSE"]
[project.scripts]
hello-pyrust = "hello_pyrust.__main__:main"
[tool.maturin]
python-source = "python"
bindings = "cffi"
module-name = "hello_pyrust"
"""
# In a process of its own, since a library is loaded once: the parts of an import, in
# microseconds.
IMPORT = """
import sys, time, _cffi_backend
sys.path.insert(0, sys.argv[1] + "/hello_pyrust")
from _ffi import ABI, ffi
begin = time.perf_counter()
lib = ffi.dlopen(sys.argv[2])
loaded = time.perf_counter()
assert ffi.string(lib.hello_pyrust_abi()).decode("ascii") == ABI
checked = time.perf_counter()
sys.path[0] = sys.argv[1]
import hello_pyrust
print((loaded - begin) * 1e6, (checked - loaded) * 1e6, (time.perf_counter() - checked) * 1e6)
"""
COMMAND = re.compile(
    r"^\$ \S*cargo-zigbuild (\w+ .*?) --message-format \S+( -- .*)?$", re.MULTILINE
)


def call(*command, cwd, env, fails=False):
    """Runs a command; returns the seconds that it took, or None when it may fail and did."""
    command = [str(word) for word in command]
    begin = time.monotonic()
    done = subprocess.run(
        command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    seconds = time.monotonic() - begin
    if done.returncode:
        print(f"{' '.join(command)}\n{done.stdout[-2000:]}", file=sys.stderr)
    if done.returncode and not fails:
        sys.exit("error: a command failed")
    return None if done.returncode else seconds


class Benchmark:
    def __init__(self, folder, names):
        self.root = folder / "project"
        files = project.git("ls-files", "-z").split("\0")
        for name in filter(None, files):
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, self.root / name)
        (self.root / ".venv").symlink_to(ROOT / ".venv")
        self.source = self.root / "rust/src/lib.rs"
        self.names = names
        self.env = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
        self.ffiwheel = ROOT / "rust/ffiwheel/target/debug/ffiwheel"
        manifest = ROOT / "rust/ffiwheel/Cargo.toml"
        call("cargo", "build", "--locked", "--manifest-path", manifest, cwd=ROOT, env=os.environ)
        self.changes = 0
        doctor = [self.ffiwheel, "doctor", *names]
        answer = process.ask(*doctor, cwd=self.root, env=self.env)
        self.from_source = re.findall(r"library's source, for ([\w-]+)", answer)
        for triple in re.findall(r"library(?:'s source,)? for ([\w-]+)", answer):
            cargo = Path("build") / triple / "cargo"
            if (ROOT / cargo).exists():
                shutil.copytree(ROOT / cargo, self.root / cargo, symlinks=True)

    def change(self):
        """Changes the source, so that every build has the crate to compile."""
        self.changes += 1
        with open(self.source, "a") as file:
            file.write(f"// {self.changes}\n")

    def wheels(self, jobs):
        """The seconds of `ffiwheel wheels`, and its rows."""
        command = [self.ffiwheel, "wheels", "--json", "--jobs", str(jobs), *self.names]
        begin = time.monotonic()
        done = subprocess.run(
            command, cwd=self.root, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        seconds = time.monotonic() - begin
        if done.returncode:
            sys.exit(f"error: ffiwheel wheels\n{done.stderr.decode()[-2000:]}")
        return seconds, json.loads(done.stdout)

    def bare_commands(self, rows):
        """The commands by which ffiwheel called cargo-zigbuild, with their environment."""
        commands = []
        for row in rows:
            log = (self.root / "build" / row["triple"] / "log").read_text()
            env = dict(self.env, NO_COLOR="1")
            if row["triple"] in self.from_source:
                env.update(
                    RUSTC_BOOTSTRAP="1",
                    CARGO_UNSTABLE_BUILD_STD="std,panic_unwind",
                    CARGO_UNSTABLE_TRIM_PATHS="true",
                    CARGO_PROFILE_RELEASE_TRIM_PATHS="all",
                )
            deployment = re.search(r"macosx_(\d+)_(\d+)", row["wheel"])
            if deployment:
                env["MACOSX_DEPLOYMENT_TARGET"] = ".".join(deployment.groups())
            words = shlex.split(" ".join(filter(None, COMMAND.search(log).groups())))
            commands.append((row, words, env))
        return commands


def without_sbom(wheel):
    """The wheel's size in bytes without its bill of materials: only maturin packs one."""
    with zipfile.ZipFile(wheel) as archive:
        return wheel.stat().st_size - sum(
            member.compress_size for member in archive.infolist() if "/sboms/" in member.filename
        )


def imports(wheel, folder):
    """Prints what the check of the fingerprint adds to the import of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    (library,) = folder.glob("hello_pyrust/lib/*")
    command = [sys.executable, "-c", IMPORT, folder, library]
    runs = [subprocess.check_output(command, text=True).split() for _ in range(21)]
    load, check, rest = (
        statistics.median(map(float, column)) for column in zip(*runs, strict=True)
    )
    print(
        f"import: dlopen {load:.0f} µs, the check of the fingerprint {check:.0f} µs "
        f"({check / load:.2f} of it), the package with both, a second time, {rest:.0f} µs"
    )


def main():
    names = sys.argv[1:] or TARGETS
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        folder = Path(folder)
        bench = Benchmark(folder, names)
        print(f"{len(names)} targets: {' '.join(names)}")
        bench.wheels(2)  # standard libraries, and everything's first time

        bench.change()
        ours, rows = bench.wheels(1)
        bench.change()
        bare = 0
        commands = bench.bare_commands(rows)
        for _, words, env in commands:
            bare += call(BIN / "cargo-zigbuild", *words, cwd=bench.root / "rust", env=env)
        more = (ours - bare) / len(rows)
        print(f"-j 1: ffiwheel wheels {ours:.1f} s, bare cargo zigbuild {bare:.1f} s:", end=" ")
        print(f"{ours / bare:.2f} times, {more:.2f} s a target more")

        environment = folder / "maturin"
        venv.create(environment, with_pip=True)
        pip = [environment / "bin/python", "-m", "pip", "install", "--quiet", MATURIN, "cffi"]
        call(*pip, cwd=folder, env=os.environ)
        # The same Python files, so that the wheels can be compared.
        (bench.root / "rust/pyproject.toml").write_text(PYPROJECT)
        for name in ["README.md", "LICENSE"]:
            shutil.copy(bench.root / "python" / name, bench.root / "rust" / name)
        package = bench.root / "python/hello_pyrust"
        ignored = shutil.ignore_patterns("lib", "__pycache__")
        shutil.copytree(package, bench.root / "rust/python/hello_pyrust", ignore=ignored)
        # maturin's cbindgen expands no macros: it gets the declarations ready-made.
        call(bench.ffiwheel, "header", cwd=bench.root, env=bench.env)
        builds = []
        for row, words, env in commands:
            triple = words[words.index("--target") + 1]
            target, _, glibc = triple.partition(".")
            # Its flags are others: in one folder each tool would make the other start anew.
            cargo = ROOT / "build/maturin"
            cargo.mkdir(parents=True, exist_ok=True)
            declarations = bench.root / "build/header/declarations.h"
            env = dict(env, CARGO_TARGET_DIR=str(cargo))
            shutil.copy(declarations, cargo / "header.h")
            out = folder / "wheels" / row["target"]
            command = [environment / "bin/maturin", "build", "--zig", "--release", "--locked"]
            command += ["--target", target, "--out", out, "--interpreter", "python3"]
            if glibc:
                command += ["--compatibility", "manylinux_" + glibc.replace(".", "_")]
            if call(*command, cwd=bench.root / "rust", env=env, fails=True) is not None:
                builds.append((row, command, env, out))
        built = [row["target"] for row, *_ in builds]
        print(
            f"maturin builds {len(built)} of them; not {' '.join(sorted(set(names) - set(built)))}"
        )

        bench.names = built
        bench.wheels(2)
        bench.change()
        ours, rows = bench.wheels(2)
        bench.change()
        theirs = 0
        for _, command, env, _ in builds:
            theirs += call(*command, cwd=bench.root / "rust", env=env)
        print(
            f"-j 2: ffiwheel wheels {ours:.1f} s, a loop of maturin build {theirs:.1f} s:", end=" "
        )
        print(f"{ours / theirs:.2f} times")

        for row in rows:
            if row["target"] == "manylinux_x86_64":
                imports(bench.root / "dist" / row["wheel"], folder / "import")

        print("sizes in bytes, wheel and library: ours, maturin's (no SBOM), ratio")
        for row, (_, _, _, out) in zip(rows, builds, strict=True):
            (theirs,) = out.glob("*.whl")
            pair = [bench.root / "dist" / row["wheel"], theirs]
            wheels = [without_sbom(wheel) for wheel in pair]
            libraries = []
            for wheel in pair:
                with zipfile.ZipFile(wheel) as archive:
                    libraries.append(
                        max(
                            member.file_size
                            for member in archive.infolist()
                            if member.filename.endswith((".so", ".dylib", ".dll"))
                        )
                    )
            print(
                f"{row['target']:<20} {wheels[0]:>7} {wheels[1]:>7} {wheels[0] / wheels[1]:.3f}"
                f"   {libraries[0]:>7} {libraries[1]:>7} {libraries[0] / libraries[1]:.3f}"
            )


main()
