#!/bin/sh
# Builds the documentation into docs/_build: runs every example on its pages; a warning is an error. Then looks at all of them.
set -eu
cd "$(dirname "$0")/.."
EXTRAS="[docs]"
. scripts/environment.sh
python -m sphinx -W --keep-going -q docs docs/_build
python scripts/site.py docs/_build
echo "docs/_build/index.html"
