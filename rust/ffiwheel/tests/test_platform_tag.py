"""What platform_tag.py says of libraries: real ones of each platform, and broken ones."""

import ast
import itertools
import json
import random
import re
import struct
import sys
import time
from pathlib import Path

import pytest

from support import PACKAGE, ROOT, run

sys.path.insert(0, str(ROOT / "python"))  # setup.py imports it from there, too.
import platform_tag
from platform_tag import NotALibrary, Platform, of_library, of_triple

# zig's target: the platform tag, cargo's target triple, and the libc of such a library
LIBRARIES = {
    "x86_64-linux-gnu": ("linux_x86_64", "x86_64-unknown-linux-gnu", "glibc"),
    "x86_64-linux-musl": ("linux_x86_64", "x86_64-unknown-linux-musl", "musl"),
    "aarch64-linux-gnu": ("linux_aarch64", "aarch64-unknown-linux-gnu", "glibc"),
    "aarch64-linux-musl": ("linux_aarch64", "aarch64-unknown-linux-musl", "musl"),
    "x86-linux-gnu": ("linux_i686", "i686-unknown-linux-gnu", "glibc"),
    "x86-linux-musl": ("linux_i686", "i686-unknown-linux-musl", "musl"),
    "arm-linux-gnueabihf": ("linux_armv7l", "armv7-unknown-linux-gnueabihf", "glibc"),
    "arm-linux-musleabihf": ("linux_armv7l", "armv7-unknown-linux-musleabihf", "musl"),
    "powerpc64-linux-gnu": ("linux_ppc64", "powerpc64-unknown-linux-gnu", "glibc"),
    "powerpc64le-linux-gnu": ("linux_ppc64le", "powerpc64le-unknown-linux-gnu", "glibc"),
    "powerpc64le-linux-musl": ("linux_ppc64le", "powerpc64le-unknown-linux-musl", "musl"),
    "s390x-linux-gnu": ("linux_s390x", "s390x-unknown-linux-gnu", "glibc"),
    "s390x-linux-musl": ("linux_s390x", "s390x-unknown-linux-musl", "musl"),
    "riscv64-linux-gnu": ("linux_riscv64", "riscv64gc-unknown-linux-gnu", "glibc"),
    "riscv64-linux-musl": ("linux_riscv64", "riscv64gc-unknown-linux-musl", "musl"),
    "loongarch64-linux-gnu": ("linux_loongarch64", "loongarch64-unknown-linux-gnu", "glibc"),
    "x86_64-macos.10.12": ("macosx_10_12_x86_64", "x86_64-apple-darwin", ""),
    "x86_64-macos.13.3": ("macosx_13_0_x86_64", "x86_64-apple-darwin", ""),
    "aarch64-macos.11.0": ("macosx_11_0_arm64", "aarch64-apple-darwin", ""),
    "aarch64-macos.12.5": ("macosx_12_0_arm64", "aarch64-apple-darwin", ""),
    "x86_64-windows-gnu": ("win_amd64", "x86_64-pc-windows-msvc", ""),
    "x86-windows-gnu": ("win32", "i686-pc-windows-msvc", ""),
    "aarch64-windows-gnu": ("win_arm64", "aarch64-pc-windows-msvc", ""),
}
SOURCES = {
    "hello.c": 'int puts(const char *);\nint hello(void) { return puts("hello"); }\n',
    "libc.c": "int puts(const char *text) { return text != 0; }\n",
    "program.c": "int start(void) { return 0; }\n",
}


def zig(folder, target, *words):
    # Without -nostdlib zig builds a whole C library for the target first: it takes minutes.
    command = [sys.executable, "-m", "ziglang", "cc", "-target", target, "-nostdlib", "-s"]
    run(*command, *words, cwd=folder)


def sources(folder):
    for name, text in SOURCES.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="session")
