package offload

import (
	"errors"
	"math"
	"slices"

	"github.com/spillway/spillway/pricing"
)

// Curve is what a workflow costs against its deadline.
type Curve struct {
	Points     []CurvePoint // by rising deadline, from the tightest that a plan was found for
	Knee       int          // index of the knee, or -1
	ProvedUs   int64        // no plan meets a deadline up to here: a bound proves it
	CheapestUs int64        // makespan of the all-private plan, or of the cheapest one where home alone cannot run everything
	HomeAlone  bool         // which of the two CheapestUs is
}

// CurvePoint is the best plan known for one deadline.
type CurvePoint struct {
	DeadlineUs int64
	Plan       *Plan         // in time, without its reasons; points may share it
	Bound      pricing.Money // no plan in time for this deadline costs less
}

// ErrNoPlan says that no plan was found that can be executed at all.
var ErrNoPlan = errors.New("no plan was found that breaks no limit")

const (
	provingSteps   = 16
	tighteningStep = 8
)

// Pareto plans for several deadlines, geometrically spaced from the tightest
// that the planner finds a plan for up to what the all-private plan takes. Each
// search starts from the plan for the deadline before it, and a plan that is in
// time for one deadline counts for every looser one, so that cost never rises
// with the deadline. p's own deadline and margin are ignored. The planner's
// errors are returned.
func Pareto(p Problem, planner Planner, b Budget, points int) (Curve, error) {
	p.DeadlineUs, p.MarginUs, p.Incumbent = 0, 0, nil
	if len(p.Workflows) > 1 {
		return Curve{}, errors.New("a cost curve is of one workflow, not of several")
	}
	if err := p.Prepare(); err != nil {
		return Curve{}, err
	}
	c := &curve{p: &p, planner: planner, budget: b}
	out := Curve{CheapestUs: c.loosest(), Knee: -1}
	out.HomeAlone = c.alone
	if c.err == nil && len(c.plans) == 0 {
		c.err = ErrNoPlan
	}
	if c.err != nil {
		return Curve{}, c.err
	}
	out.ProvedUs = c.proved(out.CheapestUs)
	tightest := c.tightest(out.ProvedUs)
	for _, deadline := range spaced(tightest, out.CheapestUs, points) {
		c.try(deadline)
		out.Points = append(out.Points, CurvePoint{DeadlineUs: deadline, Bound: c.bound.Cost})
	}
	for k := range out.Points {
		out.Points[k].Plan = c.best(out.Points[k].DeadlineUs)
	}
	for k := len(out.Points) - 2; k >= 0; k-- { // what holds for a deadline holds for every tighter one
		out.Points[k].Bound = max(out.Points[k].Bound, out.Points[k+1].Bound)
	}
	out.Knee = knee(out.Points)
	return out, c.err
}

// curve is the search for one.
type curve struct {
	p       *Problem
	planner Planner
	budget  Budget
	plans   []*Plan // those that break no limit, and that no other one beats in both cost and time
	bound   Bound   // of the last plan asked for
	alone   bool    // home alone can run everything
	err     error
}

// plan asks a planner and keeps what can be executed.
func (c *curve) plan(planner Planner, deadlineUs int64) *Plan {
	if c.err != nil {
		return nil
	}
	p := *c.p
	p.DeadlineUs = deadlineUs
	plan, err := planner(p, c.budget)
	if err != nil {
		c.err = err
		return nil
	}
	c.bound = plan.LowerBound
	if o := &plan.Predicted; len(o.Violations) == 0 && o.MakespanUs != Never {
		c.keep(&plan)
	}
	return &plan
}

func (c *curve) keep(plan *Plan) {
	if slices.ContainsFunc(c.plans, func(other *Plan) bool { return other.beats(plan) }) {
		return
	}
	for i := range plan.Placements {
		plan.Placements[i].Reason = Reason{} // dozens of plans are kept, and reasons are most of one
	}
	c.plans = append(slices.DeleteFunc(c.plans, func(other *Plan) bool { return plan.beats(other) }), plan)
}

// beats says whether a plan neither ends later nor costs more.
func (plan *Plan) beats(other *Plan) bool {
	return plan.Predicted.MakespanUs <= other.Predicted.MakespanUs && plan.Predicted.Cost <= other.Predicted.Cost
}

