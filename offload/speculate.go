package offload

// Speculation follows the straggler rule of MapReduce's backup tasks (Dean and
// Ghemawat, OSDI 2004) with the test of LATE (Zaharia et al., OSDI 2008) that a
// copy must be expected to finish first.

const (
	// straggling is the standard normal number that one run in a hundred exceeds.
	straggling = 2.326347874
	// mostCopies are the copies considered in one call.
	mostCopies = 8
)

// stragglers are the running tasks, as indexes in Fixed, that may have a copy
// and have taken longer than 99 of 100 do.
func (p *Problem) stragglers() (out []int) {
	least := p.elapsed()
	for k := range p.Fixed {
		f := &p.Fixed[k]
		if t := &p.Tasks[f.Task]; p.mayCopy(f) && t.Spread > 0 && least[f.Task] > factor(straggling, t.Spread, 0) {
			out = append(out, k)
		}
	}
	return out
}

// mayCopy says whether a copy of a started task may be asked for.
func (p *Problem) mayCopy(f *FixedPlacement) bool {
	return p.Tasks[f.Task].Idempotent && f.Target == Private && !f.Done && !p.hasCopy(f.Task)
}

func (p *Problem) hasCopy(task int32) bool {
	for k := range p.Copies {
		if p.Copies[k].Task == task {
			return true
		}
	}
	return false
}

// copiesRun says whether some copy is not over.
func (p *Problem) copiesRun() bool {
	for k := range p.Copies {
		if p.Copies[k].FinishUs == Never {
			return true
		}
	}
	return false
}

// fastestCopy is the copy of a task that may be expected to end first, with
// links and quota idle, and when; Never: there is none.
func (p *Problem) fastestCopy(task int32) (best Copy, ends int64) {
	ends = Never
	longest := p.Tasks[task].longest()
	for target := range p.Platform.Providers {
		q := &p.Platform.Providers[target]
		if q.Quota == 0 || p.Tasks[task].denied(target) != "" {
			continue
		}
		staged := p.stagedUs(task, target)
		for config := range q.Configs {
			if p.limits(int(task), target, config, p.handlerUs(int(task), target, config, longest)) != [len(limitNames)]bool{} {
				continue
			}
			at := staged + q.wallUs(p.handlerUs(int(task), target, config, 1), true)
			if at < ends {
				best, ends = Copy{task, target, config}, at
			}
		}
	}
	return best, ends
}

// stagedUs is when the inputs of a task can be at a provider.
func (p *Problem) stagedUs(task int32, target int) int64 {
	wan := &p.Platform.WAN
	sending, there := int64(0), p.NowUs
	for _, f := range p.in.of(int(task)) {
		from := p.liesAt(f)
		if at, ok := p.presentUs(f, target); ok {
			there = max(there, at)
		} else if from != target {
			sending += wan.sendUs(from, target, p.Files[f].Size)
			there = max(there, p.NowUs+sending+wan.LatencyUs)
		}
	}
	return there
}

// liesAt is where a file has come to be.
func (p *Problem) liesAt(f int32) int {
	for k := range p.Fixed {
		if w := p.Files[f].Producer; w >= 0 && p.Fixed[k].Task == w {
			return p.Fixed[k].Target
		}
	}
	return Private
}

func (p *Problem) presentUs(f int32, target int) (int64, bool) {
	for _, c := range p.Present {
		if c.File == f && c.Target == target {
			return c.AtUs, true
		}
	}
	return 0, false
}

// speculate asks for copies where the best plan is not safe: of stragglers
// whose copy may be expected to finish before they do, if fewer scenarios are
// late with it.
func (h *horizon) speculate() (asked []Copy) {
	if h.safe() {
		return nil
	}
	p, late := h.given, -1.0
	for _, k := range h.given.stragglers() {
		c, ends := h.given.fastestCopy(p.Fixed[k].Task)
		if len(asked) == mostCopies || ends >= h.p.Fixed[k].FinishUs {
			continue
		}
		if late < 0 {
			late, _ = h.trials.run(h.best.d, 1)
		}
		with := *p.withCopies([]Copy{c})
		if l, _ := newTrials(with, len(h.trials.scenarios)).run(h.best.d, 1); l < late {
			p, late, asked = with, l, append(asked, c)
		}
	}
	h.p.Copies = p.Copies
	return asked
}
