# shellcheck shell=sh disable=SC2154,SC2094,SC2086
# The verbs on small models: what they print, what they write, that the same seed gives the same bytes.

train_tiny ref
holds "training writes the model" [ -s ref/model.safetensors ]
holds "the loss curve as a picture" [ -s ref/loss.png ]
holds "the loss curve as numbers" grep -q '^step,loss$' ref/loss.csv
holds "the settings" grep -q '^data: "moons"$' ref/config.yaml
holds "no checkpoint is left" absent ref/checkpoint.safetensors
holds "--quiet is quiet" [ ! -s err ]

# --json: one object, numbers where promised
run train moons $tiny --out ref --json
holds "training again replaces the model" [ "$status" -eq 0 ]
holds "train --json prints one object" one_object
for key in model steps seconds loss steps_per_second peak_bytes; do
    holds "train --json has $key" [ -n "$(json $key)" ]
done
holds "60 steps" [ "$(json steps)" = 60 ]
holds "peak memory is more than a MiB" above "$(json peak_bytes)" 1048576

# the same seed: the same bytes, whatever the threads
train_tiny two --threads 2
holds "1 and 2 threads give the same model" cmp -s ref/model.safetensors two/model.safetensors
train_tiny other --seed 1
holds "another seed gives another model" sh -c '! cmp -s ref/model.safetensors other/model.safetensors'
works 'steps' train --config ref/config.yaml --out again --threads 1
holds "config.yaml makes the same model" cmp -s ref/model.safetensors again/model.safetensors

# reflow
works 'steps' train moons $tiny --teacher ref --pairs 500 --out straight
holds "the teacher's path is kept" grep -q '^teacher: "/.*/ref"$' straight/config.yaml
run info straight --json
holds "its pairs are given" grep -q '"coupling":"given"' out
fails 'there is none' train moons $tiny --pairs 500 --out none
fails "cannot open .nowhere" train moons $tiny --teacher nowhere --out none

# sample
run sample ref -n 300 -o a.csv -j 1 --seed 5
holds "sample writes" [ "$(wc -l <a.csv)" -eq 301 ]
holds "names of the columns" [ "$(head -n 1 a.csv)" = "x1,x2" ]
run sample ref -n 300 -o b.csv -j 2 --seed 5
holds "1 and 2 threads give the same samples" cmp -s a.csv b.csv
run sample ref -n 100 -o - --seed 5
head -n 101 a.csv >head.csv
holds "fewer rows are the first rows" cmp -s out head.csv
run sample ref -n 300 -o - --seed 6
holds "another seed, other rows" sh -c '! cmp -s a.csv out'
run sample ref -n 300 -o noisy.csv --sde --steps 20 --seed 5 -j 1
holds "sample --sde writes other rows" sh -c '! cmp -s a.csv noisy.csv'
run sample ref -n 300 -o noisy2.csv --sde --diffusion sigma:1 --solver heun --steps 20 --seed 5 -j 2
holds "1 and 2 threads add the same noise, heun and sigma are the defaults" cmp -s noisy.csv noisy2.csv
run sample ref -n 10 -o z.csv --json --sde --diffusion constant:0 --solver heun --steps 20 --seed 5
holds "sample --json tells the solver and the diffusion" grep -q '"nfe":40,.*"solver":"heun","diffusion":"constant:0"' out
run sample ref -n 10 -o h.csv --solver heun2 --steps 20 --seed 5 --full-precision
run sample ref -n 10 -o z.csv --sde --diffusion constant:0 --steps 20 --seed 5 --full-precision
holds "no noise is the flow" sh -c 'paste -d, h.csv z.csv | tail -n +2 | awk -F, "{ if ((\$1-\$3)^2 + (\$2-\$4)^2 > 1e-10) bad = 1 } END { exit bad }"'

