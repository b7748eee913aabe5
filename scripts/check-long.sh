#!/bin/bash
# scripts/check-long.sh [--asan] [--tsan] [--own] [--studies] [--graphs N] [--fuzz SECONDS] - what is too long for every change.
#
# Without options all six parts: every test under the address and undefined-behaviour sanitizers, the slow ones too; the
# tests that use threads under the thread sanitizer; a build without a library of matrix products and every test of it;
# every study whose data are here, in its short form; N random functions compiled and compared with the reference
# interpreter (100000); the readers of files fuzzed for SECONDS each (60; needs clang). With options only the parts named.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

usage() {
    echo "usage: scripts/check-long.sh [--asan] [--tsan] [--own] [--studies] [--graphs N] [--fuzz SECONDS]" >&2
    exit 2
}
is_count() { [[ ${1:-} =~ ^[1-9][0-9]*$ ]]; }

asan='' tsan='' own='' studies='' graphs='' seconds=''
while [ $# -gt 0 ]; do
    case $1 in
        --asan) asan=yes ;;
        --tsan) tsan=yes ;;
        --own) own=yes ;;
        --studies) studies=yes ;;
        --graphs) is_count "${2:-}" && graphs=$2 && shift || usage ;;
        --fuzz) is_count "${2:-}" && seconds=$2 && shift || usage ;;
        *) usage ;;
    esac
    shift
done
[ -n "$asan$tsan$own$studies$graphs$seconds" ] || { asan=yes tsan=yes own=yes studies=yes graphs=100000 seconds=60; }

threaded='base/pool exec/threads exec/control exec/products exec/conv exec/programs exec/composites flow/sampling
          flow/noise train/training train/batches coupling/assignment coupling/coupling'
failures=()
part() { # NAME COMMAND...
    local name=$1
    shift
    printf '\n=== %s\n' "$name"
    "$@" || failures+=("$name")
}

memory() {
    cmake --preset asan >/dev/null && cmake --build --preset asan -- --quiet && ctest --preset asan
}

threads() {
    local targets=() names=() test
    for test in $threaded; do
        targets+=("test_${test/\//_}")
        names+=("$test")
    done
    cmake --preset tsan >/dev/null && cmake --build --preset tsan -t "${targets[@]}" -- --quiet &&
        ctest --preset tsan -R "^($(IFS='|' && echo "${names[*]}"))\$"
}

without_library() {
    cmake --preset own >/dev/null && cmake --build --preset own -- --quiet && ctest --preset own
}

short_studies() {
    cmake --preset release >/dev/null && cmake --build --preset release -- --quiet &&
        build/release/thalweg reproduce --all --quick --quiet --studies reproduce --data-folder data -o build/studies
}

random_graphs() {
    cmake --preset check >/dev/null && cmake --build --preset check -t test_exec_random_graphs -- --quiet &&
        build/check/test_exec_random_graphs --graphs "$graphs"
}

fuzz() {
    local format status=0
    if ! command -v clang >/dev/null; then
        echo "skipped: clang is not here"
        return 0
    fi
    cmake --preset release -B build/fuzz -DTW_FUZZ=ON -DTW_TESTS=OFF -DCMAKE_C_COMPILER=clang >/dev/null || return 1
    for format in tests/fuzz/fuzz_*.c; do
        format=${format#*fuzz_} format=${format%.c}
        cmake --build build/fuzz -t fuzz_$format -- --quiet || return 1
        mkdir -p "build/fuzz/corpus/$format"
        "build/fuzz/fuzz_$format" -max_total_time="$seconds" -print_final_stats=1 -verbosity=0 \
            -artifact_prefix="build/fuzz/$format-" "build/fuzz/corpus/$format" || status=1
    done
    return $status
}

[ -z "$asan" ] || part "address and undefined-behaviour sanitizers, every test" memory
[ -z "$tsan" ] || part "thread sanitizer" threads
[ -z "$own" ] || part "without a library of matrix products" without_library
[ -z "$studies" ] || part "every study in its short form" short_studies
[ -z "$graphs" ] || part "$graphs random functions against the reference" random_graphs
[ -z "$seconds" ] || part "fuzzing the readers of files" fuzz
[ ${#failures[@]} -eq 0 ] && exit 0
printf 'FAILED: %s\n' "${failures[@]}"
exit 1
