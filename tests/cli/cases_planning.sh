# shellcheck shell=sh disable=SC2154
# A study of the house whose measures do everything themselves: they make their data, learn and plan.
works '5 of 5 bars held' reproduce planning --quick --studies "$here/../../reproduce" --threads 2 --quiet
