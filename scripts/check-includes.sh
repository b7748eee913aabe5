#!/bin/sh
# scripts/check-includes.sh [ROOT] - the order of the house: each room may include itself and the rooms before it.
#
# The order is TW_ROOMS in CMakeLists.txt and nowhere else. Checked are src/ and include/; a program, test or example
# may include anything. Prints one line a fault (file:line: what) and exits 1.
set -eu
root=${1:-$(cd "$(dirname "$0")/.." && pwd)}
cd "$root"

rooms=$(awk '/^set\(TW_ROOMS/ { gsub(/^set\(TW_ROOMS|\).*$/, ""); print; exit }' CMakeLists.txt)
if [ -z "$rooms" ]; then
    echo "CMakeLists.txt: no line set(TW_ROOMS ...)" >&2
    exit 1
fi

# shellcheck disable=SC2016
find include src -type f \( -name '*.[ch]' -o -name '*.inc' -o -name '*.def' -o -name '*.cu' \) | LC_ALL=C sort |
    xargs awk -v rooms="$rooms" '
    function fault(text) { printf "%s:%d: %s\n", FILENAME, FNR, text; faults++ }
    function exists(path,    line, found) { found = (getline line < path) >= 0; close(path); return found }
    # a public header is called like its room, or like a source file of it
    function room_of(name,    i) {
        if (name in place) return name
        if (!(name in home)) {
            home[name] = ""
            for (i = 1; i <= count; i++) if (exists("src/" order[i] "/" name ".c")) home[name] = order[i]
        }
        return home[name] == "" ? name : home[name]
    }

    BEGIN {
        count = split(rooms, order, " ")
        for (i = 1; i <= count; i++) place[order[i]] = i
    }

    FNR == 1 {
        files++
        parts = split(FILENAME, part, "/")
        public = part[1] == "include"
        room = part[2]
        if (public) {
            room = part[parts]
            sub(/\.h$/, "", room)
            room = room_of(room)
        }
        folder = FILENAME
        sub(/[^\/]*$/, "", folder)
        umbrella = public && room == "thalweg"
        if (umbrella) mine = count + 1
        else if (room in place) mine = place[room]
        else {
            fault((public ? "no room is called " : "no such room: src/") room " (TW_ROOMS in CMakeLists.txt)")
            mine = count
        }
    }

    /^[ \t]*#[ \t]*include[ \t]*[<"]/ {
        quoted = $0 ~ /include[ \t]*"/
        target = $0
        sub(/^[^<"]*[<"]/, "", target)
        sub(/[>"].*$/, "", target)
        pieces = split(target, piece, "/")

        if (target ~ /^thalweg\//) {
            used = piece[pieces]
            sub(/\.h$/, "", used)
            used = room_of(used)
            if (used == "thalweg") fault("includes the umbrella <thalweg/thalweg.h>; name the header of one room")
            else if (!(used in place)) fault("<" target ">: no such room")
            else if (place[used] > mine) fault(room " may not use " used ", which comes after it")
            next
        }
        if (target ~ /(^|\/)\.\.?\//) { fault("\"" target "\": write it as room/file.h"); next }
        if (piece[1] == "cli" && pieces > 1) { fault("the library may not use the program: \"" target "\""); next }
        if (pieces > 1 && (piece[1] in place)) {
            if (public) fault("a public header may not include the private \"" target "\"")
            else if (place[piece[1]] > mine) fault(room " may not use " piece[1] ", which comes after it")
            next
        }
        if (quoted) {
            if (public) fault("a public header may include only <thalweg/...> and the system: \"" target "\"")
            else if (!exists(folder target)) fault("\"" target "\" is not in " folder "; write it as room/file.h")
        }
    }

    END {
        if (faults) { printf "%d of the includes in %d files point the wrong way\n", faults, files; exit 1 }
        printf "includes of %d files keep the order of the %d rooms\n", files, count
    }'
