// Check holds the figures of benchmarks to bench/ranges.yaml: each file is named
// after its benchmark, as in build/bench/planner.jsonl. It fails with the line of
// every range that is broken.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spillway/spillway/bench/figures"
)

const rangesFile = "bench/ranges.yaml"

func main() {
	if err := run(os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench check:", err)
		os.Exit(1)
	}
}

func run(out io.Writer, files []string) error {
	if len(files) == 0 {
		return errors.New("which files? build/bench/NAME.jsonl")
	}
	text, err := os.ReadFile(rangesFile)
	if err != nil {
		return err
	}
	ranges, err := figures.ParseRanges(text)
	if err != nil {
		return fmt.Errorf("%s: %w", rangesFile, err)
	}
	broken := 0
	for _, file := range files {
		n, err := check(out, file, ranges)
		if err != nil {
			return err
		}
		broken += n
	}
	if broken > 0 {
		return fmt.Errorf("%d of the guarded figures are out of their range", broken)
	}
	return nil
}

// check says what became of every range of one benchmark.
func check(out io.Writer, path string, ranges map[string][]figures.Range) (broken int, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { _ = file.Close() }()
	rows, err := figures.Read(file)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	name := strings.TrimSuffix(filepath.Base(path), ".jsonl")
	held := 0
	for _, v := range figures.Check(ranges[name], rows) {
		switch {
		case v.Fails():
			broken++
			fmt.Fprintf(out, "%s:%d: OUT OF RANGE: %s\n", rangesFile, v.Line, v.String())
		case v.Missing:
			fmt.Fprintf(out, "%s:%d: %s\n", rangesFile, v.Line, v.String())
		default:
			held++
		}
	}
	fmt.Fprintf(out, "%s: %d of %d guarded figures are in their range\n", path, held, len(ranges[name]))
	return broken, nil
}
