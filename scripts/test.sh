#!/bin/sh
# The environment of the quickstart with the test extra, then the whole test suite: two processes that compute, a third for what waits; arguments go to pytest.
set -eu
cd "$(dirname "$0")/.."
EXTRAS="[test]"
. scripts/environment.sh
export OPENBLAS_NUM_THREADS="${OPENBLAS_NUM_THREADS:-1}"
unset PYTHONDONTWRITEBYTECODE # else each of a hundred processes compiles the package anew
# A test that hangs ends its process with the stacks of all threads, and fails.
python -m pytest -n 3 --dist loadfile --max-worker-restart 1 \
    -o faulthandler_timeout=300 -o faulthandler_exit_on_timeout=true "$@"
