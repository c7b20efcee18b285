package workflow

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// The same workflow in the three versions: split makes two parts of an initial file, join reads both.
var traceVersions = map[string]string{
	"1.5": `{"name": "split and join", "schemaVersion": "1.5", "workflow": {
  "specification": {
    "tasks": [
      {"name": "split", "id": "split_1", "parents": [], "children": ["join_1"], "inputFiles": ["all"], "outputFiles": ["p1", "p2"]},
      {"name": "join", "id": "join_1", "inputFiles": ["p1", "p2", "p1"], "outputFiles": ["sum", "p2"]},
      {"name": "late", "id": "late_1", "parents": ["join_1", "nobody"], "children": []}],
    "files": [{"id": "all", "sizeInBytes": 100}, {"id": "p1", "sizeInBytes": 40}, {"id": "p2", "sizeInBytes": 60}, {"id": "sum", "sizeInBytes": 8}]},
  "execution": {"makespanInSeconds": 9, "tasks": [
    {"id": "join_1", "runtimeInSeconds": 2.5, "coreCount": 1.5, "memoryInBytes": 2000000},
    {"id": "split_1", "runtimeInSeconds": 1e-3, "coreCount": 0, "memoryInBytes": 0}]}}}`,
	"1.4": `{"name": "split and join", "schemaVersion": "1.4", "workflow": {"tasks": [
  {"name": "split", "id": "split_1", "children": ["join"], "runtimeInSeconds": 1e-3, "cores": 0, "files": [
    {"link": "input", "name": "all", "sizeInBytes": 100}, {"link": "output", "name": "p1", "sizeInBytes": 40}, {"link": "output", "name": "p2", "sizeInBytes": 60}]},
  {"name": "join", "id": "join_1", "parents": [], "runtimeInSeconds": 2.5, "cores": 1.5, "memoryInBytes": 2000000, "files": [
    {"link": "input", "name": "p1", "sizeInBytes": 40}, {"link": "input", "name": "p2", "sizeInBytes": 60},
    {"link": "output", "name": "sum", "sizeInBytes": 8}, {"link": "output", "name": "p2", "sizeInBytes": 60}]},
  {"name": "late", "id": "late_1", "parents": ["join"], "runtimeInSeconds": null, "runtime": 5}]}}`,
	"1.3": `{"name": "split and join", "schemaVersion": "1.3", "workflow": {"tasks": [
  {"name": "split_1", "children": ["join_1"], "runtime": 1e-3, "files": [
    {"link": "input", "name": "all", "size": 100}, {"link": "output", "name": "p1", "size": 40}, {"link": "output", "name": "p2", "size": 60}]},
  {"name": "join_1", "runtime": 2.5, "cores": 1.5, "memory": 2000, "files": [
    {"link": "input", "name": "p1", "size": 40}, {"link": "input", "name": "p2", "size": 60},
    {"link": "output", "name": "sum", "size": 8}, {"link": "output", "name": "p2", "size": 60}]},
  {"name": "late_1", "parents": ["join_1"], "runtime": -4}]}}`,
}

func TestTraceVersions(t *testing.T) {
	for version, text := range traceVersions {
		t.Run(version, func(t *testing.T) {
			spec, err := ParseAny("trace.json", []byte(text))
			require.NoError(t, err)
			require.True(t, spec.IsTrace())
			require.Equal(t, "split-and-join", spec.Name)
			g, err := Expand(spec, nil)
			require.NoError(t, err)
			checkGraph(t, g)
			// join lists p2 as output too: split made it first, and join does not read what it writes.
			require.Equal(t, "split_1 reads all makes p1 p2\njoin_1 after split_1 reads p1 makes sum\nlate_1 after join_1\n", draw(g))
			require.Equal(t, Work{RuntimeS: 1e-3, Cores: 1, Memory: 512 << 20}, *spec.Tasks[0].Work)
			require.Equal(t, Work{RuntimeS: 2.5, Cores: 2, Memory: 2_000_000}, *spec.Tasks[1].Work)
			require.Equal(t, Work{RuntimeS: 0, Cores: 1, Memory: 512 << 20}, *spec.Tasks[2].Work)
			sizes := map[string]int64{}
			for f := range g.Files {
				sizes[g.Files[f].Name] = g.Files[f].Size
				require.Equal(t, g.Files[f].Path, g.InputPath(f))
				require.NoError(t, checkPath(g.Files[f].Path), "names of a trace are arbitrary, paths are not")
			}
			require.Equal(t, map[string]int64{"all": 100, "p1": 40, "p2": 60, "sum": 8}, sizes)
			c, err := g.Command(1, told{})
			require.NoError(t, err)
			require.Equal(t, Command{Work: spec.Tasks[1].Work}, c)
		})
	}
}

// TestTraceGraphs: runs of one trace do not see each other's graphs.
func TestTraceGraphs(t *testing.T) {
	spec, err := ParseWfFormat("", []byte(traceVersions["1.5"]))
	require.NoError(t, err)
	a, err := Expand(spec, nil)
	require.NoError(t, err)
	a.Files[0].Size = 7
	b, err := Expand(spec, nil)
	require.NoError(t, err)
	require.Equal(t, int64(40), b.Files[0].Size)
}

