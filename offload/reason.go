package offload

import "strings"

// why notes the reason of a placement, and what was compared at that moment.
func (g *planning) why(i int, because string, considered []Considered) {
	g.because[i] = because
	if considered != nil {
		if g.seen == nil {
			g.seen = make([][]Considered, len(g.p.Tasks))
		}
		g.seen[i] = considered
	}
}

// reason is the Reason of task i in a decision that has been simulated.
func (g *planning) reason(d *decision, o *Outcome, i int) Reason {
	if g.pinned[i] {
		return Reason{ChosenBecause: "already started there"}
	}
	r := Reason{ChosenBecause: g.because[i]}
	target := int(d.target[i])
	switch {
	case !g.home[i] && len(g.options[i]) == 0:
		r.ChosenBecause = "no site can run it"
	case target != Private && !g.home[i]:
		r.ChosenBecause = "it cannot run at home: " + g.notHome(i)
	case target == Private && len(g.options[i]) == 0:
		r.ChosenBecause = "no provider can run it: " + g.notPublic(i)
	}
	if g.seen != nil && g.seen[i] != nil {
		r.Considered = g.seen[i]
		return r
	}
	var ready int64
	for _, parent := range g.p.graph.Pred(i) {
		ready = max(ready, o.Tasks[parent].FinishUs)
	}
	r.Considered = g.alternatives(i, max(ready, g.p.NowUs))
	for k := range r.Considered {
		c := &r.Considered[k]
		if c.Target == g.p.Platform.SiteName(target) && (target == Private || c.MemMiB == g.p.Platform.Providers[target].Configs[d.config[i]].MemMiB) {
			c.FinishUs, c.Cost = o.Tasks[i].FinishUs, o.Tasks[i].Cost
		}
	}
	return r
}

// alternatives are all sites of task i with the earliest possible finish, given
// when its parents have finished, and what ruled the others out.
func (g *planning) alternatives(i int, ready int64) []Considered {
	out := make([]Considered, 0, 1+len(g.options[i])) // what is ruled out everywhere is rare
	home := Considered{Target: "private", FinishUs: after(ready, g.homeUs[i])}
	if !g.home[i] {
		home.FinishUs, home.RuledOut = Never, g.notHome(i)
	}
	out = append(out, home)
	for _, o := range g.options[i] {
		out = append(out, g.considered(o, after(ready, o.wallUs)))
	}
	for q := range g.p.Platform.Providers {
		if why := g.notAt(i, q); why != "" {
			out = append(out, Considered{Target: g.p.Platform.Providers[q].Name, FinishUs: Never, RuledOut: why})
		}
	}
	return out
}

// after adds a duration to a time that may be Never.
func after(t, took int64) int64 {
	if t == Never {
		return Never
	}
	return t + took
}

func (g *planning) considered(o option, finish int64) Considered {
	q := &g.p.Platform.Providers[o.target]
	return Considered{Target: q.Name, MemMiB: q.Configs[o.config].MemMiB, FinishUs: finish, Cost: o.cost}
}

func (g *planning) notHome(i int) string {
	if why := g.p.Tasks[i].denied(Private); why != "" {
		return why
	}
	return "no node has its cores and memory"
}

func (g *planning) notPublic(i int) string {
	var why []string
	for q := range g.p.Platform.Providers {
		why = append(why, g.p.Platform.Providers[q].Name+": "+g.notAt(i, q))
	}
	if len(why) == 0 {
		return "there is none"
	}
	return strings.Join(why, "; ")
}

// notAt says why no configuration of a provider can run task i; empty when one can.
func (g *planning) notAt(i, q int) string {
	for _, o := range g.options[i] {
		if int(o.target) == q {
			return ""
		}
	}
	if why := g.p.Tasks[i].denied(q); why != "" {
		return why
	}
	pr := &g.p.Platform.Providers[q]
	if pr.Quota == 0 {
		return "its quota is 0"
	}
	// The largest configuration breaks the fewest limits.
	last := len(pr.Configs) - 1
	var broken []string
	for k, b := range g.p.limits(i, q, last, g.p.handlerUs(i, q, last, 1)) {
		if b {
			broken = append(broken, limitNames[k])
		}
	}
	if len(broken) == 0 {
		return "no configuration is within its limits"
	}
	return strings.Join(broken, " and ") + " limit"
}
