# shellcheck shell=sh disable=SC2154,SC2094,SC2086
# Stopping and going on: a run that was interrupted, killed and resumed ends in the same bytes as one that never stopped.

run_options="--rows 2000 --steps 3000 --batch 128 --width 32 --depth 2 --time-features 8 --checkpoint-steps 50"
"$program" train moons $run_options --out whole --quiet --threads 1 >out 2>err || fail "the uninterrupted run failed"

start() { # FOLDER [OPTIONS]: in the background, its number in $job
    folder=$1
    shift
    "$program" train moons $run_options --out "$folder" "$@" >out 2>err &
    job=$!
}
wait_for_checkpoint() { # FOLDER
    tries=0
    while [ ! -e "$1/checkpoint.safetensors" ] && [ $tries -lt 300 ]; do
        sleep 0.02
        tries=$((tries + 1))
    done
}

# a polite stop
start polite
wait_for_checkpoint polite
kill -TERM $job
wait $job
holds "SIGTERM: exit 143" [ $? -eq 143 ]
holds "says how to go on" grep -q 'continue with: thalweg train --resume --out polite$' err
holds "keeps a checkpoint" [ -s polite/checkpoint.safetensors ]
holds "writes no model" absent polite/model.safetensors
fails 'continue it with: thalweg train --resume --out polite' sample polite
fails '.-resume continues it, --force starts anew' train moons --steps 2 --out polite
cp polite/config.yaml before.yaml
fails 'width is 32 there and 48 here' train --resume --out polite --width 48
fails 'holds a run on other data' train spirals --resume --out polite
holds "a refused resume changes nothing" cmp -s before.yaml polite/config.yaml
works 'model' train --resume --out polite
holds "the resumed run equals the whole one" cmp -s whole/model.safetensors polite/model.safetensors
works 'nothing to resume: .* is finished' train --resume --out polite
run train --resume --out polite --json
holds "a finished run answers --resume --json with an object" one_object

# an interrupt, where the shell has not switched it off for background jobs
if env --default-signal=INT true 2>/dev/null; then
    env --default-signal=INT "$program" train moons $run_options --out keyboard >out 2>err &
    job=$!
    wait_for_checkpoint keyboard
    kill -INT $job
    wait $job
    holds "SIGINT: exit 130" [ $? -eq 130 ]
fi

# few rows are learned by heart: what was best is kept, and patience ends soon after, stopped or not
awk 'BEGIN { srand(5); print "a,b"; for (i = 0; i < 40; i++) print rand() "," rand() }' >few.csv
few='few.csv --steps 3000 --width 64 --depth 2 --batch 64 --checkpoint-steps 100'
works 'kept        the weights of step .*--patience 0.1 ends' train $few --out by_heart
works 'kept        the weights of step' train $few --patience 0.1 --out patient
holds "the same weights are kept" [ "$("$program" info by_heart | grep 'validation loss')" = "$("$program" info patient | grep 'validation loss')" ]
run info patient
holds "and training ended early" sh -c '[ "$(sed -n "s/.*steps trained *//p" out)" -lt 2500 ]'
"$program" train $few --patience 0.1 --out stopped --quiet >/dev/null 2>&1 &
job=$!
wait_for_checkpoint stopped
kill -TERM $job 2>/dev/null
wait $job
run train --resume --out stopped --quiet
holds "stopped and resumed it ends in the same bytes" cmp -s patient/model.safetensors stopped/model.safetensors
refused 'from 0 to 1' train moons --patience 2 --out bad

# no mercy: killed again and again at moments that differ
kills=0
for pause in 0.05 0.23 0.11 0.31 0.17 0.07 0.29 0.13; do
    start killed --resume --quiet
    sleep $pause
    if kill -KILL $job 2>/dev/null; then kills=$((kills + 1)); fi
    wait $job 2>/dev/null
done
holds "killed at least three times" [ $kills -ge 3 ]
works 'model\|finished' train moons --resume --out killed --checkpoint-steps 50 --threads 2
holds "the killed run equals the whole one" cmp -s whole/model.safetensors killed/model.safetensors

# a damaged checkpoint: the one before is used, and that is said
start damaged
wait_for_checkpoint damaged
while [ ! -e damaged/checkpoint.safetensors.prev ] && kill -0 $job 2>/dev/null; do sleep 0.02; done
kill -KILL $job
wait $job 2>/dev/null
printf 'XXXX' | dd of=damaged/checkpoint.safetensors bs=1 seek=5000 conv=notrunc 2>/dev/null
works 'note: .*checkpoint' train --resume --out damaged
holds "the run with a damaged checkpoint equals the whole one" cmp -s whole/model.safetensors damaged/model.safetensors

# beginnings
fails 'nothing to resume' train --resume --out fresh
works 'starting at the beginning' train moons --resume --out fresh --steps 3 --rows 500 --width 8 --depth 1

# a full disk: the old model stays
if mkdir small && mount -t tmpfs -o size=48k none small 2>/dev/null; then
    fails 'space left\|cannot write' train moons --rows 500 --steps 3 --width 64 --depth 2 --out small/run
    holds "no half-written file on the full disk" no_leftovers
    cp whole/model.safetensors model.safetensors
    fails 'space left\|cannot write' sample whole -n 5000 -o small/samples.csv
    holds "no half-written samples" absent small/samples.csv
    umount small
fi
holds "nothing half-written is left" no_leftovers
