"""Cases for the rules about archives, names, metadata and members."""

import io
import re
import struct
import tarfile
import zipfile

from audit_files import INFO, LICENSE, VERSION, breaks, new_info
from support import NAME, PACKAGE

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
