"""The judge: every rule is broken once, in a good file, and seen, and nothing else is.

All the broken files of a run are judged together: a case is a file and the codes that it
must get beyond those of the file that it was made from.
"""

import base64
import gzip
import hashlib
import io
import json
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import zipfile
from contextlib import contextmanager

import pytest

from support import (
    MARK,
    NAME,
    PACKAGE,
    ROOT,
    XTASK,
    Project,
    clean_environment,
    needs_wheel,
    run,
    xtask,
)

VERSION = re.search(r'version = "(.*)"', (ROOT / "rust/Cargo.toml").read_text())[1]
INFO = f"{PACKAGE}-{VERSION}.dist-info"
LICENSE = f"{INFO}/licenses/LICENSE"

CASES = {}


def breaks(*codes, base="manylinux_2_17_x86_64"):
    """A case: what the function does to a file of that kind gets it exactly these codes."""

    def add(function):
        CASES[function.__name__] = (set(codes), base, function)
        return function

    return add


def judged(files, *words, cwd=ROOT):
    """{file: its findings}"""
    command = [*XTASK, "--", "audit", "--json", *words, *files]
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=600,
    )
    assert done.stdout, done.stderr.decode()
    found = {row["file"]: row["findings"] for row in json.loads(done.stdout)}
    errors = any(finding["severity"] == "error" for row in found.values() for finding in row)
    assert done.returncode == int(errors), done.stderr.decode()
    return found


def codes(findings):
    return {finding["code"] for finding in findings}


class Wheel:
    """A wheel that can be changed: `files` maps names to contents. RECORD follows, unless
    it is among the changes."""

    def __init__(self, path):
        self.name = path.name
        self.infos = {}
        self.files = {}
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if not info.is_dir():
                    self.infos[info.filename] = info
                    self.files[info.filename] = archive.read(info)
        self.record = None  # RECORD's text, where it is not what fits
        self.extra = []  # (ZipInfo, contents) that stand behind the others
        self.finish = bytes  # what is done to the finished archive's bytes
        (self.library,) = (name for name in self.files if name.startswith(f"{PACKAGE}/lib/"))

    def edit(self, name, old, new, count=1):
        old, new = (text.encode() if isinstance(text, str) else text for text in (old, new))
        assert old in self.files[name], (name, old)
        self.files[name] = self.files[name].replace(old, new, count)

    @contextmanager
    def library_bytes(self):
        """The library as a bytearray; what it is at the end, the library is then."""
        data = bytearray(self.files[self.library])
        yield data
        self.files[self.library] = bytes(data)

    def patch(self, old, new):
        """Changes bytes of the library, and not its size."""
        assert len(old) == len(new), (old, new)
        self.edit(self.library, old, new, -1)

    def tag(self, old, new):
        """Changes the tags, in the name and in WHEEL alike."""
        assert old in self.name
        self.name = self.name.replace(old, new)
        text = self.files[f"{INFO}/WHEEL"].decode()
        pythons, abis, platforms = self.name[:-4].split("-")[-3:]
        tags = [
            f"Tag: {python}-{abi}-{platform}"
            for python in pythons.split(".")
            for abi in abis.split(".")
            for platform in platforms.split(".")
        ]
        others = [line for line in text.splitlines() if line and not line.startswith("Tag")]
        self.files[f"{INFO}/WHEEL"] = "\n".join([*others, *tags, ""]).encode()

    def records(self):
        rows = []
        for name, contents in self.files.items():
            if name == f"{INFO}/RECORD":
                rows.append(f"{name},,")
                continue
            digest = base64.urlsafe_b64encode(hashlib.sha256(contents).digest())
            rows.append(f"{name},sha256={digest.decode().rstrip('=')},{len(contents)}")
        return rows

    def write(self, folder):
        path = folder / self.name
        if f"{INFO}/RECORD" in self.files:
            record = self.record if self.record is not None else "\n".join(self.records()) + "\n"
            self.files[f"{INFO}/RECORD"] = record.encode()
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, contents in self.files.items():
                info = self.infos.get(name) or new_info(name, self.infos[LICENSE].date_time)
                archive.writestr(info, contents)
            for info, contents in self.extra:
                archive.writestr(info, contents)
        path.write_bytes(self.finish(buffer.getvalue()))
        return path


