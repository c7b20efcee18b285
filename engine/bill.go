package engine

import (
	"time"

	"github.com/spillway/spillway/internal/envelope"
	"github.com/spillway/spillway/pricing"
	"github.com/spillway/spillway/providers"
	"github.com/spillway/spillway/workflow"
)

// billAttempt charges an attempt that a public site accepted: by the provider's own figure where it told
// one, else by the runner's clock, else by the longest it can have taken, marked as an estimate.
func (s *State) billAttempt(a *attemptState, r providers.Result) {
	if a.site == 0 {
		s.billCores(a)
		return
	}
	if !billable(r) {
		return
	}
	o := s.Catalogue.Sites[a.site].offering(a.rec.MemoryMiB)
	u := pricing.Usage{Requests: 1, MemMiB: a.rec.MemoryMiB}
	if o != nil {
		u.VCPU = o.VCPU
	}
	estimated := false
	switch {
	case r.Usage.Billed > 0:
		u.HandlerUs = r.Usage.Billed.Microseconds()
	case r.Manifest != nil:
		u.HandlerUs = s.ran(a, r.Manifest).Microseconds()
	default:
		u.HandlerUs, estimated = s.longest(a).Microseconds(), true
	}
	a.rec.Billed = time.Duration(s.Catalogue.Sites[a.site].Rates.BilledUs(u.HandlerUs, 0)) * time.Microsecond
	a.rec.Estimated = estimated
	a.rec.Cost += s.addItems(u, a.site,
		workflow.ItemRecord{Task: a.rec.Task, Attempt: a.rec.ID, File: -1, Estimated: estimated})
}

// ran is how long an attempt took by its runner's clock, which may be wrong: not less than nothing, and not
// more than it was given.
func (s *State) ran(a *attemptState, m *envelope.Manifest) time.Duration {
	d := max(0, time.Duration(m.FinishedAt-m.StartedAt)*time.Microsecond)
	if limit := s.longest(a); limit > 0 {
		d = min(d, limit)
	}
	return d
}

// billCores charges the core time that an attempt held at home, where the operator gave it a price.
func (s *State) billCores(a *attemptState) {
	if a.rec.StartedAt.IsZero() || a.rec.FinishedAt.Before(a.rec.StartedAt) {
		return
	}
	held := a.rec.FinishedAt.Sub(a.rec.StartedAt).Microseconds() * int64(a.rec.Cores)
	a.rec.Cost += s.addItems(pricing.Usage{PrivateCoreUs: held}, 0,
		workflow.ItemRecord{Task: a.rec.Task, Attempt: a.rec.ID, File: -1})
}

func billable(r providers.Result) bool {
	return r.Manifest != nil || r.Usage.Executed || r.Err != nil && r.Err.Class == providers.Lost && r.Usage.MemoryMiB > 0
}

// longest is how long an attempt can run at its site at most.
func (s *State) longest(a *attemptState) time.Duration {
	if a.rec.Timeout > 0 {
		return a.rec.Timeout
	}
	if o := s.Catalogue.Sites[a.site].offering(a.rec.MemoryMiB); o != nil {
		return o.MaxDuration
	}
	return 0
}

// addItems puts use on the bill and returns its sum. like gives what the items belong to.
func (s *State) addItems(u pricing.Usage, site int, like workflow.ItemRecord) pricing.Money {
	items, err := s.Catalogue.Sites[site].Rates.Price(u)
	if err != nil {
		s.record("bill_overflow", like.Task, like.Attempt, map[string]string{"error": err.Error()})
		return 0
	}
	var sum pricing.Money
	for _, it := range items {
		r := like
		r.Site, r.At = s.Catalogue.Sites[site].Name, s.now
		r.Category, r.Quantity, r.Unit = string(it.Category), it.Quantity, it.Unit
		r.UnitPrice, r.Amount, r.Note = it.UnitPrice, it.Amount, it.Note
		s.addItem(r)
		sum += it.Amount
	}
	return sum
}

func (s *State) addItem(r workflow.ItemRecord) {
	s.itemSeq++
	r.Seq = s.itemSeq
	s.pending.items = append(s.pending.items, r)
	s.spent += r.Amount
	s.urgent = true
}

// correct replaces an estimated bill by the real one, as an entry of its own: what was written stays.
func (s *State) correct(a *attemptState) {
	if !a.rec.Estimated {
		return
	}
	s.addItem(workflow.ItemRecord{At: s.now, Task: a.rec.Task, Attempt: a.rec.ID, File: -1,
		Site: a.rec.Site, Category: string(pricing.Compute), Quantity: 1, Unit: "correction",
		UnitPrice: -a.rec.Cost, Amount: -a.rec.Cost, Note: "withdraws the estimate of a lost answer"})
	a.rec.Cost, a.rec.Estimated = 0, false
}

// affordable tells whether the budget allows a claim beside what was spent and what is in flight.
func (s *State) affordable(claim pricing.Money) bool {
	return s.run.BudgetMax == 0 || s.spent+s.reserved+claim <= s.run.BudgetMax
}
