#!/usr/bin/env bash
# Make new lock files from pyproject.toml: scripts/lock.sh PYTHON. They hold versions and checksums, no addresses, and
# are for every Python that pyproject.toml names: a package that only some of them need has a marker.
set -euo pipefail

python="$1"
tools="$(mktemp -d)"
trap 'rm -rf "$tools"' EXIT
"$python" -m venv "$tools"
"$tools/bin/python" -m pip install --quiet --disable-pip-version-check uv

compile() {
    local lock="$1"
    shift
    "$tools/bin/python" -m uv pip compile "$@" --universal --python-version 3.11 --generate-hashes --quiet \
        --no-header --no-annotate --no-emit-index-url --output-file "$lock"
    echo "wrote $lock"
}

compile requirements.lock pyproject.toml --extra airflow --extra samples --extra build
compile requirements-test.lock pyproject.toml --extra airflow --extra samples --extra build --extra celery --extra metrics \
    --extra kubernetes --extra training --extra test

compile requirements-docs.lock --group pyproject.toml:docs

# The containers install these locks on top of requirements.lock, so the locks hold only the additional packages.
compile "$tools/workers.lock" pyproject.toml --extra airflow --extra celery --extra metrics --extra kubernetes --constraint requirements.lock
compile "$tools/gpu.lock" docker/requirements-gpu.in
for name in workers gpu; do
    awk -f scripts/only_new.awk requirements.lock "$tools/$name.lock" >"docker/requirements-$name.lock"
    echo "wrote docker/requirements-$name.lock"
done
