# shellcheck shell=sh disable=SC2154,SC2059,SC2086
# Models of pictures: 8 x 8 pixels of two classes, bright above or bright below, learned from IDX files; samples as grids,
# files, bytes and animations; what eval says of them; pictures that were seen in part.

pixels() { # COUNT SEED: pictures of classes 0 and 1 in turn, as octal escapes
    awk -v n="$1" -v seed="$2" 'BEGIN { srand(seed); for (i = 0; i < n; i++) for (y = 0; y < 8; y++) for (x = 0; x < 8; x++)
        printf "\\%03o", (y < 4) == (i % 2 == 0) ? 180 + int(60 * rand()) : int(40 * rand()) }'
}
labels() { awk -v n="$1" 'BEGIN { for (i = 0; i < n; i++) printf "\\%03o", i % 2 }'; }
idx() { # NAME COUNT SEED: images and labels, at most 255
    count=$(printf '\\%03o' "$2")
    printf "\\000\\000\\010\\003\\000\\000\\000$count\\000\\000\\000\\010\\000\\000\\000\\010$(pixels "$2" "$3")" >"$1-images-idx3-ubyte"
    printf "\\000\\000\\010\\001\\000\\000\\000$count$(labels "$2")" >"$1-labels-idx1-ubyte"
}
mkdir data && cd data || exit 1
idx train 200 1
idx t10k 60 2
cd .. || exit 1
is_png() { head -c 4 "$1" | grep -q PNG; }
png_size() { od -An -v -tu1 -j 16 -N 8 "$1" | awk '{ print $3 * 256 + $4 "x" $7 * 256 + $8 }'; }

works 'pictures of 8 x 8 pixels' train data --steps 150 --batch 64 --width 32 --depth 1 --out m -j 1

holds "and draws what it learned" is_png m/samples.png

works '8 x 8 pixels, grey' info m
works 'told class .*2: 0, 1' info m
run info m --json
holds "info --json has the sides" grep -q '"image":\[8,8,1\]' out

# pixels as tokens of four levels: the middles of 0 to 256 by 64, shown as pictures, judged as tokens
works 'rows of 64 columns\|pictures of 8 x 8' train data --levels 4 --steps 30 --batch 32 --width 16 --depth 1 --heads 2 --out levels -j 1
holds "and draws what it learned" is_png levels/samples.png
works '16 pictures of 8 x 8 pixels' sample levels --steps 8 -o levels.png
run sample levels --steps 8 -n 5 -o levels.csv --condition class=1
holds "middles of levels" sh -c '! tail -n +2 levels.csv | grep -qvE "^((32|96|160|224),?)+$"'
works 'animation' sample levels --steps 8 -n 4 --frames 3 --animate levels.apng.png
works 'symbols' eval levels --steps 4 -n 20
holds "held-out pictures beside samples" is_png levels/grid.png
fails "is not for tokens" train data --levels 4 --network patch_unet --steps 2 --out bad

# a grid is what one gets, with every class in turn
works '16 pictures of 8 x 8 pixels' sample m
holds "the grid is a picture" is_png grid.png
works '16 pictures' sample m -o tiles.png -n 16
holds "with lines of the two classes" [ "$(png_size grid.png)" = "$(png_size tiles.png)" ]
works '3 pictures' sample m -o one.png -n 3 --condition class=1
run sample m -o one/ -n 4
holds "a file a sample, with its class" sh -c '[ -s one/00001-0.png ] && [ -s one/00002-1.png ] && [ -s one/00004-1.png ]'
holds "of the size pictures have" [ "$(png_size one/00003-0.png)" = 8x8 ]
run sample m -o bytes.npy -n 5 --json
holds "an array of bytes" sh -c 'head -c 128 bytes.npy | grep -aq "|u1.*(5, 8, 8, 1"'
holds "64 bytes a picture" [ "$(wc -c <bytes.npy)" -eq $((5 * 64 + 128)) ]
run sample m -o - -n 2 --quiet
holds "rows on standard output" [ "$(head -n 1 out | tr ',' '\n' | wc -l)" -eq 64 ]
works 'animation' sample m -n 4 --animate flow.png --frames-plot stills.png --plot plot.png --solver euler --steps 10 -o a.csv
holds "an animation of 31 frames" sh -c 'od -An -v -tu1 -j 37 -N 8 flow.png | grep -q "97  99  84  76   0   0   0  31"'
holds "stills" is_png stills.png
holds "a grid beside the table" is_png plot.png
refused 'column of a table' sample m -o a.png --log-density -n 2
train_tiny moons
refused 'for models of pictures' sample moons -o a.png
refused 'for models of pictures' sample moons -o folder/
works 'animation' sample moons -n 50 --animate moons.png -o a.csv --frames 3
holds "points move, too" is_png moons.png