func TestBadTraces(t *testing.T) {
	task := func(fields string) string {
		return "{\"schemaVersion\": \"1.4\",\n \"workflow\": {\"tasks\": [\n  {" + fields + "}]}}"
	}
	for name, c := range map[string]struct{ text, want string }{
		"cut short":       {`{"workflow": {"tasks": [`, "t.json:1:24: not valid JSON: unexpected end of JSON input; mend the JSON [syntax]"},
		"no JSON":         {"{\"workflow\": {\n  \"tasks\": [}}", "t.json:2:13: not valid JSON: invalid character '}' looking for beginning of value; mend the JSON [syntax]"},
		"no workflow":     {`{"schemaVersion": "1.5"}`, "t.json:1:1: the trace has no workflow; add the workflow object of WfFormat [missing]"},
		"no tasks":        {"{\"schemaVersion\": \"1.4\", \"workflow\":\n{\"tasks\": []}}", "t.json:2:2: the trace has no tasks; add a task [missing]"},
		"a wrong type":    {task(`"name": "a", "parents": "b"`), "t.json:3:30: workflow.tasks.parents cannot be a string; see the WfFormat schema [type]"},
		"a text for time": {task(`"name": "a", "runtimeInSeconds": "fast"`), "cannot be a string"},
		"no name":         {task(`"id": "a"`), "t.json:2:15: a task has no name; give it one [missing]"},
		"an unknown parent": {
			task(`"name": "a", "parents": ["b"]`), `t.json:3:29: task "a" names "b", which is no task; add the task or remove the name [unknown-reference]`,
		},
		"the same id": {task(`"name": "a"}, {"name": "a"`), `t.json:3:12: tasks 0 and 1 have the same id "a"; rename one of them [duplicate]`},
		"a cycle": {
			task(`"name": "a", "parents": ["b"]}, {"name": "b", "parents": ["a"]`),
			`t.json:3:29: the tasks wait for one another: "b" -> "a" -> "b"; remove one of these dependencies [cycle]`,
		},
		"a cycle of files": {
			task(`"name": "a", "files": [{"link": "input", "name": "f"}, {"link": "output", "name": "g"}]}, {"name": "b", "files": [{"link": "input", "name": "g"}, {"link": "output", "name": "f"}]`),
			`the tasks wait for one another: "b" -> "a" -> "b"`,
		},
		"an age":              {task(`"name": "a", "runtimeInSeconds": 1e11`), `t.json:3:12: task "a" is not believable: 1e+11 s on 0 cores with 0 bytes; mend the trace [value]`},
		"a million cores":     {task(`"name": "a", "coreCount": 1000001`), "is not believable"},
		"too much memory":     {task(`"name": "a", "memory": 1e16`), "is not believable"},
		"overflow":            {task(`"name": "a", "runtimeInSeconds": 1e400`), "cannot be a number 1e400"},
		"a huge file":         {task(`"name": "a", "files": [{"link": "input", "name": "f", "sizeInBytes": 1e19}]`), `t.json:3:53: file "f" is not believable: 1e+19 bytes; mend the trace [value]`},
		"a file without name": {task(`"name": "a", "files": [{"link": "input"}]`), "t.json:3:17: a file has no name; give it one [missing]"},
		"a file of 1.5 without size": {
			`{"workflow": {"specification": {"tasks": [{"id": "a"}], "files": [{"id": "f"}]}}}`, "t.json:1:57: a file has no id or no sizeInBytes; give it both [missing]",
		},
		"a task of 1.5 without id": {`{"workflow": {"specification": {"tasks": [{"name": "a"}]}}}`, "t.json:1:33: a task has no id; give it one [missing]"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseAny("t.json", []byte(c.text))
			var all Errors
			require.True(t, errors.As(err, &all), "%v", err)
			require.Contains(t, err.Error(), c.want)
			for _, e := range all {
				require.NotEmpty(t, e.Fix)
			}
		})
	}
	_, err := ParseWfFormat("big.json", make([]byte, MaxTraceBytes+1))
	require.ErrorContains(t, err, "big.json:1:1: the file has 268435457 bytes; at most 268435456 are read; split the trace [too-large]")
}

// TestKinds: YAML and traces are told apart by what they hold, not by their name.
func TestKinds(t *testing.T) {
	for text, want := range map[string]bool{
		`{"workflow": {}}`: true, " \n{\"name\": {\"a\": [1, {}]}, \"schemaVersion\": \"1.5\"}": true, `{"name": "x", "workflow": 1}`: true,
		`{"apiVersion": "spillway/v1", "workflow": 1}`: false, `{"tasks": {}}`: false, `{"name": "x"}`: false, `{"name": x}`: false, "workflow: {}": false,
		"": false, "{": false, `{"name"`: false, "[1]": false,
	} {
		require.Equal(t, want, looksLikeTrace([]byte(text)), text)
	}
	spec, err := ParseAny("w.json", []byte(`{"apiVersion": "spillway/v1", "name": "json", "tasks": {"a": {"run": "x"}}}`))
	require.NoError(t, err, "YAML may be written as JSON")
	require.False(t, spec.IsTrace())
}

