#!/bin/sh
# Unpacks a CPython of another architecture from Debian's packages, as far as a test needs
# it: the interpreter, its standard library and cffi. Nothing is installed.
# Usage: foreign-python.sh ARCHITECTURE FOLDER
#
# FOLDER/python runs it, on a kernel that can run the architecture natively.
set -eu
architecture=$1
root=$2
apt=$root/apt

rm -rf "$root"
mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$apt/etc/sources.list.d"
: >"$apt/status"
# The machine's own sources of Debian's packages, and no others of its sources.
for file in /etc/apt/sources.list /etc/apt/sources.list.d/debian.*; do
    if [ -f "$file" ]; then
        case $file in
        *.sources) cp "$file" "$apt/etc/sources.list.d/" ;;
        *) cp "$file" "$apt/etc/sources.list" ;;
        esac
    fi
done
run_apt() {
    apt-get -qq \
        -o APT::Architecture="$architecture" -o APT::Architectures::="$architecture" \
        -o APT::Sandbox::User=root -o APT::Install-Recommends=false \
        -o Dir::State="$apt" -o Dir::State::status="$apt/status" -o Dir::Cache="$apt" \
        -o Dir::Etc::sourcelist="$apt/etc/sources.list" \
        -o Dir::Etc::sourceparts="$apt/etc/sources.list.d" \
        -o Debug::NoLocking=true "$@"
}
# A list that a mirror is just replacing does not matter while the others have the packages.
run_apt update || echo "some of Debian's package lists could not be read; going on" >&2
run_apt --download-only install python3-minimal libpython3-stdlib python3-cffi-backend
for package in "$apt"/archives/*.deb; do
    dpkg-deb -x "$package" "$root"
done
rm -rf "$apt"

loader=$(find "$root/lib" "$root/lib64" -maxdepth 1 -name 'ld-linux*' 2>/dev/null | head -n 1)
libraries=$(find "$root/lib" "$root/usr/lib" -maxdepth 1 -type d -name '*-linux-gnu*' | tr '\n' ':')
python=$(find "$root/usr/bin" -name 'python3.*[0-9]' | head -n 1)
cat >"$root/python" <<END
#!/bin/sh
exec "$loader" --library-path "$libraries" "$python" "\$@"
END
chmod +x "$root/python"
