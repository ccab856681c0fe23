# ffiwheel kit 0.1.0 3b5b6359b3a893af: `ffiwheel update` replaces this file; use settings
"""The platform that a compiled library is for, read from the library's own bytes.

A wheel's platform tag (PEP 425) must describe the library inside, so it is never taken from
the requested target. Reads ELF, Mach-O and PE on any host, with nothing but the standard
library of Python 2.7 and 3.x. setup.py also uses it on end users' machines.
"""

import collections
import os
import platform
import re
import struct
import sys
import sysconfig

# (system, architecture in platform tags): cargo's name for it, if that differs.
RUST_ARCHES = {
    ("linux", "armv6l"): "arm",
    ("linux", "armv7l"): "armv7",
    ("linux", "ppc64"): "powerpc64",
    ("linux", "ppc64le"): "powerpc64le",
    ("linux", "riscv64"): "riscv64gc",
    ("macos", "arm64"): "aarch64",
    ("windows", "amd64"): "x86_64",
    ("windows", "arm64"): "aarch64",
    ("windows", "x86"): "i686",
}

ELF_MACHINES = {  # (e_machine, bits, byte order) of the ELF specification's registry
    (3, 32, "<"): "i686",
    (40, 32, "<"): "armv7l",
    (62, 64, "<"): "x86_64",
    (183, 64, "<"): "aarch64",
    (21, 64, "<"): "ppc64le",
    (21, 64, ">"): "ppc64",
    (22, 64, ">"): "s390x",
    (243, 64, "<"): "riscv64",
    (258, 64, "<"): "loongarch64",
}
# 32-bit ARM: each runs what is for the ones before it.
ARMS = ["armv6l", "armv7l", "armv8l"]
MACHO_CPUS = {0x01000007: "x86_64", 0x0100000C: "arm64"}  # <mach/machine.h>
PE_MACHINES = {0x8664: "amd64", 0x14C: "x86", 0xAA64: "arm64"}  # the PE format's table


class NotALibrary(ValueError):
    """The file is not a whole dynamic library, or program, of a known format. The text says why."""


class Platform(collections.namedtuple("Platform", "system arch libc version")):
    """What a library or program is for, or what a Python runs on.

    system: "linux", "macos" or "windows". arch: as platform tags spell it, "universal2"
    for a Mach-O file with both. libc: "glibc", "musl" or "" (needs none, or not Linux).
    version: the macOS deployment target as (major, minor), else None.
    """

    @property
    def tag(self):
        """The platform tag before repair: linux_*, macosx_*, win*"""
        if self.system == "linux":
            return "linux_" + self.arch
        if self.system == "macos":
            return "macosx_%d_%d_%s" % (self.version + (self.arch,))
        return "win32" if self.arch == "x86" else "win_" + self.arch

    @property
    def triple(self):
        """The target triple that cargo builds such a library for."""
        # Rust has no target for 32-bit ARMv8.
        arch = "armv7l" if self.arch == "armv8l" else self.arch
        arch = RUST_ARCHES.get((self.system, arch), arch)
        if self.system == "macos":
            return arch + "-apple-darwin"
        if self.system == "windows":
            return arch + "-pc-windows-msvc"
        libc = "musl" if self.libc == "musl" else "gnu"
        return arch + "-unknown-linux-" + libc + ("eabihf" if self.arch in ARMS else "")

    def runs(self, library):
        """Whether a Python on this platform can load a library, or start a program, for that."""
        arches = [self.arch, "universal2"]
        if self.arch in ARMS:
            arches = ARMS[: ARMS.index(self.arch) + 1]
        return (
            self.system == library.system
            and library.arch in arches
            and (not library.libc or self.libc == library.libc)
        )

    def __str__(self):
        return " ".join([self.system, self.arch] + ([self.libc] if self.libc else []))


def library_name(system, stem):
    """The file name of a dynamic library."""
    return {
        "linux": "lib%s.so",
        "macos": "lib%s.dylib",
        "windows": "%s.dll",
    }[system] % stem


