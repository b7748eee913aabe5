#!/bin/sh
# tests/python/test_model.sh PROGRAM - trains a tiny model and hands it to Python (TW_TEST_PYTHON with numpy and safetensors;
# exit status 77, "skipped", without). See read_model.py for what is compared.
set -eu
program=$1
here=$(cd "$(dirname "$0")" && pwd)
python=${TW_TEST_PYTHON:-python3}
if ! "$python" -c 'import numpy, safetensors' 2>/dev/null; then
    echo "skipped: no Python with numpy and safetensors (scripts/check.sh makes one and names it in TW_TEST_PYTHON)"
    exit 77
fi
box=$(mktemp -d)
trap 'rm -rf "$box"' EXIT

"$program" train moons --rows 4000 --steps 300 --batch 256 --width 24 --depth 2 --time-features 16 --out "$box/run" --quiet \
    >"$box/said"
"$program" sample "$box/run" -n 64 -o "$box/points.csv" --full-precision --quiet >"$box/said"
"$program" score "$box/run" "$box/points.csv" --rtol 1e-7 --atol 1e-7 --per-row "$box/scores.csv" --quiet \
    >"$box/said"
"$python" "$here/read_model.py" "$box/run/model.safetensors" "$box/points.csv" "$box/scores.csv"
