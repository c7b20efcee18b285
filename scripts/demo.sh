#!/bin/sh
# The demo: the same workflow twice, on one private core and a sandbox of one vCPU. At home alone, which also teaches
# Spillway how long the tasks take; then in 70 % of that time, which home alone cannot do. Exits with what the second
# run exits with: 0 in time, 6 late.
set -eu
cd "$(dirname "$0")/.."
SPILLWAY_STATE_DIR=$PWD/build/demo
export SPILLWAY_STATE_DIR
rm -rf "$SPILLWAY_STATE_DIR"

say() { printf '\n== %s\n\n' "$*"; }

say "1/2  At home: spillway run examples/wordstats.yaml --planner private"
bin/spillway run examples/wordstats.yaml --planner private

say "2/2  In 70 % of that time: spillway run examples/wordstats.yaml --deadline 70%"
bin/spillway run examples/wordstats.yaml --deadline 70%
