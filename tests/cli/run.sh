#!/bin/sh
# tests/cli/run.sh PROGRAM CASES - runs the program as a user would and compares exit status and words.
#
# CASES is one of the files cases_*.sh beside this one. Each check prints nothing when it holds; what fails is printed with
# what the program said. The last line counts; the exit status is 1 when anything failed.
set -u
program=$1
cases=$2
here=$(cd "$(dirname "$0")" && pwd)
box=$(mktemp -d)
trap 'chmod -R u+w "$box" 2>/dev/null; rm -rf "$box"' EXIT
cd "$box" || exit 1
# fontconfig keeps its list of fonts until the process ends; only builds with sanitizers read this
export LSAN_OPTIONS="suppressions=$here/leaks.supp:print_suppressions=0"
passed=0
failed=0

pass() { passed=$((passed + 1)); }
fail() { # WHAT
    failed=$((failed + 1))
    printf 'FAILED: %s\n' "$1"
    printf '  said: %s\n' "$(head -c 600 err 2>/dev/null | tail -n 6)"
    printf '  wrote: %s\n' "$(head -c 300 out 2>/dev/null | head -n 4)"
}

# Runs the program; its output is left in the files out and err, its exit status in $status.
run() {
    "$program" "$@" >out 2>err </dev/null
    status=$?
}
# check STATUS 'WORDS' ARGUMENTS...: exit status, and a basic regular expression found on standard error or output.
# A wrong use or a failure says exactly one line that begins with "thalweg: ", and writes nothing to standard output.
check() {
    want=$1
    words=$2
    shift 2
    run "$@"
    if [ "$status" -ne "$want" ]; then
        fail "exit $status, expected $want: thalweg $*"
    elif ! cat out err | grep -q -e "$words"; then
        fail "no '$words': thalweg $*"
    elif [ "$want" -ne 0 ] && [ "$(grep -c '^thalweg: ' err)" -ne 1 ]; then
        fail "not one line of complaint: thalweg $*"
    else
        pass
    fi
}
refused() { check 2 "$@"; }  # wrong use
fails() { check 1 "$@"; }    # a failure
works() { check 0 "$@"; }

# holds 'WHAT' COMMAND...: the command succeeds.
holds() {
    what=$1
    shift
    if "$@"; then pass; else fail "$what"; fi
}
absent() { [ ! -e "$1" ]; }
# No half-written file is left behind.
no_leftovers() { [ -z "$(find . -name "*.tmp*" -print | tee leftovers 2>/dev/null)" ]; }
# The value of a key in the JSON object in the file out: json KEY
json() { sed -n "s/^{.*\"$1\":\([^,}]*\).*/\1/p" out; }
# One line, an object: nothing else on standard output.
one_object() { [ "$(wc -l <out)" -eq 1 ] && grep -q '^{.*}$' out; }
# above A B: A > B as numbers
above() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a + 0 > b + 0 && a != "") }'; }

# A tiny model of two moons, for cases that need one.
tiny="--rows 2000 --steps 60 --batch 128 --width 16 --depth 1 --time-features 8 --threads 1"
train_tiny() { # FOLDER [OPTIONS]
    folder=$1
    shift
    # shellcheck disable=SC2086
    "$program" train moons $tiny --out "$folder" --quiet "$@" >out 2>err || fail "a tiny model could not be trained"
}

# shellcheck source=/dev/null
. "$here/cases_$cases.sh"
printf '%s: %d passed, %d failed\n' "$cases" "$passed" "$failed"
[ "$failed" -eq 0 ]
