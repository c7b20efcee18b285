package workflow

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestExpand(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"one task": {
			tasks(`a: {run: x}`),
			"a\n",
		},
		"needs and inputs": {
			tasks(`
a: {run: x, outputs: [{path: o}, {path: p}]}
b: {run: x, needs: [a]}
c: {run: x, inputs: [{from: a, path: p}, {from: b2}, {from: params, path: d/in.csv}], needs: [b]}
b2: {run: x, outputs: [{path: q}]}`),
			"a makes a/o a/p\nb after a\nc after a b b2 reads a/p b2/q d/in.csv\nb2 makes b2/q\n",
		},
		"foreach and fan-in": {
			tasks(`
a: {run: x, foreach: [u, v], outputs: [{path: "${{ item }}-${{ index }}"}]}
b: {run: x, inputs: [{from: a}]}`),
			"a[0] makes a[0]/u-0\na[1] makes a[1]/v-1\nb after a[0] a[1] reads a[0]/u-0 a[1]/v-1\n",
		},
		"no elements": {
			tasks(`
a: {run: x, foreach: [], outputs: [{path: o}]}
b: {run: x, inputs: [{from: a}]}`),
			"b\n",
		},
		"element-wise": {
			tasks(`
a: {run: x, foreach: [1, 2], outputs: [{path: o}]}
b: {run: x, foreach: "${{ range(2) }}", inputs: [{from: a, each: true}], outputs: [{path: p}]}
c: {run: x, foreach: [3, 4], needs: [{task: b, each: true}, a]}`),
			"a[0] makes a[0]/o\na[1] makes a[1]/o\nb[0] after a[0] reads a[0]/o makes b[0]/p\n" +
				"b[1] after a[1] reads a[1]/o makes b[1]/p\nc[0] after a[0] a[1] b[0]\nc[1] after a[0] a[1] b[1]\n",
		},
		"element-wise before what all wait for": {
			tasks(`
a: {run: x, foreach: [1, 2]}
b: {run: x}
c: {run: x, foreach: [3, 4], needs: [b, {task: a, each: true}]}`),
			"a[0]\na[1]\nb\nc[0] after a[0] b\nc[1] after a[1] b\n",
		},
		"waiting for all and reading one": {
			tasks(`
a: {run: x, foreach: [1, 2], outputs: [{path: o}]}
b: {run: x, foreach: [1, 2], needs: [a], inputs: [{from: a, each: true}]}`),
			"a[0] makes a[0]/o\na[1] makes a[1]/o\nb[0] after a[0] a[1] reads a[0]/o\nb[1] after a[0] a[1] reads a[1]/o\n",
		},
		"the same file twice": {
			tasks(`
a: {run: x, foreach: [u, u, v], inputs: [{from: params, path: "${{ item }}.csv"}, {from: params, path: u.csv}]}`),
			"a[0] reads u.csv\na[1] reads u.csv\na[2] reads v.csv u.csv\n",
		},
		"elements not known yet": {
			tasks(`
a: {run: x, outputs: [{name: n, path: n.json, value: json}]}
b: {run: x, foreach: "${{ tasks.a.outputs.n }}", estimate: {count: 2}, outputs: [{path: "${{ item }}"}, {path: "o${{ index }}"}]}
c: {run: x, inputs: [{from: b}]}`),
			"a makes a/n.json\nb[0] provisional after a makes b[0]/output-1 b[0]/output-2\nb[1] provisional after a makes b[1]/output-1 b[1]/output-2\n" +
				"c after b[0] b[1] reads b[0]/output-1 b[0]/output-2 b[1]/output-1 b[1]/output-2\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := mustExpand(t, c.text, nil)
			require.Equal(t, c.want, draw(g))
			checkGraph(t, g)
		})
	}
}

