package offload

// repair makes a late plan less late: it follows the chain of tasks that ends
// last and gives them faster places, all at once, then one by one.
func (g *planning) repair(t *trial, decodes int) *trial {
	until := g.decodes - decodes
	tried := map[[2]int32]bool{} // task and the target it had
	for !t.inTime && !g.spent() && g.decodes > until {
		chain := g.latestChain(t)
		if next := g.hasten(t, chain...); next != nil && next.better(t) {
			t = next
			continue
		}
		i := g.longestOf(chain, func(i int32) bool { return !tried[[2]int32{i, t.d.target[i]}] })
		if i < 0 {
			break
		}
		tried[[2]int32{i, t.d.target[i]}] = true
		if next := g.hasten(t, i); next != nil && next.better(t) {
			t = next
		} else if next := g.homewards(t, i); next != nil && next.better(t) {
			t = next
		}
	}
	return t
}

// hasten buys the fastest option for tasks; nil where they all have it.
func (g *planning) hasten(t *trial, tasks ...int32) *trial {
	d := t.d.clone()
	changed := false
	for _, i := range tasks {
		if g.pinned[i] || len(g.options[i]) == 0 {
			continue
		}
		o := g.fastest(int(i))
		changed = changed || d.target[i] != o.target || d.config[i] != o.config
		d.buy(int(i), o)
	}
	if !changed {
		return nil
	}
	return g.try(d)
}

func (g *planning) homewards(t *trial, i int32) *trial {
	if t.d.target[i] == Private || !g.home[i] || g.pinned[i] {
		return nil
	}
	d := t.d.clone()
	d.target[i] = Private
	return g.try(d)
}

// latestChain is the chain of tasks that ends last: each with the parent that
// ended last before it, or with the task whose cores it waited for. It runs the
// plan.
func (g *planning) latestChain(t *trial) (chain []int32) {
	g.sim.run(t.d, nil)
	task, before := g.sim.task, g.coresTaken()
	at := int32(0)
	for i := range task {
		if g.overdue(int32(i)) > g.overdue(at) {
			at = int32(i)
		}
	}
	for range len(task) {
		chain = append(chain, at)
		next := before[at]
		if next < 0 {
			for _, parent := range g.p.graph.Pred(int(at)) {
				if next < 0 || task[parent].FinishUs > task[next].FinishUs {
					next = parent
				}
			}
		}
		if next < 0 {
			break
		}
		at = next
	}
	return chain
}

// overdue is how far a task of the last run ends beyond its goal.
func (g *planning) overdue(i int32) int64 { return g.sim.task[i].FinishUs - g.goal(int(i)) }

// longestOf is the task of a chain with the longest private time that passes;
// -1 when none does.
func (g *planning) longestOf(chain []int32, pass func(int32) bool) int32 {
	best := int32(-1)
	for _, i := range chain {
		if pass(i) && !g.pinned[i] && len(g.options[i]) > 0 && (best < 0 || g.homeUs[i] > g.homeUs[best]) {
			best = i
		}
	}
	return best
}