def libraries(tmp_path_factory):
    """{zig's target: the bytes of a dynamic library}"""
    folder = sources(tmp_path_factory.mktemp("libraries"))
    for target in LIBRARIES:
        if "-linux-" in target:
            # All that the library sees of its libc is the soname.
            soname = "libc.so" if "musl" in target else "libc.so.6"
            zig(folder, target, "-shared", f"-Wl,-soname,{soname}", "-o", "libc.so", "libc.c")
            zig(folder, target, "-shared", "-o", target, "hello.c", "libc.so")
        else:
            entry = ["-Wl,--no-entry"] if "windows" in target else []
            zig(folder, target, "-shared", *entry, "-o", target, "hello.c", "libc.c")
    return {target: (folder / target).read_bytes() for target in LIBRARIES}


@pytest.fixture(scope="session")
def others(tmp_path_factory):
    """{name: the bytes of what a compiler makes and no Python can load}"""
    folder = sources(tmp_path_factory.mktemp("others"))
    for target in ("x86_64-linux-gnu", "aarch64-macos", "x86_64-windows-gnu"):
        zig(folder, target, "-c", "-o", f"{target} object", "hello.c")
        entry = f"-Wl,-e,{'_' if 'macos' in target else ''}start"
        zig(folder, target, entry, "-o", f"{target} program", "program.c")
    start = ["-Wl,-e,start", "program.c", "-o"]
    zig(folder, "x86_64-linux-gnu", "-pie", *start, "x86_64-linux-gnu pie")
    for target in ("mips-linux-gnueabihf", "aarch64_be-linux-gnu", "arm-linux-gnueabi"):
        zig(folder, target, "-shared", "-o", target, "hello.c")
    archive = [sys.executable, "-m", "ziglang", "ar", "rcs", "archive"]
    run(*archive, "x86_64-linux-gnu object", cwd=folder)
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".c"}


def changed(data, at, format, *values):
    data = bytearray(data)
    struct.pack_into(format, data, at, *values)
    return bytes(data)


def fat(*slices):
    """A fat file of (CPU number, Mach-O file) slices."""
    entries, body = b"", b""
    for cpu, data in slices:
        body += bytes(-len(body) % 4096)
        entries += struct.pack(">5I", cpu, 3, 4096 + len(body), len(data), 12)
        body += data
    header = struct.pack(">4sI", b"\xca\xfe\xba\xbe", len(slices)) + entries
    return header.ljust(4096, b"\0") + body


INTEL, ARM = 0x01000007, 0x0100000C


def universal(libraries):
    return fat((INTEL, libraries["x86_64-macos.10.12"]), (ARM, libraries["aarch64-macos.11.0"]))


def load_command(data, number):
    """Where in a Mach-O file the first load command of that number is."""
    at = 32
    while struct.unpack_from("<I", data, at)[0] != number:
        at += struct.unpack_from("<I", data, at + 4)[0]
    return at


def shapes(libraries):
    """Without those that differ from another one in a name or number; with a fat one."""
    alike = re.compile("musl|macos.13|macos.12")
    found = {target: data for target, data in libraries.items() if not alike.search(target)}
    return {**found, "universal2": universal(libraries)}


def elf(phnum, dynamic):
    """An x86_64 ELF library of that many program headers: the dynamic section in each."""
    end = 64 + 56 * phnum
    header = struct.pack("<4sBBB9xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 3, 62, 1, 0, 64, 0, 0, 64,
                         56, phnum, 64, 0, 0)  # fmt: skip
    segment = struct.pack("<IIQQQQQQ", 2, 4, end, end, end, len(dynamic), len(dynamic), 8)
    return header + segment * phnum + dynamic


def macho(commands):
    """An x86_64 Mach-O library of these load commands."""
    return struct.pack("<8I", 0xFEEDFACF, INTEL, 3, 6, 2**32 - 1, len(commands), 0, 0) + commands


# What it is: how it is made of the good ones, and a part of the sentence that refuses it
ELF64, ELF32, ARMHF = "x86_64-linux-gnu", "x86-linux-gnu", "arm-linux-gnueabihf"
MAC, MAC_OLD, WINDOWS = "aarch64-macos.11.0", "x86_64-macos.10.12", "x86_64-windows-gnu"
PE = 60  # where the offset of the PE header is