func TestTraceNames(t *testing.T) {
	for name, want := range map[string]string{
		"montage": "montage", "a b/c": "a-b-c", "": "file", "é": "trace", "--x": "x", strings.Repeat("x", 200): strings.Repeat("x", 100),
	} {
		require.Equal(t, want, traceName(name, "dir/file.json"), name)
		require.Regexp(t, nameForm, traceName(name, "dir/file.json"))
	}
}

// sharedTraces are the public traces that lie beside the checkout on some machines.
func sharedTraces(tb testing.TB) []string {
	tb.Helper()
	files, err := filepath.Glob("../../shared/traces/*/*.json")
	require.NoError(tb, err)
	if len(files) == 0 {
		tb.Skip("no ../shared/traces beside the checkout: nothing to read")
	}
	return files
}

// TestSharedTraces: of every public trace all tasks, files, dependencies and bytes arrive.
func TestSharedTraces(t *testing.T) {
	for _, file := range sharedTraces(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			src, err := os.ReadFile(file)
			require.NoError(t, err)
			spec, err := ParseAny(file, src)
			require.NoError(t, err)
			g, err := Expand(spec, nil)
			require.NoError(t, err)
			checkGraph(t, g)
			want := countTrace(t, src)
			require.NotZero(t, want["tasks"])
			got := map[string]float64{"tasks": float64(len(g.Instances)), "files": float64(len(g.Files))}
			for i := range g.Instances {
				got["runtime"] += spec.Tasks[i].Work.RuntimeS
				got["parents"] += float64(len(g.Instances[i].Parents))
			}
			for f := range g.Files {
				got["bytes"] += float64(g.Files[f].Size)
			}
			require.InDelta(t, want["runtime"], got["runtime"], 1e-6*want["runtime"])
			require.GreaterOrEqual(t, got["parents"], want["parents"])
			delete(got, "runtime")
			delete(want, "runtime")
			delete(got, "parents")
			delete(want, "parents")
			require.Equal(t, want, got)
		})
	}
}

// countTrace counts a trace of version 1.5 by another way than ParseWfFormat.
func countTrace(t *testing.T, src []byte) map[string]float64 {
	t.Helper()
	var doc map[string]any
	require.NoError(t, json.Unmarshal(src, &doc))
	w := doc["workflow"].(map[string]any)
	s := w["specification"].(map[string]any)
	n := map[string]float64{}
	files, edges := map[string]bool{}, map[string]bool{}
	for _, x := range s["tasks"].([]any) {
		task := x.(map[string]any)
		n["tasks"]++
		for _, key := range []string{"inputFiles", "outputFiles"} {
			list, _ := task[key].([]any)
			for _, f := range list {
				files[f.(string)] = true
			}
		}
		parents, _ := task["parents"].([]any)
		for _, p := range parents {
			edges[fmt.Sprint(p, " ", task["id"])] = true
		}
	}
	n["files"], n["parents"] = float64(len(files)), float64(len(edges))
	listed, _ := s["files"].([]any)
	for _, x := range listed {
		if f := x.(map[string]any); files[f["id"].(string)] {
			n["bytes"] += f["sizeInBytes"].(float64)
		}
	}
	for _, x := range w["execution"].(map[string]any)["tasks"].([]any) {
		runtime, _ := x.(map[string]any)["runtimeInSeconds"].(float64)
		n["runtime"] += runtime
	}
	return n
}

// TestTraceProperty: a random graph written as a trace of either form is read back as it was.
func TestTraceProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 10).Draw(t, "tasks")
		parents := make([][]string, n)
		var want strings.Builder
		for i := range n {
			fmt.Fprintf(&want, "t%d", i)
			for j := range i {
				if rapid.Bool().Draw(t, "edge") {
					if parents[i] == nil {
						want.WriteString(" after")
					}
					parents[i] = append(parents[i], fmt.Sprintf("t%d", j))
					fmt.Fprintf(&want, " t%d", j)
				}
			}
			want.WriteString("\n")
		}
		var specs, runs []map[string]any
		for i := range n {
			specs = append(specs, map[string]any{"name": "n", "id": fmt.Sprintf("t%d", i), "parents": parents[i]})
			runs = append(runs, map[string]any{"name": fmt.Sprintf("t%d", i), "parents": parents[i], "runtime": 1})
		}
		for _, doc := range []any{
			map[string]any{"workflow": map[string]any{"specification": map[string]any{"tasks": specs}}},
			map[string]any{"workflow": map[string]any{"tasks": runs}},
		} {
			src, err := json.Marshal(doc)
			require.NoError(t, err)
			spec, err := ParseAny("t.json", src)
			require.NoError(t, err)
			g, err := Expand(spec, nil)
			require.NoError(t, err)
			require.Equal(t, want.String(), draw(g))
		}
	})
}
