"""The judge over wheels of others, from PyPI, each with exactly the findings that were
checked with other tools: readelf, llvm-objdump, llvm-readobj, strings, unzip, and what
auditwheel and delvewheel say themselves.

A version on PyPI never changes: a finding that comes or goes is the judge's doing.
"""

import json
import subprocess
import sys
import time
from collections import Counter

import pytest

from support import FFIWHEEL, ROOT, Failed, clean_environment, run

pytestmark = pytest.mark.slow

# Many times what the largest of them takes.
SECONDS = 120

# Why a finding is right, and with what it was checked.
LAZY = "readelf -d: JMPREL without BIND_NOW; the linkers of manylinux's images do not ask for it"
RUNNER = "strings: paths below the home directory of the CI's runner"
CARGO = "strings: paths of cargo's registry, in the messages of Rust's panics"
MUSL = "strings: the folder that Alpine built musl's start files in"
TAGS = "unzip -p WHEEL: maturin 1.7 wrote one Tag line with both platforms, joined by a dot"
PURE = "unzip -p WHEEL: Root-Is-Purelib: true, with a library of Rust inside"
CAPITALS = "the file name is not lower case, as before PEP 625"

# (requirement, platform, what else pip must know, {code: (how many, why)})
WHEELS = [
    # Two CPythons, every libc, big-endian, 32 bits, COFF and Mach-O: one source.
    ("cffi==1.17.1", "manylinux_2_17_x86_64", {}, {"H503": (1, LAZY)}),
    ("cffi==1.17.1", "manylinux_2_17_s390x", {}, {"H503": (1, LAZY)}),
    ("cffi==1.17.1", "musllinux_1_1_x86_64", {}, {"H511": (1, MUSL)}),
    ("cffi==1.17.1", "macosx_11_0_arm64", {}, {"H511": (1, RUNNER)}),
    ("cffi==1.17.1", "win32", {}, {}),
    (
        "cffi==1.15.1",
        "manylinux1_x86_64",
        {"python-version": "2.7", "abi": "cp27mu"},
        {"H502": (1, "readelf -l: no GNU_RELRO; CentOS 5 linked it"), "H503": (1, LAZY)},
    ),
    # abi3, with Rust.
    (
        "cryptography==44.0.0",
        "macosx_10_9_universal2",
        {"abi": "abi3"},
        {
            "L308": (1, "llvm-objdump, x86_64: LC_VERSION_MIN_MACOSX 10.13 under a tag of 10.9"),
            "H511": (1, CARGO),
        },
    ),
    ("cryptography==44.0.0", "win_amd64", {"abi": "abi3"}, {"H511": (1, CARGO)}),
    ("bcrypt==4.2.1", "musllinux_1_1_x86_64", {"abi": "abi3"}, {"H511": (1, CARGO)}),
    ("psutil==6.1.0", "macosx_11_0_arm64", {"abi": "abi3"}, {"H511": (2, RUNNER)}),
    # Programs.
    ("ruff==0.8.4", "manylinux_2_17_aarch64", {}, {"W104": (1, TAGS), "H511": (1, RUNNER)}),
    ("ruff==0.8.4", "win_arm64", {}, {"H511": (1, CARGO)}),
    # Libraries that are loaded by ctypes.
    (
        "wasmtime==27.0.2",
        "manylinux1_x86_64",
        {},
        {
            "L307": (1, "readelf -V: up to GLIBC_2.28; auditwheel show: manylinux_2_28_x86_64"),
            "W105": (1, PURE),
            "H511": (1, RUNNER),
        },
    ),
    ("wasmtime==27.0.2", "macosx_11_0_arm64", {}, {"W105": (1, PURE), "H511": (1, RUNNER)}),
    ("wasmtime==27.0.2", "win_amd64", {}, {"W105": (1, PURE), "H511": (1, CARGO)}),
    # Many libraries, and grafted ones, which the judge must find in the wheel.
    ("numpy==2.2.1", "manylinux_2_17_x86_64", {}, {"H503": (22, LAZY)}),
    ("psycopg2-binary==2.9.10", "manylinux_2_17_x86_64", {}, {"H503": (15, LAZY)}),
    ("psycopg2-binary==2.9.10", "macosx_14_0_arm64", {}, {"H511": (1, RUNNER)}),
    ("lxml==5.3.0", "musllinux_1_2_aarch64", {}, {}),
    ("lxml==5.3.0", "manylinux_2_28_x86_64", {}, {"H503": (6, LAZY)}),
    ("pillow==11.0.0", "musllinux_1_2_x86_64", {}, {"H511": (8, MUSL)}),
    ("shapely==2.0.6", "win_amd64", {}, {}),
    (
        "shapely==2.0.6",
        "macosx_11_0_arm64",
        {},
        {
            "D402": (5, "llvm-objdump: LC_RPATH /Users/runner/work/_temp/geos-3.11.4/lib"),
            "H511": (5, "the same paths"),
        },
    ),
    ("pywin32==308", "win_amd64", {}, {}),
    # Architectures.
    ("pydantic-core==2.27.2", "manylinux_2_17_s390x", {}, {"W104": (1, TAGS), "H511": (1, CARGO)}),
    ("pydantic-core==2.27.2", "win_arm64", {}, {"H511": (1, CARGO)}),
    ("watchfiles==1.0.3", "manylinux_2_17_i686", {}, {"W104": (1, TAGS), "H511": (1, CARGO)}),
    ("grpcio==1.68.1", "linux_armv7l", {}, {"H503": (1, LAZY)}),
    ("PyYAML==6.0.2", "manylinux_2_17_s390x", {}, {"W102": (1, CAPITALS), "H503": (1, LAZY)}),
    (
        "MarkupSafe==3.0.2",
        "macosx_10_13_universal2",
        {},
        {"W102": (1, CAPITALS), "H511": (1, RUNNER)},
    ),
    ("charset-normalizer==3.4.0", "macosx_10_13_universal2", {}, {}),
    # No architecture, from 2015, and with other people's packages inside.
    ("six==1.17.0", "any", {}, {}),
    ("six==1.9.0", "any", {}, {}),
    ("setuptools==75.6.0", "any", {}, {}),
]