def of_triple(triple):
    """The platform of a target triple of cargo's. ValueError for one without wheels."""
    if "-linux-" in triple and triple.endswith("eabi"):
        raise ValueError("no wheels are made for ARM without hardware floating point: " + triple)
    if "-linux-gnu" in triple:
        system, libc = "linux", "glibc"
    elif "-linux-musl" in triple:
        system, libc = "linux", "musl"
    elif triple.endswith("-apple-darwin"):
        system, libc = "macos", ""
    elif "-windows-" in triple:
        system, libc = "windows", ""
    else:
        raise ValueError("no wheels are made for the target %s" % triple)
    rust = re.sub("^i[3-5]86$", "i686", triple.split("-")[0]).replace("thumbv7neon", "armv7")
    arches = [tag for (of, tag), arch in RUST_ARCHES.items() if of == system and arch == rust]
    return Platform(system, arches[0] if arches else rust, libc, None)


def of_interpreter():
    """The platform of the running Python: of the program itself, not of the kernel."""
    if hasattr(sys, "getandroidapilevel"):  # Before 3.13 sys.platform is "linux" there, too.
        raise ValueError("no wheels are made for Android")
    if sys.platform.startswith("linux"):
        # The kernel under a 32-bit Python may be a 64-bit one: the program's file knows.
        program = "/proc/self/exe"
        found = _elf(_read(program if os.path.exists(program) else sys.executable), None)
        if found.arch in ARMS:
            # Distributions for every ARM compile Python for the oldest, and pip goes by the
            # machine. A 64-bit one runs 32-bit programs as ARMv8.
            machine = os.uname()[4].replace("aarch64", "armv8l")
            found = found._replace(arch=machine if machine in ARMS else found.arch)
        if found.libc:
            return found
        try:  # A program that is linked statically, or started through its loader.
            libc = "glibc" if os.confstr("CS_GNU_LIBC_VERSION") else "musl"
        except (ValueError, OSError):
            libc = "musl"
        return found._replace(libc=libc)
    if sys.platform == "darwin":
        return Platform("macos", platform.machine(), "", None)
    if os.name == "nt":
        arch = sysconfig.get_platform().replace("win-", "").replace("win32", "x86")
        return Platform("windows", arch, "", None)
    raise ValueError("no wheels are made for %s" % sysconfig.get_platform())


def of_library(path):
    """The platform of a dynamic library's file. NotALibrary for any other file."""
    return _of_file(path, "dynamic library")


def of_program(path):
    """The platform of a program's file, without a libc if it is linked statically. NotALibrary
    for any other file."""
    return _of_file(path, "program")


def _of_file(path, kind):
    if os.path.isdir(path):
        raise NotALibrary("it is a directory")
    if os.path.exists(path) and not os.path.isfile(path):
        raise NotALibrary("it is a FIFO, a socket or a device")  # which may never end
    data = _read(path)
    if not data:
        raise NotALibrary("it is empty")
    try:
        if data[:4] == b"\x7fELF":
            return _elf(data, kind)
        if data[:4] == b"\xcf\xfa\xed\xfe":
            return _macho(data, kind)
        if data[:4] == b"\xca\xfe\xba\xbe":
            return _fat(data, kind)
        if data[:2] == b"MZ":
            return _pe(data, kind)
    except (struct.error, OverflowError):  # An offset can be larger than any file.
        raise NotALibrary("it is cut short")
    raise NotALibrary("it is neither ELF, Mach-O nor PE")


def fingerprint(path, module):
    """The ABI fingerprint in a library's file, found without running it.

    Sixteen hexadecimal digits; None when the file holds none, or several that differ.
    """
    marker = re.escape(module.encode("ascii")) + b"\\.abi=([0-9a-f]{16})\0"
    found = set(re.findall(marker, _read(path)))
    return found.pop().decode("ascii") if len(found) == 1 else None


def _read(path):
    with open(path, "rb") as file:
        return file.read()


def _check_end(data, end):
    if end > len(data):
        raise NotALibrary("it is cut short: %d bytes of %d" % (len(data), end))


