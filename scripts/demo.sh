#!/bin/sh
# The demo: the same workflow twice, on one private core and a sandbox of one vCPU. At home alone, which also teaches
# Spillway how long the tasks take; then in 80 % of that time, which home alone cannot do. Exits with what the second
# run exits with: 0 in time, 6 late.
set -eu
cd "$(dirname "$0")/.."
SPILLWAY_STATE_DIR=$PWD/build/demo
export SPILLWAY_STATE_DIR
if [ -d "$SPILLWAY_STATE_DIR" ]; then
	bin/spillway sandbox stop || true
	rm -rf "$SPILLWAY_STATE_DIR"
fi

say() { printf '\n== %s\n\n' "$*"; }

say "1/2  At home: spillway run examples/wordstats.yaml --cores 1 --planner private"
bin/spillway run examples/wordstats.yaml --cores 1 --planner private

say "2/2  In 80 % of that time: spillway run examples/wordstats.yaml --cores 1 --deadline 80% --margin 15"
late=0
bin/spillway run examples/wordstats.yaml --cores 1 --deadline 80% --margin 15 || late=$?

# What was promised, looked up in the report that a program reads.
bin/spillway report last -o json > build/demo/report.json
figure() { sed -n 's/^ *"'"$1"'": \([-0-9.e]*\),*$/\1/p' build/demo/report.json | head -n 1; }
count() { grep -c '^ *"site": "'"$1"'",*$' build/demo/report.json || true; }
bin/spillway report last -o svg > build/demo/report.svg
say "In short"
printf 'took / planned     %.2f\n' "$(figure makespan_ratio)"
printf 'all at home        %.1f s\n' "$(figure all_private_makespan_s)"
printf 'took               %.1f s\n' "$(figure makespan_s)"
printf 'cost               %s USD, a sandbox bill\n' "$(figure total_usd)"
printf 'picture            build/demo/report.svg\n'
bin/spillway sandbox stop
exit "$late"