// checkGraph holds a graph to what every user of it relies on.
func checkGraph(t require.TestingT, g *Graph) {
	for i := range g.Instances {
		inst := &g.Instances[i]
		require.True(t, slices.IsSorted(inst.Parents), inst.ID)
		require.Equal(t, len(slices.Compact(slices.Clone(inst.Parents))), len(inst.Parents), inst.ID)
		require.Equal(t, !inst.Retired, slices.Contains(g.Of(inst.Task), int32(i)), inst.ID)
		for _, p := range inst.Parents {
			require.False(t, g.Instances[p].Retired, inst.ID)
		}
		for _, f := range inst.Out {
			require.Equal(t, int32(i), g.Files[f].Producer)
			require.False(t, g.Files[f].Retired)
		}
		for _, f := range inst.In {
			file := &g.Files[f]
			require.False(t, file.Retired, file.Name)
			require.Equal(t, 1, count(file.Readers, int32(i)), file.Name)
			if file.Producer >= 0 {
				require.Contains(t, inst.Parents, file.Producer, "%s reads %s", inst.ID, file.Name)
			}
		}
	}
	for f := range g.Files {
		for _, r := range g.Files[f].Readers {
			require.Contains(t, g.Instances[r].In, int32(f), g.Files[f].Name)
		}
	}
}

func count(list []int32, x int32) (n int) {
	for _, y := range list {
		if x == y {
			n++
		}
	}
	return n
}

const dynamic = `
list: {run: x, outputs: [{name: items, path: i.json, value: json}]}
work: {run: x, foreach: "${{ tasks.list.outputs.items }}", estimate: {count: 2, output: 10MB}, inputs: [{from: params, path: "in/${{ item }}"}], outputs: [{path: "${{ item }}.out"}]}
check: {run: x, foreach: "${{ tasks.list.outputs.items }}", estimate: {count: 2}, inputs: [{from: work, each: true}], outputs: [{path: ok}]}
sum: {run: x, inputs: [{from: work}, {from: check}]}`

func TestResolve(t *testing.T) {
	for name, c := range map[string]struct {
		items []any
		want  string
	}{
		"as many": {[]any{"a", "b"}, `list makes list/i.json
work[0] after list reads in/a makes work[0]/a.out
work[1] after list reads in/b makes work[1]/b.out
check[0] after list work[0] reads work[0]/a.out makes check[0]/ok
check[1] after list work[1] reads work[1]/b.out makes check[1]/ok
sum after work[0] work[1] check[0] check[1] reads work[0]/a.out work[1]/b.out check[0]/ok check[1]/ok
`},
		"more": {[]any{"a", "b", "c"}, `list makes list/i.json
work[0] after list reads in/a makes work[0]/a.out
work[1] after list reads in/b makes work[1]/b.out
check[0] after list work[0] reads work[0]/a.out makes check[0]/ok
check[1] after list work[1] reads work[1]/b.out makes check[1]/ok
sum after work[0] work[1] check[0] check[1] work[2] check[2] reads work[0]/a.out work[1]/b.out work[2]/c.out check[0]/ok check[1]/ok check[2]/ok
work[2] after list reads in/c makes work[2]/c.out
check[2] after list work[2] reads work[2]/c.out makes check[2]/ok
`},
		"fewer": {[]any{"a"}, `list makes list/i.json
work[0] after list reads in/a makes work[0]/a.out
work[1] retired
check[0] after list work[0] reads work[0]/a.out makes check[0]/ok
check[1] retired
sum after work[0] check[0] reads work[0]/a.out check[0]/ok
`},
		"none": {[]any{}, `list makes list/i.json
work[0] retired
work[1] retired
check[0] retired
check[1] retired
sum
`},
	} {
		for _, first := range []string{"work", "check"} { // an element-wise pair may be resolved in either order
			t.Run(name+", first "+first, func(t *testing.T) {
				g := mustExpand(t, tasks(dynamic), nil)
				require.Equal(t, []int{1, 2}, g.Unresolved())
				one, _ := g.Spec.Task(first)
				require.NoError(t, g.Resolve(one, c.items))
				checkGraph(t, g)
				require.NoError(t, g.Resolve(3-one, c.items))
				checkGraph(t, g)
				require.Empty(t, g.Unresolved())
				require.Equal(t, c.want, draw(g))
			})
		}
	}
}

