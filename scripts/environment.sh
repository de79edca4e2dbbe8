# Sourced by the other scripts from the root of the checkout: makes .venv once and keeps it in step with the lock.
# Usage: EXTRAS=[test]; . scripts/environment.sh     (dash hands a sourced file no arguments of its own)

. scripts/python.sh
extras=${EXTRAS:-}
stamp=$(cat pyproject.toml scripts/requirements.lock | cksum | tr ' ' '-')
# A .venv that was moved or half made has no working interpreter, or no stamp: it is made anew.
if ! .venv/bin/python -c '' 2>/dev/null; then
    rm -rf .venv
    "$(find_python)" -m venv .venv
fi
if [ ! -f ".venv/installed-$stamp-$extras" ]; then
    echo "Installing spikecube$extras into .venv ..." >&2
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -c scripts/requirements.lock -e ".$extras"
    touch ".venv/installed-$stamp-$extras"
fi
PATH="$PWD/.venv/bin:$PATH"
export PATH
