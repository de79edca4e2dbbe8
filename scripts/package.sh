#!/bin/sh
# Builds sdist and wheel, installs the wheel built from the sdist into an environment of its own, and tries the command there.
# .venv-package holds that environment; dist/ the files.
set -eu
cd "$(dirname "$0")/.."
. scripts/python.sh
rm -rf dist .venv-package
"$(find_python)" -m venv .venv-package
.venv-package/bin/python -m pip install --quiet --disable-pip-version-check build
.venv-package/bin/python -m build --outdir dist . >/dev/null
.venv-package/bin/python -m pip install --quiet --disable-pip-version-check -c scripts/requirements.lock dist/*.whl
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cp data/studies/tiny.toml "$scratch"
bin=$PWD/.venv-package/bin
(
    cd "$scratch"
    "$bin/spikecube" run tiny.toml -o tiny --workers 1
    "$bin/spikecube" info tiny
    "$bin/spikecube" verify tiny --sample 2
    "$bin/spikecube" report tiny -o tiny.html --no-fits
    "$bin/python" -c "import spikecube; assert 'site-packages' in spikecube.__file__"
)
ls -l dist
