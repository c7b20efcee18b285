//go:build linux || darwin

// Planner measures the planners: what their plans cost and how many deadlines
// they meet, on generated workflows and on the traces beside this checkout; how
// long planning takes, in bare simulations of the same instance; and how both
// grow up to a million tasks. It prints tables and writes one JSON object a line.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/spillway/spillway/bench/figures"
)

// leader is the planner that is guarded.
const leader = "pacer"

func main() {
	b := bench{out: os.Stdout, errs: os.Stderr}
	path := flag.String("out", "build/bench/planner.jsonl", "file of the figures")
	flag.StringVar(&b.shared, "shared", "../shared", "folder of traces and of the reference evaluator; what it lacks is left out")
	flag.StringVar(&b.only, "only", "", "quality or speed: leave the other out")
	flag.BoolVar(&b.full, "full", false, "all traces and deadlines, and a million tasks")
	flag.Parse()
	err := b.run(context.Background())
	if err == nil {
		err = figures.Write(*path, b.rows)
	}
	if err != nil {
		fmt.Fprintln(b.errs, "bench planner:", err)
		os.Exit(1)
	}
}

// bench is one measurement.
type bench struct {
	out, errs io.Writer
	shared    string
	only      string
	full      bool
	rows      []figures.Row
}

func (b *bench) add(rows ...figures.Row) { b.rows = append(b.rows, rows...) }

func (b *bench) notef(format string, args ...any) { fmt.Fprintf(b.errs, format+"\n", args...) }

func (b *bench) run(ctx context.Context) error {
	if b.only != "speed" {
		if err := b.quality(ctx); err != nil {
			return err
		}
	}
	if b.only != "quality" {
		return b.speed()
	}
	return nil
}
