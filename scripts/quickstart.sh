#!/bin/sh
# scripts/quickstart.sh - from a fresh machine to pictures: installs what is missing, builds, trains a generator of garments
# for three minutes and draws what it makes.
#
#   QUICKSTART_MINUTES  minutes of training [3]
#   QUICKSTART_DATA     folder of pictures [data/garments; all of Fashion-MNIST is better, for longer training]
#   QUICKSTART_OUT      folder for the results [runs/garments]
set -eu
cd "$(dirname "$0")/.."
minutes=${QUICKSTART_MINUTES:-3}
data=${QUICKSTART_DATA:-data/garments}
out=${QUICKSTART_OUT:-runs/garments}

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

title "Training for $minutes minutes on the pictures in $data"
$thalweg train "$data" --minutes "$minutes" --precision bf16 --out "$out" --force

title "Drawing new ones, some of each class"
$thalweg sample "$out" --guidance 1 -o "$out/grid.png" --animate "$out/flow.png" --frames 13

title "What there is now"
for line in \
    'grid.png|new pictures, a line a class' \
    'flow.png|how they come out of noise, animated (a browser shows it)' \
    'model.safetensors|the model: weights and everything needed to use them' \
    'config.yaml|the settings it was trained with' \
    'loss.png|the loss curve' \
    'loss.csv|its numbers'; do
    file=$out/${line%%|*}
    if [ -s "$file" ]; then printf '  %-32s %s\n' "$file" "${line#*|}"; fi
done
cat <<NEXT

Try next:
  $thalweg sample $out -n 100 --condition class=9 -o boots/     # a PNG file each
  $thalweg eval $out            # a classifier's opinion, distances, nearest pictures of the training
  $thalweg train data/fires.csv --minutes 2 --out runs/fires    # tables, too: a map of places
  $thalweg train your-pictures/  # a folder of PNG or JPEG files, in folders by class
  $thalweg train --help
NEXT