def new_info(name, date_time=(2024, 1, 1, 0, 0, 0), mode=0o100644):
    info = zipfile.ZipInfo(name, date_time)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.create_system = 3
    info.external_attr = mode << 16
    return info


class Sdist:
    """An sdist that can be changed: `files` maps names, without the folder, to contents."""

    def __init__(self, path):
        self.name = path.name
        self.folder = path.name[: -len(".tar.gz")]
        with tarfile.open(path) as archive:
            self.members = {member.name: member for member in archive}
            self.files = {
                name.split("/", 1)[1]: archive.extractfile(member).read()
                for name, member in self.members.items()
            }
        self.extra = []
        self.finish = bytes
        self.mtime = next(iter(self.members.values())).mtime

    def edit(self, name, old, new):
        assert old.encode() in self.files[name], (name, old)
        self.files[name] = self.files[name].replace(old.encode(), new.encode())

    def write(self, folder):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for name, contents in self.files.items():
                member = tarfile.TarInfo(f"{self.folder}/{name}")
                member.mtime, member.size = self.mtime, len(contents)
                archive.addfile(member, io.BytesIO(contents))
            for member in self.extra:
                archive.addfile(member)
        path = folder / self.name
        path.write_bytes(self.finish(gzip.compress(buffer.getvalue())))
        return path


# ---- The file and the archive --------------------------------------------------------------


@breaks("F101", base="library")
def no_known_file(library):
    library[:4] = b"#!/b"


@breaks("Z101")
def cut_short(wheel):
    wheel.finish = lambda data: data[: len(data) // 2]


@breaks("Z101")
def a_bit_of_a_member_is_flipped(wheel):
    def finish(data):
        at = data.index(f"{PACKAGE}/lib/".encode()) + 5000
        return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]

    wheel.finish = finish


@breaks("Z101")
def a_member_is_packed_by_bzip2(wheel):
    wheel.infos[LICENSE].compress_type = zipfile.ZIP_BZIP2


@breaks("Z101", base="sdist")
def an_sdist_that_is_cut_short(sdist):
    sdist.finish = lambda data: data[: len(data) // 2]


@breaks("Z102")
def a_zip_bomb(wheel):
    wheel.files[f"{PACKAGE}/bomb.py"] = bytes(80 << 20)


@breaks("Z102", base="sdist")
def a_tar_bomb(sdist):
    sdist.files["bomb"] = bytes(80 << 20)


@breaks("Z101")
def a_member_claims_four_gigabytes(wheel):
    def finish(data):
        at = data.rindex(b"PK\1\2")
        return data[: at + 24] + b"\xfe\xff\xff\xff" + data[at + 28 :]

    wheel.finish = finish


@breaks("Z103")
def the_local_header_has_another_name(wheel):
    name = LICENSE.encode()
    wheel.finish = lambda data: data.replace(name, name[:-1] + b"X", 1)


@breaks("Z103")
def bytes_before_the_first_member(wheel):
    def finish(data):
        """As zipfile would shift the offsets of a self-extracting archive."""
        buffer = io.BytesIO()
        buffer.write(b"#!/bin/sh\n")
        with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "a") as new:
            for info in old.infolist():
                new.writestr(info, old.read(info))
        return buffer.getvalue()

    wheel.finish = finish


@breaks("Z103")
def a_comment_at_the_end(wheel):
    def finish(data):
        return data[:-2] + b"\5\0hello"

    wheel.finish = finish


@breaks("Z103", "R208")
def two_members_share_their_bytes(wheel):
    """The second entry of the directory points to the first one's member."""

    def finish(data):
        first = data.index(b"PK\1\2")
        second = data.index(b"PK\1\2", first + 4)
        length = 46 + sum(struct.unpack_from("<HHH", data, first + 28))
        entry = data[first : first + length]
        end = data.rindex(b"PK\5\6")
        count, size, start = struct.unpack_from("<HII", data, end + 10)
        tail = bytearray(data[end:])
        struct.pack_into("<HHII", tail, 8, count + 1, count + 1, size + length, start)
        return (
            data[:second]
            + entry.replace(b"__init__.py", b"__inix__.py")
            + data[second:end]
            + (bytes(tail))
        )

    wheel.files = dict(sorted(wheel.files.items(), key=lambda item: "__init__.py" not in item[0]))
    wheel.finish = finish
    wheel.record = "\n".join([*wheel.records(), wheel.records()[0].replace("init", "inix"), ""])


