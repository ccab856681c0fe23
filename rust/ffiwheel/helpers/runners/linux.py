"""Runs a wheel for every Linux, whose program is static: `linux ARCHITECTURE WHEEL`, by Debian's
name of the architecture. It runs where glibc is the system's libc, and where musl is."""

from roots import Skip
from runners import debian, musl, protocol


def main(architecture: str, path: str) -> int:
    count = 0
    for runner in (debian, musl):
        try:
            count += runner.main(architecture, path)
        except Skip as skip:
            protocol.skipped(str(skip))
    return count
