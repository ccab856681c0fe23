#!/bin/sh
# Installs Debian's packages, as root. Where a package list cannot be read, because a mirror is
# just replacing it for one, apt only says that it cannot locate the package: then that is the
# cause to name.
#
# Usage: apt-install.sh PACKAGE…
said=$(apt-get -qq -oAPT::Update::Error-Mode=any update 2>&1)
unread=$?
DEBIAN_FRONTEND=noninteractive apt-get -qq -y install "$@" >/dev/null && exit
if [ "$unread" != 0 ]; then
    echo "error: these are not installed: $*. Package lists could not be read:" >&2
    echo "$said" >&2
    echo "Run the same again later, or with another mirror in /etc/apt" >&2
fi
exit 1