@breaks("Z104", "R202", "R208")
def a_name_that_leads_out(wheel):
    wheel.extra.append((new_info("../evil.py"), b""))


@breaks("Z104", "R202", "R208")
def an_absolute_name(wheel):
    wheel.extra.append((new_info("/etc/evil.py"), b""))


@breaks("Z104", "R202", "R208")
def a_name_with_a_backslash(wheel):
    wheel.extra.append((new_info(f"{PACKAGE}\\evil.py"), b""))


@breaks("Z104", "S701", base="sdist")
def a_name_that_leads_out_of_an_sdist(sdist):
    sdist.extra.append(tarfile.TarInfo("../evil.py"))
    sdist.extra[0].mtime = sdist.mtime


@breaks("Z105")
def two_members_of_one_name(wheel):
    wheel.extra.append((new_info(LICENSE), wheel.files[LICENSE]))


@breaks("Z105", "R202", "R208")
def two_names_that_differ_by_case(wheel):
    wheel.extra.append((new_info(f"{PACKAGE}/_FFI.py"), b""))


@breaks("Z106", "R202", "R208")
def a_symbolic_link(wheel):
    wheel.extra.append((new_info(f"{PACKAGE}/link.py", mode=0o120777), b"/etc/passwd"))


@breaks("Z106", base="sdist")
def a_symbolic_link_in_an_sdist(sdist):
    member = tarfile.TarInfo(f"{sdist.folder}/link")
    member.type, member.linkname, member.mtime = tarfile.SYMTYPE, "/etc/passwd", sdist.mtime
    sdist.extra.append(member)


@breaks("Z107")
def a_mode_that_lets_all_write(wheel):
    wheel.infos[LICENSE].external_attr = 0o100666 << 16


@breaks("Z107")
def a_mode_that_lets_nobody_read(wheel):
    wheel.infos[LICENSE].external_attr = 0o100600 << 16


@breaks("Z108")
def a_date_in_the_future(wheel):
    wheel.infos[LICENSE].date_time = (2107, 1, 1, 0, 0, 0)


@breaks("Z108", base="sdist")
def a_date_before_zip_files(sdist):
    sdist.mtime = 1


@breaks("Z109")
def an_encrypted_member(wheel):
    def finish(data):
        """Sets the flag of each header of the licence."""
        for mark, at_flags, at_name in [(b"PK\3\4", 6, 30), (b"PK\1\2", 8, 46)]:
            for match in list(re.finditer(re.escape(mark), data)):
                at = match.start()
                if data[at + at_name :].startswith(LICENSE.encode()):
                    data = data[: at + at_flags] + b"\1" + data[at + at_flags + 1 :]
        return data

    wheel.finish = finish


# ---- The name and the metadata --------------------------------------------------------------


@breaks("W101")
def a_name_without_a_platform(wheel):
    wheel.name = f"{PACKAGE}-{VERSION}-py2.py3-none.whl"


@breaks("W102")
def a_name_that_is_not_normalised(wheel):
    wheel.name = wheel.name.replace(PACKAGE, PACKAGE.title().replace("_", "."))


@breaks("W102")
def a_version_that_is_not_normalised(wheel):
    wheel.name = wheel.name.replace(f"-{VERSION}-", f"-v{VERSION}-")
    wheel.edit(f"{INFO}/METADATA", f"Version: {VERSION}", f"Version: v{VERSION}")
    move_info(wheel, f"{PACKAGE}-v{VERSION}.dist-info")


def move_info(wheel, to):
    wheel.record = "\n".join([*wheel.records(), ""]).replace(INFO, to)
    wheel.files[f"{INFO}/RECORD"] = wheel.record.encode()
    wheel.files = {name.replace(INFO, to): data for name, data in wheel.files.items()}


@breaks("W103")
def a_build_tag(wheel):
    wheel.name = wheel.name.replace("-py2", "-1-py2")


