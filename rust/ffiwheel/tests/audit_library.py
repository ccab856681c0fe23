"""Cases for the rules about libraries: what they need, hardening, the ABI."""

import re
import struct

from audit_files import LICENSE, breaks
from support import MARK, PACKAGE

# ---- The library ----------------------------------------------------------------------------


@breaks("R210")
def a_function_renamed_in_the_generated_module(wheel):
    wheel.edit(f"{PACKAGE}/_ffi.py", f"{PACKAGE}_cakes_share", f"{PACKAGE}_cakes_shape")


@breaks("R210")
def a_licence_text_of_another_project(wheel):
    wheel.edit(LICENSE, "CC0", "CC9")


class Elf:
    """The headers of a 64-bit little-endian ELF file, in a bytearray."""

    def __init__(self, data):
        self.data = data
        (start,) = struct.unpack_from("<Q", data, 32)
        size, count = struct.unpack_from("<HH", data, 54)
        self.segments = [start + index * size for index in range(count)]

    def segment(self, kind, flags=None):
        return next(
            at for at in self.segments if self.u32(at) == kind and flags in (None, self.u32(at + 4))
        )

    def u32(self, at):
        return struct.unpack_from("<I", self.data, at)[0]

    def set(self, at, value, form="<I"):
        struct.pack_into(form, self.data, at, value)

    def dynamic(self, tag, nth=0):
        start, size = (
            struct.unpack_from("<Q", self.data, self.segment(2) + offset)[0] for offset in (8, 32)
        )
        found = [
            at
            for at in range(start, start + size, 16)
            if struct.unpack_from("<Q", self.data, at)[0] == tag
        ]
        return found[nth]

    def symbols(self):
        """(where, name) of each dynamic symbol"""
        names, table = (
            struct.unpack_from("<Q", self.data, self.dynamic(tag) + 8)[0] for tag in (5, 6)
        )
        # The first segment is loaded at its place in the file: both tables are there.
        for at in range(table, names if names > table else table + 24 * 1000, 24):
            start = names + self.u32(at)
            yield at, bytes(self.data[start : self.data.index(0, start)]).decode("latin-1")


def elf(function):
    """A case that changes the ELF library of the wheel."""

    def change(wheel):
        with wheel.library_bytes() as data:
            function(Elf(data))

    change.__name__ = function.__name__
    return change


@breaks("L301")
def a_second_library(wheel):
    wheel.files[f"{PACKAGE}/lib/other.so"] = wheel.files[wheel.library]


@breaks("L301")
def no_library(wheel):
    del wheel.files[wheel.library]


