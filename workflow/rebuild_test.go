package workflow

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRebuild: a kept run gives the graph it had, with large whole numbers and with what a foreach read.
func TestRebuild(t *testing.T) {
	r := &Record{
		Filename: "w.yaml",
		Source: []byte("apiVersion: spillway/v1\nname: w\nparams: {n: {type: integer}}\ntasks:\n" +
			"  a: {run: x, outputs: [{path: log}, {name: v, path: v, value: json}]}\n" +
			"  b: {run: \"echo ${{ params.n }}\", foreach: \"${{ tasks.a.outputs.v }}\", estimate: {count: 2}}\n"),
		Run:   RunRecord{ID: "r1", Params: json.RawMessage(`{"n": 9007199254740993}`), Resolved: "b"},
		Tasks: []TaskRecord{{State: TaskSucceeded}},
		Files: []FileRecord{{Index: 0}, {Index: 1, Value: json.RawMessage(`["x", "y", "z"]`)}},
	}
	g, err := Rebuild(r)
	require.NoError(t, err)
	require.Len(t, g.Instances, 4)
	require.Equal(t, "z", g.Instances[3].Item)
	c, err := g.Command(3, told{})
	require.NoError(t, err)
	require.Equal(t, "9007199254740993", c.Env["SPILLWAY_EXPR_0"])

	for name, spoil := range map[string]func(*Record){
		"the output that it reads is not kept": func(r *Record) { r.Tasks[0].State = TaskRunning },
		"no such key: v":                       func(r *Record) { r.Files = nil },
		"no such task":                         func(r *Record) { r.Run.Resolved = "c" },
		"parameters of the run":                func(r *Record) { r.Run.Params = json.RawMessage("{") },
		"has no value and no default":          func(r *Record) { r.Run.Params = nil },
		"the file is empty":                    func(r *Record) { r.Source = nil },
	} {
		spoiled := *r
		spoiled.Tasks = []TaskRecord{{State: TaskSucceeded}}
		spoil(&spoiled)
		_, err := Rebuild(&spoiled)
		require.ErrorContains(t, err, name)
	}
}