@breaks("W104")
def a_tag_that_wheel_lacks(wheel):
    wheel.edit(f"{INFO}/WHEEL", "Tag: py2-none-manylinux2014_x86_64\n", "")


@breaks("W104")
def tags_that_are_not_expanded(wheel):
    wheel.edit(f"{INFO}/WHEEL", "Tag: py2-", "Tag: py2.py3-", -1)


@breaks("W105")
def a_pure_wheel_with_a_library(wheel):
    wheel.edit(f"{INFO}/WHEEL", "Root-Is-Purelib: false", "Root-Is-Purelib: true")


@breaks("W105", "W110")
def a_library_for_any_platform(wheel):
    wheel.tag("manylinux2014_x86_64.manylinux_2_17_x86_64", "any")


@breaks("W106")
def metadata_of_another_project(wheel):
    wheel.edit(f"{INFO}/METADATA", f"Name: {NAME}", "Name: goodbye")


@breaks("W106")
def metadata_of_another_version(wheel):
    wheel.edit(f"{INFO}/METADATA", f"Version: {VERSION}", "Version: 7")


@breaks("W107")
def a_version_other_than_the_crates(wheel):
    wheel.name = wheel.name.replace(f"-{VERSION}-", "-7-")
    wheel.edit(f"{INFO}/METADATA", f"Version: {VERSION}", "Version: 7")
    move_info(wheel, f"{PACKAGE}-7.dist-info")


@breaks("W107", "S702", base="sdist")
def an_sdist_of_another_version(sdist):
    sdist.name, sdist.folder = f"{PACKAGE}-7.tar.gz", f"{PACKAGE}-7"


@breaks("W108", "W110")
def a_tag_that_pypi_refuses(wheel):
    wheel.tag("manylinux2014_x86_64.manylinux_2_17_x86_64", "linux_x86_64")


@breaks("W109")
def a_tag_for_one_python(wheel):
    wheel.tag("py2.py3-none", "cp311-cp311")


@breaks("W110")
def a_platform_that_is_not_in_the_table(wheel):
    wheel.tag("manylinux2014_x86_64.manylinux_2_17_x86_64", "manylinux_2_18_x86_64")


@breaks("W111")
def a_licence_that_is_missing(wheel):
    del wheel.files[LICENSE]


@breaks("W112")
def a_classifier_that_requires_python_shuts_out(wheel):
    old = "Classifier: Programming Language :: Python :: 3\n"
    wheel.edit(f"{INFO}/METADATA", old, old + old.replace("3\n", "3.5\n"))


@breaks("W114")
def a_summary_of_another_project(wheel):
    wheel.edit(f"{INFO}/METADATA", "Summary: A Rust", "Summary: No Rust")


@breaks("W114")
def a_licence_of_another_project(wheel):
    wheel.edit(f"{INFO}/METADATA", "License: ", "License-Expression: MIT AND ")


@breaks("W114")
def an_address_of_another_project(wheel):
    wheel.edit(
        f"{INFO}/METADATA", "Home-page:", "Project-URL: Tracker, https://x.example\nHome-page:"
    )


@breaks("W114")
def another_requires_python(wheel):
    wheel.edit(f"{INFO}/METADATA", ",!=3.5.*,", ",")


@breaks("W113")
def no_wheel_file(wheel):
    del wheel.files[f"{INFO}/WHEEL"]


@breaks("W113")
def metadata_in_a_folder_of_another_name(wheel):
    move_info(wheel, f"{PACKAGE}-7.dist-info")


# ---- RECORD and the members -----------------------------------------------------------------


@breaks("R201")
def a_record_of_two_columns(wheel):
    wheel.record = "\n".join(row.rsplit(",", 1)[0] for row in wheel.records())


@breaks("R202")
def a_file_that_record_lacks(wheel):
    wheel.record = "\n".join(row for row in wheel.records() if "_ffi.pyi" not in row)


@breaks("R203")
def a_file_that_only_record_has(wheel):
    wheel.record = "\n".join([*wheel.records(), f"{PACKAGE}/gone.py,sha256=,0"])


