#!/bin/bash
# Starts what a container is asked to run. Arguments are commands of Airflow (`scheduler`), as the Compose file gives
# them, or a program with its own arguments (`bash -c …`, `python -m …`), as Kubernetes and Airflow's Helm chart give
# them.
set -euo pipefail

case "${1:-}" in
    airflow | anonymise | bash | python | sh) exec "$@" ;;
    *) exec airflow "$@" ;;
esac
