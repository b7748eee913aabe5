#!/bin/sh
# scripts/quickstart.sh - from a fresh machine to pictures: installs what is missing, builds, trains on real data for two
# minutes, samples, scores and draws.
#
#   QUICKSTART_MINUTES  minutes of training [2]
#   QUICKSTART_OUT      folder for the results [runs/fires]
set -eu
cd "$(dirname "$0")/.."
minutes=${QUICKSTART_MINUTES:-2}
out=${QUICKSTART_OUT:-runs/fires}
data=data/fires.csv

title() { printf '\n== %s\n' "$*" >&2; }

title "What is needed"
./scripts/deps.sh build
echo "Everything needed to build is here." >&2

title "Building (preset release)"
mkdir -p build
if ! cmake --preset release >build/configure.log 2>&1; then
    cat build/configure.log >&2
    exit 1
fi
cmake --build --preset release
thalweg=build/release/thalweg

title "Training for $minutes minutes on $data: where fires burnt, seen from space"
$thalweg train $data --minutes "$minutes" --out "$out" --force

title "Drawing samples"
$thalweg sample "$out" -n 10000 -o "$out/samples.csv"

title "Comparing with the held-out rows, drawing pictures"
$thalweg eval "$out"

title "What there is now"
for line in \
    'model.safetensors|the model: weights and everything needed to use them' \
    'config.yaml|the settings it was trained with' \
    'samples.csv|10000 new points, in the units and digits of the data' \
    'report.txt|likelihood of held-out rows, distances to them, and the floor of each' \
    'report.json|the same for programs' \
    'clouds.png|data beside samples' \
    'loss.png|the loss curve' \
    'loss.csv|its numbers' \
    'flow.png|from noise to data in six frames'; do
    file=$out/${line%%|*}
    if [ -s "$file" ]; then printf '  %-32s %s\n' "$file" "${line#*|}"; fi
done
cat <<NEXT

Try next:
  $thalweg sample $out -n 5 -o -         # CSV on standard output
  $thalweg score $out $data --per-row $out/scores.csv
  $thalweg train your-table.csv --minutes 5     # any CSV, TSV, NPY or NPZ
  $thalweg train --help
NEXT
