#!/usr/bin/env bash
# Print the path of a Python 3.11, 3.12 or 3.13: the one that PYTHON names, else the first on the PATH.
set -euo pipefail

for candidate in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11 python; do
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
        command -v "$candidate"
        exit 0
    fi
done
echo "Python 3.11, 3.12 or 3.13 with its venv module is needed and not found. Install it (on Debian and Ubuntu the" >&2
echo "packages python3 and python3-venv), or name its path: make run PYTHON=/path/to/python3.12" >&2
exit 1
