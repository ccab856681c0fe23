#!/bin/sh
# Publishes a tag as a release on GitHub: the notes, dist/, SHA256SUMS and the SBOMs that
# `make gather` wrote. Run again, it replaces the files of an earlier run. Needs gh, and its token.
#
#     github-release.sh TAG
set -eu
cd "$(dirname "$0")/.."
tag=$1
[ -n "$tag" ] || {
    echo "error: name the tag: TAG=v1.2.3" >&2
    exit 1
}
[ -f build/release/notes.md ] || {
    echo "error: build/release/notes.md is missing: run \`make gather\`" >&2
    exit 1
}
command -v gh >/dev/null || {
    echo "error: gh is missing: https://cli.github.com" >&2
    exit 1
}
# After `v`, only Python's marks of pre-releases contain letters.
case ${tag#v} in
*[a-z]*) before=--prerelease ;;
*) before= ;;
esac
if ! gh release view "$tag" >/dev/null 2>&1; then
    # A draft until it is complete.
    gh release create "$tag" --draft --verify-tag $before --title "$tag" \
        --notes-file build/release/notes.md
fi
gh release upload "$tag" --clobber dist/* build/release/SHA256SUMS build/release/*.cdx.json
gh release edit "$tag" --draft=false
