#!/bin/bash
# bench/coupling.sh [--rounds N] [--sizes N,...] [--sinkhorn] [--json] - couplings of a batch beside POT and scipy.
#
# The same environment of Python and the same variables as bench/run.sh; exit status 1 when the exact coupling is not
# twice as fast as POT's or its total is not scipy's to 1e-12.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${THALWEG_BENCH_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/thalweg/bench-venv}
build=${THALWEG_BENCH_BUILD:-build/bench}

if [ ! -x "$venv/bin/python" ]; then
    echo "making $venv" >&2
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet -r bench/peers/requirements.txt >&2 || { rm -rf "$venv"; exit 1; }
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
{
    cmake -S . -B "$build" -DCMAKE_BUILD_TYPE=Release -DTW_BENCH=ON -DTW_TESTS=OFF
    cmake --build "$build" --parallel --target bench_coupling
} >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
"$venv/bin/python" bench/peers/coupling.py "$build/bench_coupling" "$@"
