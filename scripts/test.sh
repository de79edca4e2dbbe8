#!/bin/sh
# The environment of the quickstart with the test extra, then the whole test suite; arguments go to pytest.
set -eu
cd "$(dirname "$0")/.."
EXTRAS="[test]"
. scripts/environment.sh
python -m pytest "$@"
