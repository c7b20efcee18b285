package planners

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/bench/gen"
	"github.com/spillway/spillway/offload"
)

func generated(t testing.TB, family string, tasks int) (Instance, []byte) {
	t.Helper()
	in, err := gen.Generate(family, tasks, 3)
	require.NoError(t, err)
	text, err := json.Marshal(in)
	require.NoError(t, err)
	instance, err := Parse(in.Name, text)
	require.NoError(t, err)
	return instance, text
}

// reference runs the reference evaluator, which stands beside the checkout.
func reference(t *testing.T, args ...string) []byte {
	t.Helper()
	program, err := filepath.Abs("../../../shared/refeval/refeval.py")
	require.NoError(t, err)
	if _, err := os.Stat(program); err != nil {
		t.Skip("no reference evaluator: looked for ../shared/refeval beside the checkout")
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed: the reference evaluator cannot run")
	}
	cmd := exec.CommandContext(t.Context(), python, append([]string{program}, args...)...)
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	require.NoError(t, err, "%s", &errs)
	return out
}

// TestSameRowsAsTheReference measures the same plans here and there: platform,
// deadlines and every column that does not depend on the machine must agree,
// the executions with noise among them.
func TestSameRowsAsTheReference(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "set")
	require.NoError(t, os.Mkdir(dir, 0o700))
	instances, paths := referenceInstances(t, dir)
	out := filepath.Join(dir, "out.csv")
	books, factors := []string{"aws", "gcp", "both"}, []float64{1.05, 2, 4}
	reference(t, append([]string{
		"bench", "-o", out, "--books", strings.Join(books, ","), "--factors", "1.05,2,4", "--planners", "all-private",
	}, paths...)...)
	text, err := os.ReadFile(out)
	require.NoError(t, err)
	want, err := ReadCSV(bytes.NewReader(text))
	require.NoError(t, err)

	c := Config{Books: books, Factors: factors, Planners: []string{"private"}, NoiseRuns: 5}
	var got []Row
	require.NoError(t, c.Run(instances, func(rows []Row) error {
		got = append(got, rows...)
		return nil
	}))
	require.Len(t, got, len(want))
	hits := 0
	for k := range want {
		requireSameRow(t, &want[k], &got[k])
		hits += got[k].NoiseHits
	}
	require.Positive(t, hits, "no case is in time with noise, so its equality says nothing")
}

func referenceInstances(t *testing.T, dir string) (instances []Instance, paths []string) {
	t.Helper()
	add := func(name string, text []byte) {
		in, err := Parse(name, text)
		require.NoError(t, err)
		in.Set = "set"
		instances, paths = append(instances, in), append(paths, filepath.Join(dir, name+".json"))
		require.NoError(t, os.WriteFile(paths[len(paths)-1], text, 0o600))
	}
	for _, family := range gen.Families() {
		_, text := generated(t, family, 60)
		add(family, text)
	}
	traces, _ := filepath.Glob("../../../shared/traces/public/*.json")
	for _, path := range traces {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		if len(text) < 300_000 { // the reference takes long for the others
			add(strings.TrimSuffix(filepath.Base(path), ".json"), text)
		}
	}
	return instances, paths
}

// requireSameRow compares what does not depend on the machine or on the bound.
func requireSameRow(t *testing.T, want, got *Row) {
	t.Helper()
	w, g := *want, *got
	for _, pair := range [][2]float64{
		{w.CriticalS, g.CriticalS}, {w.PrivateRatio, g.PrivateRatio}, {w.DeadlineS, g.DeadlineS}, {w.MakespanS, g.MakespanS},
	} {
		if !math.IsInf(pair[0], 1) || !math.IsInf(pair[1], 1) {
			require.InDelta(t, pair[0], pair[1], 1e-4, "%+v", g)
		}
	}
	for _, r := range []*Row{&w, &g} {
		r.CriticalS, r.PrivateRatio, r.DeadlineS, r.MakespanS, r.PlanS, r.SimS, r.LowerBound = 0, 0, 0, 0, 0, 0, 0
	}
	w.Planner = g.Planner
	require.Equal(t, w, g)
}

