"""Reads and checks the code signature embedded in a Mach-O file, thin or fat.

An arm64 Mac kills a program whose signature does not fit the bytes: every page of the
file, up to the signature, has its hash in there. Needs no Mac and no keys: a signature
made on Linux is ad hoc, that is, hashes without a certificate. The structures are those
of Apple's <mach-o/loader.h> and <kern/cs_blobs.h>.

    python macho_signature.py <file>…     what is signed, or why it is not
"""

import hashlib
import struct
import sys
from pathlib import Path
from typing import NamedTuple

ARCHES = {0x01000007: "x86_64", 0x0100000C: "arm64"}
LC_SEGMENT_64, LC_CODE_SIGNATURE = 0x19, 0x1D
EMBEDDED_SIGNATURE, CODE_DIRECTORY = 0xFADE0CC0, 0xFADE0C02  # magic numbers
CODE_DIRECTORY_SLOT, FIRST_UNHASHED_SLOT = 0, 0x1000  # above: other directories, the CMS
SHA256 = 2
AD_HOC, LINKER_SIGNED = 0x2, 0x20000  # flags


class BadSignature(ValueError):
    """The file would not be loaded where signatures are enforced. The text says why."""


class Signature(NamedTuple):
    """A valid signature. identifier: what was signed, usually the name of the file."""

    arch: str
    identifier: str
    flags: int
    pages: int

    @property
    def ad_hoc(self):
        return bool(self.flags & AD_HOC)


def check(path):
    """The signatures in the file; BadSignature if one is not valid, or arm64 has none.

    x86_64 Macs load unsigned libraries, and zig signs none for them.
    """
    data = Path(path).read_bytes()
    try:
        if data[:4] != b"\xca\xfe\xba\xbe":
            return list(_check_slice(data))
        (count,) = struct.unpack_from(">I", data, 4)
        found = []
        for i in range(count):
            _, _, offset, size, alignment = struct.unpack_from(">5I", data, 8 + 20 * i)
            _require(offset % (1 << alignment) == 0, "an architecture is not aligned")
            _require(offset + size <= len(data), "an architecture is cut short")
            found.extend(_check_slice(data[offset : offset + size]))
        return found
    except (struct.error, IndexError):
        raise BadSignature("it is cut short") from None


def _require(condition, otherwise):
    if not condition:
        raise BadSignature(otherwise)


def _check_slice(data):
    """Yields the signature of one architecture, if it has one."""
    magic, cpu, _, _, commands, _, _, _ = struct.unpack_from("<8I", data)
    _require(magic == 0xFEEDFACF, "it is not a 64-bit Mach-O file")
    arch = ARCHES.get(cpu, hex(cpu))
    at, signature, linkedit_end = 32, None, 0
    for _ in range(commands):
        command, length = struct.unpack_from("<II", data, at)
        if command == LC_SEGMENT_64 and data[at + 8 : at + 24].rstrip(b"\0") == b"__LINKEDIT":
            linkedit_end = sum(struct.unpack_from("<QQ", data, at + 40))
        elif command == LC_CODE_SIGNATURE:
            signature = struct.unpack_from("<II", data, at + 8)
        at += length
    if not signature and arch == "x86_64":
        return
    _require(signature, f"{arch} is not signed")
    offset, size = signature
    _require(offset + size == linkedit_end == len(data), f"{arch}: the signature is not last")

    blobs = _blobs(data[offset : offset + size])
    _require(CODE_DIRECTORY_SLOT in blobs, f"{arch}: there is no code directory")
    directory = blobs[CODE_DIRECTORY_SLOT]
    magic, length, _, flags, hashes, identifier = struct.unpack_from(">6I", directory)
    special_slots, slots, limit = struct.unpack_from(">3I", directory, 24)
    hash_size, hash_type, _, page_bits = directory[36:40]
    _require(magic == CODE_DIRECTORY, f"{arch}: the code directory is damaged")
    _require((hash_type, hash_size) == (SHA256, 32), f"{arch}: the hashes are not SHA-256")
    _require(limit == offset, f"{arch}: {limit} bytes are signed, not {offset}")

    def expected(slot):
        return directory[hashes + slot * hash_size :][:hash_size]

    page = 1 << page_bits
    _require(slots == -(-limit // page), f"{arch}: there are {slots} hashes for {limit} bytes")
    _require(hashes + slots * hash_size <= length, f"{arch}: hashes are missing")
    for slot in range(slots):
        found = hashlib.sha256(data[slot * page : min(limit, (slot + 1) * page)]).digest()
        _require(found == expected(slot), f"{arch}: the hash of page {slot} is wrong")
    for slot, blob in blobs.items():  # The hashes of the other blobs stand before the first.
        if CODE_DIRECTORY_SLOT < slot < FIRST_UNHASHED_SLOT:
            _require(slot <= special_slots, f"{arch}: blob {slot} has no hash")
            found = hashlib.sha256(blob).digest()
            _require(found == expected(-slot), f"{arch}: the hash of blob {slot} is wrong")
    name = directory[identifier:].split(b"\0")[0].decode()
    yield Signature(arch, name, flags, slots)


def _blobs(data):
    """The parts of an embedded signature, as {slot: bytes}."""
    magic, length, count = struct.unpack_from(">3I", data)
    _require(magic == EMBEDDED_SIGNATURE and length <= len(data), "the signature is damaged")
    found = {}
    for i in range(count):
        slot, offset = struct.unpack_from(">II", data, 12 + 8 * i)
        (size,) = struct.unpack_from(">I", data, offset + 4)
        _require(offset + size <= length, "the signature is damaged")
        found[slot] = data[offset : offset + size]
    return found


if __name__ == "__main__":
    for name in sys.argv[1:]:
        try:
            for signature in check(name):
                print(name, signature, "linker-signed" * bool(signature.flags & LINKER_SIGNED))
        except BadSignature as error:
            sys.exit(f"{name}: {error}")
