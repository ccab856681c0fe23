"""Wheels and sdists that a test may change, and what the judge says of them."""

import base64
import gzip
import hashlib
import io
import json
import re
import subprocess
import tarfile
import zipfile
from contextlib import contextmanager

from support import FFIWHEEL, PACKAGE, ROOT, clean_environment

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
    command = [*FFIWHEEL, "--", "audit", "--json", *words, *files]
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
        # A wheel of a program has none.
        found = [name for name in self.files if name.startswith(f"{PACKAGE}/lib/")]
        self.library = found[0] if found else None
        (self.info,) = {name.split("/")[0] for name in self.files if ".dist-info/" in name}

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
        text = self.files[f"{self.info}/WHEEL"].decode()
        pythons, abis, platforms = self.name[:-4].split("-")[-3:]
        tags = [
            f"Tag: {python}-{abi}-{platform}"
            for python in pythons.split(".")
            for abi in abis.split(".")
            for platform in platforms.split(".")
        ]
        others = [line for line in text.splitlines() if line and not line.startswith("Tag")]
        self.files[f"{self.info}/WHEEL"] = "\n".join([*others, *tags, ""]).encode()

    def records(self):
        rows = []
        for name, contents in self.files.items():
            if name == f"{self.info}/RECORD":
                rows.append(f"{name},,")
                continue
            digest = base64.urlsafe_b64encode(hashlib.sha256(contents).digest())
            rows.append(f"{name},sha256={digest.decode().rstrip('=')},{len(contents)}")
        return rows

    def write(self, folder):
        path = folder / self.name
        if f"{self.info}/RECORD" in self.files:
            record = self.record if self.record is not None else "\n".join(self.records()) + "\n"
            self.files[f"{self.info}/RECORD"] = record.encode()
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, contents in self.files.items():
                info = self.infos.get(name) or new_info(
                    name, next(iter(self.infos.values())).date_time
                )
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
