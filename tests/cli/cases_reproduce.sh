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
