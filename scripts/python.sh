# Sourced by other scripts: find_python names a Python of 3.11 or newer.

find_python() {
    for candidate in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11 python; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "spikecube needs Python 3.11 or newer, and none was found; set PYTHON=/path/to/python" >&2
    return 1
}