@breaks("R204")
def a_hash_that_is_wrong(wheel):
    wheel.record = "\n".join(re.sub("(?<=_ffi.pyi,sha256=).", "_", row) for row in wheel.records())


@breaks("R204")
def a_hash_that_is_weak(wheel):
    wheel.record = "\n".join(wheel.records()).replace("sha256=", "md5=", 1)


@breaks("R204")
def a_file_without_a_hash(wheel):
    wheel.record = "\n".join(re.sub("(?<=_ffi.pyi,)[^,]+", "", row) for row in wheel.records())


@breaks("R205")
def a_size_that_is_wrong(wheel):
    wheel.record = "\n".join(row + "0" * ("_ffi.pyi," in row) for row in wheel.records())


@breaks("R206")
def a_file_that_record_has_twice(wheel):
    rows = wheel.records()
    wheel.record = "\n".join([*rows, rows[0]])


@breaks("R203", "R206")
def a_record_that_leads_out(wheel):
    wheel.record = "\n".join([*wheel.records(), "../../bin/python,sha256=,0"])


@breaks("R207", "R208")
def a_cache(wheel):
    wheel.files[f"{PACKAGE}/__pycache__/_ffi.cpython-311.pyc"] = b""


@breaks("R208")
def a_stray_file(wheel):
    wheel.files[f"{PACKAGE}/stray.py"] = b""


@breaks("R208")
def a_file_of_the_package_is_missing(wheel):
    del wheel.files[f"{PACKAGE}/py.typed"]


SBOM = f"{INFO}/sboms/{PACKAGE}.cdx.json"


@breaks("R209")
def an_sbom_of_another_version(wheel):
    wheel.edit(SBOM, f'"version": "{VERSION}"', '"version": "9.9.9"')


@breaks("R209")
def an_sbom_that_is_no_json(wheel):
    wheel.edit(SBOM, "{", "", count=1)


@breaks("R209")
def an_sbom_of_another_kind(wheel):
    wheel.edit(SBOM, "CycloneDX", "SPDX")


@breaks("R209")
def an_sbom_with_a_path_of_the_machine(wheel):
    wheel.edit(SBOM, "The standard library", "/home/somebody/project: the standard library")


@breaks("R208")
def a_file_beside_the_sbom(wheel):
    wheel.files[f"{INFO}/sboms/notes.txt"] = b""


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


# ---- The sdist ------------------------------------------------------------------------------


@breaks("S701", base="sdist")
def an_sdist_with_a_folder_of_another_name(sdist):
    sdist.extra.append(tarfile.TarInfo("elsewhere/file.py"))
    sdist.extra[0].mtime = sdist.mtime


@breaks("S702", base="sdist")
def an_sdist_without_pkg_info(sdist):
    del sdist.files["PKG-INFO"]


@breaks("S702", base="sdist")
def an_sdist_with_the_metadata_of_another_project(sdist):
    sdist.edit("PKG-INFO", f"Name: {NAME}", "Name: goodbye")


@breaks("S708", base="sdist")
def an_sdist_with_the_summary_of_another_project(sdist):
    sdist.edit("PKG-INFO", "Summary: A Rust", "Summary: No Rust")


@breaks("S703", base="sdist")
def an_sdist_with_a_stray_file(sdist):
    sdist.files["rust/src/stray.rs"] = b""


@breaks("S703", base="sdist")
def an_sdist_without_the_header(sdist):
    del sdist.files[f"rust/include/{PACKAGE}.h"]


@breaks("S705", base="sdist")
def an_sdist_without_its_licence(sdist):
    del sdist.files["LICENSE"]


@breaks("S706", base="sdist")
def an_sdist_without_a_lock_file(sdist):
    del sdist.files["rust/Cargo.lock"]


@breaks("S706", base="sdist")
def a_dependency_that_is_not_in_the_sdist(sdist):
    sdist.edit("rust/Cargo.toml", "[dependencies]", '[dependencies]\nother = { path = "../other" }')


# ---- The judgement --------------------------------------------------------------------------


def good_files():
    """{kind: a file of dist/ of that kind}"""
    found = {}
    for path in (ROOT / "dist").iterdir():
        if path.suffix == ".whl":
            found[path.stem.split("-")[-1].split(".")[-1]] = path
        elif path.name.endswith(".tar.gz"):
            found["sdist"] = path
    return found


