package offload

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/spillway/spillway/pricing"
)

// TestCurvesOfGeneratedProblems holds the promises of Pareto: deadlines rise,
// costs and bounds never do, every plan is in time and what the simulator says,
// no bound is above a cost, and nothing proved impossible is on the curve.
func TestCurvesOfGeneratedProblems(t *testing.T) {
	planner, _ := Lookup("density")
	curves, steps := 0, 0
	for seed := range uint64(200) {
		p := generated(t, seed)
		c, err := Pareto(*p, planner, Budget{Decodes: 20}, 8)
		if err != nil {
			require.ErrorIs(t, err, ErrNoPlan, "seed %d", seed)
			continue
		}
		curves++
		require.LessOrEqual(t, len(c.Points), 8)
		require.Less(t, c.ProvedUs, max(1, c.Points[0].DeadlineUs), "seed %d", seed)
		checkCurve(t, p, &c, seed)
		for k := range c.Points[1:] {
			if c.Points[k+1].Plan.Predicted.Cost < c.Points[k].Plan.Predicted.Cost {
				steps++
			}
		}
	}
	require.Greater(t, curves, 100)
	require.Greater(t, steps, 50, "curves without a step say nothing")
}

func checkCurve(t *testing.T, p *Problem, c *Curve, seed uint64) {
	t.Helper()
	for k := range c.Points {
		at := &c.Points[k]
		q := *p
		q.DeadlineUs, q.MarginUs = max(1, at.DeadlineUs), 0
		o, err := Simulate(&q, at.Plan, SimOptions{})
		require.NoError(t, err)
		require.True(t, o.DeadlineMet, "seed %d, point %d", seed, k)
		require.Equal(t, o.Cost, at.Plan.Predicted.Cost)
		require.LessOrEqual(t, at.Bound, o.Cost, "seed %d, point %d", seed, k)
		if k == 0 {
			continue
		}
		before := &c.Points[k-1]
		require.Greater(t, at.DeadlineUs, before.DeadlineUs, "seed %d", seed)
		require.LessOrEqual(t, o.Cost, before.Plan.Predicted.Cost, "seed %d, point %d", seed, k)
		require.LessOrEqual(t, at.Bound, before.Bound, "seed %d, point %d", seed, k)
	}
	if last := c.Points[len(c.Points)-1]; c.HomeAlone {
		require.LessOrEqual(t, last.Plan.Predicted.MakespanUs, c.CheapestUs)
		private, _ := Lookup("private")
		q := *p
		q.DeadlineUs = 0
		home, err := private(q, Budget{})
		require.NoError(t, err)
		require.LessOrEqual(t, last.Plan.Predicted.Cost, home.Predicted.Cost, "seed %d: home alone is on the curve", seed)
	}
}

// crowded is a problem with far fewer private cores than tasks.
func crowded(t *testing.T) *Problem {
	t.Helper()
	p, _ := layered(t, 60)
	pf := p.Platform
	pf.Nodes = []Node{{Name: "0", Cores: 2, Speed: 1, MemMiB: 8 << 10}}
	return &Problem{Tasks: p.Tasks, Files: p.Files, Platform: pf}
}

// TestCurveCarriesPlansOver asks a planner that gives a good plan and good
// bounds for some deadlines alone: every looser deadline has the plan too, and
// every tighter one the bound.
func TestCurveCarriesPlansOver(t *testing.T) {
	p := crowded(t)
	public, _ := Lookup("public")
	density, _ := Lookup("density")
	calls := 0
	moody := func(p Problem, b Budget) (plan Plan, err error) {
		if calls++; calls == 1 {
			return density(p, b)
		}
		if plan, err = public(p, b); calls%2 == 0 {
			plan.LowerBound.Cost = 0 // no less true
		}
		return plan, err
	}
	c, err := Pareto(*p, moody, Budget{}, 10)
	require.NoError(t, err)
	checkCurve(t, p, &c, 0)
	require.Greater(t, calls, 10)
}