// TestReferencePlatform wants the platform itself, number by number.
func TestReferencePlatform(t *testing.T) {
	in, text := generated(t, "layered", 80)
	path := filepath.Join(t.TempDir(), "layered.json")
	require.NoError(t, os.WriteFile(path, text, 0o600))
	for _, book := range Books() {
		for _, independent := range []bool{false, true} {
			want, err := offload.ParsePlatform(reference(t, "platform", path, "--book", book, "--wan", wan(independent)))
			require.NoError(t, err)
			got, err := Reference(&in, book, independent)
			require.NoError(t, err)
			require.Equal(t, want, got.Platform)
		}
	}
}

// TestSmallestCluster: one core less, and home alone takes more than four
// critical paths.
func TestSmallestCluster(t *testing.T) {
	for _, family := range gen.Families() {
		in, _ := generated(t, family, 100)
		s, err := Reference(&in, "aws", false)
		require.NoError(t, err)
		require.LessOrEqual(t, s.PrivateS, 4*s.CriticalS, family)
		if s.Cores > 1 {
			smaller, err := Platform("aws", s.Cores-1, false)
			require.NoError(t, err)
			p, err := in.On(smaller)
			require.NoError(t, err)
			private, _ := offload.Lookup("private")
			plan, err := private(*p, offload.Budget{})
			require.NoError(t, err)
			if plan.Predicted.Offloaded == 0 { // else home alone cannot run it at all
				require.Greater(t, seconds(plan.Predicted.MakespanUs), 4*s.CriticalS, family)
			}
		}
	}
}

// TestCSVIsReadAsWritten also pins the format, which another program reads.
func TestCSVIsReadAsWritten(t *testing.T) {
	rows := []Row{{
		Set: "s", Instance: "i", Tasks: 3, Book: "aws", WAN: "shared", Cores: 2, CriticalS: 1.5, PrivateRatio: 3.25, Factor: 2,
		DeadlineS: 3, Planner: "p", Met: true, Feasible: true, MakespanS: 2.5, Cost: 0.25, Exec: 0.125, Egress: 0.125, LowerBound: 0.0625,
		Offloaded: 1, QuotaWaitS: 0.5, Cold: 1, UpBytes: 1_500_000, DownBytes: 2_000, PlanS: 0.01, SimS: 0.002, NoiseHits: 4,
	}, {Factor: 1.05, MakespanS: math.Inf(1), LowerBound: math.Inf(1), NoiseHits: -1, Violations: 2, FirstViolation: "memory"}}
	var b bytes.Buffer
	w, err := NewCSV(&b)
	require.NoError(t, err)
	require.NoError(t, w.Write(rows))
	lines := strings.Split(b.String(), "\n")
	require.Equal(t, "s,i,3,aws,shared,2,1.500000,3.2500,2.0,3.000000,p,1,1,2.500000,0.250000000,0.125000000,0.125000000,0.062500000,"+
		"1,0.500,1,1.500,0.002,0.0100,0.0020,4,0,", lines[1])
	require.Equal(t, ",,0,,,0,0.000000,0.0000,1.05,0.000000,,0,0,inf,0.000000000,0.000000000,0.000000000,inf,0,0.000,0,0.000,0.000,"+
		"0.0000,0.0000,,2,memory", lines[2])
	got, err := ReadCSV(&b)
	require.NoError(t, err)
	require.Equal(t, rows, got)
}

func TestReadCSVNamesTheLine(t *testing.T) {
	head := strings.Join(fields, ",") + "\n"
	_, err := ReadCSV(strings.NewReader(head + strings.Repeat(",", len(fields)-1) + "\n"))
	require.ErrorContains(t, err, "line 2: tasks: ")
	_, err = ReadCSV(strings.NewReader("a,b\n"))
	require.ErrorContains(t, err, "the columns are a,b, want set,")
	_, err = ReadCSV(strings.NewReader(""))
	require.ErrorContains(t, err, "no header")
}

func FuzzReadCSV(f *testing.F) {
	f.Add(strings.Join(fields, ",") + "\ns,i,3,aws,shared,2,1,1,2.0,3,p,1,1,2,1,1,1,inf,1,0,1,1,1,1,1,,0,\n")
	f.Fuzz(func(t *testing.T, text string) {
		if rows, err := ReadCSV(strings.NewReader(text)); err == nil {
			require.NoError(t, Text(&bytes.Buffer{}, rows, "p"))
		}
	})
}

