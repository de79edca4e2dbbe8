#!/bin/sh
# The long studies and the coverage of intervals (the tests marked slow), in two processes; arguments go to pytest.
set -eu
cd "$(dirname "$0")/.."
exec sh scripts/test.sh -m slow --durations=0 "$@"
