package workflow

import (
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCondition: without if a task runs when all it needs succeeded; with if, the condition decides alone.
func TestCondition(t *testing.T) {
	g := mustExpand(t, tasks(`
a: {run: x, foreach: [1, 2]}
b: {run: x, outputs: [{name: n, path: n, value: json}]}
plain: {run: x, needs: [a, b]}
always: {run: x, needs: [a, b], if: "true"}
some: {run: x, needs: [a, b], if: "${{ tasks.a.succeeded > 0 && tasks.a.failed < 2 }}"}
state: {run: x, needs: [a, b], if: 'tasks["a"].state == "failed" || tasks.b.state == "skipped"'}
value: {run: x, needs: [b], if: "has(tasks.b.outputs.n) && tasks.b.outputs.n > 3"}
odd: {run: x, foreach: [1, 2], needs: [b], if: "${{ item == 1 }}"}
each: {run: x, foreach: [1, 2], needs: [{task: a, each: true}], if: tasks.a.succeeded == 1}
free: {run: x, if: "run.workflow == 'w' && run.id == 'run-1'"}
chain: {run: x, needs: [plain]}`), nil)
	s, f, k, c := TaskSucceeded, TaskFailed, TaskSkipped, TaskCancelled
	for _, row := range []struct {
		a0, a1, b TaskState
		n         string
		want      string
	}{
		{s, s, s, "4", "plain always some value odd[0] each[0] each[1] free chain"},
		{s, f, s, "3", "always some state odd[0] each[0] free chain"},
		{f, f, k, "", "always state odd[0] free chain"},
		{k, k, s, "4.5", "always value odd[0] free chain"},
		{c, s, s, "", "always some odd[0] each[1] free chain"},
	} {
		view := told{states: map[int]TaskState{0: row.a0, 1: row.a1, 2: row.b}, values: map[[2]int]string{}}
		if row.n != "" {
			view.values[[2]int{2, 0}] = row.n
		}
		var runs []string
		for i := 3; i < len(g.Instances); i++ {
			ok, err := g.Condition(i, view)
			require.NoError(t, err)
			if ok {
				runs = append(runs, g.Instances[i].ID)
			}
		}
		require.Equal(t, row.want, strings.Join(runs, " "), "%+v", row)
	}
	view := told{states: map[int]TaskState{find(t, g, "plain"): TaskSkipped}}
	ok, err := g.Condition(find(t, g, "chain"), view)
	require.NoError(t, err)
	require.False(t, ok, "a skipped need skips on")
}

// TestConditionErrors: a condition that cannot be told fails the task with a reason.
func TestConditionErrors(t *testing.T) {
	g := mustExpand(t, tasks(`
b: {run: x, outputs: [{name: n, path: n, value: json}]}
missing: {run: x, needs: [b], if: tasks.b.outputs.n > 3}
text: {run: x, needs: [b], if: tasks.b.outputs.n}`), nil)
	_, err := g.Condition(1, told{})
	require.ErrorContains(t, err, "missing: if: ${{ tasks.b.outputs.n > 3 }}: no such key: n")
	_, err = g.Condition(2, told{values: map[[2]int]string{{0, 0}: `"yes"`}})
	require.EqualError(t, err, `text: if: the condition is "yes", not true or false`)
	_, err = g.Condition(1, told{values: map[[2]int]string{{0, 0}: `{"n":`}})
	require.ErrorContains(t, err, "b.outputs.n: not valid JSON")
}

// TestGroupState: the state of a task with foreach is the worst of its instances.
func TestGroupState(t *testing.T) {
	s, f, k, c := TaskSucceeded, TaskFailed, TaskSkipped, TaskCancelled
	for _, row := range []struct {
		states []TaskState
		want   TaskState
	}{
		{nil, s}, {[]TaskState{s, s}, s}, {[]TaskState{s, f, c}, f}, {[]TaskState{s, c, k}, c},
		{[]TaskState{k, k}, k}, {[]TaskState{s, k}, s}, {[]TaskState{f, TaskRetrying}, TaskRunning}, {[]TaskState{TaskWaiting}, TaskRunning},
	} {
		view := told{states: map[int]TaskState{}}
		var instances []int32
		for i, state := range row.states {
			view.states[i] = state
			instances = append(instances, int32(i))
		}
		require.Equal(t, row.want, groupState(view, instances), "%v", row.states)
	}
}

// TestCommand: expressions in env and args become values, those in run references, secrets names.
func TestCommand(t *testing.T) {
	g := mustExpand(t, "apiVersion: spillway/v1\nname: w\nparams: {n: {type: number, default: 2}, o: {type: object, default: {k: [1, null]}}}\n"+
		"defaults: {env: {LC_ALL: C, LEVEL: low}}\ntasks:\n"+`
  make: {run: x, foreach: [u, v], outputs: [{name: size, path: s.json, value: json}, {path: o}]}
  one: {run: x, outputs: [{name: size, path: s.json, value: json}]}
  use:
    foreach: [u, v]
    needs: [{task: make, each: true}, one]
    run: echo ${{ item + "!" }} ${{ tasks.make.outputs.size }} ${{ item + "!" }}
    env: {LEVEL: high, N: "${{ params.n }} of ${{ params.o }}", T: 3.50, TOKEN: "${{ secrets.GITHUB_TOKEN }}", ONE: "${{ tasks.one.outputs.size.bytes }}"}
  all: {args: [count, "${{ tasks.make.outputs.size }}", "${{ tasks.make.outputs.size.map(s, s * 2).size() }}"], needs: [make]}
`, nil)
	view := told{values: map[[2]int]string{{0, 0}: "10", {1, 0}: "20.5", {2, 0}: `{"bytes": 12345678901234567}`}}
	c, err := g.Command(find(t, g, "use[1]"), view)
	require.NoError(t, err)
	require.Equal(t, Command{
		Shell: `echo "${SPILLWAY_EXPR_0}" "${SPILLWAY_EXPR_1}" "${SPILLWAY_EXPR_0}"`,
		Env: map[string]string{
			"LC_ALL": "C", "LEVEL": "high", "N": `2 of {"k":[1,null]}`, "T": "3.50", "ONE": "12345678901234567",
			"SPILLWAY_EXPR_0": "v!", "SPILLWAY_EXPR_1": "20.5",
		},
		Secrets: map[string]string{"TOKEN": "GITHUB_TOKEN"},
	}, c)

	delete(view.values, [2]int{1, 0})
	c, err = g.Command(find(t, g, "all"), view)
	require.ErrorContains(t, err, "all: args:", "null * 2")
	require.Empty(t, c)
	view.values[[2]int{1, 0}] = "20"
	c, err = g.Command(find(t, g, "all"), view)
	require.NoError(t, err)
	require.Equal(t, []string{"count", "[10,20]", "2"}, c.Args)
}

// TestCommandErrors: what no process can be given is refused before one is started.
func TestCommandErrors(t *testing.T) {
	g := mustExpand(t, tasks(`
a: {run: x, outputs: [{name: v, path: v, value: json}]}
b: {run: "echo ${{ tasks.a.outputs.v }}", needs: [a]}
c: {run: x, env: {V: "${{ tasks.a.outputs.v }}${{ tasks.a.outputs.v }}"}, needs: [a]}
d: {run: x, foreach: "${{ tasks.a.outputs.v }}", estimate: {count: 1}}
e: {run: x, foreach: "${{ range(20) }}", outputs: [{name: v, path: v, value: json}]}
f: {run: "echo ${{ tasks.e.outputs.v.size() }}", needs: [e]}
g: {args: [x`+strings.Repeat(`, "${{ tasks.a.outputs.v }}"`, 20)+`], needs: [a]}`), nil)
	value := func(text string) told { return told{values: map[[2]int]string{{0, 0}: text}} }
	for _, row := range []struct {
		id, value, want string
	}{
		{"b", `"a\u0000b"`, "b: a value holds a zero byte"},
		{"b", `"` + strings.Repeat("x", maxTextBytes+1) + `"`, "more than 131008 bytes"},
		{"c", `"` + strings.Repeat("x", maxTextBytes/2+1) + `"`, "env V: a value has more than 131008 bytes"},
		{"g", `"` + strings.Repeat("x", 100_000) + `"`, "more than 1048576 bytes together"},
		{"b", "", "no such key: v"},
		{"b", `[1, 2`, "not valid JSON"},
		{"b", `1 ]`, "more than one value"},
		{"b", strings.Repeat("[", 40) + strings.Repeat("]", 40), "nested more than 32 deep"},
		{"b", `1e999`, "not a number that can be held"},
		{"d[0]", "1", "d[0]: its foreach is not resolved yet"},
	} {
		view := value(row.value)
		if row.value == "" {
			view = told{}
		}
		_, err := g.Command(find(t, g, row.id), view)
		require.ErrorContains(t, err, row.want, row)
	}
	view := told{values: map[[2]int]string{}}
	for i := 3; i < 23; i++ {
		view.values[[2]int{i, 0}] = `"` + strings.Repeat("x", 300<<10) + `"`
	}
	_, err := g.Command(find(t, g, "f"), view)
	require.ErrorContains(t, err, "the values e.outputs.v have more than 4194304 bytes together")
}

// TestElements: a foreach over outputs waits for all instances it reads, then gives the elements.
func TestElements(t *testing.T) {
	g := mustExpand(t, tasks(`
a: {run: x, foreach: [1, 2], outputs: [{name: v, path: v, value: json}]}
b: {run: x, foreach: "${{ tasks.a.outputs.v.filter(x, x != null) }}", max_items: 5, estimate: {count: 1}}
c: {run: x, needs: [b], foreach: "${{ range(tasks.b.succeeded) }}", estimate: {count: 1}}`), nil)
	view := told{states: map[int]TaskState{0: TaskRunning}, values: map[[2]int]string{{1, 0}: `"x"`}}
	_, ready, err := g.Elements(1, view)
	require.NoError(t, err)
	require.False(t, ready)

	view.states[0] = TaskFailed
	items, ready, err := g.Elements(1, view)
	require.NoError(t, err)
	require.True(t, ready)
	require.Equal(t, []any{"x"}, items)

	_, ready, err = g.Elements(2, view)
	require.NoError(t, err)
	require.False(t, ready, "b is not resolved")
	require.NoError(t, g.Resolve(1, items))
	items, ready, err = g.Elements(2, view)
	require.NoError(t, err)
	require.True(t, ready)
	require.Equal(t, []any{int64(0)}, items)
	require.True(t, g.Dynamic(2))
	require.False(t, g.Dynamic(0))

	wrong := mustExpand(t, tasks(`
a: {run: x, outputs: [{name: v, path: v, value: json}]}
b: {run: x, foreach: "${{ tasks.a.outputs.v }}", max_items: 2, estimate: {count: 1}}`), nil)
	for value, want := range map[string]string{
		`{"a": 1}`:     `b: foreach: foreach must be a list, not {"a":1}`,
		`[1, 2, 3]`:    "b: foreach: foreach has 3 elements; at most 2 are allowed",
		`"[1, 2]"`:     "must be a list",
		`[1] trailing`: "not valid JSON",
	} {
		_, ready, err = wrong.Elements(1, told{values: map[[2]int]string{{0, 0}: value}})
		require.ErrorContains(t, err, want)
		require.True(t, ready)
	}
	_, _, err = wrong.Elements(1, told{})
	require.ErrorContains(t, err, "no such key: v")
}

// TestConcurrentReaders: a spec and a graph are read by many at once; the race detector would object.
func TestConcurrentReaders(t *testing.T) {
	g := mustExpand(t, tasks(`a: {run: "echo ${{ item }}", foreach: "${{ range(50) }}", if: "${{ item % 2 == 0 }}", env: {A: "${{ index }}"}}`), nil)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range g.Instances {
				_, err := g.Command(i, told{})
				if err == nil {
					_, err = g.Condition(i, told{})
				}
				if err != nil {
					t.Error(err)
				}
			}
			if _, err := Expand(g.Spec, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