def _elf(data, wanted):
    """wanted: "dynamic library" or "program", or None for what may be either: a Python that was
    started through its loader."""
    bits = {b"\1": 32, b"\2": 64}.get(data[4:5])
    order = {b"\1": "<", b"\2": ">"}.get(data[5:6])
    if not bits or not order:
        raise NotALibrary("its ELF header is damaged")
    word = order + ("Q" if bits == 64 else "I")
    kind, machine = struct.unpack_from(order + "HH", data, 16)
    word_size = bits // 8
    phoff, shoff = struct.unpack_from(order + word[1] * 2, data, 24 + word_size)
    flags, _, phentsize, phnum, shentsize, shnum = struct.unpack_from(
        order + "IHHHHH", data, 24 + 3 * word_size
    )
    arch = ELF_MACHINES.get((machine, bits, order))
    if arch is None:
        raise NotALibrary("its ELF machine %d is unknown" % machine)
    if data[7:8] not in (b"\0", b"\3"):  # ELFOSABI_NONE, ELFOSABI_GNU
        raise NotALibrary("it is an ELF file for another system than Linux")
    if arch == "armv7l" and flags & 0x200:  # EF_ARM_ABI_FLOAT_SOFT
        raise NotALibrary("it is for ARM without hardware floating point")
    if arch == "armv7l" and shoff and shentsize == 40:
        arch = _arm(data, order, range(shoff, shoff + 40 * shnum, 40))
    if kind not in (2, 3):  # ET_EXEC, ET_DYN
        raise NotALibrary("it is an ELF file, but not a %s" % wanted)
    position_independent = kind == 3
    _check_end(data, shoff + shentsize * shnum)
    if phentsize != (56 if bits == 64 else 32):
        raise NotALibrary("its ELF header is damaged")

    segments = []  # (offset, address, size)
    dynamic = 0, 0
    interpreter = False
    for i in range(phnum):
        at = phoff + i * phentsize
        kind = struct.unpack_from(order + "I", data, at)[0]
        # The 64-bit entry has its flags in second place, the 32-bit one near the end.
        offset, address, _, size = struct.unpack_from(
            order + word[1] * 4, data, at + (8 if bits == 64 else 4)
        )
        _check_end(data, offset + size)
        if kind == 1:  # PT_LOAD
            segments.append((offset, address, size))
        elif kind == 4 and data[offset : offset + size][12:20] == b"Android\0":  # PT_NOTE
            raise NotALibrary("it is for Android")
        elif kind == 2:  # PT_DYNAMIC
            dynamic = offset, offset + size
        elif kind == 3:  # PT_INTERP
            interpreter = True

    needed, strings, pie = [], 0, 0
    for at in range(dynamic[0], dynamic[1], 2 * word_size):
        tag, value = struct.unpack_from(order + word[1] * 2, data, at)
        if tag == 0:
            break
        if tag == 1:  # DT_NEEDED
            needed.append(value)
        elif tag == 5:  # DT_STRTAB
            strings = value
        elif tag == 0x6FFFFFFB:  # DT_FLAGS_1
            pie = value & 0x08000000  # DF_1_PIE
    # DT_STRTAB is an address; this is where in the file it is.
    names = [
        offset + strings - address
        for offset, address, size in segments
        if strings and address <= strings < address + size
    ]
    # Most programs are ET_DYN too; dlopen tells them apart by DF_1_PIE as well.
    is_kind = {
        "dynamic library": position_independent and not pie and bool(names),
        "program": not position_independent or bool(pie) or interpreter,
    }
    if not is_kind.get(wanted, True):
        raise NotALibrary("it is an ELF file, but not a " + wanted)
    libc = ""
    for start in needed if names else []:
        start += names[0]
        name = data[start : start + 32].split(b"\0")[0]
        if name in (b"libc.so.6", b"libc.so.6.1"):
            libc = "glibc"
        elif name == b"libc.so" or name.startswith(b"libc.musl-"):
            libc = "musl"
        elif name in (b"libdl.so", b"libm.so", b"liblog.so"):
            # On musl they are parts of libc.so.
            raise NotALibrary("it is for Android")
    return Platform("linux", arch, libc, None)