// TestResolveRefusals: after an error the graph is as before, so that a run can be failed in order.
func TestResolveRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		items []any
		want  string
	}{
		"a bad path":        {[]any{"../x"}, "leaves the working directory"},
		"the second is bad": {[]any{"a", "/b"}, "is an absolute path"},
		"nothing to name":   {[]any{""}, "has an empty part"},
		"too many":          {make([]any, MaxItems+1), "foreach has 10001 elements; at most 10000 are allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			g := mustExpand(t, tasks(dynamic), nil)
			before := fmt.Sprint(draw(g), g.Files, g.of, g.resolved, g.initial, g.reads, g.flow)
			err := g.Resolve(1, c.items)
			require.ErrorContains(t, err, c.want)
			require.Equal(t, before, fmt.Sprint(draw(g), g.Files, g.of, g.resolved, g.initial, g.reads, g.flow))
			require.NoError(t, g.Resolve(1, []any{"a"}))
			require.ErrorContains(t, g.Resolve(1, []any{"a"}), "known already")
		})
	}
}

// TestResolveLabels: a file that turns out to be private may make a task homeless; the graph is left as it was.
func TestResolveLabels(t *testing.T) {
	g := mustExpand(t, tasks(`
list: {run: x, outputs: [{name: items, path: i.json, value: json}]}
keep: {run: x, inputs: [{from: params, path: secret, data: private}]}
work: {run: x, foreach: "${{ tasks.list.outputs.items }}", estimate: {count: 1}, inputs: [{from: params, path: "${{ item }}"}], placement: {allow: ["aws:*"]}}`), nil)
	before := fmt.Sprint(draw(g), g.Files, g.flow)
	require.ErrorContains(t, g.Resolve(2, []any{"open", "secret"}), "private data never leaves the private site, which work does not allow: work[1] reads secret")
	require.Equal(t, before, fmt.Sprint(draw(g), g.Files, g.flow))
	require.NoError(t, g.Resolve(2, []any{"open"}))
}

// TestResolveInitialFiles: a file of the submitter that nothing reads any more is not brought anywhere.
func TestResolveInitialFiles(t *testing.T) {
	g := mustExpand(t, tasks(`
list: {run: x, outputs: [{name: items, path: i.json, value: json}]}
work: {run: x, foreach: "${{ tasks.list.outputs.items }}", estimate: {count: 1}, inputs: [{from: params, path: config}]}`), nil)
	require.Equal(t, File{Name: "config", Path: "config", Producer: -1, Output: -1, Label: LabelInternal, Readers: []int32{1}}, g.Files[1])
	require.NoError(t, g.Resolve(1, nil))
	require.True(t, g.Files[1].Retired)
	require.Empty(t, g.Files[1].Readers)
}

// TestResolveMismatch: what stands element-wise beside a task with known elements cannot have others.
func TestResolveMismatch(t *testing.T) {
	g := mustExpand(t, tasks(`
list: {run: x, outputs: [{name: items, path: i.json, value: json}]}
fixed: {run: x, foreach: [1, 2], outputs: [{path: o}]}
work: {run: x, foreach: "${{ tasks.list.outputs.items }}", estimate: {count: 2}, inputs: [{from: fixed, each: true}]}`), nil)
	require.ErrorContains(t, g.Resolve(2, []any{1, 2, 3}), "its foreach has 3 elements and that of fixed has 2")
	require.NoError(t, g.Resolve(2, []any{1, 2}))
	require.Len(t, g.Instances, 5)
}

// TestResolveProperty: whatever the estimates were, resolving gives the graph that would have been there had the
// elements been known, with other indexes.
func TestResolveProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		estimate, actual := rapid.IntRange(1, 6).Draw(t, "estimate"), rapid.IntRange(0, 8).Draw(t, "actual")
		items := make([]any, actual)
		for i := range items {
			items[i] = fmt.Sprintf("i%d", i)
		}
		text := tasks(strings.ReplaceAll(dynamic, "count: 2", fmt.Sprintf("count: %d", estimate)))
		spec, err := Parse("w.yaml", []byte(text))
		require.NoError(t, err)
		g, err := Expand(spec, nil)
		require.NoError(t, err)
		order := rapid.Permutation([]int{1, 2}).Draw(t, "order")
		for _, task := range order {
			require.NoError(t, g.Resolve(task, items))
			checkGraph(t, g)
		}
		static := strings.ReplaceAll(text, `"${{ tasks.list.outputs.items }}"`, fmt.Sprintf("[%s]", strings.Trim(strings.ReplaceAll(fmt.Sprint(items), " ", ","), "[]")))
		static = strings.ReplaceAll(static, fmt.Sprintf("count: %d, ", estimate), "")
		static = strings.ReplaceAll(static, fmt.Sprintf("estimate: {count: %d}, ", estimate), "needs: [list], ")
		static = strings.ReplaceAll(static, "estimate: {output", "needs: [list], estimate: {output")
		spec, err = Parse("w.yaml", []byte(static))
		require.NoError(t, err)
		want, err := Expand(spec, nil)
		require.NoError(t, err)
		require.Equal(t, linesOf(want), linesOf(g))
	})
}