def pe_changed(data, at, format, value):
    return changed(data, struct.unpack_from("<I", data, PE)[0] + at, format, value)


BROKEN = {
    "nothing": (lambda good: b"", "is empty"),
    "a text": (lambda good: b"Not Found\n", "is neither ELF"),
    "a script": (lambda good: b"#!/bin/sh\n", "is neither ELF"),
    "the first byte of ELF": (lambda good: b"\x7f", "is neither ELF"),
    "the magic of ELF": (lambda good: b"\x7fELF", "header is damaged"),
    "the magic of Mach-O": (lambda good: b"\xcf\xfa\xed\xfe", "cut short"),
    "the magic of fat Mach-O": (lambda good: b"\xca\xfe\xba\xbe", "cut short"),
    "the magic of PE": (lambda good: b"MZ", "cut short"),
    "a static archive": (lambda good: good["archive"], "is neither ELF"),
    "an ELF object": (lambda good: good["x86_64-linux-gnu object"], "not a dynamic library"),
    "an ELF program": (lambda good: good["x86_64-linux-gnu program"], "not a dynamic library"),
    "an ELF program, PIE": (lambda good: good["x86_64-linux-gnu pie"], "not a dynamic library"),
    "the running Python": (lambda good: Path(sys.executable).read_bytes(), "not a dynamic library"),
    "a Mach-O object": (lambda good: good["aarch64-macos object"], "not a dynamic library"),
    "a Mach-O program": (lambda good: good["aarch64-macos program"], "not a dynamic library"),
    "a COFF object": (lambda good: good["x86_64-windows-gnu object"], "is neither ELF"),
    "a PE program": (lambda good: good["x86_64-windows-gnu program"], "not a DLL"),
    "a DOS program": (lambda good: b"MZ".ljust(200, b"\0"), "not a PE file"),
    # Its major version, 52, is where the number of slices would be.
    "a Java class": (lambda good: b"\xca\xfe\xba\xbe\0\0\0\x34" + bytes(99), "header is damaged"),
    "ELF of MIPS": (lambda good: good["mips-linux-gnueabihf"], "ELF machine 8 is unknown"),
    "ELF of ARM64, big-endian": (lambda good: good["aarch64_be-linux-gnu"], "machine 183"),
    "ELF of ARM, soft-float": (lambda good: good["arm-linux-gnueabi"], "without hardware floating"),
    "ELF, said to be soft-float": (
        lambda good: changed(good[ARMHF], 36, "<I", 0x05000200),
        "without hardware floating",
    ),
    "ELF of x32": (lambda good: changed(good[ELF32], 18, "<H", 62), "machine 62 is unknown"),
    # zig marks nothing as FreeBSD's; that system's own compiler does.
    "ELF of FreeBSD": (lambda good: changed(good[ELF64], 7, "B", 9), "another system than Linux"),
    "ELF of class 0": (lambda good: changed(good[ELF64], 4, "B", 0), "header is damaged"),
    "ELF of class 3": (lambda good: changed(good[ELF64], 4, "B", 3), "header is damaged"),
    "ELF of the other class": (lambda good: changed(good[ELF64], 4, "B", 1), "machine 62"),
    "ELF of no byte order": (lambda good: changed(good[ELF64], 5, "B", 0), "header is damaged"),
    "ELF of the other order": (lambda good: changed(good[ELF64], 5, "B", 2), "machine 15872"),
    "ELF without segments": (
        lambda good: changed(good[ELF64], 56, "<H", 0),
        "not a dynamic library",
    ),
    "ELF, segments far away": (lambda good: changed(good[ELF64], 32, "<Q", 2**64 - 1), "cut short"),
    "ELF, sections far away": (lambda good: changed(good[ELF64], 40, "<Q", 2**64 - 1), "cut short"),
    "ELF, 65535 segments": (lambda good: changed(good[ELF64], 56, "<H", 0xFFFF), "cut short"),
    "ELF, 65535 segments in 32 bits": (
        lambda good: changed(good[ELF32], 44, "<H", 0xFFFF),
        "cut short",
    ),
    "ELF, 65535 segments of no size": (
        lambda good: changed(good[ELF64], 54, "<HH", 0, 0xFFFF),
        "header is damaged",
    ),
    "ELF, 65535 sections": (lambda good: changed(good[ELF64], 60, "<H", 0xFFFF), "cut short"),
    "ELF, 65534 dynamic sections of 65534 libraries": (
        lambda good: elf(65534, struct.pack("<qq", 1, -1) * 65534),
        "not a dynamic library",
    ),
    "Mach-O of no macOS": (lambda good: macho(b""), "does not say which macOS"),
    "Mach-O of iOS": (
        lambda good: changed(good[MAC], load_command(good[MAC], 0x32) + 8, "<I", 2),
        "another system of Apple's",
    ),
    "Mach-O of POWER": (lambda good: changed(good[MAC], 4, "<I", 18), "CPU 0x12 is unknown"),
    "Mach-O, commands of no size": (
        lambda good: macho(struct.pack("<II", 0x1B, 0) * 9),
        "load commands are damaged",
    ),
    "Mach-O, a command larger than all": (
        lambda good: changed(good[MAC], 36, "<I", 2**32 - 1),
        "load commands are damaged",
    ),
    "Mach-O, 4 GiB of commands": (lambda good: changed(good[MAC], 20, "<I", 2**32 - 1), "short"),
    "Mach-O, 100000 commands": (
        lambda good: macho(struct.pack("<II", 0x1B, 8) * 100000),
        "does not say which macOS",
    ),
    "Mach-O, a segment far away": (
        lambda good: changed(good[MAC], load_command(good[MAC], 0x19) + 40, "<Q", 2**64 - 1),
        "cut short",
    ),
    "fat, no slice": (lambda good: fat(), "header is damaged"),
    "fat, nine slices": (lambda good: fat(*[(ARM, good[MAC])] * 9), "header is damaged"),
    "fat, 2**32 - 1 slices": (
        lambda good: changed(universal(good), 4, ">I", 2**32 - 1),
        "header is damaged",
    ),
    "fat, more slices than it has": (
        lambda good: changed(universal(good), 4, ">I", 3),
        "cut short",
    ),
    "fat, a slice beyond the end": (
        lambda good: changed(universal(good), 8 + 20 + 8, ">I", 2**32 - 1),
        "cut short",
    ),
    "fat, a slice too small": (
        lambda good: changed(universal(good), 8 + 12, ">I", 4096),
        "cut short",
    ),
    "fat, a slice of its own header": (
        lambda good: changed(universal(good), 8 + 8, ">I", 0),
        "header is damaged",
    ),
    "fat in fat": (lambda good: fat((ARM, universal(good))), "header is damaged"),
    "fat, a slice of another CPU": (lambda good: fat((INTEL, good[MAC])), "header is damaged"),
    "fat, a slice of text": (
        lambda good: fat((INTEL, good[MAC_OLD]), (ARM, b"Not Found\n" * 9)),
        "header is damaged",
    ),
    "fat, a slice of a program": (
        lambda good: fat((INTEL, good[MAC_OLD]), (ARM, good["aarch64-macos program"])),
        "not a dynamic library",
    ),
    "PE of Itanium": (lambda good: pe_changed(good[WINDOWS], 4, "<H", 0x200), "0x200 is unknown"),
    "PE, header far away": (
        lambda good: changed(good[WINDOWS], PE, "<I", 2**32 - 1),
        "not a PE file",
    ),
    "PE, 65535 sections": (lambda good: pe_changed(good[WINDOWS], 6, "<H", 0xFFFF), "cut short"),
}


