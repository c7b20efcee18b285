package offload

import "slices"

// Budget limits a planner's effort. The caller owns clocks: Stop may look at
// one. Equal problems and budgets that never stop early give equal plans.
type Budget struct {
	Decodes int         // simulations it may run; 0: the planner's default, which grows with the problem
	Times   int         // so many times the default; 0: once
	Stop    func() bool // asked between simulations; nil: never
	// Parallel calls a job for 0 to jobs-1, in any order or at once, and returns
	// when all have ended; nil: one after the other. Plans do not depend on it.
	Parallel func(jobs int, job func(k int))
}

// Planner decides every placement of a problem, keeps what is Fixed where it
// is, and predicts the outcome by Simulate's rules. It aims at the deadline less
// the margin. A plan that is late is no error: Predicted says so. The error is
// for a problem that makes no sense.
type Planner func(Problem, Budget) (Plan, error)

// Strategy describes a planner.
type Strategy struct {
	Name string
	Doc  string // one line
	Plan Planner
}

// DefaultPlanner is the name of the planner to use when none is asked for.
const DefaultPlanner = "pacer"

// strategies in the order of help texts. To add one, append it here.
var strategies = []Strategy{
	strategy("private", "every task at home, in order of upward rank; only what cannot run there is bought", planPrivate),
	strategy("public", "every task bought in its fastest configuration", planPublic),
	strategy("random", "buys in an order drawn by lot, as little as needed", planRandom),
	strategy("greedy", "at home if cores are idle when the task is ready, else bought; ignores the deadline", planGreedy),
	strategy("heft", "each task where it finishes first, by upward rank; ignores deadline and money", planHEFT),
	strategy("dato", "deadline-aware offloading: a reconstruction from a description, not the authors' code", planDato),
	strategy("prolis", "split deadline along probabilistic ranks, cheapest site that meets each part", planProLiS),
	strategy("icpcp", "critical paths, each as a whole where it is cheapest in time", planICPCP),
	strategy("skedulix", "queues at home, and buys what is still queued at its last moment", planSkedulix),
	strategy("density", "buys what frees most private time per dollar, as few as needed; no worse than dato", planDensity),
	strategy("pacer", "starts from plans of all kinds, mends and polishes the best, and searches on by annealing", planPacer),
}

// Planners lists the planners.
func Planners() []Strategy { return slices.Clone(strategies) }

// Lookup finds a planner by name.
func Lookup(name string) (Planner, bool) {
	k := slices.IndexFunc(strategies, func(s Strategy) bool { return s.Name == name })
	if k < 0 {
		return nil, false
	}
	return strategies[k].Plan, true
}

// strategy wraps a choice of placements into a Planner: it prepares, chooses,
// predicts, explains and bounds.
func strategy(name, doc string, choose func(*planning) (*decision, error)) Strategy {
	return Strategy{name, doc, func(p Problem, b Budget) (Plan, error) {
		g, err := newPlanning(&p, b)
		if err != nil {
			return Plan{}, err
		}
		d, err := choose(g)
		if err != nil {
			return Plan{}, err
		}
		return g.plan(name, d)
	}}
}

// plan predicts a decision and writes down why it was taken.
func (g *planning) plan(name string, d *decision) (Plan, error) {
	g.sim.detail = true
	g.sim.run(d, nil)
	o, err := g.sim.outcome()
	if err != nil {
		return Plan{}, err
	}
	plan := Plan{Planner: name, Order: slices.Clone(d.order), Predicted: o, Placements: make([]Placement, len(g.p.Tasks))}
	for i := range plan.Placements {
		t := &o.Tasks[i]
		plan.Placements[i] = Placement{
			Target: int(d.target[i]), Config: int(d.config[i]), Node: -1,
			StartUs: t.StartUs, FinishUs: t.FinishUs, Cold: t.Cold, Reason: g.reason(d, &o, i),
		}
	}
	for i, node := range d.node {
		plan.Placements[i].Node = int(node)
	}
	for i, at := range d.notBefore {
		plan.Placements[i].NotBeforeUs = at
	}
	for _, f := range g.p.Fixed {
		plan.Placements[f.Task].Node, plan.Placements[f.Task].NotBeforeUs = f.Node, 0
	}
	plan.LowerBound = g.certify(&o)
	return plan, nil
}
