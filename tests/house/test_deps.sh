#!/bin/sh
# scripts/deps.sh with dpkg-query, apt-get, apt-cache, sudo and id replaced: what it would run, and what it says.
set -eu
source=$(cd "$(dirname "$0")/../.." && pwd)
box=$(mktemp -d)
trap 'rm -rf "$box"' EXIT

fake() { # NAME BODY
    printf '#!/bin/sh\n%s\n' "$2" >"$box/bin/$1"
    chmod +x "$box/bin/$1"
}

# HAVE: installed packages (or "all"), LISTED: those apt knows; USER: uid; SUDO: yes when there is one
world() {
    rm -rf "${box:?}/bin"
    mkdir "$box/bin"
    : >"$box/calls"
    for tool in sh cat env mktemp rm tail grep cut tr; do ln -s "$(command -v $tool)" "$box/bin/$tool"; done
    fake dpkg-query "for p; do :; done; case ' $1 ' in *' all '*|*\" \$p \"*) printf installed ;; *) exit 1 ;; esac"
    fake apt-cache "for p; do :; done; case ' $2 ' in *' all '*|*\" \$p \"*) exit 0 ;; *) exit 100 ;; esac"
    fake apt-get "echo \"apt-get \$*\" >>'$box/calls'; case \"\$*\" in *install*) exit ${5:-0} ;; esac"
    fake id "echo $3"
    [ "$4" = yes ] && fake sudo "echo sudo >>'$box/calls'; exec \"\$@\""
    return 0
}

passed=0
failed=0
check() { # NAME CONDITION...
    name=$1
    shift
    if "$@"; then passed=$((passed + 1)); else
        failed=$((failed + 1))
        echo "FAILED: $name"
        cat "$box/said" "$box/calls"
    fi
}
run() {
    code=0
    PATH="$box/bin" sh "$source/scripts/deps.sh" "$1" >"$box/said" 2>&1 || code=$?
}
said() { grep -q -- "$1" "$box/said"; }
called() { grep -q -- "$1" "$box/calls"; }
not() { ! "$@"; }

most='gcc libc6-dev cmake ninja-build pkg-config zlib1g-dev libcsv-dev libyaml-dev libcjson-dev libcairo2-dev'

world all all 0 no && run test
check 'nothing missing: succeeds' [ "$code" = 0 ]
check 'nothing missing: silent' [ ! -s "$box/said" ]
check 'nothing missing: apt untouched' [ ! -s "$box/calls" ]

world '' all 0 no && run build
check 'root: succeeds' [ "$code" = 0 ]
check 'root: lists are refreshed' called 'update'
check 'root: installs without questions' called 'install -y --no-install-recommends.* gcc .*libdnnl-dev'
check 'root: no sudo' not called sudo
check 'root: says what for' said 'libcsv-dev *reads CSV'
check 'root: leaves out what only tests need' not called libcmocka

world "$most libdnnl-dev fonts-dejavu-core" all 1000 yes && run test
check 'user: by sudo' called sudo
check 'user: says so' said 'with sudo'
check 'user: only what is missing' not called ' gcc'

world '' all 1000 no && run build
check 'user without sudo: fails' [ "$code" = 1 ]
check 'user without sudo: names the command' said 'apt-get install gcc libc6-dev'
check 'user without sudo: apt untouched' [ ! -s "$box/calls" ]

world "$most" all 1000 no && run build
check 'user without sudo, only extras missing: goes on' [ "$code" = 0 ]

world "$most" "$most" 0 no && run build
check 'only unobtainable extras missing: succeeds' [ "$code" = 0 ]
check 'only unobtainable extras missing: network untouched' [ ! -s "$box/calls" ]

world "" "$most" 0 no && run build
check 'extras not to be had: goes on' called 'install .* gcc'
check 'extras not to be had: not asked for' not called libdnnl
check 'extras not to be had: said' said 'libdnnl-dev is not to be had'

world "" all 0 no 100 && run build
check 'apt fails: so do we' [ "$code" = 1 ]
check 'apt fails: said' said 'install failed'

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
