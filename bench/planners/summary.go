package planners

import (
	"math"
	"slices"
)

// caseKey is what planners are compared on.
type caseKey struct {
	instance, book, wan string
	factor              float64
}

func (r *Row) key() caseKey { return caseKey{r.Instance, r.Book, r.WAN, r.Factor} }

// free is the cost up to which a plan counts as one for nothing, in USD.
const free = 1e-6

// Figures are what the plans of one planner add up to. Shares are of 1; a share
// or mean of nothing is NaN.
type Figures struct {
	Planner     string
	OfAll       float64 // cases met
	OfPossible  float64 // of the cases that no bound certifies impossible
	OfSolved    float64 // of the cases that some planner solves
	CostToBound float64 // geometric mean over its hits with a bound above 0
	CostToBest  float64 // geometric mean over its hits whose cheapest plan costs something
	FreeFound   float64 // of the cases with a plan for nothing
	Noise       float64 // hits among noisy executions of its hits
	PlanMs      Spread  // planning alone
	PlanDecodes Spread  // planning in bare simulations of the same plan
	ByFactor    []ByFactor
}

// Spread is a median and a maximum.
type Spread struct{ Median, Max float64 }

// ByFactor is a planner's part at one deadline.
type ByFactor struct{ Factor, OfSolved, CostToBest float64 }

// Comparison is planner A beside planner B.
type Comparison struct {
	A, B         string
	Both         int     // cases that both solve
	Ratio        float64 // geometric mean of A's cost over B's where both solve and both pay
	Least, Most  float64 // of those ratios
	OnlyA, OnlyB int     // cases that one solves alone
	FreeA, FreeB int     // cases that both solve, one of them for nothing
}

// Summary is all of it.
type Summary struct {
	Cases, Impossible, Solved int
	Planners                  []Figures // in order of appearance
}

// Summarise adds up rows by planner, with the reference evaluator's measures.
func Summarise(rows []Row) Summary {
	t := newTable(rows)
	s := Summary{Cases: t.cases, Impossible: len(t.impossible), Solved: len(t.best)}
	for _, name := range names(rows) {
		s.Planners = append(s.Planners, t.figures(name))
	}
	return s
}

func names(rows []Row) (out []string) {
	for k := range rows {
		if !slices.Contains(out, rows[k].Planner) {
			out = append(out, rows[k].Planner)
		}
	}
	return out
}

// table is rows with what is known of their cases.
type table struct {
	rows       []Row
	cases      int
	best       map[caseKey]float64 // cost of the cheapest plan in time
	impossible map[caseKey]bool    // certified
}

func newTable(rows []Row) *table {
	t := &table{rows: rows, best: map[caseKey]float64{}, impossible: map[caseKey]bool{}}
	seen := map[caseKey]bool{}
	for k := range rows {
		r, key := &rows[k], rows[k].key()
		seen[key] = true
		if cost, ok := t.best[key]; r.Met && (!ok || r.Cost < cost) {
			t.best[key] = r.Cost
		}
		if math.IsInf(r.LowerBound, 1) {
			t.impossible[key] = true
		}
	}
	t.cases = len(seen)
	return t
}

func (t *table) solved(r *Row) bool {
	_, ok := t.best[r.key()]
	return ok
}

// free says whether some plan of the row's case costs nothing.
func (t *table) free(r *Row) bool { return t.solved(r) && t.best[r.key()] <= free }

func met(r *Row) bool { return r.Met }

