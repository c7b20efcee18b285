package workflow

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// chains writes a definition of n tasks as people write them: chains of ten that end in one task each, with files,
// estimates and expressions of their own.
func chains(n int) []byte {
	var b strings.Builder
	b.WriteString("apiVersion: spillway/v1\nname: large\nparams: {size: {type: integer, default: 3}}\n" +
		"defaults: {retry: {max: 2}, timeout: 5m}\ntasks:\n")
	for i := range n {
		fmt.Fprintf(&b, "  t%d: {run: \"./work ${{ params.size + %d }}\", outputs: [{path: out}]", i, i)
		if i%10 > 0 {
			fmt.Fprintf(&b, ", inputs: [{from: t%d}]", i-1)
		} else if i > 0 {
			b.WriteString(", needs: [t0]")
		}
		b.WriteString("}\n")
	}
	return []byte(b.String())
}

func load(tb testing.TB, src []byte) *Graph {
	tb.Helper()
	spec, err := Parse("large.yaml", src)
	if err != nil {
		tb.Fatal(err)
	}
	params, err := Bind(spec, nil)
	if err != nil {
		tb.Fatal(err)
	}
	g, err := Expand(spec, params)
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

// BenchmarkParse10k and BenchmarkParse100k read, check and expand a definition in which each task has an expression of
// its own; ten times the tasks should take about ten times as long.
func BenchmarkParse10k(b *testing.B)  { benchmarkParse(b, 10_000) }
func BenchmarkParse100k(b *testing.B) { benchmarkParse(b, 100_000) }

func benchmarkParse(b *testing.B, tasks int) {
	src := chains(tasks)
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		if g := load(b, src); len(g.Instances) != tasks {
			b.Fatalf("%d instances", len(g.Instances))
		}
	}
}

// BenchmarkParseTrace reads the largest public trace.
func BenchmarkParseTrace(b *testing.B) {
	var src []byte
	for _, file := range sharedTraces(b) {
		text, err := os.ReadFile(file)
		if err != nil {
			b.Fatal(err)
		}
		if len(text) > len(src) {
			src = text
		}
	}
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		spec, err := ParseAny("trace.json", src)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := Expand(spec, nil); err != nil {
			b.Fatal(err)
		}
	}
}
