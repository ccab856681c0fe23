#!/bin/sh
# Installs Debian packages, as root. If a package list cannot be read, for example because a mirror
# is replacing it, apt only reports that it cannot locate the package. This names the cause.
#
# Usage: apt-install.sh PACKAGE…
said=$(apt-get -qq -oAPT::Update::Error-Mode=any update 2>&1)
unread=$?
DEBIAN_FRONTEND=noninteractive apt-get -qq -y install "$@" >/dev/null && exit
if [ "$unread" != 0 ]; then
    echo "error: these are not installed: $*. Package lists could not be read:" >&2
    echo "$said" >&2
    echo "Run the command again later, or with another mirror in /etc/apt" >&2
fi
exit 1
