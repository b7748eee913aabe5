#!/bin/bash
# bench/tokens.sh - a transformer of tokens by us and by PyTorch, eager and compiled, one after another in one run: training
# tokens a second, and sampling N rows of LENGTH tokens in STEPS steps. Exit status 1 when a ratio to the better of both is
# below its bar (1.2 and 1.5). From the environment:
#   WIDTH DEPTH HEADS LENGTH BATCH   the network and the batch; default 256 6 4 256 16
#   N STEPS                          of sampling, default 64 256
#   SECONDS_EACH                     of training, default 10
#   REPEATS                          of training, by turns; the medians count, default 3
#   WHAT                             default "train sample"
#   MODES                            of PyTorch, default "eager compile"
#   PROGRAM                          default build/release/thalweg
#   THALWEG_BENCH_VENV               as for bench/run.sh, which makes it
#   PRECISION                        ours, default f32
set -euo pipefail
cd "$(dirname "$0")/.."
program=$(realpath "${PROGRAM:-build/release/thalweg}")
python=${THALWEG_BENCH_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/thalweg/bench-venv}/bin/python
width=${WIDTH:-256} depth=${DEPTH:-6} heads=${HEADS:-4} length=${LENGTH:-256} batch=${BATCH:-16} n=${N:-64} steps=${STEPS:-256}
seconds=${SECONDS_EACH:-10}
threads=${OMP_NUM_THREADS:-2}
modes=${MODES:-eager compile}
export OMP_NUM_THREADS=$threads
here=$PWD
box=$(mktemp -d)
trap 'rm -rf "$box"' EXIT
cd "$box"

# 65 symbols, as many rows as the peer has
awk -v rows=4096 -v length_="$length" 'BEGIN { srand(1); for (i = 0; i < 65; i++) s = s sprintf("%c", 48 + i)
    print s; for (i = 0; i < rows; i++) { line = ""; for (k = 0; k < length_ - 1; k++) line = line substr(s, 1 + int(65 * rand()), 1); print line } }' >text.txt

number() { sed -n "s/.*\"$1\":[ ]*\([0-9.e+]*\).*/\1/p"; }
size=(--width "$width" --depth "$depth" --heads "$heads")
train() { # OPTIONS
    "$program" train text.txt --chunk "$length" --network ddit "${size[@]}" --batch "$batch" --split 1,0,0 \
        --precision "${PRECISION:-f32}" --threads "$threads" --out run --force --quiet "$@"
}
ours_train() {
    train --minutes "$(awk -v s="$seconds" 'BEGIN { print s / 60 }')" --json | number steps_per_second | awk -v b="$batch" -v t="$length" '{ printf "%.6g\n", $1 * b * t }'
}
ours_sample() {
    [ -e run ] || train --steps 1 >&2
    "$program" sample run -n "$n" --steps "$steps" --solver euler --threads "$threads" --quiet --json -o samples.txt |
        number seconds | awk -v n="$n" -v t="$length" '{ printf "%.6g\n", n * t / $1 }'
}
peer() { # WHAT MODE
    "$python" "$here/bench/peers/tokens.py" "$1" "$2" "${size[@]}" --length "$length" --batch "$batch" --n "$n" --steps "$steps" \
        --seconds "$seconds" 2>/dev/null | number tokens_per_second
}

over=0
report() { # WHAT BAR OURS PEER...
    what=$1 bar=$2 ours=$3
    shift 3
    printf '%s\n' "$@" | awk -v what="$what" -v bar="$bar" -v ours="$ours" '
        $1 > best { best = $1 }
        { all = all sprintf("  %10.4g", $1) }
        END { printf "%-6s  %10.4g tokens/s, PyTorch%s   %.2f of the better, bar %g\n", what, ours, all, ours / best, bar; exit !(ours >= bar * best) }' ||
        over=1
}
printf 'width %s, depth %s, heads %s, length %s; batch %s; %s rows in %s steps; %s threads; PyTorch: %s\n' "$width" "$depth" "$heads" \
    "$length" "$batch" "$n" "$steps" "$threads" "$modes"
median() { sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
for what in ${WHAT:-train sample}; do
    bar=1.2 repeats=${REPEATS:-3}
    [ "$what" = train ] || bar=1.5 repeats=1
    : >ours
    for mode in $modes; do : >"peer.$mode"; done
    for ((i = 0; i < repeats; i++)); do # by turns: what else the machine does meets all of them
        "ours_$what" >>ours
        for mode in $modes; do peer "$what" "$mode" >>"peer.$mode"; done
    done
    results=()
    for mode in $modes; do results+=("$(median <"peer.$mode")"); done
    report "$what" $bar "$(median <ours)" "${results[@]}"
done
exit $over
