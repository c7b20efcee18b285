package report

import (
	"cmp"
	"slices"
	"time"

	"github.com/spillway/spillway/workflow"
)

// bar is one execution in a picture, in time from the start of the run.
type bar struct {
	task       int // index in Tasks
	from, to   time.Duration
	lane       int // within its site
	failed     bool
	unfinished bool
}

// site is one site's part of a picture.
type site struct {
	name  string
	bars  []bar
	lanes int // rows so that no two bars overlap
}

func (s *site) private() bool { return s.name == workflow.SitePrivate }

// actual is what ran, by site, the private one first.
func (r *Report) actual() []site {
	return r.sites(func(t *Task) (from, to time.Duration, ok bool) {
		from, ok = r.since(t.StartedAt)
		if !ok {
			return 0, 0, false
		}
		if to, ok = r.since(t.FinishedAt); !ok {
			to = max(from, r.until())
		}
		return from, to, to >= from
	})
}

// plan is what was planned, the same way: of each task by the plan it started
// under.
func (r *Report) plan() []site {
	return r.sites(func(t *Task) (from, to time.Duration, ok bool) {
		from, ok = r.since(t.PlannedStart)
		to, done := r.since(t.PlannedFinish)
		return from, to, ok && done && to >= from
	})
}

// until is the last moment that anything is known of.
func (r *Report) until() time.Duration {
	end := r.Makespan
	for k := range r.Tasks {
		for _, t := range []time.Time{r.Tasks[k].StartedAt, r.Tasks[k].FinishedAt} {
			if d, ok := r.since(t); ok {
				end = max(end, d)
			}
		}
	}
	return end
}

func (r *Report) sites(span func(*Task) (from, to time.Duration, ok bool)) []site {
	at := map[string]int{}
	var out []site
	for k := range r.Tasks {
		t := &r.Tasks[k]
		from, to, ok := span(t)
		if !ok || t.Site == "" {
			continue
		}
		s, known := at[t.Site]
		if !known {
			s = len(out)
			at[t.Site] = s
			out = append(out, site{name: t.Site})
		}
		out[s].bars = append(out[s].bars, bar{
			task: k, from: from, to: to, failed: t.State == workflow.TaskFailed, unfinished: !t.State.Terminal(),
		})
	}
	slices.SortFunc(out, func(a, b site) int {
		if a.private() != b.private() {
			return map[bool]int{true: -1, false: 1}[a.private()]
		}
		return cmp.Compare(a.name, b.name)
	})
	for i := range out {
		out[i].stack()
	}
	return out
}

// stack gives each bar the lowest lane that is free when it begins.
func (s *site) stack() {
	slices.SortStableFunc(s.bars, func(a, b bar) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to), cmp.Compare(a.task, b.task))
	})
	var free []time.Duration // by lane: when it is free again
	for k := range s.bars {
		b := &s.bars[k]
		b.lane = slices.IndexFunc(free, func(t time.Duration) bool { return t <= b.from })
		if b.lane < 0 {
			b.lane = len(free)
			free = append(free, 0)
		}
		free[b.lane] = b.to
	}
	s.lanes = len(free)
}

// usage is the mean number of bars at once in each of n equal parts of a span.
func (s *site) usage(total time.Duration, n int) []float64 {
	out := make([]float64, n)
	part := float64(total) / float64(n)
	for _, b := range s.bars {
		first := min(int(float64(b.from)/part), n-1)
		for k := max(first, 0); k < n && float64(k)*part < float64(b.to); k++ {
			overlap := min(float64(b.to), float64(k+1)*part) - max(float64(b.from), float64(k)*part)
			out[k] += max(0, overlap) / part
		}
	}
	return out
}