# edited from class to class, with and without values of attention from the pictures as they were
edit='--from data --condition class=0 --edit class=1 --solver rf_solver --steps 4'
works '3 pictures' sample m $edit -n 3 -o edited.png
fails "network 'mlp' has no attention" sample m $edit -n 3 --share 0.5 -o edited.png
run train data --network dit --width 16 --depth 2 --heads 2 --patch 4 --steps 20 --batch 32 --out dit -j 1
run sample dit $edit -n 3 --share 0.5 -o edited.csv --full-precision --json
holds "two evaluations a step, 4 steps each way" [ "$(json nfe)" = 16 ]
run sample dit $edit -n 3 --share 0.5 --share-layers 1 -o last.csv --full-precision
run sample dit $edit -n 3 -o none.csv --full-precision
holds "all layers, the last, none: three edits" sh -c '! cmp -s edited.csv last.csv && ! cmp -s edited.csv none.csv && ! cmp -s last.csv none.csv'
run sample dit --from data --condition data --edit data --solver rf_solver --steps 20 --share 1 -n 3 -o same.csv --full-precision
run sample dit --from data --condition data --reverse --solver rf_solver --steps 20 -n 3 -o there.csv
run sample dit --from there.csv --condition data --solver rf_solver --steps 20 -n 3 -o back.csv --full-precision
holds "told the same, they come back" sh -c 'paste -d, same.csv back.csv | tail -n +2 | awk -F, "{ for (i = 1; i <= 64; i++) if ((\$i - \$(i + 64))^2 > 1e-4) bad = 1 } END { exit bad || NR != 3 }"'
fails "has no class '7'" sample dit --from data --condition class=0 --edit class=7 -o a.csv
refused '--share is about edited rows' sample dit --from data --share 0.5
refused '--edit needs rows of data' sample dit --edit class=1
refused '--reverse has no meaning with --edit' sample dit $edit --reverse
refused '--sde has no meaning with --edit' sample dit --from data --edit class=1 --sde
fails 'trained without conditions' sample moons --from moons --edit class=1 -o a.csv

# eval: the judge is trained once, and knows bright above from bright below
works 'feature-Frechet' eval m --pairs 50 -n 6 --solver euler --steps 5
works 'bits per dimension.*at most, by dequantisation' eval m --pairs 50 -n 6 --solver euler --steps 5
run eval m --pairs 50 -n 6 --solver euler --steps 5 --json -j 2
for key in classifier_accuracy class_accuracy feature_frechet feature_frechet_floor precision recall nearest_training sliced_w2 \
    bits_per_dim bits_per_dim_error; do
    holds "eval --json has $key" [ -n "$(json $key)" ]
