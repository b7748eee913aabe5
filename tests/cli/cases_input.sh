# shellcheck shell=sh disable=SC2154,SC2094,SC2086
# Data files that are wrong, and files that only look so. Every refusal names the place and leaves no folder behind.

bad() { # WORDS FILE [OPTIONS]: training on it fails with these words and makes no folder
    words=$1
    shift
    rm -rf bad
    fails "$words" train "$@" --steps 2 --out bad
    holds "no folder after: $*" absent bad
}
good() { # WORDS FILE [OPTIONS]
    words=$1
    shift
    rm -rf good
    works "$words" train "$@" --steps 3 --width 8 --depth 1 --time-features 4 --batch 16 --out good
    holds "a model after: $*" [ -s good/model.safetensors ]
}
numbers() { # ROWS COLUMNS: a table without header
    awk -v rows="$1" -v columns="$2" 'BEGIN { srand(1); for (i = 0; i < rows; i++) { line = ""
        for (j = 0; j < columns; j++) line = line (j ? "," : "") sprintf("%.3f", rand()); print line } }'
}

mkdir folder
: >empty.csv
printf 'a,b\n' >header.csv
printf 'a,b\n1,2\n3,4\n5\n6,7\n' >ragged.csv
printf 'a,b\n1,2\n3,4\n5,nan\n6,inf\n1,2\n' >inf.csv
{ printf 'a,b\n'; numbers 50 2; printf '0.5,oops\n'; numbers 50 2; } >text.csv
{ printf 'a,b\n'; numbers 20 1 | sed 's/$/,/'; numbers 80 2; } >gaps.csv
{ printf 'a,b\n'; numbers 60 1 | sed 's/$/,2.5/'; } >constant.csv
printf 'a,b\n1,2\n' >one_row.csv
{ printf 'a\n'; numbers 60 1; } >one_column.csv
numbers 80 300 >wide.csv
numbers 60 2 >plain.csv
printf 'a,b\n1,2\n\377\376,4\n' >latin.csv
{ printf 'a;b\n'; numbers 60 2 | tr ',' ';'; } >semicolon.csv
{ printf 'name,x,y\n'; numbers 60 2 | sed 's/^/somebody,/'; } >named.csv
gzip -c plain.csv >plain.csv.gz
printf 'not gzip' >broken.csv.gz
head -c 60 plain.csv.gz >cut.csv.gz
awk 'BEGIN { while (i++ < 100) print "word,word" }' >words.csv

bad "missing.csv" missing.csv
bad "neither a file nor a built-in set: did you mean 'checkerboard'" checkerbord
bad 'folder' folder
bad 'empty' empty.csv
bad 'header.csv' header.csv
bad 'ragged.csv.*4' ragged.csv
bad 'inf.csv.*5.*inf' inf.csv
bad 'text.csv.*52.*oops' text.csv --columns a,b
bad 'gaps.csv.*b' gaps.csv --table no
bad 'gaps.csv.*2.*b' gaps.csv --missing error
bad 'latin.csv.*3' latin.csv
bad 'cut.csv.gz' cut.csv.gz
bad 'numbers' words.csv
bad "no column 'c'" named.csv --columns x,c

good '60 rows of 2 columns' plain.csv
good '60 rows of 2 columns' plain.csv.gz
good 'of 2 columns' semicolon.csv
good 'constant' constant.csv
good '1 column ' one_column.csv
good 'note: with so few rows' one_row.csv
good '1 row of 2 columns' one_row.csv
good 'of 300 columns' wide.csv
good "'name' holds text" named.csv
good 'of 1 column' named.csv --columns y
good 'of 1 column' named.csv --drop x
good '80 rows' gaps.csv --missing drop
good '100 rows' gaps.csv --missing median
run sample good -n 5 -o -
holds "gaps filled: the model samples" [ "$(wc -l <out)" -eq 6 ]

# what cannot be written to is found before training
mkdir closed
if [ "$(id -u)" -ne 0 ]; then
    chmod a-w closed
    fails 'permission denied' train moons --steps 2 --out closed/run
    chmod u+w closed
fi
fails 'plain.csv.: it is not a folder' train moons --steps 2 --out plain.csv/run
fails 'plain.csv.: it is not a folder' train moons --steps 2 --out plain.csv
if [ -d /proc/self ]; then fails 'cannot write' train moons --steps 2 --out /proc/self/run; fi
if mkdir sealed && mount -t tmpfs -o ro none sealed 2>/dev/null; then
    fails 'read-only' train moons --steps 2 --out sealed/run
    fails 'read-only' train moons --steps 2 --out sealed
    umount sealed
fi

# learning that explodes is a failure that says what to try, and can be tried again in the same folder
fails 'try a smaller lr' train moons --rows 500 --width 8 --depth 1 --steps 2000 --lr 1000 --clip 0 --checkpoint-steps 20 --out wild
works 'model' train moons --rows 500 --width 8 --depth 1 --steps 20 --out wild

# models that are none
fails 'nowhere' sample nowhere
fails 'holds no model' sample folder
fails 'plain.csv' sample plain.csv
train_tiny ok
head -c 3000 ok/model.safetensors >cut.safetensors
fails 'cut.safetensors' sample cut.safetensors
fails 'cut.safetensors' info cut.safetensors
cp ok/model.safetensors flipped.safetensors
printf 'XXXX' | dd of=flipped.safetensors bs=1 seek=4000 conv=notrunc 2>/dev/null
fails 'flipped.safetensors' score flipped.safetensors
printf 'a,b\n1,2\n' >other_columns.csv
fails "no column 'x1'" score ok other_columns.csv
{ printf 'a,b\n'; numbers 60 2; } >ab.csv
good '60 rows' ab.csv
numbers 20 3 >three.csv
fails '3 columns and no header' score good three.csv
works '60 rows scored' score good plain.csv
holds "nothing half-written is left" no_leftovers