def _arm(data, order, sections):
    """The oldest ARM that a library is for, by its build attributes; without them ARMv7.

    https://github.com/ARM-software/abi-aa/blob/main/addenda32/addenda32.rst
    """
    for at in sections:
        kind, _, _, start, size = struct.unpack_from(order + "5I", data, at + 4)
        if kind != 0x70000003:  # SHT_ARM_ATTRIBUTES
            continue
        # "A", a size, "aeabi" and NUL, 1 for the whole file, another size; then tags, each
        # with a number of bytes of seven bits, or a text that ends with NUL.
        values = iter(bytearray(data[start + 16 : start + size]))
        for tag in values:
            value = next(values, 0)
            if tag == 32:  # Tag_compatibility has both.
                value = next(values, 0)
            if tag in (4, 5, 32) or tag > 32 and tag % 2:
                while value:
                    value = next(values, 0)
            elif tag == 6:  # Tag_CPU_arch; what has Thumb-2, v6T2, is no less than ARMv7.
                if value < 8 or value == 9:
                    return "armv6l"
                return "armv7l" if value < 14 else "armv8l"
            else:
                while value & 0x80:
                    value = next(values, 0)
    return "armv7l"


def _fat(data, wanted):
    """A Mach-O file with a whole Mach-O file for each architecture in it."""
    count = struct.unpack_from(">I", data, 4)[0]
    if not 1 <= count <= 8:  # A Java class, which begins alike, has its version here.
        raise NotALibrary("its fat Mach-O header is damaged")
    found = {}
    for i in range(count):
        cpu, _, start, size = struct.unpack_from(">4I", data, 8 + 20 * i)
        _check_end(data, start + size)
        part = _macho(data[start : start + size], wanted)
        if MACHO_CPUS.get(cpu) != part.arch:
            raise NotALibrary("its fat Mach-O header is damaged")
        found[part.arch] = part
    if len(found) == 1:
        return part
    version = found["x86_64"].version
    if found["arm64"].version > (11, 0):  # No older macOS runs on arm64: it goes unsaid.
        version = max(version, found["arm64"].version)
    return Platform("macos", "universal2", "", version)


def _macho(data, wanted):
    magic, cpu, _, kind, _, size, _, _ = struct.unpack_from("<8I", data)
    if magic != 0xFEEDFACF:
        raise NotALibrary("its Mach-O header is damaged")
    if cpu not in MACHO_CPUS:
        raise NotALibrary("its Mach-O CPU %#x is unknown" % cpu)
    # MH_EXECUTE; MH_DYLIB, MH_BUNDLE
    if kind not in ((2,) if wanted == "program" else (6, 8)):
        raise NotALibrary("it is a Mach-O file, but not a " + wanted)
    at, end = 32, 32 + size
    _check_end(data, end)
    version = None
    while at < end:
        command, size = struct.unpack_from("<II", data, at)
        if size < 8 or at + size > end:
            raise NotALibrary("its Mach-O load commands are damaged")
        if command == 0x19:  # LC_SEGMENT_64
            start, length = struct.unpack_from("<QQ", data, at + 40)
            _check_end(data, start + length)
        elif command == 0x32:  # LC_BUILD_VERSION
            if struct.unpack_from("<I", data, at + 8)[0] != 1:  # PLATFORM_MACOS
                raise NotALibrary("it is for another system of Apple's than macOS")
            version = struct.unpack_from("<I", data, at + 12)[0]
        elif command == 0x24:  # LC_VERSION_MIN_MACOSX
            version = struct.unpack_from("<I", data, at + 8)[0]
        at += size
    if version is None:
        raise NotALibrary("it does not say which macOS it is for")
    major, minor = version >> 16, (version >> 8) & 0xFF
    # Since macOS 11 only the major number is part of tags.
    return Platform("macos", MACHO_CPUS[cpu], "", (major, 0 if major >= 11 else minor))


def _pe(data, wanted):
    at = struct.unpack_from("<I", data, 60)[0]
    if data[at : at + 4] != b"PE\0\0":
        raise NotALibrary("it is not a PE file")
    machine, count, _, _, _, optional, flags = struct.unpack_from("<HHIIIHH", data, at + 4)
    if machine not in PE_MACHINES:
        raise NotALibrary("its PE machine %#x is unknown" % machine)
    if bool(flags & 0x2000) == (wanted == "program"):  # IMAGE_FILE_DLL
        raise NotALibrary(
            "it is a PE file, but not a %s" % ("program" if wanted == "program" else "DLL")
        )
    for i in range(count):
        size, start = struct.unpack_from("<II", data, at + 24 + optional + 40 * i + 16)
        _check_end(data, start + size)
    return Platform("windows", PE_MACHINES[machine], "", None)
