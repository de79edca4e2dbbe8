#!/bin/sh
# Makes .venv, runs the quickstart study (again: only what is missing), and prints what came out.
set -eu
cd "$(dirname "$0")/.."
EXTRAS=""
. scripts/environment.sh
spikecube run data/studies/quickstart.toml -o quickstart
spikecube info quickstart.nc
echo "The cube lies at $PWD/quickstart.nc"
