# shellcheck shell=sh disable=SC2154,SC2094,SC2086
# Options, keys, help: what is wrong with them is said in one line that names the nearest right one.

works '^thalweg [0-9]*\.[0-9]*\.[0-9]*$' --version
works 'Usage: thalweg VERB' --help
refused "unknown verb 'tran'; the nearest is 'train'" tran
refused "the nearest is '--help'" --hepl
run
holds "no verb: help, exit 2" [ "$status" -eq 2 ]

for verb in train sample score eval info list import export; do
    works "Usage: thalweg $verb" "$verb" --help
    works 'Examples:' "$verb" -h
    holds "$verb --help shows --json" grep -q -e '--json' out
    holds "$verb --help says nothing on standard error" [ ! -s err ]
    works "Usage: thalweg $verb" help "$verb"
done
run train --help
for option in columns drop header separator missing array split rows method space source path schedule coupling predict loss weight time-density stratified network width depth \
    time-features mult blocks attention heads head-channels recompute dropout scale-shift plain-resample residual-resample steps minutes batch lr warmup weight-decay clip ema precision out resume force checkpoint-seconds checkpoint-steps seed \
    threads config set json quiet profile; do
    holds "train --help explains --$option" grep -q -e "--$option\( \|$\)" out
done

refused 'train needs a FILE' train
refused 'unknown option --stpes; the nearest is --steps' train moons --stpes 3
refused "unknown option --batch here; it belongs to thalweg train" sample --batch 3
refused 'unknown option -x' train moons -x
refused "steps: 'many' given, expected a whole number, at least 1" train moons --steps many
refused "steps: '0' given" train moons --steps=0
refused "steps: '1.5' given" train moons --steps 1.5
refused "steps: '' given" train moons --steps=
refused 'steps needs a value: a whole number' train moons --steps
refused 'give one of them' train moons --steps 3 --minutes 2
refused "minutes: '-1' given, expected a number above 0" train moons --minutes -1
refused "lr: 'nan' given" train moons --lr nan
refused "split: '1,2' given, expected three shares" train moons --split 1,2
refused "split: '0,0.5,0.5' given" train moons --split 0,0.5,0.5
refused "seed: '-1' given, expected a whole number from 0" train moons --seed -1
refused "seed: '18446744073709551616' given" train moons --seed 18446744073709551616
refused "method: 'fn' is unknown; the nearest is 'fm'" train moons --method fn
refused "schedule: 'condotx' is unknown; the nearest is 'condot'" train moons --schedule condotx
refused "missing: 'erorr' is unknown; the nearest is 'error'; expected one of auto, error" train moons --missing erorr
refused "separator: 'ab' given" train moons --separator ab
refused "time-features: '3' given, expected an even number" train moons --time-features 3
refused "mult: '1,x' given, expected whole numbers from 1 to 64 between commas, or none" train moons --mult 1,x
refused "attention: '14,' given" train moons --attention 14,
refused "dropout: '1' given, expected a number from 0 to 0.95" train moons --dropout 1
fails "network 'unet' is for pictures, and the rows are none" train moons --network unet
fails "network 'mlp' has no mult" train moons --mult 1,2
fails "network mult is 1,1,1,1,1,1,1,1,1" train moons --mult 1,1,1,1,1,1,1,1,1
refused 'one argument too many' train moons spirals
refused 'sample needs a MODEL' sample
refused "solver: 'eulr' is unknown; the nearest is 'euler'" sample m --solver eulr
refused "solver: 'eulr' is unknown" sample m --method eulr
refused 'for adaptive solvers; euler takes --steps' sample m --solver euler --rtol 1e-3
refused 'cannot solve stochastic equations' sample m --sde --solver dopri5
refused 'srk is for stochastic equations' sample m --solver srk
refused 'no meaning with --steps' sample m --sde --rtol 1e-3 --steps 10
refused 'for sampling with --sde' sample m --diffusion sigma
refused "diffusion: 'sigmoid' is unknown; the nearest is 'sigma'" sample m --sde --diffusion sigmoid
refused 'give one of them' sample m --solver euler --steps 3 --step-size 0.1
refused "expected a name that ends in .csv or .npy" sample m -o points.pdf
refused 'both want standard output' sample m -o - --json
refused 'n needs a value' sample m -n
refused "n: '0' given" sample m -n0
refused "threads: '0' given" sample m -j 0
refused "kind: 'solver' is unknown; the nearest is 'solvers'" list solver
refused "json: 'perhaps' given, expected yes or no" list --json=perhaps

# --set and files
refused '\-\-set: unknown key wdith; the nearest is width' train moons --set wdith=3
refused "width: '0' given" train moons --set width=0
refused 'expected KEY=VALUE' train moons --set width
refused "unknown key set" train moons --set set=x
printf 'config: other.yaml\n' >bad.yaml
refused "bad.yaml:1:1: unknown key config" train moons --config bad.yaml
printf 'steps: 5\nwdith: 3\n' >bad.yaml
refused 'bad.yaml:2:1: unknown key wdith; the nearest is width' train moons --config bad.yaml
printf 'steps: 5\n  \nlr: fast\n' >bad.yaml
refused "bad.yaml:3:1: lr: 'fast' given, expected a number above 0" train moons --config bad.yaml
printf 'steps: [5\n' >bad.yaml
refused 'bad.yaml' train moons --config bad.yaml
fails 'missing.yaml' train moons --config missing.yaml
printf 'steps: 7\nout: from-file\nrows: 500\nwidth: 8\ndepth: 1\njson: yes\n' >run.yaml
works '"steps":7,' train moons --config run.yaml
holds "--config names the folder" [ -f from-file/model.safetensors ]
works '"steps":3,' train moons --config run.yaml --steps 3
works '"steps":4,' train moons --steps 3 --set steps=4 --config run.yaml
printf 'data: moons\nminutes: 5\n' >minutes.yaml
works '"steps":2,' train --config minutes.yaml --steps 2 --rows 500 --width 8 --depth 1 --out by-data --json

# lists and info
for kind in methods solvers networks optimisers datasets spaces paths schedules couplings sources predictions losses weights time-densities grids diffusions architectures; do
    works '.' list "$kind"
    works '^\[{"name":".*","about":".*,"source":".*"}\]$' list "$kind" --json
    works "$kind" list
done
works '"name":"dopri5"' list solvers --json
works '^ *--width 32 --mult 1,2,2 --blocks 1 --attention' list networks
works '"options":"--width 256 --depth 4 --time-features 16"' list networks --json
works '"name":"checkerboard"' list datasets --json
works '^{"version":"[0-9.]*","features":{"gemm":' info --json
works 'matrix products' info

# a pipe that is full or closed is a failure, not silence
if [ -w /dev/full ]; then
    "$program" list solvers >/dev/full 2>err
    holds "a full standard output is noticed" [ $? -eq 1 ]
fi

# one CPU is one thread, unless --threads says otherwise
if command -v taskset >/dev/null 2>&1; then
    cpu=$(taskset -cp $$ | sed 's/.*: *//; s/[-,].*//')
    taskset -c "$cpu" "$program" info --json >out 2>err
    holds "taskset to one CPU: one thread" [ "$(json threads)" = 1 ]
fi
