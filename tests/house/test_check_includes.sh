#!/bin/sh
# scripts/check-includes.sh must accept a small house in order and name every kind of fault planted in it.
set -eu
source=$(cd "$(dirname "$0")/../.." && pwd)
house=$(mktemp -d)
trap 'rm -rf "$house"' EXIT

fresh() {
    rm -rf "${house:?}"/*
    mkdir -p "$house/include/thalweg" "$house/src/base" "$house/src/graph" "$house/src/train"
    echo 'set(TW_ROOMS base graph train)' >"$house/CMakeLists.txt"
    echo '#include <stddef.h>' >"$house/include/thalweg/base.h"
    echo '#include <thalweg/base.h>' >"$house/include/thalweg/graph.h"
    printf '#include <thalweg/base.h>\n#include <thalweg/graph.h>\n' >"$house/include/thalweg/thalweg.h"
    echo '#include <thalweg/base.h>' >"$house/src/base/base.h"
    printf '#include "graph/node.h"\n  #  include "base/base.h"\n#include "ops.def"\n' >"$house/src/graph/a.c"
    echo '#include <thalweg/graph.h>' >"$house/src/graph/node.h"
    echo 'X(add)' >"$house/src/graph/ops.def"
    echo '#include "graph/node.h"' >"$house/src/train/loop.c"
    echo '#include <thalweg/graph.h>' >"$house/include/thalweg/loop.h" # of the room that has a loop.c
}

passed=0
failed=0
verdict() { # NAME OK?
    if [ "$2" = yes ]; then passed=$((passed + 1)); else
        failed=$((failed + 1))
        echo "FAILED: $1"
    fi
}

fresh
if "$source/scripts/check-includes.sh" "$house" >/dev/null; then ok=yes; else ok=no; fi
verdict "a house in order is accepted" $ok

plant() { # FILE LINE WHAT-THE-SENTENCE-MUST-HOLD
    fresh
    mkdir -p "$(dirname "$house/$1")"
    printf '/* one */\n%s\n' "$2" >>"$house/$1"
    ok=no
    if "$source/scripts/check-includes.sh" "$house" >"$house/out" 2>&1; then
        echo "accepted: $1: $2"
    elif grep -q "^$1:[0-9]*: .*$3" "$house/out"; then
        ok=yes
    else
        cat "$house/out"
    fi
    verdict "$1: $2" $ok
}

plant src/base/b.c '#include "graph/node.h"' 'base may not use graph'
plant src/base/b.c '#include <thalweg/graph.h>' 'base may not use graph'
plant src/graph/a.c '#include <thalweg/loop.h>' 'graph may not use train'
plant include/thalweg/nobody.h 'int x;' 'no room is called nobody'
plant src/graph/a.c '#  include "train/loop.h"' 'graph may not use train'
plant src/graph/ops.def '#include "train/loop.h"' 'graph may not use train'
plant src/train/loop.c '#include <thalweg/thalweg.h>' 'umbrella'
plant src/train/loop.c '#include "cli/cli.h"' 'may not use the program'
plant src/train/loop.c '#include "../graph/node.h"' 'room/file.h'
plant src/train/loop.c '#include "node.h"' 'is not in src/train/'
plant src/attic/old.c 'int x;' 'no such room: src/attic'
plant include/thalweg/base.h '#include "base/base.h"' 'private'
plant include/thalweg/base.h '#include <base/base.h>' 'private'
plant include/thalweg/base.h '#include "local.h"' 'only <thalweg'
plant include/thalweg/base.h '#include <thalweg/graph.h>' 'base may not use graph'
plant include/thalweg/sky.h 'int x;' 'no room is called sky'

fresh
echo 'project(x)' >"$house/CMakeLists.txt"
if "$source/scripts/check-includes.sh" "$house" >/dev/null 2>&1; then ok=no; else ok=yes; fi
verdict "a missing list of rooms is refused" $ok

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