# jumps
train_tiny leaps --method jump
run sample leaps -n 300 -o leaps1.csv --jumps 0.5 --steps 12 --seed 5 -j 1
run sample leaps -n 300 -o leaps2.csv --jumps 0.5 --steps 12 --seed 5 -j 2 --json
holds "1 and 2 threads make the same jumps" cmp -s leaps1.csv leaps2.csv
holds "sample --json tells their solver" grep -q '"nfe":12,.*"solver":"euler"' out
run sample leaps -n 300 -o leaps2.csv --jumps 0 --seed 5
holds "without jumps it is the flow" sh -c '! cmp -s leaps1.csv leaps2.csv'
works 'energy' eval leaps --jumps 1 --steps 5 --pairs 50 -n 20 --repeats 1
fails "method 'fm' has learned none" sample ref -n 5 -o z.csv --jumps 0.5
fails "another solver than 'euler'" sample leaps -n 5 -o z.csv --jumps 0.5 --solver heun2
fails 'only the flow alone has' sample leaps -n 5 -o z.csv --jumps 0.5 --log-density
refused 'jumps: .2. given' sample leaps -n 5 --jumps 2
refused 'belongs to thalweg sample' score leaps moons --jumps 0.5
fails "not of schedule 'vp'" train moons $tiny --method jump --schedule vp --out none

run sample ref -n 50 --json -o j.csv --solver euler --steps 10
holds "sample --json prints one object" one_object
holds "n" [ "$(json n)" = 50 ]
holds "10 Euler steps are 10 evaluations" [ "$(json nfe)" = 10 ]
for key in seconds rows_per_second accepted rejected; do
    holds "sample --json has $key" [ -n "$(json $key)" ]
done

# samplers, and back to the source
run sample ref -n 30 --json -o data.csv --solver unipc --steps 30 --full-precision
holds "30 steps of unipc are 30 evaluations" [ "$(json nfe)" = 30 ]
run sample ref --from data.csv --reverse -o latents.csv --solver rf_solver --steps 30 --json
holds "as many rows as --from has" [ "$(json n)" = 30 ]
run sample ref --from latents.csv -o back.csv --solver rf_solver --steps 30 --full-precision
holds "there and back again" sh -c 'paste -d, data.csv back.csv | tail -n +2 | awk -F, "{ if ((\$1-\$3)^2 + (\$2-\$4)^2 > 1e-4) bad = 1 } END { exit bad || NR != 30 }"'
holds "the source is elsewhere" sh -c '! cmp -s data.csv latents.csv'
run sample ref --from latents.csv --interpolate 4 -o between.csv --json --full-precision
holds "4 samples between each of 30 rows" [ "$(json n)" = 146 ]
refused 'needs rows to go between' sample ref --interpolate 4
refused 'give one of them' sample ref --interpolate 4 --from latents.csv -n 3
refused 'go back first' sample ref --interpolate 4 --from latents.csv --reverse
refused '--reverse needs rows of data' sample ref --reverse
refused 'noise cannot be undone' sample ref --reverse --sde --from data.csv
fails 'a likelihood needs another' score ref -n 5 --solver ddim
works 'points.npy' sample ref -n 20 -o points.npy
run sample ref -n 200 -o p.csv --profile
holds "--profile tells where the time went, on standard error" grep -q 'profile of the velocity' err
holds "--profile compares with the peak" grep -q '% of the' err
THALWEG_DUMP=fused run sample ref -n 5 -o p.csv
holds "THALWEG_DUMP=fused shows the stages" grep -q '^stage 0:' err
holds "an NPY file" sh -c 'head -c 6 points.npy | grep -q NUMPY'
works 'frames.png' sample ref -n 50 -o c.csv --plot plot.png --frames-plot frames.png --frames 4
for picture in plot.png frames.png; do
    holds "$picture is a picture" sh -c "head -c 4 $picture | grep -q PNG"
done
run sample ref/model.safetensors -n 3
holds "a model file instead of a folder; samples.csv by default" [ -s samples.csv ]
fails 'cannot write' sample ref -n 3 -o nowhere/samples.csv

# the digits of the data
awk 'BEGIN { srand(2); print "price,\"size, m\""; for (i = 0; i < 200; i++) printf "%.2f,%d\n", 100 * rand(), 50 * rand() }' >table.csv
works '200 rows of 2 columns' train table.csv --steps 20 --width 16 --depth 1 --out table
run sample table -n 40 -o -
holds "a quoted name stays quoted" grep -q '^price,"size, m"$' out
holds "two digits and none, as in the data" [ "$(grep -c '^-\{0,1\}[0-9]*\.[0-9][0-9],-\{0,1\}[0-9]*$' out)" -eq 40 ]
run sample table -n 40 -o - --full-precision
holds "every digit when asked" grep -q '\.[0-9]\{5,\}' out

