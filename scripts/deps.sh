#!/bin/sh
# scripts/deps.sh build|test - installs by apt whatever is missing, and says what for.
#
# Nothing missing: nothing is run, no network is touched. Optional packages (marked "fast" or "nice") are left out
# where the distribution does not have them. Other systems get the list of what is needed and a check of it.
set -eu

wanted=${1:?usage: scripts/deps.sh build|test}

# package | need | what for
packages() {
    cat <<'LIST'
gcc|must|the C compiler
libc6-dev|must|the C library's headers
cmake|must|configures the build
ninja-build|must|runs the build
pkg-config|must|finds the libraries below
zlib1g-dev|must|reads .gz and .npz
libcsv-dev|must|reads CSV
libyaml-dev|must|reads configuration files
libcjson-dev|must|writes reports, reads model metadata
libcairo2-dev|must|draws the pictures
libdnnl-dev|fast|oneDNN: fast matrix products
libpng-dev|nice|reads PNG files
libjpeg-dev|nice|reads JPEG files
libarpack2-dev|nice|eigenfunctions of meshes
libsuitesparse-dev|nice|eigenfunctions of meshes: sparse factors
fonts-dejavu-core|nice|letters in the pictures
LIST
    if [ "$wanted" = test ]; then
        cat <<'LIST'
libcmocka-dev|must|unit tests
python3-venv|must|reads our model files with the Python package
binutils|must|nm: which symbols the library exports
LIST
    fi
}

say() { printf '%s\n' "$*" >&2; }

if ! command -v dpkg-query >/dev/null 2>&1 || ! command -v apt-get >/dev/null 2>&1; then
    lacking=
    for tool in cc cmake ninja pkg-config; do
        command -v $tool >/dev/null 2>&1 || lacking="$lacking $tool"
    done
    if command -v pkg-config >/dev/null 2>&1; then
        for module in zlib yaml-0.1 libcjson cairo; do
            pkg-config --exists $module || lacking="$lacking $module"
        done
        [ "$wanted" = build ] || pkg-config --exists cmocka || lacking="$lacking cmocka"
    fi
    [ -z "$lacking" ] && exit 0
    say "This system has no apt-get; please install by hand:$lacking"
    say "(also libcsv, oneDNN for speed, libpng and libjpeg to read pictures, ARPACK and SuiteSparse for meshes), then run this again."
    exit 1
fi

installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

missing=$(packages | while IFS='|' read -r name need reason; do
    installed "$name" || printf '%s|%s|%s\n' "$name" "$need" "$reason"
done)
[ -z "$missing" ] && exit 0

# a package known to be absent from this distribution must not make every run ask for it again
available() { apt-cache show --no-all-versions "$1" >/dev/null 2>&1; }

must=$(printf '%s\n' "$missing" | grep -c '|must|' || true)
run=
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null 2>&1 && [ "$must" = 0 ]; then
        exit 0
    elif ! command -v sudo >/dev/null 2>&1; then
        say "Packages are missing and this is neither root nor a system with sudo. Ask an administrator for:"
        say "    apt-get install $(printf '%s\n' "$missing" | cut -d'|' -f1 | tr '\n' ' ')"
        exit 1
    fi
    run=sudo
fi

apt() {
    $run env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 \
        -o Dpkg::Use-Pty=0 "$@" >"$log" 2>&1
}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

if [ "$must" = 0 ]; then # only optional ones: ask the lists at hand, never the network
    known=
    for name in $(printf '%s\n' "$missing" | cut -d'|' -f1); do
        if available "$name"; then known=yes; fi
    done
    [ -n "$known" ] || exit 0
fi

say "Installing what is missing${run:+ (with sudo)}:"
printf '%s\n' "$missing" | while IFS='|' read -r name need reason; do
    printf '    %-18s %s\n' "$name" "$reason" >&2
done
say "Refreshing the package lists ..."
if ! apt update; then
    say "apt-get update failed (going on with the lists at hand):"
    tail -n 5 "$log" >&2
fi
chosen=
for line in $(printf '%s\n' "$missing" | cut -d'|' -f1,2); do
    name=${line%|*}
    if [ "${line#*|}" = must ] || available "$name"; then
        chosen="$chosen $name"
    else
        say "    $name is not to be had here; going on without it"
    fi
done
[ -z "$chosen" ] && exit 0
say "Installing$chosen ..."
# shellcheck disable=SC2086
if ! apt install -y --no-install-recommends $chosen; then
    say "apt-get install failed:"
    tail -n 20 "$log" >&2
    exit 1
fi