@pytest.fixture
def of_bytes(tmp_path):
    """of_library() of a file with these bytes."""

    def of_bytes(data):
        (tmp_path / "file").write_bytes(data)
        return of_library(tmp_path / "file")

    return of_bytes


@pytest.fixture
def of_many_bytes(monkeypatch):
    """The same without a file: it is for tests that would write a hundred thousand."""
    contents = []
    monkeypatch.setattr(platform_tag, "_read", lambda path: contents.pop())

    def of_many_bytes(data):
        contents.append(data)
        return of_library("file")

    return of_many_bytes


# ---- Whole libraries ---------------------------------------------------------------------


@pytest.mark.parametrize("target", LIBRARIES)
def test_a_library_says_what_it_is_for(target, libraries, of_bytes):
    tag, triple, libc = LIBRARIES[target]
    found = of_bytes(libraries[target])
    assert (found.tag, found.triple, found.libc) == (tag, triple, libc)
    assert of_triple(found.triple)[:3] == found[:3]


def test_the_built_library_runs_on_this_python(built):
    found = of_library(str(built[0]))
    host = platform_tag.of_interpreter()
    assert host.runs(found) and of_triple(found.triple).runs(found)
    assert found.tag == host.tag
    assert found.libc == host.libc


def test_a_library_runs_on_its_own_platform_alone(libraries, of_bytes):
    found = {target: of_bytes(data) for target, data in libraries.items()}
    for ours, theirs in itertools.product(found.values(), repeat=2):
        # The deployment target is for installers to judge.
        assert ours.runs(theirs) == (ours[:3] == theirs[:3]), (ours, theirs)


