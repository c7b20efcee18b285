package estimate

import (
	"math"
	"slices"

	"github.com/spillway/spillway/offload"
	"github.com/spillway/spillway/workflow"
)

const (
	// enough samples speak for an offering by themselves.
	enough = 3
	// hintWeight is how many samples an author's estimate counts for while there
	// are fewer than enough.
	hintWeight = 5
	// priorSpread is how far run times are thought to spread (standard deviation of
	// the logarithm) before anything is measured; it counts for priorWeight samples.
	priorSpread = 0.3
	priorWeight = 5
)

// estimate is what all instances of a task have in common.
type estimate struct {
	task  offload.Task // without id, parents, files and trust
	basis Basis
	bytes []int64 // by output of the task; nil: the graph's sizes stand
}

// offering is a place whose run times are comparable: the private site as a
// whole, or one configuration of a provider.
type offering struct{ target, config int }

// past is what was measured of one task.
type past struct {
	seconds map[offering][]float64
	bytes   []float64
}

// learn makes the estimate of every task.
func (m *Model) learn(g *workflow.Graph) []estimate {
	history := m.past(g.Spec)
	pace := m.pace(g.Spec, history)
	of := make([]estimate, len(g.Spec.Tasks))
	for i := range of {
		t := &g.Spec.Tasks[i]
		if t.Work != nil {
			of[i] = m.traced(t.Work)
		} else {
			of[i] = m.written(t, &history[i], pace)
		}
	}
	spreadAlike(of)
	return of
}

// spreadAlike gives the prior spread to tasks of which nothing is known, where
// something is known of others.
func spreadAlike(of []estimate) {
	if !slices.ContainsFunc(of, func(e estimate) bool { return e.task.Spread > 0 }) {
		return
	}
	for i := range of {
		if of[i].task.Spread == 0 {
			of[i].task.Spread = priorSpread
		}
	}
}

// traced takes a trace at its word.
func (m *Model) traced(w *workflow.Work) estimate {
	seconds := w.RuntimeS
	if k := m.scale(); k != 1 {
		seconds /= k
	}
	return estimate{
		task:  offload.Task{Cores: w.Cores, MemBytes: w.Memory, RuntimeS: seconds},
		basis: Basis{Source: Trace, Seconds: seconds, Output: Trace},
	}
}

func (m *Model) written(t *workflow.Task, h *past, pace float64) estimate {
	e := estimate{task: offload.Task{Cores: t.Resources.CPU, MemBytes: float64(t.Resources.Memory)}}
	e.basis = m.runtime(t, h, pace)
	e.task.RuntimeS, e.task.Spread = e.basis.Seconds, e.basis.Spread
	e.task.RuntimeOn = m.measured(t.Resources.CPU, h)
	e.bytes, e.basis.Output = m.output(t, h)
	return e
}

// past sorts the history by task and offering. Samples of offerings that the
// platform no longer has tell nothing of those it has.
func (m *Model) past(spec *workflow.Spec) []past {
	of := make([]past, len(spec.Tasks))
	for i := range m.History {
		s := &m.History[i]
		task, known := spec.Task(s.Task)
		if !known || s.Command < 0 {
			continue
		}
		of[task].bytes = append(of[task].bytes, float64(max(0, s.OutputSize)))
		if at, ok := m.offering(s); ok {
			if of[task].seconds == nil {
				of[task].seconds = map[offering][]float64{}
			}
			of[task].seconds[at] = append(of[task].seconds[at], max(s.Command.Seconds(), 1e-6))
		}
	}
	return of
}

func (m *Model) offering(s *Sample) (offering, bool) {
	if s.Site == workflow.SitePrivate {
		return offering{offload.Private, 0}, true
	}
	q := m.Platform.ProviderIndex(s.Site)
	if q < 0 {
		return offering{}, false
	}
	c := m.Platform.Providers[q].ConfigIndex(s.MemoryMiB)
	return offering{q, c}, c >= 0
}

// speed is how fast an offering runs a task of that many cores, relative to as
// many reference cores. Private nodes count with their mean: history does not
// say which of them ran a task.
func (m *Model) speed(at offering, cores int) float64 {
	if at.target != offload.Private {
		q := &m.Platform.Providers[at.target]
		return q.SpeedPerVCPU * min(float64(cores), q.Configs[at.config].VCPU) / float64(cores)
	}
	sum, n := 0.0, 0
	for k := range m.Platform.Nodes {
		node := &m.Platform.Nodes[k]
		sum, n = sum+float64(node.Cores)*node.Speed, n+node.Cores
	}
	if n == 0 {
		return 1
	}
	return sum / float64(n)
}

// maxPace bounds how far an author's figures are thought to be off all alike.
const maxPace = 16

// pace is how long the tasks of a workflow take by their history, relative to
// what its author said, as a geometric mean over the tasks of which both are
// known: an author who measured on another machine is off by one factor. It is
// 1 where nothing tells.
func (m *Model) pace(spec *workflow.Spec, history []past) float64 {
	sum, n := 0.0, 0
	for i := range spec.Tasks {
		t := &spec.Tasks[i]
		if pool := m.pool(&history[i], t.Resources.CPU); t.Estimate.Runtime > 0 && len(pool) >= enough {
			sum += math.Log(m.typical(pool) * m.scale() / t.Estimate.Runtime.Seconds())
			n++
		}
	}
	if n == 0 {
		return 1
	}
	return min(max(math.Exp(sum/float64(n)), 1.0/maxPace), maxPace)
}

