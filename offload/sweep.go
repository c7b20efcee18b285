package offload

import (
	"cmp"
	"slices"

	"github.com/spillway/spillway/pricing"
)

// saving is a change of one task that would save money.
type saving struct {
	task   int32
	to     option // target Private: home
	amount pricing.Money
}

// sweep makes the changes that a plan stays in time with, dearest first: all at
// once where that works, else in halves of halves. A change that fails alone
// fails.
func (g *planning) sweep(t *trial, all []saving, decodes int) *trial {
	slices.SortStableFunc(all, func(a, b saving) int {
		return cmp.Or(cmp.Compare(b.amount, a.amount), cmp.Compare(a.task, b.task))
	})
	until := g.decodes - decodes
	var halve func(part []saving)
	halve = func(part []saving) {
		if len(part) == 0 || g.spent() || g.decodes <= until {
			return
		}
		d := t.d.clone()
		for _, s := range part {
			d.target[s.task], d.config[s.task] = s.to.target, s.to.config
		}
		if next := g.try(d); next.better(t) {
			t = next
		} else if len(part) > 1 {
			halve(part[:len(part)/2])
			halve(part[len(part)/2:])
		}
	}
	halve(all)
	return t
}

// homeward lists what bringing each bought task home saves.
func (g *planning) homeward(t *trial) (all []saving) {
	for i, target := range t.d.target {
		if target == Private || !g.home[i] || g.pinned[i] {
			continue
		}
		saved := g.price(i, option{target: target, cost: g.billed(t.d, i)})
		all = append(all, saving{int32(i), option{target: Private}, saved})
	}
	return all
}

// smaller lists what each bought task saves with its cheapest option, or, with
// slack given, with the cheapest that fits into it.
func (g *planning) smaller(t *trial, slack []int64) (all []saving) {
	for i, target := range t.d.target {
		if target == Private || g.pinned[i] {
			continue
		}
		now := g.optionOf(t.d, i)
		best := now
		for _, o := range g.options[i] {
			fits := slack == nil || o.wallUs-now.wallUs <= slack[i]
			if fits && o.cheaper(best) < 0 && o.cost < now.cost {
				best = o
			}
		}
		if best != now {
			all = append(all, saving{int32(i), best, now.cost - best.cost})
		}
	}
	return all
}

// optionOf is what a bought task takes, with a cold start.
func (g *planning) optionOf(d *decision, i int) option {
	for _, o := range g.options[i] {
		if o.target == d.target[i] && o.config == d.config[i] {
			return o
		}
	}
	return option{target: d.target[i], config: d.config[i]}
}

func (g *planning) billed(d *decision, i int) pricing.Money { return g.optionOf(d, i).cost }

// reorder gives a plan an order by the latest starts that it leaves: tasks that
// have little slack go first (forward-backward improvement, Li and Willis, 1992),
// or by ranks along its own sites.
func (g *planning) reorder(t *trial) *trial {
	last := g.latestFinish(t, true)
	took := make([]int64, len(last))
	for i := range took {
		took[i] = g.sim.task[i].FinishUs - g.sim.task[i].StartUs
	}
	alone := g.latestFinish(t, false)
	for _, ends := range [][]int64{last, alone} {
		d := t.d.clone()
		d.order = slices.Clone(g.p.graph.Order())
		slices.SortStableFunc(d.order, func(a, b int32) int {
			return cmp.Compare(ends[a]-took[a], ends[b]-took[b])
		})
		if next := g.try(d); next.better(t) {
			t = next
		}
	}
	return t
}

// slack is how much later each task of a plan may finish while all others keep
// their place. It runs the plan.
func (g *planning) slack(t *trial) []int64 {
	last := g.latestFinish(t, true)
	for i := range last {
		last[i] -= g.sim.task[i].FinishUs
	}
	return last
}

// latestFinish is when each task of a plan must finish: by its children, the way
// home, and, if asked for, whoever waits for its cores. It runs the plan.
// Waiting for links and quota is left out.
func (g *planning) latestFinish(t *trial, cores bool) []int64 {
	g.sim.run(t.d, nil)
	p, task := g.p, g.sim.task
	last := make([]int64, len(p.Tasks)) // latest finish
	for i := range last {
		last[i] = g.goal(i)
	}
	after := slices.Repeat([]int32{-1}, len(last))
	if cores {
		after = g.coresTaken()
	}
	order := slices.Clone(p.graph.Order())
	slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(task[b].StartUs, task[a].StartUs) })
	for _, i := range order {
		if t.d.target[i] != Private && p.Platform.ReturnOutputs {
			for _, f := range p.out.of(int(i)) {
				if len(p.readers.of(int(f))) == 0 {
					last[i] = min(last[i], g.goal(int(i))-g.travelUs(f, int(t.d.target[i]), Private))
				}
			}
		}
		starts := last[i] - (task[i].FinishUs - task[i].StartUs)
		for _, parent := range p.graph.Pred(int(i)) {
			last[parent] = min(last[parent], starts)
		}
		for _, f := range p.in.of(int(i)) {
			w := p.Files[f].Producer
			if w >= 0 && t.d.target[w] != t.d.target[i] {
				last[w] = min(last[w], starts-g.travelUs(f, int(t.d.target[w]), int(t.d.target[i])))
			}
		}
		if j := after[i]; j >= 0 {
			last[j] = min(last[j], starts)
		}
	}
	return last
}

func (g *planning) travelUs(f int32, from, to int) int64 {
	return g.sim.known.sendUs(g.p, f, from, to) + g.p.Platform.WAN.LatencyUs
}

// coresTaken finds for each private task of the last run one that left its
// node at the moment it started, after it had been ready; else -1.
func (g *planning) coresTaken() []int32 {
	type leave struct {
		node int
		at   int64
	}
	left := map[leave]int32{}
	task := g.sim.task
	for i := range task {
		if task[i].Node >= 0 && task[i].FinishUs != Never {
			left[leave{task[i].Node, task[i].FinishUs}] = int32(i)
		}
	}
	after := slices.Repeat([]int32{-1}, len(task))
	for i := range task {
		if task[i].Node < 0 || task[i].StartUs <= g.sim.readyAt[i] {
			continue
		}
		if j, ok := left[leave{task[i].Node, task[i].StartUs}]; ok {
			after[i] = j
		}
	}
	return after
}