@pytest.fixture(scope="session")
def arms(tmp_path_factory):
    """{the oldest ARM in platform tags: the bytes of a library compiled for it}"""
    folder = sources(tmp_path_factory.mktemp("arms"))
    cpus = {"armv6l": "arm1176jzf_s", "armv7l": "cortex_a7", "armv8l": "cortex_a53"}
    for arch, cpu in cpus.items():
        zig(folder, ARMHF, "-shared", f"-mcpu={cpu}", "-o", arch, "hello.c")
    return {arch: (folder / arch).read_bytes() for arch in cpus}


def test_an_arm_library_says_which_arm_it_needs(arms, of_bytes):
    found = {arch: of_bytes(data) for arch, data in arms.items()}
    assert {arch: library.tag for arch, library in found.items()} == {
        arch: f"linux_{arch}" for arch in arms
    }
    runs = [[ours.runs(theirs) for theirs in found.values()] for ours in found.values()]
    assert runs == [[True, False, False], [True, True, False], [True, True, True]]


@pytest.mark.parametrize("cut", range(16, 60))
def test_arm_attributes_that_are_cut_short_are_read_to_their_end(cut, arms, of_bytes):
    data = arms["armv6l"]
    start, count = struct.unpack_from("<I", data, 32)[0], struct.unpack_from("<H", data, 48)[0]
    (section,) = (
        at
        for at in range(start, start + 40 * count, 40)
        if struct.unpack_from("<I", data, at + 4)[0] == 0x70000003
    )
    assert of_bytes(changed(data, section + 20, "<I", cut)).arch in ("armv6l", "armv7l")


@pytest.mark.parametrize(
    "triple, tag",
    [
        ("arm-unknown-linux-gnueabihf", "linux_armv6l"),
        ("arm-unknown-linux-musleabihf", "linux_armv6l"),
        ("thumbv7neon-unknown-linux-gnueabihf", "linux_armv7l"),
        ("armv7-unknown-linux-gnueabihf", "linux_armv7l"),
    ],
)
def test_a_triple_of_32_bit_arm_has_its_tag(triple, tag):
    found = of_triple(triple)
    assert found.tag == tag
    assert of_triple(found.triple) == found


@pytest.mark.parametrize(
    "machine, arch",
    [("armv6l", "armv6l"), ("armv7l", "armv7l"), ("armv8l", "armv8l"), ("aarch64", "armv8l")],
)
def test_a_python_compiled_for_the_oldest_arm_wants_what_the_machine_runs(
    machine, arch, arms, monkeypatch
):
    monkeypatch.setattr(platform_tag, "_read", lambda path: arms["armv6l"])
    monkeypatch.setattr("os.uname", lambda: ("Linux", "pi", "6.1", "", machine))
    found = platform_tag.of_interpreter()
    assert found[:3] == ("linux", arch, "glibc")
    rust = {"armv6l": "arm-unknown-linux-gnueabihf"}.get(arch, "armv7-unknown-linux-gnueabihf")
    assert found.triple == rust
    assert found.runs(of_triple(rust))