done
holds "the classifier tells the classes apart" above "$(json classifier_accuracy)" 0.98
holds "samples are of the class asked for" above "$(json class_accuracy)" 0.9
for picture in grid flow neighbours; do holds "eval draws $picture.png" is_png "m/$picture.png"; done
cp m/classifier.safetensors judge.safetensors
works 'feature-Frechet' eval m --pairs 50 -n 2 --solver euler --steps 5 --classifier judge.safetensors --out elsewhere
holds "the judge that was named is used" absent elsewhere/classifier.safetensors
cp m/model.safetensors wrong.safetensors
fails 'metadata lacks\|of other data' eval m --pairs 50 -n 2 --solver euler --steps 5 --classifier wrong.safetensors
# FID, by a network of the user's
awk -v data=numbers -f "$here/inception.awk" >header
size=$(wc -c <header)
printf "\\$(printf %o $((size % 256)))\\$(printf %o $((size / 256)))\\0\\0\\0\\0\\0\\0" | cat - header numbers >inception.safetensors
judged="--pairs 12 -n 2 --solver euler --steps 5 --classifier judge.safetensors --out elsewhere"
works 'FID (Inception features of inception.safetensors), 12 pictures' eval m $judged --inception inception.safetensors
run eval m $judged --inception inception.safetensors --json -j 2
fid=$(json fid)
holds "samples are further from held-out pictures than training pictures are" above "$fid" "$(json fid_floor)"
holds "and both are known" above "$(json fid_floor)" 0
run eval m $judged --inception inception.safetensors --json --samples data/t10k-images-idx3-ubyte
holds "held-out pictures are nearer to each other" above "$fid" "$(json fid)"
fails 'nowhere.pth' eval m $judged --inception nowhere.pth
fails "m/model.safetensors: not the Inception network of FID: tensor 'Conv2d_1a_3x3.conv.weight' is missing" eval m $judged --inception m/model.safetensors
refused 'for flows of pictures' eval moons --inception inception.safetensors
run sample m -n 60 -o all.csv
run eval m --pairs 50 -n 2 --solver euler --steps 5 --classifier judge.safetensors --out elsewhere --samples all.csv --json
holds "samples of a file, their classes in turn as those of the held-out rows" above "$(json class_accuracy)" 0.9
works 'those of a file' eval m -n 2 --solver euler --steps 5 --classifier judge.safetensors --out elsewhere --samples bytes.npy
works 'pictures of 8 x 8' train data --condition none --steps 20 --batch 32 --width 16 --depth 1 --out untold -j 1
works '64 pictures' sample untold --solver euler --steps 2 -o untold.png
works 'no classifier judges' eval untold --pairs 30 -n 2 --solver euler --steps 2
holds "neighbours without classes" is_png untold/neighbours.png
refused 'at most 4096' eval moons --pairs 5000
run score m -n 5 --json --solver euler --steps 5
holds "pictures have bits, without being asked" above "$(json bits_per_dim)" 1
# back to the source, and pictures between pictures
works '6 pictures.*latents.npy' sample m --from data/t10k-images-idx3-ubyte --reverse -n 6
works '11 pictures' sample m --from latents.npy --interpolate 1 --solver rk4 --steps 20 -o between.csv --full-precision
holds "every second one was there before" sh -c 'tail -n +2 between.csv | awk -F, "NR % 2 == 1 { d = 0; for (i = 33; i <= 64; i++) d += \$i; print ((d > 32 * 110) ? 1 : 0) }" | tr -d "\n" | grep -q "^010101$"'
works 'pictures' sample m --from latents.npy --interpolate 4 -o between.png
holds "a line from each to the next" [ "$(png_size between.png)" = "$(png_size tiles.png | awk -Fx '{ print 2 * 32 + 6 * 84 - 4 "x" 2 * 32 + 5 * 84 - 4 }')" ]

