#!/bin/sh
# scripts/format.sh [FILE...] - formats C sources in place by .clang-format; without names, what differs from the last
# commit. Version 14 is what the file was written for; others may break lines elsewhere.
set -eu
cd "$(dirname "$0")/.."
tool=clang-format
command -v clang-format-14 >/dev/null 2>&1 && tool=clang-format-14
command -v $tool >/dev/null 2>&1 || {
    echo "clang-format is missing: apt-get install clang-format" >&2
    exit 1
}
if [ $# -eq 0 ]; then
    git ls-files -z --modified --others --exclude-standard -- '*.c' '*.h' | xargs -0 -r $tool -i
else
    $tool -i "$@"
fi
