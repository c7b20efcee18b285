package offload

import (
	"slices"

	"github.com/spillway/spillway/pricing"
)

// startPrivate starts ready tasks by rank while cores are free; one that fits
// nowhere is passed over. They queue by their cores, so that thousands of wide
// ones are passed over at once.
func (s *simulator) startPrivate() {
	if s.idle == 0 {
		return
	}
	for q := range s.readyPriv {
		s.heads[q] = -1
		if s.readyPriv[q].count > 0 {
			s.heads[q] = s.readyPriv[q].next(0)
		}
	}
	gap := s.widestGap()
	for q := s.mostUrgent(gap); q >= 0; q = s.mostUrgent(gap) {
		r := s.heads[q]
		if s.startAtHome(s.d.order[r]) {
			s.readyPriv[q].remove(r)
			gap = s.widestGap()
		}
		s.heads[q] = s.readyPriv[q].next(r + 1)
	}
}

// widestGap is the most cores that are free on one node.
func (s *simulator) widestGap() int {
	if s.idle == 0 {
		return 0
	}
	return slices.Max(s.cores)
}

// mostUrgent is the queue, of those whose tasks may fit into a gap, with the
// lowest rank at its head; -1: none.
func (s *simulator) mostUrgent(gap int) int {
	best := -1
	for q, r := range s.heads {
		if s.known.widths[q] > gap {
			break
		}
		if r >= 0 && (best < 0 || r < s.heads[best]) {
			best = q
		}
	}
	return best
}

// startAtHome starts a task on the fastest node that holds it, if there is one.
func (s *simulator) startAtHome(i int32) bool {
	t := &s.known.sizes[i]
	for _, k := range s.bySpeed {
		if s.cores[k] < t.cores || s.mem[k] < t.mem || s.bound(i) >= 0 && s.bound(i) != k {
			continue
		}
		s.hold(int(k), t.cores, t.mem)
		took := s.known.privateUs(s.p, i, k, s.multiplier(i))
		s.task[i].StartUs, s.task[i].Node = s.now, int(k)
		s.billPrivate(i, took)
		s.push(s.now+took, finished, i)
		return true
	}
	return false
}

func (s *simulator) hold(node, cores int, mem float64) {
	s.cores[node] -= cores
	s.mem[node] -= mem
	s.idle -= cores
}

func (s *simulator) billPrivate(i int32, took int64) {
	coreUs := took * int64(s.known.sizes[i].cores)
	s.coreUs += coreUs
	if hour := s.p.Platform.CoreHour; hour != 0 {
		rates := pricing.Rates{PerCoreHour: hour}
		amount, err := rates.Total(pricing.Usage{PrivateCoreUs: coreUs})
		s.task[i].Cost = amount
		s.charge(&s.private, amount, err)
	}
}

// startPublic starts ready tasks by rank while the provider's quota is free.
func (s *simulator) startPublic(q int) {
	pr, ready := &s.p.Platform.Providers[q], &s.readyPub[q]
	for ready.count > 0 && s.running[q] < pr.Quota {
		r := ready.next(0)
		i := s.d.order[r]
		t, ends, c := &s.task[i], finished, s.copyOf(i)
		if c != nil {
			t, ends = &c.run, copied
		}
		t.Cold = c != nil || !s.takeContainer(s.pool(i), pr.KeepWarmUs)
		if t.Cold {
			if !s.mayGrow(q) {
				return
			}
			s.coldStarts++
		}
		ready.remove(r)
		b := &s.known.bills[i]
		t.StartUs, t.HandlerUs, t.Cost = s.now, b.handlerUs, b.warm
		if c != nil {
			c.StartUs = s.now
		}
		if t.Cold {
			t.Cost = b.cold
		}
		s.running[q]++
		s.quotaWait += s.now - s.readyAt[i]
		s.charge(&s.faas, t.Cost, nil)
		s.push(s.now+pr.wallUs(t.HandlerUs, t.Cold), ends, i)
	}
}

// pool is the container pool that task i draws from.
func (s *simulator) pool(i int32) *pool {
	target, config := s.d.target[i], s.d.config[i]
	if k := s.fixed[i]; k != 0 {
		target, config = int32(s.p.Fixed[k-1].Target), int32(s.p.Fixed[k-1].Config)
	}
	return &s.pools[s.firstPool[target]+config]
}

// takeContainer takes the most recently used idle container, if one is warm.
func (s *simulator) takeContainer(c *pool, keepWarmUs int64) bool {
	for c.head < len(c.released) && (keepWarmUs < 0 || c.released[c.head]+keepWarmUs < s.now) {
		c.head++
	}
	if c.head == len(c.released) {
		return false
	}
	c.released = c.released[:len(c.released)-1]
	return true
}