def test_an_android_library_is_not_taken_for_musls(tmp_path):
    folder = sources(tmp_path)
    target = "aarch64-linux-musl"
    for name in ["libc.so", "libdl.so"]:
        zig(folder, target, "-shared", f"-Wl,-soname,{name}", "-o", name, "libc.c")
    words = ["-Wl,--no-as-needed", "hello.c", "libc.so"]
    zig(folder, target, "-shared", "-o", "by libdl", *words, "libdl.so")
    # As the NDK's start files do.
    (folder / "note.s").write_text(
        '.section .note.android.ident,"a",%note\n.long 8, 4, 1\n.asciz "Android"\n.long 21\n'
    )
    zig(folder, target, "-shared", "-o", "by note", *words, "note.s")
    for name in ["by libdl", "by note"]:
        with pytest.raises(NotALibrary, match="^it is for Android$"):
            of_library(folder / name)


def test_a_python_on_android_is_told_so(monkeypatch):
    monkeypatch.setattr(sys, "getandroidapilevel", lambda: 24, raising=False)
    with pytest.raises(ValueError, match="no wheels are made for Android"):
        platform_tag.of_interpreter()


def test_a_library_of_no_libc_runs_with_any(libraries, of_bytes):
    data = libraries["aarch64-linux-gnu"]
    found = of_bytes(data.replace(b"libc.so.6\0", b"libm.so.6\0"))
    assert found == Platform("linux", "aarch64", "", None)
    assert of_triple("aarch64-unknown-linux-gnu").runs(found)
    assert of_triple("aarch64-unknown-linux-musl").runs(found)


def test_musl_is_also_known_by_the_name_that_alpine_gives_it(libraries, tmp_path, of_bytes):
    folder = sources(tmp_path)
    soname = "libc.musl-aarch64.so.1"
    zig(folder, "aarch64-linux-musl", "-shared", f"-Wl,-soname,{soname}", "-o", soname, "libc.c")
    zig(folder, "aarch64-linux-musl", "-shared", "-o", "library", "hello.c", soname)
    assert of_library(tmp_path / "library").libc == "musl"


def test_a_fat_library_of_both_is_universal2(libraries, of_bytes):
    found = of_bytes(universal(libraries))
    assert found.tag == "macosx_10_12_universal2"
    assert of_triple("x86_64-apple-darwin").runs(found)
    assert of_triple("aarch64-apple-darwin").runs(found)
    assert of_triple(found.triple)[:3] == found[:3]


def test_a_fat_library_needs_the_newer_macos_of_its_slices(libraries, of_bytes):
    def tag(intel, arm):
        return of_bytes(fat((INTEL, libraries[intel]), (ARM, libraries[arm]))).tag

    assert tag("x86_64-macos.10.12", "aarch64-macos.12.5") == "macosx_12_0_universal2"
    assert tag("x86_64-macos.13.3", "aarch64-macos.11.0") == "macosx_13_0_universal2"
    assert tag("x86_64-macos.13.3", "aarch64-macos.12.5") == "macosx_13_0_universal2"


def test_a_fat_library_of_one_slice_is_that_slice(libraries, of_bytes):
    assert of_bytes(fat((ARM, libraries[MAC]))).tag == "macosx_11_0_arm64"
    # Haswell's instructions are a slice of their own, and any x86_64 may load the other.
    twice = fat((INTEL, libraries[MAC_OLD]), (INTEL, libraries[MAC_OLD]))
    assert of_bytes(twice).tag == "macosx_10_12_x86_64"


