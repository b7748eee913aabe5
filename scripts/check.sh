#!/bin/bash
# scripts/check.sh [--quick] - everything that must hold before a change lands.
#
# Installs what the tests need, then: the order of the house; the tests under the address and undefined-behaviour
# sanitizers, but for those that take minutes there; the whole build with warnings as errors; its tests of products by our
# own kernels; last every test, so that the runner's count closes the output. --quick leaves the sanitizers and our own
# products out. A part that fails does not keep the others from running; the exit status tells.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

quick=
case ${1:-} in
    '') ;;
    --quick) quick=yes ;;
    *)
        echo "usage: scripts/check.sh [--quick]" >&2
        exit 2
        ;;
esac

jobs=$(nproc)
failures=()
summary=()

part() { # NAME COMMAND...: runs it, remembers how long it took and whether it failed
    local name=$1 start=$SECONDS verdict=passed
    shift
    printf '\n=== %s\n' "$name"
    if ! "$@"; then
        failures+=("$name")
        verdict=FAILED
    fi
    summary+=("$(printf '%-44s %-7s %4d s' "$name" "$verdict" $((SECONDS - start)))")
}

build() { # PRESET [TARGET...]: everything when none is named
    cmake --preset "$1" >build/configure.log 2>&1 || {
        cat build/configure.log
        return 1
    }
    cmake --build --preset "$1" ${2:+-t "${@:2}"} -- -k 20 --quiet
}
built_tests() { # PRESET [CTEST OPTIONS]
    build "$1" && ctest --preset "$1" -j "$jobs" "${@:2}"
}

# The rooms that multiply matrices, by our own kernels where a library's would be chosen.
own_products() {
    TW_GEMM=own TW_CONV=own ctest --preset check -j "$jobs" -R '^(cpu|exec|nn|flow)/'
}

# A Python with the safetensors package, for the test that reads our models with it (TW_TEST_PYTHON). Without network that
# test says it was skipped.
python() {
    local venv=build/python
    if [ ! -x $venv/bin/python ] || ! $venv/bin/python -c 'import numpy, safetensors' 2>/dev/null; then
        if ! { python3 -m venv $venv && $venv/bin/pip install -q --retries 2 --timeout 30 numpy safetensors; }; then
            echo "no safetensors package for Python: the test that reads models with it will be skipped"
            return 0
        fi
    fi
    TW_TEST_PYTHON=$PWD/$venv/bin/python
    export TW_TEST_PYTHON
}

started=$SECONDS
mkdir -p build
./scripts/deps.sh test || exit 1
part "Python's reader of safetensors" python
part "order of the house" ./scripts/check-includes.sh
if [ -z "$quick" ]; then
    part "sanitizers: build and unit tests" built_tests asan -LE slow
fi
part "warnings as errors: build" build check
[ -n "$quick" ] || part "our own products: tests" own_products

printf '\n'
printf '%s\n' "${summary[@]}" "$(printf '%-44s %-7s %4d s' 'so far' '' $((SECONDS - started)))"
part "every test" ctest --preset check -j "$jobs"
if [ ${#failures[@]} -gt 0 ]; then
    printf 'FAILED: %s\n' "${failures[@]}"
    exit 1
fi
