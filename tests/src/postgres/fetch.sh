# Unpacks Debian's PostgreSQL, and what it needs beyond the installed packages, into the directory $1.
# Nothing is configured or started: apt keeps its lists and archives in that directory too.
set -eu
export DEBIAN_FRONTEND=noninteractive
apt() {
    apt-get -qq -o Debug::NoLocking=1 -o APT::Sandbox::User=root \
        -o Dir::State::lists="$1/lists" -o Dir::Cache="$1/cache" "$2" --yes --no-install-recommends $3
}
mkdir -p "$1/lists/partial" "$1/cache/archives/partial" "$1/root"
apt "$1" update ''
apt "$1" install '--download-only postgresql'
for package in "$1"/cache/archives/*.deb; do
    dpkg-deb --extract "$package" "$1/root"
done
# Time zones are the one thing that PostgreSQL finds at their place in the system only.
[ -e /usr/share/zoneinfo/UTC ] || apt "$1" install tzdata
rm -rf "$1/lists" "$1/cache"
