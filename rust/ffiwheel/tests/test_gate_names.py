"""The gate, rust/src/ffi.rs and rust/src/ffi/, knows no name: copied into any crate, of whatever
name and edition, it exports the functions of that crate, and no tool finds fault with it."""

import ctypes
import re
import shutil

import pytest
from elftools.elf.elffile import ELFFile

import roots
from support import CARGO, PACKAGE, ROOT, clean_environment, long, run

SOURCE = ROOT / "rust/src"
NAMELESS = ["rust/src/ffi.rs", "rust/src/ffi", "rust/ffiwheel", "docker", "ci", "python/*.py"]
NAMELESS += [":!python/*/__*.py", ":!python/*/_ffi.py", ":!python/tests", ":!ci/requirements.*"]
# What the gate exports in every crate.
OWN = ["abi", "callbacks_end", "error_take", "layout", "text_free"]

# `NAME` stands for the crate's.
START = """#![deny(unsafe_code)]

#[allow(unsafe_code)]
mod ffi;

"""
TYPES = """use std::mem::MaybeUninit;

use ffi::{Bytes, OwnedText, Text};

use ffi::{handle, write};

ffi::export_enum! {
    /// A colour.
    pub enum Colour: i8 {
        /// It is dark.
        Black = -1,
        /// It is bright.
        White = 1,
    }
}

ffi::export_struct! {
    /// A dot.
    pub struct Dot {
        /// Its colour.
        pub colour: Colour,
        /// Its size.
        pub size: u32,
    }
}

/// Something behind a pointer.
pub struct Thing(u32);

ffi::export_handle!(Thing);

/// Called back.
pub type Step = Option<extern "C" fn(number: u32) -> i32>;

"""
NEXT = """    /// The number after another one.
    fn NAME_next(number: u32) -> i64 {
        let next = number.checked_add(1);
        next.map(i64::from).ok_or_else(|| ffi::Error::argument("there is none"))
    }
"""
MORE = """
    /// @param dot receives one.
    fn NAME_dot(bytes: Bytes<'_>, dot: Option<&mut MaybeUninit<Dot>>) -> i32 {
        let size = bytes.as_slice()?.len() as u32;
        let colour = if size > 0 { Colour::Black } else { Colour::White };
        write(dot, Dot { colour, size })?;
        Ok(0)
    }

    fn NAME_text(text: Text<'_>) -> OwnedText {
        OwnedText::new(text.as_str()?)
    }

    fn NAME_step(step: Step) -> i32 {
        Ok(step.map_or(0, |step| step(1)))
    }

    fn NAME_thing_new(number: u32) -> Option<Box<Thing>> {
        Ok(Some(Box::new(Thing(number))))
    }

    fn NAME_thing_number(thing: Option<&Thing>) -> u32 {
        Ok(handle(thing)?.0)
    }

    fn NAME_thing_free(thing: Option<Box<Thing>>) -> () {
        drop(thing);
        Ok(())
    }
"""
BARE = START + "ffi::export! {\n" + NEXT + "}\n"
FULL = START + TYPES + "ffi::export! {\n" + NEXT + MORE + "}\n"
# Every name has both in one edition or the other.
SOURCES = {
    "2018": {"thirty" * 5: BARE, "fast-thing": FULL},
    "2021": {"x": BARE, "thirty" * 5: FULL, "base64x2": BARE, "fast-thing": FULL},
    "2024": {"x": FULL, "thirty" * 5: BARE, "base64x2": FULL, "fast-thing": BARE},
}


def crate_name(name):
    return name.replace("-", "_")


def workspace(folder, edition):
    """A workspace with a crate of each name, which has the gate as it is here."""
    names = list(SOURCES[edition])
    (folder / "Cargo.toml").write_text(
        f"[workspace]\nmembers = {names}\nresolver = '1'\n[profile.dev]\ndebug = 0\n"
    )
    for name, text in SOURCES[edition].items():
        source = folder / name / "src"
        shutil.copytree(SOURCE / "ffi", source / "ffi")
        shutil.copy(SOURCE / "ffi.rs", source)
        (source / "lib.rs").write_text(text.replace("NAME", crate_name(name)))
        # A crate that is an rlib, too, has tests in its documentation.
        types = ["cdylib", "rlib"] if name == "fast-thing" else ["cdylib"]
        (folder / name / "Cargo.toml").write_text(
            f"[package]\nname = '{name}'\nversion = '1.0.0'\nedition = '{edition}'\n"
            f"[lib]\ncrate-type = {types}\n"
        )
    return folder


