#!/bin/sh
# Installs Rust, version $1, as /opt/rust/toolchain, with the standard library for target $2
# where that is not empty, unless the image has both.
set -eu

case "$(rustc --version 2>/dev/null || true)" in
"rustc $1 "*)
    if [ -z "$2" ] || [ -d "$(rustc --print sysroot)/lib/rustlib/$2/lib" ]; then
        echo "the image has Rust $1${2:+ for $2}"
        exit
    fi
    ;;
esac

# uname reports the kernel's architecture, which is 64-bit even in a 32-bit image.
arch=$(uname -m)
[ "$arch" = x86_64 ] && [ "$(getconf LONG_BIT)" = 32 ] && arch=i686
# cross's images for musl have musl's loader in addition to glibc.
libc=musl
getconf GNU_LIBC_VERSION >/dev/null 2>&1 && libc=gnu

# rustup-init 1.29.0: the checksums in Rust's official images,
# https://github.com/rust-lang/docker-rust
case "$arch-$libc" in
x86_64-gnu)
    host=x86_64-unknown-linux-gnu
    sum=4acc9acc76d5079515b46346a485974457b5a79893cfb01112423c89aeb5aa10
    ;;
i686-gnu)
    host=i686-unknown-linux-gnu
    sum=5140e82096f96d1d8077f00eb312648e0e5106d101c9918d086f72cbc69bb3a1
    ;;
aarch64-gnu)
    host=aarch64-unknown-linux-gnu
    sum=9732d6c5e2a098d3521fca8145d826ae0aaa067ef2385ead08e6feac88fa5792
    ;;
ppc64le-gnu)
    host=powerpc64le-unknown-linux-gnu
    sum=4bfff85bd3967d988e14567aa9cc6ab0ea386f0ffeff0f9f14d23f0103bf1f97
    ;;
s390x-gnu)
    host=s390x-unknown-linux-gnu
    sum=66c2c132428b6b77803facb02cbdf33b89d20c00bd20da142be8cb651f2e7cd8
    ;;
x86_64-musl)
    host=x86_64-unknown-linux-musl
    sum=9cd3fda5fd293890e36ab271af6a786ee22084b5f6c2b83fd8323cec6f0992c1
    ;;
aarch64-musl)
    host=aarch64-unknown-linux-musl
    sum=88761caacddb92cd79b0b1f939f3990ba1997d701a38b3e8dd6746a562f2a759
    ;;
*)
    echo "error: there is no Rust for images of $arch with $libc libc in $0" >&2
    exit 1
    ;;
esac

curl --proto '=https' --tlsv1.2 -sSfL -o /tmp/rustup-init \
    "https://static.rust-lang.org/rustup/archive/1.29.0/$host/rustup-init"
echo "$sum  /tmp/rustup-init" | sha256sum -c -
chmod +x /tmp/rustup-init
RUSTUP_HOME=/opt/rust CARGO_HOME=/tmp/cargo /tmp/rustup-init -y --no-modify-path \
    --profile minimal --default-toolchain "$1" --default-host "$host" ${2:+--target "$2"}
# PATH has Rust's programs, not rustup's, which would need to write.
ln -s "/opt/rust/toolchains/$1-$host" /opt/rust/toolchain
rm -r /tmp/rustup-init /tmp/cargo
/opt/rust/toolchain/bin/rustc --version
