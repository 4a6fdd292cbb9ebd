#!/usr/bin/env bash
# Set up .venv from a lock: `bash requirements/install.sh LOCK [PYTHON]`, from the project's folder.
set -euo pipefail

lock=$1
in_range='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'

choose_python() {
    for candidate in "$@"; do
        if "$candidate" -c "$in_range" >/dev/null 2>&1; then
            echo "$candidate"
            return
        fi
    done
    echo "Python must be 3.11, 3.12 or 3.13: install one, or say make PYTHON=/path/to/python. Tried: $*" >&2
    return 1
}

if [ -n "${2:-}" ]; then
    python=$(choose_python "$2")
else
    python=$(choose_python python3.13 python3.12 python3.11 python3 python)
fi

# A finished .venv has a stamp; anything else is rebuilt from nothing, so that no leftover is taken over.
rm -rf .venv
"$python" -m venv .venv
echo "Setting up .venv with $(.venv/bin/python --version) from requirements/$lock.txt: about a minute, and 3 GB ..."
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/uv.txt

# The cache needs a home that can be written.
if [ -z "${UV_CACHE_DIR:-}" ] && ! mkdir -p "${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/uv" 2>/dev/null; then
    export UV_NO_CACHE=1
fi
export VIRTUAL_ENV=$PWD/.venv
# Compiled now, once: where Python may not write its bytecode, each process would compile TensorFlow's files again.
.venv/bin/uv pip install --quiet --compile-bytecode --require-hashes --no-deps -r "requirements/$lock.txt"
.venv/bin/uv pip install --quiet --no-deps --no-build-isolation --editable .