// linesOf are the lines of a drawn graph that are not retired, without order.
func linesOf(g *Graph) []string {
	var lines []string
	for _, line := range strings.Split(draw(g), "\n") {
		if !strings.Contains(line, " retired") {
			words := strings.Fields(line)
			slices.Sort(words)
			lines = append(lines, strings.Join(words, " "))
		}
	}
	slices.Sort(lines)
	return lines
}

// TestSizes: an estimate of the output is split over the files, and what is a value counts for nothing.
func TestSizes(t *testing.T) {
	g := mustExpand(t, tasks(`
a: {run: x, estimate: {output: 9MB}, outputs: [{path: o}, {name: v, path: v, value: json}, {path: p}]}
b: {run: x, estimate: {output: 10}, outputs: [{name: v, path: v, value: json}]}
c: {run: x, outputs: [{path: o}]}`), nil)
	sizes := map[string]int64{}
	for _, f := range g.Files {
		sizes[f.Name] = f.Size
	}
	require.Equal(t, map[string]int64{"a/o": 4_500_000, "a/v": 0, "a/p": 4_500_000, "b/v": 10, "c/o": 0}, sizes)
}

// TestInputPath: files of the submitter keep their place, those of tasks lie below inputs/.
func TestInputPath(t *testing.T) {
	g := mustExpand(t, tasks(`
a: {run: x, foreach: [7, 8], outputs: [{path: d/o}]}
b: {run: x, outputs: [{path: p}]}
c: {run: x, inputs: [{from: a}, {from: b}, {from: params, path: data/in.csv}]}`), nil)
	var paths []string
	for _, f := range g.Instances[find(t, g, "c")].In {
		paths = append(paths, g.InputPath(int(f)))
	}
	require.Equal(t, []string{"inputs/a/0/d/o", "inputs/a/1/d/o", "inputs/b/0/p", "data/in.csv"}, paths)
}

// TestLimits: a small file cannot ask for a large graph.
func TestLimits(t *testing.T) {
	wide := "{run: x, foreach: \"${{ range(10000) }}\", outputs: [" + strings.TrimSuffix(strings.Repeat("{path: \"o${{ index }}\"}, ", 1), ", ") + "]"
	var b strings.Builder
	for i := range 21 {
		fmt.Fprintf(&b, "a%d: %s}\n", i, wide)
	}
	require.ErrorContains(t, findings(tasks(b.String())), "task a20: with it the workflow grows to more than 200000 instances")
	many := make([]string, 101)
	for i := range many {
		many[i] = fmt.Sprintf("{path: o%d}", i)
	}
	files := "a: {run: x, foreach: \"${{ range(10000) }}\", outputs: [" + strings.Join(many, ", ") + "]}"
	require.ErrorContains(t, findings(tasks(files)), "1000000 files")
	require.NoError(t, findings(tasks("a: "+wide+"}\nb: "+wide+", needs: [{task: a, each: true}]}")))
	costly := "params: {n: {type: integer, default: 100}}\ntasks:\n"
	for i := range 40 {
		costly += fmt.Sprintf("  a%d: {run: x, foreach: \"${{ [%d].filter(x, range(params.n).all(y, range(1200).all(z, z >= 0))) }}\"}\n", i, i)
	}
	require.ErrorContains(t, findings("apiVersion: spillway/v1\nname: w\n"+costly), "steps together")
}
