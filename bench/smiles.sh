#!/bin/bash
# bench/smiles.sh DATA - a flow of molecules as SMILES, a line each, from its training to what RDKit makes of its samples:
# valid, unique, novel.
#
# DATA is a file of SMILES, .gz too. From the environment:
#   MINUTES        of training, default 60
#   METHOD         dfm (default), edit or ar
#   N              samples, default 10000
#   OUT            default build/smiles; a run that is finished there is not trained again
#   PROGRAM        default build/release/thalweg
#   TRAIN_OPTIONS SAMPLE_OPTIONS   more of them
#   THALWEG_SMILES_VENV   Python environment with RDKit; default ~/.cache/thalweg/smiles-venv, made when it is missing
set -euo pipefail
cd "$(dirname "$0")/.."
data=$(realpath "${1:?usage: bench/smiles.sh DATA}")
out=${OUT:-build/smiles}
program=$(realpath "${PROGRAM:-build/release/thalweg}")
method=${METHOD:-dfm}
venv=${THALWEG_SMILES_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/thalweg/smiles-venv}

if [ ! -x "$venv/bin/python" ]; then
    echo "making $venv" >&2
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet -r bench/peers/smiles-requirements.txt >&2 || { rm -rf "$venv"; exit 1; }
fi
mkdir -p "$out"
# shellcheck disable=SC2086
[ -s "$out/$method/model.safetensors" ] ||
    "$program" train "$data" --tokeniser smiles --method "$method" --network ddit --minutes "${MINUTES:-60}" --out "$out/$method" ${TRAIN_OPTIONS:-} >&2
# shellcheck disable=SC2086
"$program" sample "$out/$method" -n "${N:-10000}" -o "$out/$method.txt" ${SAMPLE_OPTIONS:-} >&2
"$venv/bin/python" bench/peers/smiles.py "$data" "$out/$method.txt"