def broken(base, function, path, folder):
    """The file of a case."""
    folder.mkdir()
    if base == "library":
        wheel = Wheel(path)
        data = bytearray(wheel.files[wheel.library])
        function(data)
        file = folder / wheel.library.split("/")[-1]
        file.write_bytes(data)
        return file
    file = (Sdist if base == "sdist" else Wheel)(path)
    function(file)
    return file.write(folder)


def unchanged(file):
    pass


@pytest.fixture(scope="session")
def verdicts(tmp_path_factory):
    """{case or kind of good file: its findings}"""
    folder = tmp_path_factory.mktemp("broken")
    good = good_files()
    good["library"] = good["manylinux_2_17_x86_64"]
    cases = {f"good {base}": (base, unchanged) for base in good}
    cases.update({name: (base, function) for name, (_, base, function) in CASES.items()})
    files = {
        str(broken(base, function, good[base], folder / name)): name
        for name, (base, function) in cases.items()
        if base in good
    }
    return {files[file]: findings for file, findings in judged(files).items()}


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(name, marks=[] if base in ("sdist", "library") else needs_wheel(base))
        for name, (_, base, _) in CASES.items()
    ],
)
def test_each_rule_sees_what_breaks_it_and_no_other_does(case, verdicts):
    expected, base, _ = CASES[case]
    if case not in verdicts:
        pytest.skip(f"dist/ holds no {base}: make wheels TARGETS=all")
    before = {(found["code"], found["member"]) for found in verdicts[f"good {base}"]}
    new = [found for found in verdicts[case] if (found["code"], found["member"]) not in before]
    assert codes(new) == expected, new
    assert all(found["severity"] == "error" for found in new)


def test_every_rule_has_a_case():
    text = (ROOT / "docs/rules.md").read_text()
    rules = set(re.findall(r"^\| ([A-Z]\d{3}) \|", text, re.MULTILINE))
    tested = set().union(*(codes for codes, _, _ in CASES.values()))
    in_release = {"S704", "S707", "X801", "X802", "X803", "X804", "X805"}
    # F102 stands for what nobody foresaw.
    assert rules - tested - in_release == {"F102"}
    assert tested <= rules


def test_what_the_pipeline_made_is_good(verdicts):
    for kind in ["manylinux_2_17_x86_64", "sdist", "library"]:
        assert verdicts[f"good {kind}"] == []


def test_a_good_file_gets_one_line_and_a_bad_one_its_remedy(wheel, tmp_path):
    text = xtask_at_root("audit", wheel)
    # Another test may run xtask here meanwhile.
    lines = [line for line in text.splitlines() if not line.startswith("waiting for another run")]
    assert lines == [f"ok {wheel.relative_to(ROOT)}"]
    bad = Wheel(wheel)
    a_build_tag(bad)
    a_stray_file(bad)
    text = xtask_at_root("audit", bad.write(tmp_path), fails=True)
    assert re.search(r"^error\[W103\] .*: it has the build tag 1; raise the version", text, re.M)
    assert re.search(r"^error\[R208\] .*/stray\.py: ", text, re.M)
    assert "2 findings" in text


def test_a_code_is_explained():
    text = xtask_at_root("audit", "--explain", "h503")
    assert "BIND_NOW" in text and "remedy:" in text and "https://" in text
    assert "docs/rules.md" in xtask_at_root("audit", "--explain", "Q1", fails=True)


def xtask_at_root(*words, **options):
    return run(*XTASK, "--", *words, cwd=ROOT, **options)


def test_wheels_of_others_are_not_judged_as_this_project(wheel, tmp_path):
    """The same wheel under another name: hardening is advice, this project's rules are off."""
    other = Wheel(wheel)
    other.name = other.name.replace(PACKAGE, "other")
    other.edit(f"{INFO}/METADATA", f"Name: {NAME}", "Name: other")
    no_relro(other)
    a_stray_file(other)
    move_info(other, f"other-{VERSION}.dist-info")
    (found,) = judged([other.write(tmp_path)]).values()
    assert [(one["code"], one["severity"]) for one in found] == [("H502", "warning")]