@pytest.mark.parametrize(
    "triple",
    [
        "aarch64-linux-android",
        "armv7-linux-androideabi",
        "wasm32-wasip1",
        "x86_64-unknown-freebsd",
        "x86_64-unknown-linux-ohos",
        "arm-unknown-linux-gnueabi",
        "aarch64-apple-ios",
        "",
    ],
)
def test_a_triple_of_no_wheels_is_refused(triple):
    with pytest.raises(ValueError, match="no wheels are made for"):
        of_triple(triple)


# ---- Other files -------------------------------------------------------------------------


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_no_whole_library_is_refused(what, libraries, others, of_bytes):
    make, sentence = BROKEN[what]
    data = make({**libraries, **others})
    start = time.process_time()
    with pytest.raises(NotALibrary, match=f"^its? .*{re.escape(sentence)}"):
        of_bytes(data)
    assert time.process_time() - start < 1


def test_a_directory_is_refused(tmp_path):
    with pytest.raises(NotALibrary, match="it is a directory"):
        of_library(tmp_path)


def test_a_library_cut_anywhere_is_refused(libraries, of_many_bytes):
    for name, data in shapes(libraries).items():
        # What is far from both ends of the larger ones is code.
        cuts = [*range(4200), *range(4200, len(data), 151), *range(len(data) - 99, len(data))]
        for cut in [cut for cut in cuts if cut < len(data)]:
            with pytest.raises(NotALibrary):
                found = of_many_bytes(data[:cut])
                pytest.fail(f"{name}, the first {cut} bytes of {len(data)}: {found}")


def test_many_libraries_needed_take_no_time(of_bytes):
    """Names are not looked for the end of, and each program header is read once."""
    needed = struct.pack("<qq", 1, 200) * 100000
    strings = struct.pack("<qq", 5, 1000) + bytes(16)
    data = elf(2, needed + strings) + b"x" * 2000000
    load = struct.pack("<IIQQQQQQ", 1, 4, 0, 0, 0, len(data), len(data), 8)
    start = time.process_time()
    assert of_bytes(data[:64] + load + data[64 + 56 :]).tag == "linux_x86_64"
    assert time.process_time() - start < 1


def mutants(name, data, count):
    """Damaged copies, the same ones in each run."""
    choose = random.Random(name)
    for _ in range(count):
        damaged = bytearray(data)
        for _ in range(choose.choice([1, 1, 1, 2, 5])):
            # Half of the damage is where the headers are.
            at = choose.randrange(choose.choice([len(data), min(len(data), 1024)]))
            size = min(choose.choice([1, 1, 2, 4, 8]), len(data) - at)
            damaged[at : at + size] = choose.choice(
                [bytes(size), b"\xff" * size, choose.getrandbits(8 * size).to_bytes(size, "big")]
            )
        if choose.random() < 0.1:
            del damaged[choose.randrange(len(damaged)) :]
        yield bytes(damaged)


def test_a_damaged_library_is_read_or_refused(libraries, of_many_bytes):
    for name, data in shapes(libraries).items():
        read = 0
        for number, damaged in enumerate(mutants(name, data, 2000)):
            start = time.process_time()
            try:
                found = of_many_bytes(damaged)
                assert isinstance(found, Platform) and found.tag and found.triple
                read += 1
            except NotALibrary as error:
                assert str(error)
            except Exception as error:
                pytest.fail(f"{name}, mutant {number}: {error!r}")
            assert time.process_time() - start < 1, (name, number)
        assert 0 < read < 2000


# ---- Fingerprints ------------------------------------------------------------------------


def test_the_built_library_has_the_fingerprint_of_the_package(built):
    text = (ROOT / "python" / PACKAGE / "_ffi.py").read_text()
    (expected,) = re.findall("^ABI = '(.*)'$", text, re.MULTILINE)
    assert platform_tag.fingerprint(built[0], PACKAGE) == expected
    assert platform_tag.fingerprint(built[0], "another_package") is None


