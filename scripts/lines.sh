#!/bin/sh
# Which lines of the package the tests reach, in all processes that they start: commands, workers and servers counted.
# Arguments go to pytest. Fails below the share that pyproject.toml asks for.
set -eu
cd "$(dirname "$0")/.."
EXTRAS="[test]"
. scripts/environment.sh
export OPENBLAS_NUM_THREADS="${OPENBLAS_NUM_THREADS:-1}"
coverage erase
coverage run -m pytest -n 2 --dist loadfile "$@"
coverage combine --quiet
coverage report --skip-covered --sort=miss