@pytest.fixture(scope="module", params=SOURCES)
def crates(request, tmp_path_factory):
    return workspace(tmp_path_factory.mktemp("crates"), request.param)


def cargo(folder, *words, program=CARGO, **changes):
    return run(program, *words, cwd=folder, env=clean_environment(**changes))


def test_neither_tool_nor_kit_names_a_project():
    name = PACKAGE.replace("_", "[-_. ]?")
    grep = ["git", "grep", "-niE", name, "--"]
    assert run(*grep, *NAMELESS, cwd=ROOT, fails=True) == ""
    assert PACKAGE in run(*grep, "rust/src/lib.rs", cwd=ROOT)


def check_libraries(folder):
    paths = sorted((folder / "target/debug").glob("*.so"))
    assert len(paths) == len(list(folder.glob("*/src")))
    for path in paths:
        check_library(path, path.stem[3:])


def check_library(path, name):
    with open(path, "rb") as file:
        symbols = ELFFile(file).get_section_by_name(".dynsym").iter_symbols()
        exports = {symbol.name for symbol in symbols if symbol["st_shndx"] != "SHN_UNDEF"}
    data = path.read_bytes()
    (digits,) = re.findall(rb"%s\.abi=([0-9a-f]{16})\0" % name.encode(), data)
    (layout,) = re.findall(rb"%s\.layout=([^\0]*)\0" % name.encode(), data)
    lines = layout.decode("ascii").splitlines()
    functions = [line[3:] for line in lines if line.startswith("fn ")]
    assert sorted(exports) == sorted(functions)
    assert {f"{name}_{own}" for own in [*OWN, "next"]} <= exports
    types = [line for line in lines if not line.startswith("fn ")]
    if len(exports) > len(OWN) + 1:
        assert "struct Dot 8 4 colour:0:1 size:4:4" in types
        assert "enum Colour 1 1 Black=-1 White=1" in types
    else:
        assert types == ["enum ErrorKind 1 1 Argument=1 Io=2 Callback=3 Panic=4 Memory=5"]

    library = ctypes.CDLL(str(path))
    function = {own: getattr(library, f"{name}_{own}") for own in [*OWN, "next"]}
    function["abi"].restype = function["layout"].restype = ctypes.c_char_p
    function["error_take"].restype = ctypes.c_void_p
    function["text_free"].argtypes = [ctypes.c_void_p]
    function["next"].restype = ctypes.c_int64
    assert function["abi"]() == digits
    assert function["layout"]() == layout
    assert function["next"](41) == 42
    assert function["error_take"](None) is None
    assert function["next"](2**32 - 1) == -1
    kind = ctypes.c_uint8()
    message = function["error_take"](ctypes.byref(kind))
    assert (kind.value, ctypes.string_at(message)) == (1, b"there is none")
    function["text_free"](message)


def test_a_library_exports_names_that_begin_with_its_own(crates):
    cargo(crates, "build", "--offline")
    check_libraries(crates)


def has(tool):
    try:
        run(CARGO, tool, "--version", cwd=ROOT)
    except AssertionError:
        pytest.skip(f"this Rust has no {tool}")


def test_clippy_finds_nothing(crates):
    has("clippy")
    cargo(crates, "clippy", "--offline", "--quiet", "--all-targets", "--", "-D", "warnings")


def test_rustfmt_changes_nothing(crates):
    has("fmt")
    cargo(crates, "fmt", "--all", "--check")


def test_rustdoc_warns_of_nothing_and_takes_no_comment_for_a_test(crates):
    words = ["--offline", "--quiet", "--package", "fast-thing"]
    cargo(crates, "doc", "--document-private-items", *words, RUSTDOCFLAGS="-D warnings")
    assert "running 0 tests" in cargo(crates, "test", "--doc", *words)


@pytest.mark.slow
@pytest.mark.parametrize("edition", ["2021", *long("2018")])
def test_the_oldest_rust_builds_the_gate(edition, tmp_path):
    try:
        root = roots.debian("rust", "amd64", ["rustc", "cargo"])
    except roots.Skip as skip:
        pytest.skip(str(skip))
    old = {
        "LD_LIBRARY_PATH": str(root / "usr/lib/x86_64-linux-gnu"),
        "RUSTC": str(root / "usr/bin/rustc"),
    }
    folder = workspace(tmp_path, edition)
    program = root / "usr/bin/cargo"
    cargo(folder, "build", "--offline", program=program, RUSTFLAGS="-D warnings", **old)
    check_libraries(folder)
