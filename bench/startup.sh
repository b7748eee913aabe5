#!/bin/bash
# bench/startup.sh [PROGRAM] - how small the program is and how fast it answers: measured beside its limits.
#
# Times are the median and the minimum of 21 runs, process start to exit, files in the page cache. Exit status 1 when a
# limit is passed.
set -euo pipefail
cd "$(dirname "$0")/.."
program=$(realpath "${1:-build/release/thalweg}")
box=$(mktemp -d)
trap 'rm -rf "$box"' EXIT
. bench/measure.sh

milliseconds() { # COMMAND...: median and minimum of 21 runs
    "$@" >/dev/null 2>&1 || { echo "failed: $*" >&2; exit 1; }
    for _ in $(seq 21); do
        local begin=${EPOCHREALTIME/./}
        "$@" >/dev/null 2>&1
        echo $((${EPOCHREALTIME/./} - begin))
    done | sort -n | awk '{ t[NR] = $1 / 1000 } END { printf "%.2f %.2f\n", t[int((NR + 1) / 2)], t[1] }'
}

strip -o "$box/thalweg" "$program"
line "stripped program" "$(awk -v b="$(stat -c %s "$box/thalweg")" 'BEGIN { print b / 1048576 }')" 8 MiB

read -r median fastest < <(milliseconds "$program" --version)
line "thalweg --version" "$median" 20 ms "(fastest $fastest)"

"$program" train checkerboard --steps 1 --rows 2000 --out "$box/model" --quiet >/dev/null
read -r median fastest < <(milliseconds "$program" info "$box/model")
line "thalweg info MODEL" "$median" 50 ms "(fastest $fastest)"
read -r median fastest < <(milliseconds "$program" info)
line "thalweg info" "$median" 50 ms "(fastest $fastest)"
exit $over
