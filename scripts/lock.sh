#!/usr/bin/env bash
# Make the two locks anew from pyproject.toml: scripts/lock.sh PYTHON. Versions and checksums only, no addresses.
set -euo pipefail

python="$1"
tools="$(mktemp -d)"
trap 'rm -rf "$tools"' EXIT
"$python" -m venv "$tools"
"$tools/bin/python" -m pip install --quiet --disable-pip-version-check uv

compile() {
    local lock="$1"
    shift
    "$tools/bin/python" -m uv pip compile pyproject.toml "$@" --python "$python" --generate-hashes --quiet \
        --no-header --no-annotate --no-emit-index-url --output-file "$lock"
    echo "$lock is made anew"
}

compile requirements.lock --extra airflow --extra samples --extra build
compile requirements-test.lock --extra airflow --extra samples --extra build --extra training --extra test

# The containers install these on top of requirements.lock, so that they only need to hold what that does not.
for extra in celery gpu; do
    "$tools/bin/python" -m uv pip compile "docker/requirements-$extra.in" --python "$python" --generate-hashes --quiet \
        --no-header --no-annotate --no-emit-index-url --output-file "$tools/$extra.lock"
    awk -f scripts/only_new.awk requirements.lock "$tools/$extra.lock" >"docker/requirements-$extra.lock"
    echo "docker/requirements-$extra.lock is made anew"
done
