#!/usr/bin/env bash
# Print the path of a Python 3.11: the one that PYTHON names, else the first on the PATH.
set -euo pipefail

for candidate in ${PYTHON:+"$PYTHON"} python3.11 python3 python; do
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
        command -v "$candidate"
        exit 0
    fi
done
echo "Python 3.11 with its venv module is needed and not found. Install it (on Debian and Ubuntu the packages" >&2
echo "python3.11 and python3.11-venv), or name its path: make run PYTHON=/path/to/python3.11" >&2
exit 1
