#!/bin/sh
# Names everything that `make` needs and the machine lacks, in one error.
# Usage: check-tools.sh PYTHON
python=$1
missing=
lacks() {
    missing="$missing
  - $1"
}

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
    lacks "Python 3.10 or later as $python (name another: make PYTHON=python3.12)"
elif ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    lacks "the venv module of $python (Debian, Ubuntu: apt install python3-venv)"
fi
command -v cargo >/dev/null || lacks "cargo (https://rustup.rs)"
# On Windows, Rust knows where its own linker is.
[ "${OS:-}" = Windows_NT ] || command -v cc >/dev/null || lacks "a C compiler as cc, which Rust links with (Debian, Ubuntu: apt install gcc libc6-dev)"

if [ -n "$missing" ]; then
    echo "error: this machine lacks:$missing" >&2
    exit 1
fi
