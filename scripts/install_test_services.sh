#!/bin/sh
# Install the programs that the tests use: PostgreSQL with PostGIS, PgBouncer, GDAL's tools, Redis, Chromium, Prometheus's
# promtool, a C compiler.
# Installs only as root on Debian and its derivatives; elsewhere, prints what to install. Never fails: tests whose
# programs are missing are skipped with a message.
set -u

has_postgis() {
    for control in /usr/share/postgresql/*/extension/postgis.control; do
        [ -e "$control" ] && return 0
    done
    return 1
}

has_browser() {
    for name in chromium chromium-browser google-chrome google-chrome-stable; do
        command -v "$name" >/dev/null 2>&1 && return 0
    done
    return 1
}

# PgBouncer is in /usr/sbin, which is not on everyone's path.
has_programs() {
    for name in ogrinfo redis-server cc pgbouncer promtool; do
        PATH="$PATH:/usr/sbin" command -v "$name" >/dev/null 2>&1 || return 1
    done
}

programs="PostgreSQL with PostGIS, PgBouncer, GDAL, Redis, Chromium, Prometheus, a C compiler"
# The package postgresql-postgis matches Debian's version of PostgreSQL.
packages="postgresql postgresql-postgis pgbouncer gdal-bin redis-server chromium prometheus gcc libc6-dev"

if has_browser && has_postgis && has_programs; then
    exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "not all installed: $programs; tests are skipped" >&2
    echo "(Debian: $packages)" >&2
    exit 0
fi

export DEBIAN_FRONTEND=noninteractive
log="$(mktemp)"
echo "installing for the tests (once): $programs …"
# shellcheck disable=SC2086 # one word a package
if apt-get update -qq >"$log" 2>&1 && apt-get install -y -qq --no-install-recommends $packages >>"$log" 2>&1; then
    rm -f "$log"
else
    echo "not all could be installed, some tests are skipped: $programs. The installer's last lines:" >&2
    tail -n 3 "$log" >&2
    rm -f "$log"
fi
exit 0
