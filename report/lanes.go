package report

import (
	"cmp"
	"slices"
	"time"

	"github.com/spillway/spillway/internal/draw"
	"github.com/spillway/spillway/workflow"
)

// site is one site's part of a picture: its executions, in order of their
// beginning and in time from the start of the run.
type site struct {
	name  string
	bars  []draw.Bar
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
		out[s].bars = append(out[s].bars, draw.Bar{
			Task: k, From: from, To: to, Failed: t.State == workflow.TaskFailed, Going: !t.State.Terminal(),
		})
	}
	slices.SortFunc(out, func(a, b site) int {
		if a.private() != b.private() {
			return map[bool]int{true: -1, false: 1}[a.private()]
		}
		return cmp.Compare(a.name, b.name)
	})
	for i := range out {
		draw.SortBars(out[i].bars)
		out[i].lanes = draw.AtOnce(out[i].bars)
	}
	return out
}
