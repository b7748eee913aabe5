#!/bin/sh
# tests/install/test_install.sh BUILD CC - installs BUILD into an empty prefix, moves the prefix, and uses what is there:
# symbols, pkg-config (shared and static), find_package, the first program of the examples, the installed program.
set -eu
build=$1
cc=${2:-cc}
source=$(cd "$(dirname "$0")/../.." && pwd)
box=$(mktemp -d)
trap 'rm -rf "$box"' EXIT

passed=0
failed=0
check() { # NAME COMMAND...
    name=$1
    shift
    if "$@" >"$box/out" 2>&1; then passed=$((passed + 1)); else
        failed=$((failed + 1))
        echo "FAILED: $name"
        tail -n 30 "$box/out"
    fi
}

cmake --install "$build" --prefix "$box/first" >"$box/log"
mv "$box/first" "$box/prefix" # nothing may have kept the old place
prefix=$box/prefix
pc=$(find "$prefix" -name thalweg.pc)
lib=$(dirname "$(dirname "$pc")")
export PKG_CONFIG_PATH="$lib/pkgconfig"

# --- files and symbols ------------------------------------------------------------------------------------------
for file in bin/thalweg include/thalweg/thalweg.h include/thalweg/base.h share/doc/thalweg/LICENSE; do
    check "$file is installed" test -s "$prefix/$file"
done
no_place() { ! grep -rlE "$source|$build|$box/first" "$prefix/include" "$lib/pkgconfig" "$lib/cmake"; }
check 'no installed text names the machine it was built on' no_place
private() { ! find "$prefix/include" -type f ! -path '*/include/thalweg/*.h' | grep .; }
check 'only public headers are installed' private

foreign() { # prints symbols that are not ours to export
    awk '$(NF-1) ~ /^[A-TV-Z]$/ && $NF !~ /^tw_/ { print; bad = 1 } END { exit bad }'
}
shared_names() { nm -D --defined-only "$lib/libthalweg.so" | foreign; }
static_names() { nm -g --defined-only "$lib/libthalweg.a" | grep -v ':$' | awk NF | foreign; }
check 'the shared library exports tw_ names only' shared_names
check 'the static library defines tw_ names only' static_names
declared() { # every exported function stands in a public header: nothing private leaks out
    nm -D --defined-only "$lib/libthalweg.so" | awk '{ print $NF }' | while read -r name; do
        grep -rqw "$name" "$prefix/include" || echo "$name"
    done >"$box/leaks"
    cat "$box/leaks"
    [ ! -s "$box/leaks" ]
}
check 'every exported name is declared in a public header' declared
promised() { # and the other way round: what the headers promise can be linked
    nm -D --defined-only "$lib/libthalweg.so" | awk '{ print $NF }' | sort >"$box/exported"
    printf '#include <thalweg/thalweg.h>\n' | "$cc" -E -I"$prefix/include" - |
        tr '\n' ' ' | grep -oE 'visibility\("default"\)\)\)[^;(]*\(' | grep -oE 'tw_[a-z0-9_]+ *\($' | tr -d ' (' |
        sort -u >"$box/promised"
    comm -23 "$box/promised" "$box/exported" >"$box/unkept"
    cat "$box/unkept"
    [ -s "$box/promised" ] && [ ! -s "$box/unkept" ]
}
check 'everything the headers promise is exported' promised
soname() { objdump -p "$lib/libthalweg.so" | grep -q 'SONAME *libthalweg\.so\.[0-9]'; }
check 'the shared library has a versioned SONAME' soname

# --- headers ----------------------------------------------------------------------------------------------------
for header in "$prefix"/include/thalweg/*.h; do
    name=thalweg/$(basename "$header")
    printf '#include <%s>\nint main(void) { return 0; }\n' "$name" >"$box/one.c"
    check "<$name> stands alone, without warnings" "$cc" -std=c99 -pedantic -Wall -Wextra -Werror -I"$prefix/include" \
        -fsyntax-only "$box/one.c"
    if command -v c++ >/dev/null 2>&1; then
        check "<$name> can be included from C++" c++ -std=c++11 -I"$prefix/include" -fsyntax-only -x c++ "$box/one.c"
    fi
done

# --- the first program, three ways ------------------------------------------------------------------------------
printf 'x,y\n' >"$box/table.csv"
i=0
while [ $i -lt 200 ]; do
    echo "$((i * 37 % 101)),$((i * 53 % 97))" >>"$box/table.csv"
    i=$((i + 1))
done
hello() { # PROGRAM [TABLE]: ten rows of numbers come out
    mkdir -p "$box/run"
    (cd "$box/run" && LD_LIBRARY_PATH="$lib" "$@" >points.csv && test -s hello.safetensors) &&
        awk -F, 'NF != 2 || $1 + 0 != $1 || $2 + 0 != $2 { exit 1 } END { exit NR != 10 }' "$box/run/points.csv"
}
hello_c=$source/examples/hello.c
check 'hello.c has fewer than 60 lines' test "$(wc -l <"$hello_c")" -lt 60

# shellcheck disable=SC2046
check 'pkg-config: compiles' "$cc" "$hello_c" -o "$box/hello" $(pkg-config --cflags --libs thalweg)
check 'pkg-config: runs' hello "$box/hello"
check 'pkg-config: runs on a table' hello "$box/hello" "$box/table.csv"
check 'pkg-config: version' test "$(pkg-config --modversion thalweg)" = "$("$prefix/bin/thalweg" --version | awk '{ print $NF }')"

awk '/^```c$/ { inside = 1; next } /^```$/ { if (inside) exit } inside' "$source/README.md" >"$box/readme.c"
# shellcheck disable=SC2046
check 'the first C program of the README compiles without warnings' "$cc" -Wall -Wextra -Werror "$box/readme.c" \
    -o "$box/readme" $(pkg-config --cflags --libs thalweg)

mkdir "$box/static"
ln -s "$lib/libthalweg.a" "$box/static/"
# shellcheck disable=SC2046
check 'pkg-config --static: compiles' "$cc" "$hello_c" -o "$box/hello-static" -L"$box/static" \
    $(pkg-config --cflags --libs --static thalweg)
alone() { ! ldd "$box/hello-static" | grep thalweg; }
check 'pkg-config --static: needs no libthalweg.so' alone
check 'pkg-config --static: runs' hello "$box/hello-static"

mkdir "$box/project"
cp "$hello_c" "$box/project/"
cat >"$box/project/CMakeLists.txt" <<'P'
cmake_minimum_required(VERSION 3.22)
project(hello LANGUAGES C)
find_package(thalweg 0.1 REQUIRED COMPONENTS static)
add_executable(hello hello.c)
target_link_libraries(hello PRIVATE thalweg::thalweg)
add_executable(hello-static hello.c)
target_link_libraries(hello-static PRIVATE thalweg::static)
P
check 'find_package: configures' cmake -S "$box/project" -B "$box/project/build" -G Ninja \
    -DCMAKE_C_COMPILER="$cc" -DCMAKE_PREFIX_PATH="$prefix"
check 'find_package: compiles' cmake --build "$box/project/build"
check 'find_package: runs' hello "$box/project/build/hello"
check 'find_package, static: runs' hello "$box/project/build/hello-static"

# --- the installed program --------------------------------------------------------------------------------------
runs_anywhere() { (cd / && env -u LD_LIBRARY_PATH "$prefix/bin/thalweg" --version); }
check 'the installed program runs from anywhere' runs_anywhere

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