// try plans for a deadline, from the best plan for it so far, and says whether
// there is one.
func (c *curve) try(deadlineUs int64) bool {
	c.p.Incumbent = c.best(deadlineUs)
	c.plan(c.planner, deadlineUs)
	return c.best(deadlineUs) != nil
}

// best is the cheapest plan in time, if there is one.
func (c *curve) best(deadlineUs int64) (best *Plan) {
	for _, plan := range c.plans {
		if plan.Predicted.MakespanUs <= deadlineUs && (best == nil || plan.Predicted.Cost < best.Predicted.Cost) {
			best = plan
		}
	}
	return best
}

// loosest is the right end of the curve: from there on nothing gets cheaper
// where home is free.
func (c *curve) loosest() int64 {
	if home := c.plan(planPrivately, 0); home != nil && home.Predicted.Offloaded == 0 && len(c.plans) > 0 {
		c.alone = true
		return home.Predicted.MakespanUs
	}
	c.plan(c.planner, 0)
	if plan := c.best(Never); plan != nil {
		return plan.Predicted.MakespanUs
	}
	return 0
}

// planPrivately and planPublicly are the planners that take one simulation.
func planPrivately(p Problem, b Budget) (Plan, error) { return planBy("private", p, b) }
func planPublicly(p Problem, b Budget) (Plan, error)  { return planBy("public", p, b) }

func planBy(name string, p Problem, b Budget) (Plan, error) {
	planner, _ := Lookup(name)
	return planner(p, b)
}

// proved bisects for the longest deadline that a bound proves impossible.
func (c *curve) proved(endUs int64) int64 {
	low, high := int64(0), endUs
	for range provingSteps {
		middle := low + (high-low)/2
		if c.plan(planPrivately, max(1, middle)); c.err == nil && c.bound.Infeasible {
			low = middle
		} else {
			high = middle
		}
	}
	return low
}

// tightest is the shortest makespan found: the planner is asked for deadlines
// between what is proved impossible and what it managed.
func (c *curve) tightest(provedUs int64) int64 {
	c.plan(planPublicly, 0)
	low, high := provedUs, c.shortest()
	for range tighteningStep {
		if high-low <= high>>10 {
			break
		}
		middle := low + (high-low)/2
		if c.try(middle) {
			high = c.shortest()
		} else {
			low = middle
		}
	}
	return high
}

func (c *curve) shortest() int64 {
	shortest := int64(Never)
	for _, plan := range c.plans {
		shortest = min(shortest, plan.Predicted.MakespanUs)
	}
	return shortest
}

// spaced is n deadlines from first to last, each the same part longer than the
// one before: costs change most where deadlines are tight.
func spaced(first, last int64, n int) []int64 {
	if n < 2 || first >= last {
		return []int64{first}
	}
	out := make([]int64, n)
	for k := range out {
		out[k] = int64(float64(first) * math.Pow(float64(last)/float64(max(first, 1)), float64(k)/float64(n-1)))
	}
	out[0], out[n-1] = first, last
	return slices.Compact(out)
}

// leastKnee is how far below the chord a point must be to be a knee.
const leastKnee = 0.05

// knee is the point farthest below the straight line between the curve's ends,
// both axes scaled to 0..1: Kneedle (Satopaa et al., "Finding a kneedle in a
// haystack", ICDCS workshops 2011) without smoothing. It is -1 when no point is
// far below the line.
func knee(points []CurvePoint) int {
	if len(points) < 3 {
		return -1
	}
	first, last := &points[0], &points[len(points)-1]
	across := float64(last.DeadlineUs - first.DeadlineUs)
	down := float64(first.Plan.Predicted.Cost - last.Plan.Predicted.Cost)
	at, deepest := -1, leastKnee
	for k := range points {
		x := float64(points[k].DeadlineUs-first.DeadlineUs) / across
		y := float64(points[k].Plan.Predicted.Cost-last.Plan.Predicted.Cost) / down
		if below := 1 - x - y; below > deepest {
			at, deepest = k, below
		}
	}
	return at
}