# pictures seen in part: the lower half hidden, means of blocks, colours
printf "\\000\\000\\010\\003\\000\\000\\000\\001\\000\\000\\000\\010\\000\\000\\000\\010$(awk 'BEGIN { for (i = 0; i < 64; i++) printf "\\%s", i < 32 ? "000" : "377" }')" >mask
run sample m --observe data/t10k-images-idx3-ubyte --mask mask -n 4 --steps 20 -o filled.csv --quiet
holds "what was hidden is filled in as it must be" sh -c 'tail -n +2 filled.csv | awk -F, "{ d = 0; for (i = 33; i <= 64; i++) d += \$i; print (d > 32 * 110) ? 1 : 0 }" | tr -d "\n" | grep -q "^0101$"'
works '4 pictures' sample m --observe data/t10k-images-idx3-ubyte --mask mask -n 4 --steps 20 -o filled.png
holds "what was seen beside what became of it" sh -c 'is=$(od -An -v -tu1 -j 16 -N 4 filled.png | awk "{ print \$3 * 256 + \$4 }"); [ "$is" -gt 240 ]'
run sample m --observe data/t10k-images-idx3-ubyte --operator average:4 --degrade -n 4 --steps 20 -o small.csv --quiet
holds "means of blocks bring the halves back" sh -c 'tail -n +2 small.csv | awk -F, "{ d = 0; for (i = 33; i <= 64; i++) d += \$i; print (d > 32 * 110) ? 1 : 0 }" | tr -d "\n" | grep -q "^0101$"'
works '2 pictures' sample m --observe data/t10k-images-idx3-ubyte --operator average:4 -n 2 --steps 5 -o small.png
# the files that sample writes are read again: as pictures to go back from, to restore, and as masks
works '4 pictures.*latents.npy' sample m --from one/ --reverse
works '4 pictures' sample m --observe one/ --operator average:2 --degrade --steps 5 -o restored.png
works '2 pictures' sample m --observe one/00001-0.png --mask one/00002-1.png -n 2 --steps 20 -o masked.png
holds "what was observed, restored" is_png masked.png
fails 'three channels' sample m --observe data/t10k-images-idx3-ubyte --operator gray
fails 'blocks must be whole' sample m --observe data/t10k-images-idx3-ubyte --operator average:3
fails 'give one of them' sample m --observe data/t10k-images-idx3-ubyte --operator average:2 --mask mask
refused 'give --observe' sample m --mask mask
refused "blur" sample m --observe data/t10k-images-idx3-ubyte --operator blurr
fails 'is for pictures' sample moons --observe x1=0 --operator gray
works 'Gaussian' list operators

# masks that hide nothing, observations that leave nothing to draw
printf "\\000\\000\\010\\003\\000\\000\\000\\001\\000\\000\\000\\010\\000\\000\\000\\010$(awk 'BEGIN { for (i = 0; i < 64; i++) printf "\\%s", i < 32 ? "000" : "001" }')" >ones
fails 'hides nothing.*the brightest is 1' sample m --observe data/t10k-images-idx3-ubyte --mask ones -n 2 --steps 2 -o z.csv
fails 'nothing is missing.*--mask' sample m --observe data/t10k-images-idx3-ubyte -n 2 --steps 2 -o z.csv
works '2 pictures' sample m --observe data/t10k-images-idx3-ubyte --noise 20 -n 2 --steps 2 -o z.csv

# notes of damaged pictures, wherever pictures are read
cp -r one broken && head -c 30 one/00001-0.png >broken/00009-0.png
for way in '--from broken/ --reverse' '--observe broken/ --operator average:2 --degrade --steps 2'; do
    run sample m $way -o noted.csv
    holds "a damaged picture is told of: sample $way" grep -q '^note:.*00009-0.png' err
done
run eval m -n 2 --solver euler --steps 2 --classifier judge.safetensors --out elsewhere --samples broken/
holds "and among samples" grep -q '^note:.*00009-0.png' err

# files are written once, under names that say what they are, and not among others
fails 'holds files already' sample m -o one/ -n 2
refused 'expected a name that ends in .png, .apng or .html' sample m --animate flow.gif -o z.csv
refused 'plot: .z.pdf. given' sample m --plot z.pdf -o z.csv
refused "both would write 'same.png'" sample m --animate same.png -o same.png
refused "both would write 'same.png'" sample m --plot same.png --animate same.png -o z.csv
fails 'size is for pictures' train moons --size 8 --out no
fails 'labels is for pictures' train moons --labels x.csv --out no
refused 'unknown option --size here' score m --size 8
no_leftovers || fail "a half-written file was left behind"
