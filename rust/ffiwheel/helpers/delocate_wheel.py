"""delocate, on any host.

Usage: delocate_wheel.py WHEEL FOLDER

Writes the repaired wheel into the folder: the same bytes for the same wheel on every host, but
for a library that is grafted, which codesign signs in its own way on macOS.

delocate reads and changes libraries with Apple's otool, install_name_tool and codesign, which
only a Mac has. Elsewhere `apple_tool` answers in their place: delocate runs every program
through one function.
"""

import hashlib
import os
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from delocate import delocate_wheel, delocating, tools
from delocate.libsana import DelocationError
from macholib.mach_o import CPU_TYPE_NAMES, LC_CODE_SIGNATURE, LC_RPATH
from macholib.MachO import MachO, MachOHeader, lc_str_value
from packaging.utils import parse_wheel_filename

CODE_DIRECTORY = 0xFADE0C02  # its magic number: <kern/cs_blobs.h>
AD_HOC = 0x2
HASHES = {1: hashlib.sha1, 2: hashlib.sha256, 3: hashlib.sha256, 4: hashlib.sha384}


def apple_tool(
    cmd: Sequence[str | os.PathLike[str]], *, check: bool
) -> "subprocess.CompletedProcess[str]":
    """What one of Apple's tools would do and print, in the place of `delocate.tools._run`."""
    program, *options, path = map(str, cmd)
    output = error = ""
    if program == "otool":
        try:
            output = otool(options[-1], path)
        except (ValueError, struct.error):
            error = f"{path}: is not an object file"
    elif program == "install_name_tool":
        install_name_tool(path, *options)
    elif program == "codesign" and "--sign" in options:
        sign(path)
    elif program != "codesign":  # What it verifies has just been signed.
        raise NotImplementedError(f"delocate runs {' '.join(map(str, cmd))}")
    return subprocess.CompletedProcess(cmd, 0, output, error)


def otool(option: str, path: str) -> str:
    """The install names (-L), the library's own one (-D), the search paths (-l)."""
    headers = MachO(path).headers
    lines = []
    for header in headers:
        arch = CPU_TYPE_NAMES.get(header.header.cputype, "unknown").lower()
        lines.append(f"{path} (architecture {arch}):" if len(headers) > 1 else f"{path}:")
        if option in ("-L", "-D") and header.id_cmd is not None:
            lines.append(named(header, header.id_cmd, option))
        if option == "-L":
            lines += [named(header, index, "-L") for index, _, _ in header.walkRelocatables()]
        elif option == "-l":
            for command in header.commands:
                if command[0].cmd == LC_RPATH:
                    rpath = lc_str_value(command[1].path, command).decode()
                    lines += ["cmd LC_RPATH", "cmdsize 0", f"path {rpath} (offset 0)"]
    return "\n".join(lines)


def named(header: MachOHeader, index: int, option: str) -> str:
    command = header.commands[index]
    name: str = lc_str_value(command[1].name, command).decode()
    # delocate parses the versions, and ignores them.
    versions = " (compatibility version 0.0.0, current version 0.0.0)"
    return name + versions * (option == "-L")


def install_name_tool(path: str, option: str, *names: str) -> None:
    """Sets the library's own install name (-id), or one that it needs (-change)."""
    library = MachO(path)
    new = names[-1].replace(os.sep, "/").encode()
    for header in library.headers:
        if option == "-id":
            header.rewriteInstallNameCommand(new)
        elif option == "-change":
            for index, _, name in list(header.walkRelocatables()):
                if name == names[0]:
                    header.rewriteDataForCommand(index, new)
        else:
            raise NotImplementedError(f"install_name_tool {option}")
        if header.total_size + header.sizediff > header.low_offset:
            raise DelocationError(
                f"{path} has no room for the install name {new.decode()}: link it with "
                "-headerpad_max_install_names"
            )
    with open(path, "r+b") as file:
        library.write(file)


def sign(path: str) -> None:
    """Renews the hashes in the ad-hoc signatures. Their size stays: install names change in
    the padding after the load commands, and no byte moves. What is not signed (x86_64 need
    not be) stays so."""
    data = bytearray(Path(path).read_bytes())
    for header in MachO(path).headers:
        for load, command, _ in header.commands:
            if load.cmd != LC_CODE_SIGNATURE:
                continue
            blob = header.offset + command.dataoff
            (count,) = struct.unpack_from(">I", data, blob + 8)
            for index in range(count):
                (offset,) = struct.unpack_from(">I", data, blob + 16 + 8 * index)
                if struct.unpack_from(">I", data, blob + offset) == (CODE_DIRECTORY,):
                    renew(path, data, header.offset, blob + offset)
    Path(path).write_bytes(data)


def renew(path: str, data: bytearray, begin: int, directory: int) -> None:
    """begin: where the architecture begins; directory: where its code directory does."""
    flags, first, _, _, count, limit = struct.unpack_from(">6I", data, directory + 12)
    size, kind, _, page_bits = data[directory + 36 : directory + 40]
    if not flags & AD_HOC:
        raise DelocationError(
            f"{path} is signed with a certificate, and its install names change: sign it ad hoc "
            "(codesign --force --sign - FILE), or build on macOS"
        )
    for index in range(count):
        end = min(limit, (index + 1) << page_bits)
        page = data[begin + (index << page_bits) : begin + end]
        at = directory + first + index * size
        data[at : at + size] = HASHES[kind](page).digest()[:size]


def write(delocated: Path, wheel: Path) -> None:
    """Copies the wheel without what the machine left in it: the file system's order of the
    files, and their modes."""
    date = time.gmtime(int(os.environ["SOURCE_DATE_EPOCH"]))[:6]
    with zipfile.ZipFile(delocated) as old, zipfile.ZipFile(wheel, "w") as new:
        members = [member for member in old.infolist() if not member.is_dir()]

        def order(member: zipfile.ZipInfo) -> tuple[bool, bool, str]:
            name = member.filename
            return name.endswith(".dist-info/RECORD"), ".dist-info/" in name, name

        for member in sorted(members, key=order):
            data = old.read(member)
            if order(member)[0]:
                data = b"".join(sorted(line + b"\n" for line in data.splitlines()))
            info = zipfile.ZipInfo(member.filename, date)
            info.create_system = 3  # Unix, whose modes these are
            executable = member.external_attr >> 16 & 0o100
            info.external_attr = (0o100755 if executable else 0o100644) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(info, data)


def sorted_tags(name: str, parse: Any = parse_wheel_filename) -> list[Any]:
    *parts, tags = parse(name)
    return [*parts, sorted(tags, key=str)]


def main() -> None:
    packed, folder = map(Path, sys.argv[1:])
    folder.mkdir(exist_ok=True)
    if sys.platform != "darwin":
        tools._run = apple_tool
    # delocate writes them in the order of a set.
    setattr(delocating, "parse_wheel_filename", sorted_tags)  # noqa: B010
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        try:
            for library in delocate_wheel(str(packed), str(Path(scratch, packed.name))):
                print(f"{library} is in the wheel now")
        except (DelocationError, tools.InstallNameError) as error:
            sys.exit(f"error: {error}")
        (delocated,) = Path(scratch).iterdir()  # it may have another name
        write(delocated, folder / delocated.name)


if __name__ == "__main__":
    main()
