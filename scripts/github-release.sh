#!/bin/sh
# Makes the release of a tag on GitHub: the notes, dist/, SHA256SUMS and the SBOMs, which
# `make gather` left. Run again, it replaces what an earlier run left. Needs gh, and its token.
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
# Python's marks of what comes before a release, and after `v` nothing else has letters.
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
