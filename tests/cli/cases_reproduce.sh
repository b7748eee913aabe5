# Studies: read with the place of every fault, trained and measured, held against their bars.
cat >study.yaml <<'END'
paper: nobody 2026
claim: a tiny network learns two moons a little
seeds: 2
flows:
  tiny: {data: moons, rows: 2000, steps: 60, batch: 128, width: 16, depth: 1, time-features: 8}
  none: {data: moons, rows: 2000, steps: 1, batch: 128, width: 16, depth: 1, time-features: 8}
measures:
  better: {measure: energy, flow: tiny, over: none, pairs: 200, bar: "< 1"}
  far: {measure: energy, flow: tiny, pairs: 200, bar: "> 1 floors"}
  one step: {measure: nfe, flow: tiny, solver: euler, steps: 1, bar: "<= 1", paper: "1"}
quick:
  seeds: 1
  measures:
    better: {bar: "< -1"}
END
works '3 of 3 bars held' reproduce ./study.yaml --threads 1 --quiet
holds 'a run folder a flow and seed' test -f runs/reproduce/study/tiny-1/model.safetensors
fails_bars() { # a missed bar is exit status 1 without a complaint
    run "$@"
    if [ "$status" -eq 1 ] && [ ! -s err ] && grep -q 'MISS better' out; then pass; else fail "no missed bar: $*"; fi
}
fails_bars reproduce ./study.yaml --quick --threads 1 --quiet
run reproduce ./study.yaml --json --quiet --resume
holds 'an array on one line' sh -c 'test "$(wc -l <out)" -eq 1 && grep -q "^\[{.*}\]$" out'
for key in name paper claim ours bar ok seconds; do
    holds "the key $key" grep -q "\"$key\":" out
done
holds 'what the paper has' grep -q '"published":"1"' out

# what was trained and measured by the same settings is kept by --resume, and nothing else
kept() { # WHAT 'WORDS OF NOTES' FILE: what --resume finds in the file of measures is taken, and its flows are kept
    run reproduce ./study.yaml --resume --threads 1
    holds "$1" grep -q "$2" err
}
works '3 of 3 bars held' reproduce ./study.yaml --threads 1
holds 'tells every measure' test "$(grep -c 'seed [01]: ' err)" -eq 6
cp out whole
run reproduce ./study.yaml --resume --threads 1
holds 'the same out of the record' cmp -s whole out
measured=runs/reproduce/study/measured.json
holds 'a record of six' test "$(grep -c '"measure"' $measured)" -eq 6
sed 's/"value":.*/"value": 7,/' $measured >changed && cp changed $measured
kept 'a recorded value is taken' 'seed 1: one step 7'
sed 's/one step: {measure: nfe, flow: tiny, solver: euler, steps: 1/one step: {measure: nfe, flow: tiny, solver: midpoint, steps: 1/' \
    study.yaml >other && cp study.yaml mine && cp other study.yaml
kept 'not one of other settings' 'seed 1: one step 2'
holds 'the others are' grep -q 'seed 1: far 7' err
cp changed $measured
sed 's/tiny: {data: moons, rows: 2000, steps: 60/tiny: {data: moons, rows: 2000, steps: 61/' mine >study.yaml
kept 'a flow of other settings is trained again' 'tiny-1 was trained with steps 60, not 61: again'
holds 'its measures are taken again' grep -q 'seed 1: one step 1' err
cp mine study.yaml
printf '%s\n' 'paper: nobody' 'claim: none' 'flows:' '  first: {data: moons, rows: 500, steps: 3, width: 8, depth: 1}' \
    '  second: {data: moons, rows: 500, steps: 2, width: 8, depth: 1, teacher: "@first"}' 'measures:' \
    '  one: {measure: nfe, flow: second, solver: euler, steps: 1, bar: "<= 1"}' >chain.yaml
works '1 of 1 bars held' reproduce ./chain.yaml --quiet
cp runs/reproduce/chain/second-0/model.safetensors second && sed -i 's/steps: 3/steps: 4/' chain.yaml
works '1 of 1 bars held' reproduce ./chain.yaml --resume --quiet
holds 'what is taught by a flow that is trained again is too' \
    sh -c '! cmp -s second runs/reproduce/chain/second-0/model.safetensors'