// TestCurveStartsFromThePlanBefore wants each search to be given the best plan
// so far that is in time.
func TestCurveStartsFromThePlanBefore(t *testing.T) {
	p := crowded(t)
	p.DeadlineUs, p.MarginUs = 50*second, 40*second // of no matter here
	density, _ := Lookup("density")
	given := 0
	c, err := Pareto(*p, func(p Problem, b Budget) (Plan, error) {
		require.Zero(t, p.MarginUs)
		if p.Incumbent != nil {
			given++
			require.LessOrEqual(t, p.Incumbent.Predicted.MakespanUs, p.DeadlineUs)
		}
		return density(p, b)
	}, Budget{}, 10)
	require.NoError(t, err)
	require.Len(t, c.Points, 10)
	require.Positive(t, c.Knee)
	require.GreaterOrEqual(t, given, len(c.Points))
}

// TestCurveKeepsWhatIsNotBeaten: of equal plans one, in no order.
func TestCurveKeepsWhatIsNotBeaten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c curve
		var all []*Plan
		for range rapid.IntRange(1, 12).Draw(t, "plans") {
			all = append(all, &Plan{Predicted: Outcome{
				MakespanUs: rapid.Int64Range(1, 6).Draw(t, "time"), Cost: pricing.Money(rapid.Int64Range(0, 5).Draw(t, "cost")),
			}})
			c.keep(all[len(all)-1])
		}
		for _, plan := range all {
			beaten := 0
			for _, kept := range c.plans {
				if kept.beats(plan) {
					beaten++
				}
			}
			require.Positive(t, beaten)
		}
		for _, plan := range c.plans {
			for _, other := range c.plans {
				require.False(t, plan != other && plan.beats(other))
			}
		}
	})
}

// line is a curve of given deadlines and costs.
func line(deadlines []int64, costs []float64) (points []CurvePoint) {
	for k := range deadlines {
		points = append(points, CurvePoint{DeadlineUs: deadlines[k], Plan: &Plan{Predicted: Outcome{Cost: pricing.Money(costs[k] * float64(pricing.USD))}}})
	}
	return points
}

func TestKnee(t *testing.T) {
	for _, c := range []struct {
		name      string
		deadlines []int64
		costs     []float64
		want      int
	}{
		{"a sharp bend", []int64{10, 20, 30, 40, 50}, []float64{10, 2, 1, 0.5, 0}, 1},
		{"a straight line has none", []int64{10, 20, 30, 40, 50}, []float64{4, 3, 2, 1, 0}, -1},
		{"hardly bent", []int64{0, 50, 100}, []float64{100, 47, 0}, -1},
		{"bent the other way", []int64{10, 20, 30, 40, 50}, []float64{10, 9.5, 9, 7, 0}, -1},
		{"nothing costs anything", []int64{10, 20, 30}, []float64{0, 0, 0}, -1},
		{"two points", []int64{10, 20}, []float64{1, 0}, -1},
		{"of equally deep ones the tightest", []int64{0, 25, 50, 100}, []float64{4, 2, 1, 0}, 1},
	} {
		require.Equal(t, c.want, knee(line(c.deadlines, c.costs)), c.name)
	}
}

// TestKneeDoesNotDependOnUnits: minutes or seconds, dollars or cents.
func TestKneeDoesNotDependOnUnits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(3, 20).Draw(t, "points")
		deadlines, costs := make([]int64, n), make([]float64, n)
		longer, dearer := make([]int64, n), make([]float64, n)
		at, cost := int64(0), 1000.0
		for k := range n {
			at += rapid.Int64Range(1, 100).Draw(t, "step")
			cost -= rapid.Float64Range(0, cost/2).Draw(t, "saving")
			deadlines[k], costs[k] = at, math.Floor(cost)
			longer[k], dearer[k] = 64*at, 4*math.Floor(cost)
		}
		require.Equal(t, knee(line(deadlines, costs)), knee(line(longer, dearer)))
	})
}

func TestCurveOfNothingThatRuns(t *testing.T) {
	p, _ := layered(t, 20)
	p.Tasks[3].PrivateOnly, p.Tasks[3].PublicOnly = true, true
	density, _ := Lookup("density")
	_, err := Pareto(*p, density, Budget{}, 5)
	require.ErrorIs(t, err, ErrNoPlan)
}
