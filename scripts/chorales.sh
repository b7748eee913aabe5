#!/bin/bash
# scripts/chorales.sh FILE PARTS > chorales.csv - chorales by J. S. Bach as `thalweg train --space tokens` reads them.
#
# FILE is jsb_chorales.tgz of czhuang/JSB-Chorales-dataset, as in ageron/handson-ml2: folders train, valid and test of CSV
# files, a row a sixteenth note, four voices as MIDI pitches, 0 for silence. PARTS are those folders, "train valid" or
# "test". Out come two bars a row, 32 sixteenths of soprano, alto, tenor and bass one after another, a bar apart; pitches
# count from 1 at MIDI's 36, silence is 0.
set -euo pipefail
[ -r "${1:-}" ] && [ $# -ge 2 ] || { echo "usage: scripts/chorales.sh jsb_chorales.tgz train valid > chorales.csv" >&2; exit 2; }
file=$1
shift
box=$(mktemp -d)
trap 'rm -rf "$box"' EXIT
tar xzf "$file" -C "$box"
for part in "$@"; do
    [ -d "$box/$part" ] || { echo "$file: there is no folder '$part' in it" >&2; exit 1; }
done
cd "$box"
find "$@" -name '*.csv' | sort | xargs awk -F, -v length_of=32 -v hop=16 '
    function emit(from,   i, v) {
        for (i = 0; i < length_of; i++)
            for (v = 1; v <= 4; v++) printf("%s%s", i + v > 1 ? "," : "", note[from + i, v])
        print ""
    }
    function flush_piece(   from) {
        for (from = 0; from + length_of <= rows; from += hop) emit(from)
        rows = 0
    }
    BEGIN {
        split("s a t b", voice, " ")
        for (i = 1; i <= length_of; i++)
            for (v = 1; v <= 4; v++) printf("%s%s%d", i + v > 2 ? "," : "", voice[v], i)
        print ""
    }
    FNR == 1 { flush_piece(); next } # the header of the next piece
    {
        sub(/\r$/, "")
        for (v = 1; v <= 4; v++) {
            if ($v != 0 && ($v < 36 || $v > 99)) { print FILENAME ":" FNR ": a pitch of " $v ", expected 0 or 36 to 99" > "/dev/stderr"; bad = 1; exit 1 }
            note[rows, v] = $v == 0 ? 0 : $v - 35
        }
        rows++
    }
    END { if (!bad) flush_piece() }'