// runtime is the run time of a task on reference cores: measured at home, else
// measured anywhere and converted, else the author's word corrected by the few
// samples there are, else an assumption.
func (m *Model) runtime(t *workflow.Task, h *past, pace float64) Basis {
	home := offering{offload.Private, 0}
	if own := h.seconds[home]; len(own) >= enough {
		b := m.basis(own)
		b.Seconds, b.Site = b.Seconds*m.speed(home, t.Resources.CPU), workflow.SitePrivate
		return b
	}
	pool := m.pool(h, t.Resources.CPU)
	hint := t.Estimate.Runtime.Seconds() / m.scale() * pace
	switch {
	case len(pool) >= enough:
		return m.basis(pool)
	case t.Estimate.Has("runtime") && len(pool) > 0:
		return Basis{Source: Hint, Samples: len(pool), Pace: pace, Seconds: shrunk(hint, pool)}
	case t.Estimate.Has("runtime"):
		return Basis{Source: Hint, Pace: pace, Seconds: hint}
	case len(pool) > 0:
		return Basis{Source: History, Samples: len(pool), Quantile: 1, Seconds: slices.Max(pool)}
	}
	return Basis{Source: Prior, Seconds: priorSeconds / m.scale()}
}

// basis rests on enough samples.
func (m *Model) basis(samples []float64) Basis {
	b := Basis{Source: History, Samples: len(samples), Seconds: m.typical(samples)}
	if m.Spreads {
		b.Spread = spread(samples)
	} else {
		b.Quantile = m.quantile()
	}
	return b
}

// typical is the one figure planned with for a run time that samples tell of.
func (m *Model) typical(samples []float64) float64 {
	if !m.Spreads {
		return quantile(samples, m.quantile())
	}
	sum := 0.0
	for _, s := range samples {
		sum += s
	}
	return sum / float64(len(samples))
}

// spread is the standard deviation of the samples' logarithms, drawn towards
// the prior as long as there are few of them.
func spread(samples []float64) float64 {
	mean, squares, n := 0.0, 0.0, float64(len(samples))
	for _, s := range samples {
		mean += math.Log(s) / n
	}
	for _, s := range samples {
		d := math.Log(s) - mean
		squares += float64(d * d)
	}
	return math.Sqrt((squares + priorWeight*priorSpread*priorSpread) / (n - 1 + priorWeight))
}

// pool are all samples in seconds on reference cores, ascending.
func (m *Model) pool(h *past, cores int) []float64 {
	var all []float64
	for at, seconds := range h.seconds {
		v := m.speed(at, cores)
		for _, s := range seconds {
			all = append(all, s*v)
		}
	}
	slices.Sort(all)
	return all
}

// measured are the run times at providers that rest on samples of their own. A
// configuration without enough of them follows the nearest one of its provider
// that has: next to a measured figure, a guessed one would look like a bargain.
func (m *Model) measured(cores int, h *past) []offload.OfferingRuntime {
	var out []offload.OfferingRuntime
	for q := range m.Platform.Providers {
		for c := range m.Platform.Providers[q].Configs {
			at, near := offering{q, c}, m.nearest(h, q, c)
			if near.config < 0 {
				break
			}
			s := m.typical(h.seconds[near])
			if near != at {
				s *= m.speed(near, cores) / m.speed(at, cores)
			}
			out = append(out, offload.OfferingRuntime{Target: q, Config: c, Seconds: s})
		}
	}
	return out
}

// nearest is the configuration with enough samples that is closest to c in the
// provider's menu; its config is -1 when no one has.
func (m *Model) nearest(h *past, q, c int) offering {
	best := offering{q, -1}
	for k := range m.Platform.Providers[q].Configs {
		if len(h.seconds[offering{q, k}]) >= enough && (best.config < 0 || abs(k-c) < abs(best.config-c)) {
			best.config = k
		}
	}
	return best
}

func abs(x int) int { return max(x, -x) }

// output is the size of each output file of a task, or nil where the graph's
// stand, which are the author's.
func (m *Model) output(t *workflow.Task, h *past) ([]int64, Source) {
	switch {
	case len(t.Outputs) == 0:
		return nil, ""
	case len(h.bytes) >= enough:
		return split(t, int64(quantile(h.bytes, m.quantile()))), History
	case t.Estimate.Has("output"):
		return nil, Hint
	}
	each := int64(priorBytes / m.scale())
	return split(t, each*int64(max(1, files(t)))), Prior
}

// files counts the outputs that are not small values for expressions.
func files(t *workflow.Task) (n int) {
	for i := range t.Outputs {
		if t.Outputs[i].Value == "" {
			n++
		}
	}
	return n
}

// split spreads bytes evenly over the files; values count only when there is
// nothing else.
func split(t *workflow.Task, bytes int64) []int64 {
	out, n := make([]int64, len(t.Outputs)), files(t)
	for i := range out {
		switch {
		case n == 0:
			out[i] = bytes / int64(len(out))
		case t.Outputs[i].Value == "":
			out[i] = bytes / int64(n)
		}
	}
	return out
}

// quantile is the least sample that at least a part q of them does not exceed:
// with few samples it errs on the long side.
func quantile(samples []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(samples))
	k := int(math.Ceil(q*float64(len(sorted)))) - 1
	return sorted[min(max(k, 0), len(sorted)-1)]
}

// shrunk is the geometric mean of the hint, counted hintWeight times, and the
// samples: run times vary by factors, not by seconds.
func shrunk(hint float64, samples []float64) float64 {
	sum := hintWeight * math.Log(max(hint, 1e-6))
	for _, s := range samples {
		sum += math.Log(s)
	}
	return math.Exp(sum / float64(hintWeight+len(samples)))
}