@pytest.mark.parametrize(
    "contents, expected",
    [
        (b"", None),
        (b"p.abi=\0", None),
        (b"p.abi=0123456789abcdef", None),
        (b"p.abi=0123456789ABCDEF\0", None),
        (b"p.abi=0123456789abcdef0\0", None),
        (b"p_abi=0123456789abcdef\0", None),
        (b"\0p.abi=0123456789abcdef\0", "0123456789abcdef"),
        (b"\xff\np.abi=0123456789abcdef\0" * 3, "0123456789abcdef"),
        (b"p.abi=0123456789abcdef\0p.abi=0000000000000000\0", None),
    ],
)
def test_a_fingerprint_is_found_where_there_is_just_one(contents, expected, tmp_path):
    (tmp_path / "file").write_bytes(contents)
    assert platform_tag.fingerprint(tmp_path / "file", "p") == expected


# ---- Every Python ------------------------------------------------------------------------

ANSWERS = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
import platform_tag

answers = {}
for name in sorted(os.listdir(sys.argv[2])):
    path = os.path.join(sys.argv[2], name)
    start = os.times()[0]
    try:
        found = platform_tag.of_library(path)
        answer = [found.tag, found.triple, str(found), repr(found.version)]
    except platform_tag.NotALibrary as error:
        answer = str(error)
    answers[name] = [answer, platform_tag.fingerprint(path, sys.argv[3])]
    assert os.times()[0] - start < 1, name
print(json.dumps([answers, str(platform_tag.of_interpreter())]))
"""


@pytest.fixture(scope="session")
def files(tmp_path_factory, libraries, others, arms, built):
    """A folder with all of the above, and a part of the damaged ones."""
    folder = tmp_path_factory.mktemp("files")
    good = {**libraries, **others}
    contents = {"built": built[0].read_bytes(), **good, **arms}
    contents.update((f"broken {what}", make(good)) for what, (make, _) in BROKEN.items())
    for name, data in shapes(libraries).items():
        for number, damaged in enumerate(mutants(name, data, 10)):
            contents[f"{name} {number}"] = damaged
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    return folder


def answers(python, files):
    return json.loads(run(python, "-B", "-c", ANSWERS, ROOT / "python", files, PACKAGE, cwd=files))


@pytest.fixture(scope="session")
def expected(files):
    return answers(sys.executable, files)


def test_every_python_gives_the_same_answers(interpreter, files, expected):
    assert answers(interpreter.path, files) == expected


# ---- The wheels that setup.py names ---------------------------------------------------------


def test_setup_py_names_the_wheels_of_the_table():
    """With the floor of each, and the first pip whose code knows its tag."""
    source = (ROOT / "python/build_library.py").read_text()
    rows = ast.literal_eval(re.search(r"^WHEELS = (\[.*?^\])", source, re.M | re.S)[1])
    named = set()
    for pattern, oldest, pip in rows:
        start, arches, end = re.fullmatch(r"([^(]*)\(?([^()]*)\)?(.*)", pattern).groups()
        named |= {(f"{start}{arch}{end}", oldest, pip) for arch in arches.split("|")}

    expected = set()
    table = (ROOT / "ci/targets.toml").read_text()
    rows = re.findall(r'^triple = "(.*)"(?:\n#.*)*\ntags = \["(\w+)"(?:, "(\w+)")?', table, re.M)
    assert len(rows) == table.count("[[target]]")
    for triple, first, second in rows:
        family, floor, arch = re.fullmatch(
            r"(manylinux|musllinux|macosx|win)_?(\d+_\d+)?_?(\w+)", second or first
        ).groups()
        if arch == "universal2":
            continue  # for two processors, which have wheels of their own
        system = {"manylinux": "glibc", "musllinux": "musl", "macosx": "macOS"}.get(family)
        oldest = f"{system} {floor.replace('_', '.')}" if system else "Windows 10"
        pips = {"musllinux": (21, 2), "manylinux": (20, 3)}
        pip = pips.get(family, ())
        if first.startswith("manylinux2014"):
            pip = (19, 3)
        elif (family, arch) == ("manylinux", "riscv64"):
            pip = (24, 1)
        elif (family, arch) == ("macosx", "arm64"):
            pip = (20, 3)
        expected.add((str(of_triple(triple)), oldest, pip))
    assert named == expected
