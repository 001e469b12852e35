#!/bin/sh
# Says in plain words what this machine lacks for `make`, and how to get it. Changes nothing.
status=0

missing() {
    echo "Missing: $1" >&2
    echo "   $2" >&2
    status=1
}

if ! command -v "$PYTHON" >/dev/null 2>&1; then
    if python3 -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
        missing "$PYTHON" "python3 is Python 3.11 here: run 'make PYTHON=python3 ...'"
    else
        missing "Python 3.11 ($PYTHON)" \
            "Debian 12: apt install python3.11 python3.11-venv; elsewhere: pyenv install 3.11. Another name: make PYTHON=/path/to/python3.11"
    fi
elif ! "$PYTHON" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
    missing "Python 3.11" "$PYTHON is $("$PYTHON" --version 2>&1); name the right one: make PYTHON=/path/to/python3.11"
elif ! "$PYTHON" -c 'import venv, ensurepip' 2>/dev/null; then
    missing "Python's venv module" "Debian: apt install python3.11-venv"
fi

if ! command -v node >/dev/null 2>&1 || ! command -v npm >/dev/null 2>&1; then
    missing "Node.js 20 with npm" "from your distribution, nvm (nvm install 20) or the Node.js site"
elif [ "$(node -p 'parseInt(process.versions.node) >= 20')" != true ]; then
    missing "Node.js 20 or newer" "this is $(node --version)"
fi

free_kb=$(df -Pk . | awk 'NR == 2 {print $4}')
if [ ! -e .venv/.stamps/product ] && [ "$free_kb" -lt 4000000 ]; then
    missing "disk space" "about 4 GB are needed here for the set-up, $((free_kb / 1000000)) GB are free (a CUDA build of torch needs about 8 GB)"
fi
exit $status
