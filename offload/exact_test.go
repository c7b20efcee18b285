package offload

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/pricing"
)

// The cases of testdata/exact have optima that a mixed-integer program proved:
// bench/exact/make.py says how. Transfers do not share their link there, no
// container is warm, quotas do not bind, and every task needs one core.

const exactFile = "testdata/exact/cases.json"

type exactFixture struct {
	Instances map[string]json.RawMessage `json:"instances"`
	Platforms map[string]json.RawMessage `json:"platforms"`
	Cases     []exactCase                `json:"cases"`
}

type exactCase struct {
	Instance  string          `json:"instance"`
	Platform  string          `json:"platform"`
	Factor    float64         `json:"factor"`
	DeadlineS float64         `json:"deadline_s"`
	Optimum   *float64        `json:"optimum_usd"` // null: proved to have no plan in time
	Plan      json.RawMessage `json:"plan"`
	Waits     bool            `json:"waits"`               // the plan needs not_before
	RefBound  *float64        `json:"reference_bound_usd"` // null: certified impossible

	problem *Problem
}

func (c *exactCase) String() string { return c.Instance + " on " + c.Platform }

// optimum in pico-USD; infinite when there is no plan in time.
func (c *exactCase) optimum() float64 { return picoOr(c.Optimum, math.Inf(1)) }

func picoOr(usd *float64, absent float64) float64 {
	if usd == nil {
		return absent
	}
	return *usd * 1e12
}

func exactCases(t testing.TB) []exactCase {
	t.Helper()
	text, err := os.ReadFile(exactFile)
	require.NoError(t, err)
	var f exactFixture
	require.NoError(t, json.Unmarshal(text, &f))
	for k := range f.Cases {
		c := &f.Cases[k]
		c.problem = readTrace(t, f.Instances[c.Instance]).problem(t, mustPlatform(t, f.Platforms[c.Platform]))
		c.problem.DeadlineUs = micros(c.DeadlineS)
	}
	return f.Cases
}

// TestExactPlansAreWhatTheySay: the optimal plan of every case, executed, is in
// time and costs the optimum.
func TestExactPlansAreWhatTheySay(t *testing.T) {
	solved := 0
	for _, c := range exactCases(t) {
		if c.Optimum == nil {
			continue
		}
		require.NoError(t, c.problem.Prepare())
		plan, bad, err := DecodePlan(c.problem, c.Plan)
		require.NoError(t, err)
		require.Empty(t, bad)
		o, err := Simulate(c.problem, &plan, SimOptions{})
		require.NoError(t, err)
		require.True(t, o.DeadlineMet, c.String())
		require.InEpsilon(t, c.optimum(), float64(o.Cost), 1e-7, c.String())
		solved++
	}
	require.GreaterOrEqual(t, solved, 40)
}

// TestPlannersAgainstTheOptimum: no planner is cheaper than the optimum, none is
// in time where nothing can be, and the bound stays below.
func TestPlannersAgainstTheOptimum(t *testing.T) {
	for _, name := range []string{"pacer", "density"} {
		t.Run(name, func(t *testing.T) {
			planner := planOf(name)
			againstOptimum(t, planner, Budget{})
		})
	}
}

// TestPacerReachesEveryOptimum is for pacer at its default effort.
func TestPacerReachesEveryOptimum(t *testing.T) {
	requireOptimal(t, planOf("pacer"), Budget{})
}

// requireOptimal wants a planner to reach the optimum of every case that has one.
func requireOptimal(t *testing.T, planner Planner, b Budget) {
	t.Helper()
	reached, all := againstOptimum(t, planner, b)
	require.Equal(t, all, reached, "cases solved to the optimum")
}

// againstOptimum counts the cases with a plan in time, and those in which the
// planner finds the cheapest.
func againstOptimum(t *testing.T, planner Planner, b Budget) (reached, all int) {
	t.Helper()
	met, cost, bound := 0, ratio{}, ratio{}
	for _, c := range exactCases(t) {
		plan, err := planner(*c.problem, b)
		require.NoError(t, err)
		requireBelow(t, &c, plan.LowerBound)
		if plan.Predicted.DeadlineMet {
			met++
			require.NotNil(t, c.Optimum, "%s: a plan in time where there is none", &c)
			require.GreaterOrEqual(t, float64(plan.Predicted.Cost), c.optimum()*(1-1e-6), c.String())
			cost.add(float64(plan.Predicted.Cost) / c.optimum())
		}
		if c.Optimum == nil {
			continue
		}
		all++
		bound.add(float64(plan.LowerBound.Cost) / c.optimum())
		if plan.Predicted.DeadlineMet && float64(plan.Predicted.Cost) <= c.optimum()*(1+1e-6) {
			reached++
		} else {
			t.Logf("%s, %.2f: cost %s in time %v, optimum %s", &c, c.Factor, plan.Predicted.Cost, plan.Predicted.DeadlineMet,
				pricing.Money(c.optimum()))
		}
	}
	t.Logf("in time %d of %d, optimal %d; cost/optimum %s; bound/optimum %s", met, all, reached, &cost, &bound)
	return reached, all
}

func requireBelow(t *testing.T, c *exactCase, b Bound) {
	t.Helper()
	if c.Optimum == nil {
		return
	}
	require.False(t, b.Infeasible, "%s: proved impossible by %s, but has a plan", c, b.Why)
	require.LessOrEqual(t, float64(b.Cost), c.optimum()*(1+1e-9)+1, c.String())
}

// ratio sums up numbers for the log.
type ratio struct {
	sum, least, most float64
	count            int
}

func (r *ratio) add(x float64) {
	if r.count == 0 {
		r.least, r.most = x, x
	}
	r.sum, r.least, r.most, r.count = r.sum+x, min(r.least, x), max(r.most, x), r.count+1
}

func (r *ratio) mean() float64 { return r.sum / float64(max(r.count, 1)) }

func (r *ratio) String() string {
	return fmt.Sprintf("mean %.4f (%.4f to %.4f)", r.mean(), r.least, r.most)
}
