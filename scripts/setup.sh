#!/bin/sh
# Makes the virtual environment and installs Attest into it, pinned by constraints.txt.
# Used by `make setup`; can be run again at any time. Needs Python 3.11 or newer with pip, no more.
#
#   PYTHON       the interpreter to use         (default: the first one that is new enough)
#   VENV         where the environment goes     (default: .venv)
#   EXTRAS       pyproject extras to install    (default: dev; empty: what running needs, no more)
#   TORCH_INDEX  a package index to take PyTorch from, for its CPU or GPU builds (see README)
set -eu
cd "$(dirname "$0")/.."
VENV="${VENV:-.venv}"
EXTRAS="${EXTRAS-dev}"
STAMP="$VENV/.installed${EXTRAS:+-$EXTRAS}"
LOG="$VENV/install.log"

say() { printf '%s\n' "setup: $*"; }
fail() {
    printf '%s\n' "setup: FAILED: $1" "setup: to mend it: $2" >&2
    exit 1
}

new_enough() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    if [ -n "${PYTHON:-}" ] && [ "$PYTHON" != python3 ]; then
        new_enough "$PYTHON" || fail "PYTHON=$PYTHON is not Python 3.11 or newer with venv and pip" \
            "name another one (make setup PYTHON=/path/to/python3.12)"
        return
    fi
    for PYTHON in python3 python3.13 python3.12 python3.11 python; do
        if new_enough "$PYTHON"; then return; fi
    done
    fail "no Python 3.11 or newer with venv and pip was found" \
        "install one (Debian: apt-get install python3 python3-venv; macOS: brew install python), or name it with make setup PYTHON=..."
}

# pip with its output in the log and one short line a package on the screen.
pip_install() {
    result="$VENV/.pip-result"
    echo 1 >"$result"
    {
        # --no-compile: compiling every module of every package costs a minute; Python does it on first use.
        if "$VENV/bin/python" -m pip install --no-compile --disable-pip-version-check --no-input "$@" 2>&1; then
            echo 0 >"$result"
        fi
    } | tee -a "$LOG" | while IFS= read -r line; do
        case "$line" in
        Collecting* | Building* | ERROR* | error:*) printf '  %s\n' "${line%% (from*}" ;;
        "  Downloading"*" MB"*) printf '    %s\n' "${line#  }" ;;
        "Installing collected"*) printf '  Installing (this takes a minute or two)\n' ;;
        esac
    done
    code=$(cat "$result")
    rm -f "$result"
    return "$code"
}

# CUDA builds of PyTorch bring gigabytes; say so before they are fetched, not after.
warn_of_cuda() {
    [ "$(uname -s)" = Linux ] || return 0
    "$VENV/bin/python" -m pip install --quiet --dry-run --no-deps --ignore-installed --report - \
        --disable-pip-version-check --no-input "$@" 2>/dev/null | grep -qi '"nvidia-\|"cuda-' || return 0
    say "the PyTorch build that pip chose here carries CUDA: several gigabytes are fetched."
    say "for the small CPU build stop now (Ctrl-C) and see 'PyTorch: CPU or GPU' in README.md."
}

find_python
say "using $("$PYTHON" --version 2>&1) ($PYTHON)"

if [ -e "$VENV" ] && ! { new_enough "$VENV/bin/python" && "$VENV/bin/python" -m pip --version >/dev/null 2>&1; }; then
    say "$VENV is half made or too old; making it anew"
    rm -rf "$VENV"
fi
rm -f "$VENV"/.installed*
if [ ! -d "$VENV" ]; then
    say "1/3 making $VENV"
    "$PYTHON" -m venv "$VENV" || fail "the virtual environment $VENV could not be made" \
        "check that this folder is writable and the disk is not full, then run make setup again"
else
    say "1/3 $VENV is there"
fi
: >"$LOG"

TORCH=$(grep '^torch==' constraints.txt) || fail "constraints.txt pins no torch" "restore constraints.txt"
if "$VENV/bin/python" -m pip freeze 2>/dev/null | grep -q "^$TORCH"; then
    say "2/3 PyTorch ($TORCH) is there"
else
    say "2/3 installing PyTorch ($TORCH)"
    # First and by exact version, so that a CPU build that pip can see wins over a newer CUDA one.
    set -- "$TORCH" -c constraints.txt
    if [ -n "${TORCH_INDEX:-}" ]; then set -- "$@" --index-url "$TORCH_INDEX"; else warn_of_cuda "$@"; fi
    pip_install "$@" || fail "PyTorch could not be installed; the whole output is in $LOG" \
        "check the network and the free disk space (df -h .), then run make setup again; it goes on where it stopped"
fi

say "3/3 installing Attest and what it needs${EXTRAS:+ for: $EXTRAS}"
pip_install -c constraints.txt -e ".${EXTRAS:+[$EXTRAS]}" ||
    fail "a package could not be installed; the whole output is in $LOG" \
        "check the network and the free disk space (df -h .), then run make setup again; it goes on where it stopped"

"$VENV/bin/python" -c 'import rag.domain, torch' ||
    fail "the installed packages do not load" "rm -rf $VENV and run make setup again"
touch "$VENV/.installed" "$STAMP"
say "done: $VENV"
