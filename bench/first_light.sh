#!/bin/bash
# bench/first_light.sh [checkerboard|table|threads]... - what the first release promises, measured beside its limits.
#
#   checkerboard  5 minutes of training (MINUTES): held-out negative log-likelihood, shares of the 8 squares, memory
#   table         3 minutes (MINUTES) on the table TABLE (a CSV file with numeric columns): energy distance of samples to held-out
#                 rows over that of as many training rows
#   threads       same seed with 1 and 2 threads: the bytes of the model and of the samples
#
# Runs stay in build/first_light. Exit status 1 when a limit is passed.
set -euo pipefail
cd "$(dirname "$0")/.."
program=$(realpath "${PROGRAM:-build/release/thalweg}")
out=build/first_light
mkdir -p $out
. bench/measure.sh

field() { # KEY: a number of the JSON object on standard input
    sed -n "s/.*\"$1\": *\\([-0-9.eE+]*\\).*/\\1/p"
}

# The black squares of the checkerboard, in the units before division by 0.45: x in [-2,2), y - (floor x mod 2) in [-2,-1) or [0,1).
largest_square_error() { # SAMPLES.csv: percent by which the share of a square is off at most, over 8 squares, and share outside
    awk -F, 'NR > 1 {
        n++; x = $1 * 0.45; y = $2 * 0.45
        i = int(x + 2); if (x < -2 || x >= 2) { outside++; next }
        j = int(y + 2); if (y < -2 || y >= 2) { outside++; next }
        if ((i + j) % 2 != 0) { outside++; next }
        count[i "," j]++
    } END {
        for (i = 0; i < 4; i++) for (j = i % 2; j < 4; j += 2) {
            e = (count[i "," j] / (n - outside) * 8 - 1) * 100; if (e < 0) e = -e; if (e > worst) worst = e
        }
        printf "%.3f %.3f\n", worst, outside / n * 100
    }' "$1"
}

checkerboard() {
    local json worst outside
    json=$("$program" train checkerboard --minutes "${MINUTES:-5}" --out $out/checkerboard --force --json)
    echo "checkerboard: $(field steps <<<"$json") steps, $(field steps_per_second <<<"$json") a second, loss $(field loss <<<"$json")"
    line "peak memory of training" "$(field peak_bytes <<<"$json" | awk '{ print $1 / 1048576 }')" 150 MiB
    json=$("$program" score $out/checkerboard --json 2>$out/score.log)
    line "held-out nats a row" "$(field nll <<<"$json")" 3.76 nats "(entropy 3.67646, standard error $(field nll_error <<<"$json"), NFE $(field nfe <<<"$json"))"
    "$program" sample $out/checkerboard -n 200000 --seed 1 -o $out/checkerboard/samples.csv --quiet
    read -r worst outside < <(largest_square_error $out/checkerboard/samples.csv)
    line "share of a black square off by" "$worst" 5 % "(points outside the squares: $outside %)"
}

table() {
    local json
    json=$("$program" train "${TABLE:?set TABLE to a CSV file}" --minutes "${MINUTES:-3}" --out $out/table --force --json)
    echo "table: $(field steps <<<"$json") steps, $(field steps_per_second <<<"$json") a second, loss $(field loss <<<"$json")"
    json=$("$program" eval $out/table --json 2>$out/eval.log)
    line "energy distance over its floor" "$(awk -v a="$(field energy_distance <<<"$json")" -v b="$(field energy_distance_floor <<<"$json")" 'BEGIN { print a / b }')" 2 x \
        "($(field energy_distance <<<"$json") against $(field energy_distance_floor <<<"$json"))"
}

threads() {
    for n in 1 2; do
        "$program" train checkerboard --steps 300 --seed 5 --threads $n --out $out/threads$n --force --quiet >/dev/null
        "$program" sample $out/threads$n -n 5000 --seed 2 --threads $n --full-precision -o $out/threads$n/samples.csv --quiet >/dev/null
    done
    for file in model.safetensors samples.csv; do
        line "bytes of $file that differ" "$({ cmp -l $out/threads1/$file $out/threads2/$file || true; } | wc -l)" 0.5 B
    done
}

[ $# -gt 0 ] || set -- checkerboard threads
for case in "$@"; do
    case $case in
        checkerboard | table | threads) $case ;;
        *) echo "first_light.sh: no case '$case': checkerboard, table, threads" >&2; exit 2 ;;
    esac
done
exit $over
