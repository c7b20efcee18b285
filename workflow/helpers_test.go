package workflow

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// tasks makes a definition of the tasks given, indented by nothing.
func tasks(text string) string {
	indented := strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n  ")
	return "apiVersion: spillway/v1\nname: w\ntasks:\n  " + strings.TrimLeft(indented, "\n ") + "\n"
}

func mustParse(tb testing.TB, text string) *Spec {
	tb.Helper()
	spec, err := Parse("w.yaml", []byte(text))
	require.NoError(tb, err)
	return spec
}

func mustExpand(tb testing.TB, text string, given map[string]any) *Graph {
	tb.Helper()
	spec := mustParse(tb, text)
	params, err := Bind(spec, given)
	require.NoError(tb, err)
	g, err := Expand(spec, params)
	require.NoError(tb, err)
	return g
}

// find gives the index of an instance.
func find(tb testing.TB, g *Graph, id string) int {
	tb.Helper()
	for i := range g.Instances {
		if g.Instances[i].ID == id {
			return i
		}
	}
	tb.Fatalf("no instance %s", id)
	return -1
}

// told is a View that says what it was told; what it was not told of has succeeded without values.
type told struct {
	states map[int]TaskState
	values map[[2]int]string
}

func (told) RunID() string { return "run-1" }

func (v told) State(i int) TaskState {
	if s, ok := v.states[i]; ok {
		return s
	}
	return TaskSucceeded
}

func (v told) Value(i, output int) (json.RawMessage, bool) {
	text, ok := v.values[[2]int{i, output}]
	return json.RawMessage(text), ok
}

// draw prints a graph in a line an instance, with what it waits for, reads and makes.
func draw(g *Graph) string {
	var b strings.Builder
	for i := range g.Instances {
		inst := &g.Instances[i]
		fmt.Fprintf(&b, "%s", inst.ID)
		if inst.Retired {
			b.WriteString(" retired")
		}
		if inst.Provisional {
			b.WriteString(" provisional")
		}
		if len(inst.Parents) > 0 {
			b.WriteString(" after")
			for _, p := range inst.Parents {
				b.WriteString(" " + g.Instances[p].ID)
			}
		}
		b.WriteString(fileNames(g, " reads", inst.In) + fileNames(g, " makes", inst.Out) + "\n")
	}
	return b.String()
}

func fileNames(g *Graph, verb string, files []int32) string {
	if len(files) == 0 {
		return ""
	}
	for _, f := range files {
		verb += " " + g.Files[f].Name
	}
	return verb
}