@pytest.mark.parametrize(
    "target, words, tag, expected",
    [
        ("arm-linux-gnueabihf", ["-mcpu=arm1176jzf_s"], "manylinux_2_17_armv7l", []),
        ("arm-linux-gnueabihf", ["-mcpu=cortex_a7"], "manylinux_2_17_armv7l", []),
        (
            "arm-linux-gnueabihf",
            ["-mcpu=cortex_a53"],
            "manylinux_2_17_armv7l",
            [("L304", "it is for armv8l, but the tag says armv7l")],
        ),
        (
            "aarch64-linux-musl",
            ["note.s"],
            "musllinux_1_2_aarch64",
            [("L306", "it is for Android, but the tag is for Linux")],
        ),
    ],
)
def test_which_arm_and_which_system_a_library_is_for(target, words, tag, expected, wheel, tmp_path):
    (tmp_path / "x.c").write_text("int x(void) { return 0; }\n")
    (tmp_path / "note.s").write_text(
        '.section .note.android.ident,"a",%note\n.long 8, 4, 1\n.asciz "Android"\n.long 21\n'
    )
    command = [sys.executable, "-m", "ziglang", "cc", "-target", target, "-nostdlib", "-s"]
    run(*command, "-shared", "-Wl,-z,now", "-o", "x.so", "x.c", *words, cwd=tmp_path)
    other = Wheel(wheel)
    other.tag("manylinux2014_x86_64.manylinux_2_17_x86_64", tag)
    other.name = other.name.replace(PACKAGE, "other")
    other.edit(f"{INFO}/METADATA", f"Name: {NAME}", "Name: other")
    other.files[other.library] = (tmp_path / "x.so").read_bytes()
    move_info(other, f"other-{VERSION}.dist-info")
    (found,) = judged([other.write(tmp_path)]).values()
    assert [(one["code"], one["message"]) for one in found] == expected


# ---- The release ----------------------------------------------------------------------------


def released(folder, wheel, sdist):
    """A copy of the project with these two files in dist/: the codes of the release."""
    project = Project(folder)
    dist = project.root / "dist"
    dist.mkdir()
    (project.root / ".venv").symlink_to(ROOT / ".venv")
    for file in (wheel, sdist):
        file.write(dist) if not hasattr(file, "suffix") else shutil.copy(file, dist)
    return project, dist


def release_codes(project):
    return codes(judged([], "--release", cwd=project.root)["dist/"])


def test_a_release_that_lacks_files(wheel, sdist, tmp_path):
    project, dist = released(tmp_path / "project", wheel, sdist)
    found = judged([], "--release", cwd=project.root)["dist/"]
    missing = {one["member"] for one in found if one["code"] == "X801"}
    table = (ROOT / "ci/targets.toml").read_text()
    assert len(missing) == table.count("[[target]]") - 1
    assert not {"X802", "X803", "S704", "S707"} & codes(found)


def test_a_release_with_a_file_too_many(wheel, sdist, tmp_path):
    project, dist = released(tmp_path / "project", wheel, sdist)
    (dist / "notes.txt").write_text("")
    assert "X802" in release_codes(project)


def test_a_release_of_several_sources(wheel, sdist, tmp_path):
    changed = Wheel(wheel)
    changed.edit(f"{PACKAGE}/__main__.py", "\n", "\n\n")
    changed.infos[LICENSE].date_time = (2001, 2, 3, 4, 5, 6)
    del changed.files[SBOM]
    source = Sdist(sdist)
    source.edit("rust/src/lib.rs", "pub const ANSWER: i32 = 42;", "pub const ANSWER: i32 = x;")
    project, dist = released(tmp_path / "project", changed, source)
    assert {"X803", "X804", "X805", "S704", "S707"} <= release_codes(project)


# ---- What is generated ----------------------------------------------------------------------


def test_what_the_rules_are_made_of_is_up_to_date(project):
    assert xtask(project, "rules", "--check") == ""
    platforms = project.root / "ci/platforms.toml"
    platforms.write_text(platforms.read_text().replace("GLIBC_2.17", "GLIBC_2.16"))
    assert "make rules" in xtask(project, "rules", "--check", fails=True)