func (t *table) figures(name string) Figures {
	mine := where(t.rows, func(r *Row) bool { return r.Planner == name })
	hits := where(mine, met)
	f := Figures{
		Planner: name, OfAll: share(mine, met), CostToBest: t.costToBest(hits), Noise: noiseShare(hits),
		OfPossible:  share(where(mine, func(r *Row) bool { return !t.impossible[r.key()] }), met),
		OfSolved:    share(where(mine, t.solved), met),
		FreeFound:   share(where(mine, t.free), func(r *Row) bool { return r.Met && r.Cost <= free }),
		CostToBound: geometric(each(where(hits, bounded), func(r *Row) float64 { return r.Cost / r.LowerBound })),
		PlanMs:      spread(each(mine, func(r *Row) float64 { return 1000 * r.PlanS })),
		PlanDecodes: spread(each(where(mine, func(r *Row) bool { return r.SimS > 0 }), func(r *Row) float64 { return r.PlanS / r.SimS })),
	}
	for _, factor := range factors(t.rows) {
		solved := where(mine, func(r *Row) bool { return r.Factor == factor && t.solved(r) })
		f.ByFactor = append(f.ByFactor, ByFactor{factor, share(solved, met), t.costToBest(where(solved, met))})
	}
	return f
}

func bounded(r *Row) bool { return r.LowerBound > 0 && !math.IsInf(r.LowerBound, 1) }

func (t *table) costToBest(hits []Row) float64 {
	paid := where(hits, func(r *Row) bool { return !t.free(r) })
	return geometric(each(paid, func(r *Row) float64 { return ratio(r.Cost, t.best[r.key()]) }))
}

// noiseRuns is how many noisy executions the reference evaluator's share is of.
const noiseRuns = 5

func noiseShare(hits []Row) float64 {
	tried := where(hits, func(r *Row) bool { return r.NoiseHits >= 0 })
	sum := 0
	for k := range tried {
		sum += tried[k].NoiseHits
	}
	return float64(sum) / float64(noiseRuns*len(tried))
}

func factors(rows []Row) []float64 {
	all := each(rows, func(r *Row) float64 { return r.Factor })
	slices.Sort(all)
	return slices.Compact(all)
}

// Compare puts one planner beside another, on the cases that both were given.
func Compare(rows []Row, a, b string) Comparison {
	c := Comparison{A: a, B: b, Least: math.NaN(), Most: math.NaN()}
	of := map[caseKey]*Row{}
	for k := range rows {
		if rows[k].Planner == b {
			of[rows[k].key()] = &rows[k]
		}
	}
	var ratios []float64
	for k := range rows {
		r := &rows[k]
		other := of[r.key()]
		if r.Planner != a || other == nil {
			continue
		}
		switch {
		case r.Met && other.Met:
			c.Both++
			if r.Cost > free && other.Cost > free {
				ratios = append(ratios, r.Cost/other.Cost)
			} else if other.Cost > free {
				c.FreeA++
			} else if r.Cost > free {
				c.FreeB++
			}
		case r.Met:
			c.OnlyA++
		case other.Met:
			c.OnlyB++
		}
	}
	c.Ratio = geometric(ratios)
	if len(ratios) > 0 {
		c.Least, c.Most = slices.Min(ratios), slices.Max(ratios)
	}
	return c
}

// ratio of two costs, with a nano-dollar on both so that nothing is divided by 0.
func ratio(a, b float64) float64 { return (a + 1e-9) / (b + 1e-9) }

func where(rows []Row, keep func(*Row) bool) (out []Row) {
	for k := range rows {
		if keep(&rows[k]) {
			out = append(out, rows[k])
		}
	}
	return out
}

func each(rows []Row, of func(*Row) float64) []float64 {
	out := make([]float64, len(rows))
	for k := range rows {
		out[k] = of(&rows[k])
	}
	return out
}

// share is the part of the rows that are so.
func share(rows []Row, so func(*Row) bool) float64 {
	return float64(len(where(rows, so))) / float64(len(rows))
}

func geometric(x []float64) float64 {
	if len(x) == 0 {
		return math.NaN()
	}
	sum := 0.0
	for _, v := range x {
		sum += math.Log(v)
	}
	return math.Exp(sum / float64(len(x)))
}

func spread(x []float64) Spread {
	if len(x) == 0 {
		return Spread{math.NaN(), math.NaN()}
	}
	return Spread{median(x), slices.Max(x)}
}
