#!/bin/bash
# bench/tables.sh DATA [SET...] - synthetic tables by us and by peers at equal time: ForestDiffusion, SDV's CTGAN and TVAE.
#
# DATA is a folder with the sets in the places that bench/peers/tables.py names; sets are adult, california_housing, diamonds,
# penguins, mpg, pima, wine (all of them when none is given). Each generator learns the same training rows for MINUTES
# minutes on two threads, one after another, and `thalweg eval` judges what it made beside the same held-out rows. The last
# table has the average ranks; exit status 1 when ours is not the best of all. What is made stays in OUT; what is there is not
# made again. From the environment:
#   MINUTES        of training, default 5
#   OUT            default build/tables
#   PROGRAM        default build/release/thalweg
#   TRAIN_OPTIONS  more options for our training
#   THALWEG_TABLES_VENV   Python environment; default ~/.cache/thalweg/tables-venv, made when it is missing
set -euo pipefail
cd "$(dirname "$0")/.."
data=$(realpath "${1:?usage: bench/tables.sh DATA [SET...]}")
shift
[ $# -gt 0 ] || set -- adult california_housing diamonds penguins mpg pima wine
minutes=${MINUTES:-5}
out=${OUT:-build/tables}
program=$(realpath "${PROGRAM:-build/release/thalweg}")
venv=${THALWEG_TABLES_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/thalweg/tables-venv}
export OMP_NUM_THREADS=2

if [ ! -x "$venv/bin/python" ]; then
    echo "making $venv" >&2
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet -r bench/peers/tables-requirements.txt >&2 || { rm -rf "$venv"; exit 1; }
fi
peers=("$venv/bin/python" bench/peers/tables.py)

ours() { # FOLDER: learns its train.csv, draws as many rows
    # shellcheck disable=SC2086
    "$program" train "$1/train.csv" --minutes "$minutes" --threads 2 --out "$1/run" --force --quiet ${TRAIN_OPTIONS:-} >&2
    "$program" sample "$1/run" -n "$(($(wc -l <"$1/train.csv") - 1))" --threads 2 --quiet -o "$1/ours.csv" >&2
}

for set in "$@"; do
    folder=$out/$set
    target=$("${peers[@]}" split "$data" "$set" "$folder")
    for generator in ours forest ctgan tvae; do
        if [ ! -s "$folder/$generator.csv" ]; then
            echo "$set: $generator" >&2
            if [ $generator = ours ]; then
                ours "$folder" || echo "$set: ours failed" >&2
            else
                "${peers[@]}" train $generator "$folder" --minutes "$minutes" || echo "$set: $generator failed" >&2
            fi
        fi
        [ -s "$folder/$generator.csv" ] || continue
        "$program" eval "$folder/test.csv" --samples "$folder/$generator.csv" --training "$folder/train.csv" \
            --target "$target" --out "$folder/$generator" --threads 2 --quiet --json >"$folder/$generator.json"
    done
done
"${peers[@]}" rank "$out"
