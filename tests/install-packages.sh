#!/bin/sh
# The Debian packages that the tests and the demonstrations use. Installs what is
# missing when it can, and says what is missing when it cannot.
set -eu

packages="
attr
bash
chromium
dbus
e2fsprogs
etcd-client
etcd-server
git
libcap2-bin
make
mmdebstrap
openssh-client
openssh-server
pacman-package-manager
python3-dbusmock
python3-venv
rpm
shellcheck
strace
xz-utils
zstd
"
# For `make bench` only, beside the ones above.
bench="ostree"

[ "${1:-}" != bench ] || packages="$packages $bench"
command -v dpkg-query > /dev/null || exit 0

missing=""
for package in $packages; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null || true)
    [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
    echo "Not installed, and tests that need them are skipped:$missing" >&2
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
apt-get -q update
# shellcheck disable=SC2086 # a list of words
apt-get -q install -y --no-install-recommends $missing