def download(folder, requirement, platform, **options):
    """The wheel that pip chooses on that platform."""
    options = {"python-version": "3.12", "implementation": "cp", **options}
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    words += ["--no-deps", "--only-binary", ":all:", "--platform", platform, "--dest", folder]
    run(sys.executable, "-m", "pip", "download", "--quiet", *words, requirement, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def pypi(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reached")
    try:
        download(folder, "six==1.17.0", "any", timeout="10", retries="1")
    except Failed as error:
        pytest.skip(f"PyPI cannot be reached: {str(error).splitlines()[-1]}")
    # Compiled once, so that it counts in no wheel's time.
    run(*FFIWHEEL, "--", "audit", "--explain", "F101", cwd=ROOT)


@pytest.mark.parametrize(
    "requirement, platform, options, expected",
    WHEELS,
    ids=[f"{requirement}-{platform}" for requirement, platform, _, _ in WHEELS],
)
def test_findings(pypi, tmp_path, requirement, platform, options, expected):
    wheel = download(tmp_path, requirement, platform, **options)
    start = time.monotonic()
    done = subprocess.run(
        [*FFIWHEEL, "--", "audit", "--json", wheel],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=10 * SECONDS,
    )
    seconds = time.monotonic() - start
    assert done.stdout, done.stderr
    (findings,) = [row["findings"] for row in json.loads(done.stdout)]
    listing = "\n".join(f"{row['code']} {row['member']}: {row['message']}" for row in findings)
    found = Counter(row["code"] for row in findings)
    assert found == {code: count for code, (count, _) in expected.items()}, listing
    errors = any(row["severity"] == "error" for row in findings)
    assert done.returncode == int(errors), done.stderr
    assert seconds < SECONDS, f"{wheel.name} took {seconds:.0f} seconds"
