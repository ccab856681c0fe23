#!/bin/sh
# Checks that dist/ contains the files that build/release/SHA256SUMS names, and no others.
#
#     [FOLDER=build/tool] checksums.sh [SUM]
#
# FOLDER is that of the project, relative to the repository [default: the repository's own].
# SUM is the SHA-256 that SHA256SUMS itself must have; an empty one is an error. Needs only
# coreutils: it runs in the job that uploads a release, where nothing is installed.
set -eu
cd "$(dirname "$0")/../${FOLDER:-.}"
sums=build/release/SHA256SUMS
[ -f "$sums" ] || {
    echo "error: $sums is missing: run \`make gather\`" >&2
    exit 1
}
if [ $# -gt 0 ] && ! echo "$1  $sums" | sha256sum --check --status 2>/dev/null; then
    echo "error: $sums is not the file that was written: it has another SHA-256 than '$1'" >&2
    exit 1
fi
(cd dist && sha256sum --check --strict "../$sums") || {
    echo "error: dist/ is not what $sums says: run \`make gather\`, or build it again" >&2
    exit 1
}
here=$(find dist -mindepth 1 | wc -l)
listed=$(wc -l <"$sums")
[ "$here" -eq "$listed" ] || {
    echo "error: dist/ holds $here files, and $sums names $listed" >&2
    exit 1
}