# score
run score ref --json -n 200
holds "score --json prints one object" one_object
holds "rows" [ "$(json n)" = 200 ]
holds "a likelihood" above "$(json nll)" 0
holds "no bits for real numbers" [ "$(json bits_per_dim)" = null ]
works 'nats a row' score ref -n 50
works '40 rows' score table table.csv -n 40 --per-row rows.csv
holds "a row each" [ "$(wc -l <rows.csv)" -eq 41 ]
works 'test part of table.csv' score table
works 'fresh rows of moons' score ref moons -n 100
mv table.csv moved.csv
fails "not there.*thalweg score table FILE" score table
mv moved.csv table.csv
tail -n 100 table.csv >>table.csv
fails 'has changed since training' score table
awk 'BEGIN { srand(3); print "i,j"; for (k = 0; k < 200; k++) printf "%d,%d\n", 9 * rand(), 9 * rand() }' >whole.csv
works 'steps' train whole.csv --steps 20 --width 16 --depth 1 --out whole
run score whole --json
holds "bits per dimension for whole numbers" above "$(json bits_per_dim)" 0

# eval
run eval ref --json --pairs 100 -n 100 --repeats 2
holds "eval --json prints one object" one_object
for key in nll n energy_distance energy_distance_floor w2 w2_floor sliced_w2 sliced_w2_floor; do
    holds "eval --json has $key" above "$(json $key)" 0
done
holds "an undertrained model is far above the floor" above "$(json energy_distance)" "$(json energy_distance_floor)"
for file in report.txt report.json clouds.png flow.png; do
    holds "eval writes $file" [ -s ref/$file ]
done
run eval ref --json --pairs 100 -n 100 --repeats 2 -j 2
cp ref/report.json first.json
run eval ref --pairs 100 -n 100 --repeats 2 -j 1 --out elsewhere
holds "1 and 2 threads give the same report" sh -c \
    "grep -v seconds first.json | grep -v '\"\(report\|clouds\|flow\)\"' >x; grep -v seconds elsewhere/report.json | grep -v '\"\(report\|clouds\|flow\)\"' | cmp -s x -"
works 'training to held-out' eval ref --pairs 50 -n 20 --repeats 1 --units data
works 'energy distance' eval ref --pairs 50 -n 20 --repeats 1 --sde --diffusion constant:1 --steps 20

# info
run info ref --json
holds "info --json prints one object" one_object
for key in version space method parameters steps; do
    holds "info --json has $key" [ -n "$(json $key)" ]
done
holds "network" grep -q '"network":{"kind":"mlp","width":16' out
works 'network  *mlp, width 16' info ref

# another data set in the same folder
fails 'holds a run on other data' train spirals --steps 2 --out ref
works 'model' train spirals --steps 2 --rows 500 --width 8 --depth 1 --out ref --force
holds "nothing half-written is left" no_leftovers

