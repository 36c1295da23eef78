#!/bin/sh
# All rows of doc/results/solve.md on exact data with the methods' defaults, and its picture; one thread, three
# quarters of an hour of CPU. Usage: solve_curve.sh BUILD aneurism.nhdr WORK
set -eu
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive
mkdir -p "$3"
rows=$3/solve-rows.txt
: > "$rows"
for views in 5 10 20 50; do
  "$1/bench/solve" -b "$2" tv,sart,cgls,fdk,sirt "$views" >> "$rows"
done
# What fewer passes give at 50 views: score against seconds.
for passes in 2 6; do
  "$1/bench/solve" -b "$2" tv,sart 50 "$passes" >> "$rows"
done
/usr/bin/python3 "$(dirname "$0")/solve_curve.py" "$rows" "$3/solve-curve.png"
grep -v projected "$rows"