@breaks("L302")
def a_library_that_is_cut_short(wheel):
    data = wheel.files[wheel.library]
    fingerprint = re.search(MARK + rb"\w+\0", data)[0]
    wheel.files[wheel.library] = data[: len(data) // 2] + fingerprint


@breaks("L302")
@elf
def an_elf_offset_beyond_the_file(elf):
    elf.set(elf.segment(1) + 8, 1 << 60, "<Q")


@breaks("L302")
@elf
def an_elf_table_that_wraps_around(elf):
    elf.set(40, (1 << 64) - 64, "<Q")


@breaks("L303")
def a_library_of_another_system(wheel):
    wheel.tag("manylinux2014_x86_64.manylinux_2_17_x86_64", "win_amd64")
    wheel.files[f"{PACKAGE}/lib/{PACKAGE}.dll"] = wheel.files.pop(wheel.library)


@breaks("L304")
@elf
def a_library_for_another_machine(elf):
    elf.set(18, 183, "<H")  # EM_AARCH64


@breaks("L304", base="win_amd64")
def a_windows_library_for_another_machine(wheel):
    wheel.patch(b"PE\0\0\x64\x86", b"PE\0\0\x64\xaa")


@breaks("L305", base="manylinux_2_17_armv7l")
def soft_floats(wheel):
    with wheel.library_bytes() as data:
        struct.pack_into("<I", data, 36, 0x5000200)


@breaks("L306", "D401")
def glibc_under_a_musl_tag(wheel):
    wheel.tag("manylinux2014_x86_64.manylinux_2_17_x86_64", "musllinux_1_2_x86_64")


@breaks("L306", "D401", base="musllinux_1_2_x86_64")
def musl_under_a_glibc_tag(wheel):
    wheel.tag("musllinux_1_2_x86_64", "manylinux2014_x86_64.manylinux_2_17_x86_64")


@breaks("L307")
def a_symbol_of_a_newer_glibc(wheel):
    wheel.patch(b"GLIBC_2.14\0", b"GLIBC_2.34\0")


@breaks("L311")
@elf
def a_symbol_without_a_version(elf):
    numbers = struct.unpack_from("<Q", elf.data, elf.dynamic(0x6FFFFFF0) + 8)[0]  # DT_VERSYM
    index = next(index for index, (_, name) in enumerate(elf.symbols()) if name == "memcpy")
    elf.set(numbers + 2 * index, 1, "<H")


@breaks("L311", base="musllinux_1_2_x86_64")
def a_symbol_that_musl_lacks(wheel):
    wheel.patch(b"\0getcwd\0", b"\0getcwx\0")


@breaks("L312", base="musllinux_1_2_x86_64")
@elf
def thread_local_memory_of_the_start(elf):
    flags = elf.dynamic(30) + 8  # DT_FLAGS
    elf.set(flags, struct.unpack_from("<Q", elf.data, flags)[0] | 0x10, "<Q")


@breaks("L308", base="macosx_10_12_x86_64")
def a_newer_macos_than_the_tag_says(wheel):
    with wheel.library_bytes() as data:
        at = load_command(data, 0x32, 0x24)
        at += 12 if struct.unpack_from("<I", data, at)[0] == 0x32 else 8
        struct.pack_into("<I", data, at, 15 << 16)


@breaks("L309", base="macosx_10_12_universal2")
def a_universal_wheel_with_one_architecture(wheel):
    data = wheel.files[wheel.library]
    offset, size = struct.unpack_from(">II", data, 16)
    wheel.files[wheel.library] = data[offset : offset + size]


def load_command(data, *kinds):
    at = 32
    while struct.unpack_from("<I", data, at)[0] not in kinds:
        at += struct.unpack_from("<I", data, at + 4)[0]
    return at


def pe_optional(data):
    return struct.unpack_from("<I", data, 60)[0] + 24


def set_pe(wheel, offset, change):
    with wheel.library_bytes() as data:
        at = pe_optional(data) + offset
        struct.pack_into("<H", data, at, change(struct.unpack_from("<H", data, at)[0]))


@breaks("L310", base="win_amd64")
def a_driver(wheel):
    set_pe(wheel, 68, lambda subsystem: 1)


# ---- What it needs --------------------------------------------------------------------------


@breaks("D401")
def a_library_that_linux_lacks(wheel):
    wheel.patch(b"libpthread.so.0\0", b"libpthreax.so.0\0")


@breaks("D401", base="musllinux_1_2_x86_64")
def a_library_that_alpine_lacks(wheel):
    with wheel.library_bytes() as data:
        found = Elf(data)
        found.set(found.dynamic(14), 1, "<Q")  # The library needs itself, under its soname,
    name = f"lib{PACKAGE}.so".encode()
    wheel.patch(name + b"\0", name[:-4] + b"X.so\0")  # which nothing has.


@breaks("D401", base="win_amd64")
def a_dll_that_windows_lacks(wheel):
    wheel.patch(b"KERNEL32.dll\0", b"KERNEL99.dll\0")


@breaks("D401", base="macosx_10_12_x86_64")
def a_library_that_macos_lacks(wheel):
    wheel.patch(b"/usr/lib/libSystem", b"/opt/lib/libSystem")


@breaks("D402")
@elf
def a_search_path_outside(elf):
    elf.set(elf.dynamic(1, -1), 29, "<Q")  # DT_NEEDED becomes DT_RUNPATH


@breaks("D403", base="macosx_10_12_x86_64")
def an_absolute_install_name(wheel):
    wheel.patch(b"@rpath/lib", b"/rpath/lib")


# ---- Hardening ------------------------------------------------------------------------------


@breaks("H501")
@elf
def an_executable_stack(elf):
    elf.set(elf.segment(0x6474E551) + 4, 7)


@breaks("H502")
@elf
def no_relro(elf):
    elf.set(elf.segment(0x6474E552), 0)


@breaks("H503")
@elf
def lazy_binding(elf):
    for tag in (30, 0x6FFFFFFB):
        elf.set(elf.dynamic(tag), 21, "<Q")  # DT_DEBUG, which says nothing here


@breaks("H504")
@elf
def text_relocations(elf):
    elf.set(elf.dynamic(30) + 8, 8 | 4, "<Q")


@breaks("H505")
@elf
def a_segment_that_is_writable_and_executable(elf):
    elf.set(elf.segment(1, flags=5) + 4, 7)


@breaks("H506", base="win_amd64")
def a_fixed_address(wheel):
    set_pe(wheel, 70, lambda flags: flags & ~0x40)


@breaks("H507", base="win_amd64")
def executable_data(wheel):
    set_pe(wheel, 70, lambda flags: flags & ~0x100)


@breaks("H508", base="win_amd64")
def low_entropy(wheel):
    set_pe(wheel, 70, lambda flags: flags & ~0x20)


@breaks("H509", base="macosx_11_0_arm64")
def no_signature(wheel):
    with wheel.library_bytes() as data:
        struct.pack_into("<I", data, load_command(data, 0x1D), 0x29)  # LC_DATA_IN_CODE


@breaks("H510", base="macosx_11_0_arm64")
def a_byte_that_is_not_as_signed(wheel):
    wheel.patch(b"from Rust!", b"from Dust!")


@breaks("H511")
def a_path_of_somebodys_home(wheel):
    wheel.patch(b"library/alloc/src/collections/btree", b"/home/somebody/Secret/src/main.rs\0\0")


# ---- The ABI --------------------------------------------------------------------------------


@breaks("A601")
@elf
def a_function_that_is_hidden(elf):
    at = next(at for at, name in elf.symbols() if name == f"{PACKAGE}_hello")
    elf.data[at + 5] = 2  # STV_HIDDEN


@breaks("A602")
@elf
def a_function_that_is_not_in_the_header(elf):
    at = next(at for at, name in elf.symbols() if name == "memcpy")
    elf.set(at + 6, 1, "<H")  # defined in section 1, not elsewhere


@breaks("A601", "A602", base="win_amd64")
def a_function_of_another_name(wheel):
    wheel.patch(f"{PACKAGE}_hello\0".encode(), f"{PACKAGE}_hallo\0".encode())


@breaks("A601", "A602", base="macosx_10_12_x86_64")
def a_function_of_another_name_on_macos(wheel):
    # In the tree of exports the names share their beginnings: this is the end of one.
    wheel.patch(b"kes_share\0", b"kes_sharx\0")


@breaks("A603")
def a_fingerprint_of_another_abi(wheel):
    data = wheel.files[wheel.library]
    old = re.search(MARK + rb"(\w+)\0", data)[0]
    wheel.patch(old, old[:-17] + b"0123456789abcdef\0")
