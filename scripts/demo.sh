#!/bin/sh
# The demo: the same workflow twice, on one private core and a sandbox of one vCPU. At home alone, which also teaches
# Spillway how long the tasks take; then in 80 % of what home is now expected to take. Exits with what the second run
# exits with: 0 in time, 6 late.
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
home=$(bin/spillway report last -o json | sed -n 's/^ *"makespan_s": \([0-9.]*\),*$/\1/p' | head -n 1)

say "2/2  In 80 % of what home is expected to take: spillway run examples/wordstats.yaml --cores 1 --deadline 80% --margin 15"
late=0
bin/spillway run examples/wordstats.yaml --cores 1 --deadline 80% --margin 15 || late=$?

# What was promised, looked up in the report that a program reads.
bin/spillway report last -o json > build/demo/report.json
figure() { sed -n 's/^ *"'"$1"'": \([-0-9.e]*\),*$/\1/p' build/demo/report.json | head -n 1; }
count() { grep -c '^ *"site": "'"$1"'",*$' build/demo/report.json || true; }
bin/spillway report last -o svg > build/demo/report.svg
say "In short"
printf 'took / planned     %.2f\n' "$(figure makespan_ratio)"
printf 'at home alone      %.1f s, expected %.1f s\n' "$home" "$(figure all_private_makespan_s)"
printf 'with the sandbox   %.1f s\n' "$(figure makespan_s)"
printf 'cost               %s USD, planned %s, a sandbox bill\n' "$(figure total_usd)" "$(figure cost_usd)"
printf 'picture            build/demo/report.svg\n'
bin/spillway sandbox stop
exit "$late"
