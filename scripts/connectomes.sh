#!/bin/bash
# scripts/connectomes.sh FILE > connectomes.csv - correlations of brain networks as `thalweg train --space spd` reads matrices.
#
# FILE is train_FNC.csv (or .gz) of the MLSP 2014 schizophrenia challenge, as in geomstats (geomstats/datasets/data/connectomes):
# a row of 378 correlations for each of 86 subjects, the upper triangle of a 28 x 28 matrix row by row. Out come lower
# triangles row by row, ones on the diagonal: study `connectomes`.
set -euo pipefail
[ -r "${1:-}" ] || { echo "usage: scripts/connectomes.sh train_FNC.csv > connectomes.csv" >&2; exit 2; }
case $1 in *.gz) gunzip -c "$1" ;; *) cat "$1" ;; esac | tr -d '\r' | awk -F, -v n=28 '
    NF != 1 + n * (n - 1) / 2 { print "line " NR ": " NF " fields, expected " 1 + n * (n - 1) / 2 > "/dev/stderr"; exit 1 }
    { for (i = 1; i <= n; i++)
          for (j = 1; j <= i; j++) {
              above = 1 + (j - 1) * n - (j - 1) * j / 2 + i - j  # field of (j, i)
              printf("%s%s", i > 1 ? "," : "", NR == 1 ? "r" i "_" j : i == j ? 1 : $above)
          }
      print "" }'
