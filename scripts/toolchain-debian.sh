# Selects Debian's Rust, with the source of its standard library, for this shell:
#
#     . scripts/toolchain-debian.sh
#
# From that source cargo builds the standard library for every target, so only Debian's packages,
# crates.io and PyPI are needed. Installs what is missing, as root. rustup cannot use the network,
# and none of its toolchains is changed.

_missing=
for _package in rustc-web cargo-web rust-web-src; do
    dpkg-query -W -f='${Status}' "$_package" 2>/dev/null | grep -q ' installed' ||
        _missing="$_missing $_package"
done
if [ -n "$_missing" ]; then
    if [ "$(id -u)" = 0 ]; then
        # shellcheck disable=SC2086 # a list of words
        sh scripts/apt-install.sh $_missing
    else
        echo "error: run as root: apt-get install$_missing" >&2
    fi
fi
unset _missing _package

export CARGO=/usr/bin/cargo RUSTC=/usr/bin/rustc RUSTDOC=/usr/bin/rustdoc
unset RUSTUP_TOOLCHAIN
export RUSTUP_DIST_SERVER=http://127.0.0.1:9 RUSTUP_UPDATE_ROOT=http://127.0.0.1:9
