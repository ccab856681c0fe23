"""Prints ci/platforms.toml: what platforms have, as auditwheel, delvewheel and zig know it.

auditwheel's policies list for each glibc all that systems of its age have, over and over;
here each name stands once, under the first policy that has it.
"""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import auditwheel.policy
import ziglang
from delvewheel import _dll_list as dlls

POLICIES = Path(auditwheel.policy.__file__).parent
# What musl's libc defines, in assembly, for the linker: a newer musl than musllinux_1_2 names.
MUSL = Path(ziglang.__file__).parent / "lib/libc/musl/libc.S"
# What musl has only since 1.2.1: https://git.musl-libc.org/cgit/musl/tree/WHATSNEW
MUSL_NEWER = {
    "_Fork", "gettid", "preadv2", "pthread_getname_np", "pwritev2", "qsort_r",
    "reallocarray", "statx", "tcgetwinsize", "tcsetwinsize",
}  # fmt: skip


def policies(kind: str) -> dict[tuple[int, ...], dict[str, Any]]:
    """{(2, 17): policy}, from the oldest on"""
    found = json.loads((POLICIES / f"{kind}-policy.json").read_text())
    number = {tuple(map(int, p["name"].split("_")[1:])): p for p in found if p["priority"]}
    return dict(sorted(number.items()))


def array(key: str, names: Iterable[str]) -> str:
    lines, line = [f"{json.dumps(key)} = ["], "   "
    for name in sorted(names):
        if len(line) + len(name) > 92:
            lines.append(line)
            line = "   "
        line += f" {json.dumps(name)},"
    return "\n".join([*lines, line, "]"])


def added(
    sets: Iterable[tuple[tuple[int, ...], list[str]]],
) -> Iterator[tuple[str, set[str]]]:
    """Of each set what the ones before lack: [(number, names)]"""
    known: set[str] = set()
    for number, names in sets:
        new = set(names) - known
        if new:
            yield ".".join(map(str, number)), new
        known |= new


manylinux = policies("manylinux")
print("# Generated from the lists of auditwheel, delvewheel and zig by `make rules`: change")
print("# ci/requirements.txt instead.")
(musllinux,) = {tuple(policy["lib_whitelist"]) for policy in policies("musllinux").values()}
print(array("musllinux_libraries", musllinux))
names = set(re.findall(r"^(?:\.|WEAK)\w+ (\w+)$", MUSL.read_text(), re.M))
print(array("musl_symbols", names - MUSL_NEWER))
print("\n# By the policy that is the first to have them")
print("[manylinux_libraries]")
for floor, whitelisted in added((n, p["lib_whitelist"]) for n, p in manylinux.items()):
    print(array(floor, whitelisted))
for arch in sorted({arch for policy in manylinux.values() for arch in policy["symbol_versions"]}):
    print(f"\n[symbol_versions.{arch}]")
    sets = []
    for number, policy in manylinux.items():
        versions = policy["symbol_versions"].get(arch, {})
        sets.append((number, [f"{lib}_{v}" for lib, all_ in versions.items() for v in all_]))
    for floor, needed in added(sets):
        print(array(floor, needed))
print("\n# By the architectures that have them")
print("[windows_libraries]")
arches = {
    "win32": dlls.ignore_names_x86,
    "amd64": dlls.ignore_names_x64,
    "arm64": dlls.ignore_names_arm64,
}
groups: dict[str, set[str]] = {}
for name in set().union(*arches.values()):
    having = " ".join(arch for arch, names in arches.items() if name in names)
    groups.setdefault(having, set()).add(name)
for having, names in sorted(groups.items()):
    print(array(having, names))
