#!/bin/sh
# The tests with the oldest versions that pyproject.toml admits of what spikecube uses itself, and the newest of what those use.
# The extra `slurm` is in; left out are what opens a browser (SPIKECUBE_NO_BROWSER), the SLURM itself, compliance-checker, and the documentation.
# Arguments go to pytest.
# .venv-oldest holds the environment, .venv-oldest-tool the resolver; numbers before Python 3.13 have wheels of all of them.
set -eu
cd "$(dirname "$0")/.."
. scripts/python.sh
if ! .venv-oldest-tool/bin/uv --version >/dev/null 2>&1; then
    rm -rf .venv-oldest-tool
    "$(find_python)" -m venv .venv-oldest-tool
    .venv-oldest-tool/bin/python -m pip install --quiet --disable-pip-version-check uv
fi
stamp=$(cksum <pyproject.toml | tr ' ' '-')
if [ ! -f ".venv-oldest/installed-$stamp" ]; then
    uv=.venv-oldest-tool/bin/uv
    "$uv" venv --quiet --clear --python '>=3.11,<3.13' .venv-oldest
    "$uv" pip install --quiet --python .venv-oldest/bin/python --only-binary :all: --resolution lowest-direct \
        -r pyproject.toml --extra slurm
    "$uv" pip install --quiet --python .venv-oldest/bin/python --only-binary :all: -c scripts/requirements.lock \
        hypothesis pytest pytest-xdist
    touch ".venv-oldest/installed-$stamp"
fi
PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
OPENBLAS_NUM_THREADS="${OPENBLAS_NUM_THREADS:-1}"
SPIKECUBE_NO_BROWSER=1
SPIKECUBE_OLDEST=1
export PYTHONPATH OPENBLAS_NUM_THREADS SPIKECUBE_NO_BROWSER SPIKECUBE_OLDEST
.venv-oldest/bin/python -m pytest -n 2 --dist loadfile --max-worker-restart 1 \
    -o faulthandler_timeout=300 -o faulthandler_exit_on_timeout=true --ignore tests/faults/test_slurm.py "$@"