# likelihoods on the way, estimated, of whole numbers
train_tiny runs/likely
works '3 rows' sample runs/likely -n 3 --log-density -o scored.csv --quiet
holds 'a column of log-densities' grep -q '^x1,x2,log_density$' scored.csv
refused 'unknown option --log-density' score runs/likely --log-density
works 'nats a row' score runs/likely -n 50 --probes 3 --quiet
refused 'probes' score runs/likely --probes -1
works 'nats' score runs/likely -n 5 --probes 2 --probe-kind gaussian:fresh=1 --solver rk4 --quiet
fails 'fixed steps' score runs/likely -n 5 --probes 2 --probe-kind signs:fresh=1 --quiet
works 'gaussian' list probes
fails 'not whole numbers' score runs/likely -n 5 --dequantise 2 --quiet
works '' train moons --rows 200 --smooth 0.5 --steps 20 --width 8 --depth 1 --out runs/smooth --quiet
fails 'smooth is for few rows: 80000' train moons --rows 100000 --smooth 0.5 --steps 2 --out runs/none --quiet
fails 'tokens and points of a mesh are not spread' train moons --rows 200 --levels 4 --smooth 0.5 --steps 2 --out runs/none --quiet
refused 'smooth.*number from 0 to 10' train moons --smooth 11
fails "with smooth 0.5, not 0.7" train moons --rows 200 --smooth 0.7 --steps 20 --width 8 --depth 1 --resume --out runs/smooth --quiet
awk 'BEGIN { srand(1); print "a,b"; for (i = 0; i < 400; i++) printf "%d,%d\n", 9 * rand(), 5 * rand() }' >whole.csv
"$program" train whole.csv --steps 60 --batch 64 --width 16 --depth 1 --threads 1 --out runs/whole --quiet >out 2>err
works 'bits per dimension' score runs/whole --dequantise 3 --quiet
works 'loss' train whole.csv --dequantise --steps 20 --batch 64 --width 16 --depth 1 --threads 1 --out runs/cells --force
fails 'only whole numbers' train moons --dequantise --steps 20 --out runs/cells --force --quiet
# told and guided; begun at other rows
train_tiny runs/told --condition class
works '5 rows' sample runs/told -n 5 --condition class=1 --guidance 2 -o told.csv --quiet
works '5 rows' sample runs/told -n 5 --condition class=1 --guidance-scale 3 -o scaled.csv --quiet
holds 'a scale of 3 is a strength of 2' cmp -s told.csv scaled.csv
fails 'give one' sample runs/told --condition class=1 --guidance 2 --guidance-scale 3 -o told.csv
works '5 rows' sample runs/told -n 5 --condition class=1 --guidance 2 --guidance-kind apg:eta=0.5 -o told.csv --quiet
works '5 rows' sample runs/likely -n 5 --guidance 1 --guide runs/likely -o guided.csv --quiet
fails 'the guide has conditions that the flow has not' sample runs/likely -n 5 --guidance 1 --guide runs/told -o told.csv
fails 'a worse one to lead away from' sample runs/likely -n 5 --guidance 1 -o told.csv
refused 'guidance-kind' sample runs/told --guidance 1 --guidance-kind cgf -o told.csv
works '5 rows' sample runs/likely -n 5 --observe x1=0.5 --steps 20 -o seen.csv --quiet
holds 'what was observed is there' [ "$(tail -n +2 seen.csv | cut -d, -f1 | sort -u)" = 0.5 ]
printf 'x1,x2\n0.5,\n,1.25\n,\n' >gaps.csv
works '3 rows' sample runs/likely --observe gaps.csv --steps 20 --inverse flowchef -o filled.csv --quiet
holds 'gaps are filled' [ "$(sed -n 2p filled.csv | cut -d, -f1) $(sed -n 3p filled.csv | cut -d, -f2)" = '0.5 1.25' ]
holds 'nothing is left open' [ "$(grep -c '^[^,][^,]*,[^,][^,]*$' filled.csv)" = 4 ]
printf 'x1,x2\n0.5,\n0.75,\n' >gaps.csv
works '2 rows' sample runs/likely --observe gaps.csv --steps 20 -o filled.csv --quiet
fails "no column 'x3'" sample runs/likely --observe x3=1 -o seen.csv
fails 'expected a number' sample runs/likely --observe x1=a -o seen.csv
# seen through a matrix: the sum of both columns
printf 'x1,x2\n1,1\n' >sum.csv
printf '0.5\n-0.25\n' >sums.csv
works '4 rows' sample runs/likely -n 4 --observe y1=0.5 --matrix sum.csv --steps 50 --full-precision -o seen.csv --quiet
holds 'the sum is what was measured' awk -F, 'NR > 1 { d = $1 + $2 - 0.5; if (d * d > 1e-6) exit 1 }' seen.csv
works '2 rows' sample runs/likely --observe sums.csv --matrix sum.csv --steps 50 --full-precision -o seen.csv --quiet
holds 'row by row' awk -F, 'NR > 1 { d = $1 + $2 - (NR == 2 ? 0.5 : -0.25); if (d * d > 1e-6) exit 1 }' seen.csv
fails "no measure 'x1'; the nearest is 'y1'" sample runs/likely --observe x1=1 --matrix sum.csv -o seen.csv
printf 'x1,x2\n1,1\n1,-1\n' >both.csv
fails 'y2 is not given' sample runs/likely --observe y1=1 --matrix both.csv -o seen.csv
printf 'x1,x2\n1,1\n2,2\n' >twice.csv
printf 'x1,x2\n1,1\n0,0\n' >zero.csv
works '4 rows' sample runs/likely -n 4 --observe y1=0.5,y2=1 --matrix twice.csv --steps 5 -o seen.csv --quiet
fails 'contradicts them' sample runs/likely --observe y1=0.5,y2=2 --matrix twice.csv -o seen.csv
works '4 rows' sample runs/likely -n 4 --observe y1=0.5,y2=2 --matrix twice.csv --noise 0.5 --steps 5 -o seen.csv --quiet
fails 'row 2 is all zeros' sample runs/likely --observe y1=0.5,y2=0 --matrix zero.csv -o seen.csv
fails 'x1 is given twice' sample runs/likely --observe x1=1,x1=2 -o seen.csv
fails 'x1 is given twice' sample runs/likely --reward x1=1,x1=2 -o seen.csv
fails 'nothing is missing' sample runs/likely --observe x1=1,x2=2 -o seen.csv
fails 'expected NAME=VALUE$' sample runs/likely --reward x1 -o seen.csv
fails 'the model has 2 columns' sample runs/likely --observe y1=1 --matrix sums.csv -o seen.csv
refused 'give --observe' sample runs/likely --matrix sum.csv -o seen.csv
# rewarded: rows further to the right
works '400 rows' sample runs/likely -n 400 --reward x1=2 --steps 50 -o right.csv --quiet
works '400 rows' sample runs/likely -n 400 --solver euler --steps 50 -o plain.csv --quiet
holds 'more of the reward' awk -F, 'FNR > 1 { s[FILENAME] += $1 / 400 } END { exit !(s["right.csv"] > s["plain.csv"] + 0.3) }' right.csv plain.csv
fails "no column 'x3'" sample runs/likely --reward x3=1 -o seen.csv
fails 'expected a finite number' sample runs/likely --reward x1=inf -o seen.csv
refused 'give one of them' sample runs/likely --reward x1=1 --observe x2=1 -o seen.csv
refused 'no meaning with --reward' sample runs/likely --reward x1=1 --solver rk4 -o seen.csv
refused 'no meaning with --observe' sample runs/likely --observe x1=1 --solver rk4 -o seen.csv
refused 'give --observe' sample runs/likely --noise 0.1 -o seen.csv
works 'ot_ode' list inverses
works 'apg' list guidances
fails "has no class '7'" sample runs/told -n 5 --condition class=7 -o told.csv
fails "told nothing called 'clas'; the nearest is 'class'" sample runs/told --condition clas=1 -o told.csv
fails 'trained without conditions' sample runs/likely --condition class=1 -o told.csv
works 'against test part' eval runs/told --pairs 100 --quiet
"$program" train moons --source-data 8gaussians --coupling ot $tiny --out runs/from --quiet >out 2>err || fail 'data to data'
works '4 rows' sample runs/from -n 4 -o from.csv --quiet
works '4 rows' sample runs/from -n 4 --from 8gaussians -o from.csv --quiet
fails 'the density of the flow' score runs/from --quiet
works 'No likelihood' eval runs/from --pairs 100 --quiet

# a flow is stopped on its way: there is what the frames of the whole way have, and back from there is another way
train_tiny halfway
works '' sample halfway --until 0.5 -n 500 -o middle.csv --quiet
works '' sample halfway -n 500 -o end.csv --quiet
holds 'the middle is not the end' sh -c '! cmp -s middle.csv end.csv'
refused 'until' sample halfway --until 1.5
works '' score halfway --until 0.5 middle.csv --quiet

# degrees have no unit that would make densities probabilities
awk 'BEGIN { srand(5); print "longitude,latitude"; for (i = 0; i < 400; i++) print int(60 * rand()) "," int(40 * rand()) }' >places.csv
# shellcheck disable=SC2086
"$program" train places.csv --space sphere $tiny --out places --quiet >out 2>err
run score places -n 10 --solver euler --steps 4
holds "no bits on the sphere" sh -c 'grep -q "nats a row" out && ! grep -q "bits per" out'
fails 'not for space' score places -n 10 --dequantise 2