// TestFigures counts by hand: two cases that cost something, a free one, one
// certified impossible and one that nobody solves.
func TestFigures(t *testing.T) {
	row := func(instance, planner string, met bool, cost, bound float64, hits int) Row {
		return Row{Instance: instance, Planner: planner, Factor: 2, Met: met, Cost: cost, LowerBound: bound, NoiseHits: hits, PlanS: 0.006, SimS: 0.002}
	}
	rows := []Row{
		row("a", "one", true, 2, 1, 5), row("b", "one", true, 8, 1, 0), row("c", "one", true, 0, 0, 5),
		row("d", "one", false, 0, math.Inf(1), 0), row("e", "one", false, 3, 1, 0),
		row("a", "two", true, 4, 1, 5), row("b", "two", false, 1, 1, 0), row("c", "two", true, 1, 0, 5),
		row("d", "two", false, 0, math.Inf(1), 0), row("e", "two", false, 1, 1, 0),
	}
	s := Summarise(rows)
	require.Equal(t, []int{5, 1, 3}, []int{s.Cases, s.Impossible, s.Solved})
	one, two := s.Planners[0], s.Planners[1]
	require.InDeltaSlice(t, []float64{0.6, 0.75, 1, 4, 1, 1, 2. / 3}, []float64{
		one.OfAll, one.OfPossible, one.OfSolved, one.CostToBound, one.CostToBest, one.FreeFound, one.Noise,
	}, 1e-8)
	require.InDeltaSlice(t, []float64{0.4, 0.5, 2. / 3, 4, 2, 0, 1}, []float64{
		two.OfAll, two.OfPossible, two.OfSolved, two.CostToBound, two.CostToBest, two.FreeFound, two.Noise,
	}, 1e-8)
	require.InDelta(t, 3, one.PlanDecodes.Median, 1e-9)
	require.Len(t, two.ByFactor, 1)
	require.InDelta(t, 2./3, two.ByFactor[0].OfSolved, 1e-9)

	c := Compare(rows, "one", "two")
	require.Equal(t, []int{2, 1, 0}, []int{c.Both, c.OnlyA, c.OnlyB})
	require.InDelta(t, 0.5, c.Ratio, 1e-9)
	require.Equal(t, []int{1, 0}, []int{c.FreeA, c.FreeB}, "c is for nothing")
	var b bytes.Buffer
	require.NoError(t, Text(&b, rows, "one"))
	require.Contains(t, b.String(), "5 cases, 1 of them certified impossible, 3 solved by at least one planner")
	require.Contains(t, b.String(), "one         60.0%     75.0%   100.0%    4.00   1.00 100.0%    66.7%         6       6       3       3\n")
}

// TestBoundsHoldForTheCase: one bound for all plans of a case, and a benchmark
// that prints a cost below it would be believed.
func TestBoundsHoldForTheCase(t *testing.T) {
	in, _ := generated(t, "layered", 40)
	c := Config{Books: []string{"aws"}, Factors: []float64{1.5}, Planners: []string{"private", "public"}}
	require.NoError(t, c.Run([]Instance{in}, func(rows []Row) error {
		require.Len(t, rows, 2)
		require.Positive(t, rows[0].LowerBound)
		require.Equal(t, rows[0].LowerBound, rows[1].LowerBound)
		require.True(t, rows[1].Met)
		require.NoError(t, certify(rows, rows[1].Cost))
		require.ErrorContains(t, certify(rows, 1.01*rows[1].Cost), "public: in time for $")
		require.ErrorContains(t, certify(rows, math.Inf(1)), "public: in time for $")
		return nil
	}))
}

// TestWrongPlansAreNoticed: figures of a planner that predicts wrongly would be
// believed.
func TestWrongPlansAreNoticed(t *testing.T) {
	in, _ := generated(t, "layered", 40)
	pf, err := Platform("aws", 4, false)
	require.NoError(t, err)
	p, err := in.On(pf)
	require.NoError(t, err)
	private, _ := offload.Lookup("private")
	plan, err := private(*p, offload.Budget{})
	require.NoError(t, err)
	var r Row
	require.NoError(t, r.execute(p, &plan, nil))
	plan.Predicted.MakespanUs++
	require.ErrorContains(t, r.execute(p, &plan, nil), "predicted")
}