echo '[{"seed": 0, "mea' >$measured
kept 'what cannot be read is measured again' 'seed 1: one step 1'
holds 'with the same figures' cmp -s whole out
fails 'is finished, with steps 60, not 90' train moons --resume --out runs/reproduce/study/tiny-0 --steps 90

# the same numbers whatever the number of threads
run reproduce ./study.yaml --quiet --threads 1
cp out one
run reproduce ./study.yaml --quiet --threads 3
holds 'the same for 1 and 3 threads' cmp -s one out

broken() { # WORDS 'SED EXPRESSION'
    sed "$2" study.yaml >broken.yaml
    refused "$1" reproduce ./broken.yaml
}
broken 'broken.yaml:5:.*unknown key stpes; the nearest is steps' 's/steps: 60/stpes: 60/'
broken "broken.yaml:8:.*no measure 'enrgy'; the nearest is 'energy'" 's/better: {measure: energy/better: {measure: enrgy/'
broken "broken.yaml:8:.*no flow 'tniy' above" 's/measure: energy, flow: tiny, over/measure: energy, flow: tniy, over/'
broken 'broken.yaml:8:.*bar: expected a comparison' 's/bar: "< 1"/bar: small/'
broken 'broken.yaml:3:.*seeds: expected a whole number' 's/seeds: 2/seeds: many/'
broken 'a study has a paper and a claim' '/^paper/d'
broken "'tiny' has no data" 's/tiny: {data: moons, /tiny: {/'
broken "'far' needs a flow" 's/far: {measure: energy, flow: tiny,/far: {measure: energy,/'
broken "unknown key 'measure', expected" 's/^measures:/measure:/'
refused 'one of them' reproduce --all study
mkdir studies
cp study.yaml studies/moons.yaml
refused "there is no study 'mons'; the nearest is 'moons'" reproduce mons --studies studies
works 'a tiny network learns' reproduce --studies studies
refused 'no studies in' reproduce --studies nowhere

# a snapshot left out: points at its time, nulls, and the measure of another measure
awk 'BEGIN { srand(1); print "a,b"; for (i = 0; i < 200; i++) print rand() "," rand() }' >before.csv
for middle in 2 4; do # everything moves by so much along a
    awk -F, -v by=$middle 'NR == 1 { print; next } { print ($1 + by) "," $2 }' before.csv >after$middle.csv
done
cat >cells.yaml <<'END'
paper: nobody 2026
claim: a square moves on
flows:
  moving: {data: after4.csv, source-data: before.csv, split: "1,0,0", method: otcfm, steps: 200, width: 32, depth: 1}
measures:
  still: {measure: still_w1, flow: moving, data: after2.csv, until: 0.5, units: data, bar: "> 1.9"}
  straight: {measure: straight_w2, flow: moving, data: after2.csv, until: 0.5, units: data, bar: "<= 1.2 floors"}
  moved: {measure: snapshot_w2, flow: moving, data: after2.csv, until: 0.5, units: data, bar: "< 0.5"}
  too far: {measure: snapshot_w2, flow: moving, data: after2.csv, until: 1, units: data, bar: "> 1.5"}
  share: {measure: snapshot_w1, flow: moving, over: still, data: after2.csv, until: 0.5, units: data, bar: "< 0.2"}
END
works '5 of 5 bars held' reproduce ./cells.yaml --threads 1 --quiet
sed 's/over: still/over: stil/' cells.yaml >misspelt.yaml
refused "no flow or measure 'stil' above" reproduce ./misspelt.yaml
sed 's/, data: after2.csv, until: 1,/, until: 1,/' cells.yaml >bare.yaml
fails 'compared with a file of rows' reproduce ./bare.yaml --quiet
# files of studies lie in a folder of data, or their study is skipped
mkdir -p elsewhere && mv after4.csv elsewhere/ && gzip elsewhere/after4.csv
works '0 of 0 bars held, 1 study skipped' reproduce ./cells.yaml --quiet
holds 'says which file' grep -q "skipped: 'after4.csv' is not in .*data" out
works '"skipped":"' reproduce ./cells.yaml --quiet --json
works '5 of 5 bars held' reproduce ./cells.yaml --threads 1 --quiet --data-folder elsewhere
