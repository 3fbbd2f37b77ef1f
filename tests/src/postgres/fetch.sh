# Unpacks Debian's PostgreSQL, and what it needs beyond the installed packages, into the directory $1.
# Nothing is installed, configured or started: apt keeps its lists and archives in that directory too.
set -eu
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
rm -rf "$1/lists" "$1/cache"
