#!/bin/bash
# bench/run.sh [CASE...] [--json] [--repeats N] [--threads N] [--seconds S] [--tune] - Thalweg beside PyTorch, one table.
#
# Builds the cases, makes a Python environment of what bench/peers/requirements.txt pins (several GB: once), and hands
# over to bench/table.py. From the environment:
#   THALWEG_BENCH_VENV    where the environment is; default ~/.cache/thalweg/bench-venv. One that exists is used as it is.
#   THALWEG_BENCH_BUILD   build folder; default build/bench
#   THALWEG_BENCH_AROUND  a command to run as "COMMAND begin PID..." before every round of turns and "COMMAND end PID..."
#                         after it, on a machine that has other work: to stop that, or to put these processes in front
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${THALWEG_BENCH_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/thalweg/bench-venv}
build=${THALWEG_BENCH_BUILD:-build/bench}

if [ ! -x "$venv/bin/python" ]; then
    echo "making $venv" >&2
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet -r bench/peers/requirements.txt >&2 || { rm -rf "$venv"; exit 1; }
fi
{
    cmake -S . -B "$build" -DCMAKE_BUILD_TYPE=Release -DTW_BENCH=ON -DTW_TESTS=OFF
    cmake --build "$build" --parallel --target bench_cases thalweg-cli
} >"${TMPDIR:-/tmp}/thalweg-bench-build.$$" 2>&1 || { cat "${TMPDIR:-/tmp}/thalweg-bench-build.$$" >&2; exit 1; }
rm -f "${TMPDIR:-/tmp}/thalweg-bench-build.$$"

exec "$venv/bin/python" bench/table.py --python "$venv/bin/python" --build "$build" "$@"
