package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/spillway/spillway/providers"
	"github.com/spillway/spillway/workflow"
)

// mailbox takes events from any goroutine without ever blocking it.
type mailbox struct {
	mu    sync.Mutex
	queue []Event
	ready chan struct{}
}

func newMailbox() *mailbox { return &mailbox{ready: make(chan struct{}, 1)} }

func (m *mailbox) put(e Event) {
	m.mu.Lock()
	m.queue = append(m.queue, e)
	m.mu.Unlock()
	select {
	case m.ready <- struct{}{}:
	default:
	}
}

func (m *mailbox) take() []Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	q := m.queue
	m.queue = nil
	return q
}

// carryOut starts what a command asks for; the answer comes back as an event.
func (l *loop) carryOut(c Command) {
	switch c := c.(type) {
	case Start:
		l.startAttempt(c.Attempt)
	case Stop:
		if cancel := l.cancels[c.Attempt]; cancel != nil {
			cancel()
		}
	case Transfer:
		m := l.state.move(c)
		l.goDo(func() { l.transfer(c, m) })
	}
}

func (l *loop) goDo(f func()) {
	l.flying.Add(1)
	go func() {
		defer l.flying.Done()
		f()
	}()
}

func (l *loop) startAttempt(id string) {
	ctx, cancel := context.WithCancel(l.work)
	l.cancels[id] = cancel
	order, err := l.state.order(id)
	if err != nil {
		cancel()
		l.mail.put(Ended{id, providers.Result{Err: &providers.Error{Class: providers.Refused, Message: err.Error()}}})
		return
	}
	l.goDo(func() {
		defer cancel()
		res := l.Dispatcher.Execute(ctx, order, func(at time.Time) { l.mail.put(Started{id, at}) })
		if l.work.Err() != nil {
			return // this engine stops: whoever goes on with the run asks the manifest
		}
		l.mail.put(Ended{id, l.billed(order, res)})
		if res.Err != nil && res.Err.Class == providers.UnknownOutcome {
			l.watchOutcome(order.Run.ID, order.Attempt)
		}
	})
}

// cancelGrace is how long the bill of a function that was let go is waited for, where its site can be asked.
const cancelGrace = 5 * time.Second

// billed completes the answer of an attempt that was cancelled at a site which had begun it: the function runs on
// for a while, and its site knows then what it costs. Without that it is billed at its time limit.
func (l *loop) billed(o Order, r providers.Result) providers.Result {
	if r.Err == nil || r.Err.Class != providers.Canceled || !r.Usage.Executed || r.Usage.Billed > 0 {
		return r
	}
	for end := l.Clock.Now().Add(cancelGrace); l.Clock.Now().Before(end); {
		f := l.fate(o.Run.ID, o.Attempt)
		if f.Ended {
			f.Usage.Executed = true
			r.Usage = f.Usage
		}
		if f.Ended || !f.Known || !sleep(l.work, outcomeEvery) {
			break
		}
	}
	return r
}

func (l *loop) transfer(c Transfer, m Move) {
	n, err := l.Dispatcher.Transfer(l.work, m)
	if l.work.Err() != nil {
		return
	}
	e := Moved{File: c.File, To: c.To, Bytes: n}
	if err != nil {
		e.Err = err.Error()
	}
	l.mail.put(e)
}

// recover asks, for every attempt that an earlier engine left in flight, what became of it.
func (l *loop) recover(rec workflow.Record) {
	for _, a := range rec.Attempts {
		if a.State.Terminal() {
			continue
		}
		l.goDo(func() { l.watchOutcome(rec.Run.ID, a) })
	}
}

const (
	outcomeEvery = 200 * time.Millisecond // between looks for a manifest
	outcomeGrace = 2 * time.Second        // beyond the attempt's own time limit
)

// watchOutcome decides about an attempt whose answer is lost: it looks for what is known of it until that is
// enough.
func (l *loop) watchOutcome(run string, a workflow.AttemptRecord) {
	for {
		r, decided := l.outcome(run, a)
		if l.work.Err() != nil {
			return
		}
		if decided {
			l.mail.put(Ended{a.ID, r})
			return
		}
		if !sleep(l.work, outcomeEvery) {
			return
		}
	}
}

// outcome is what became of an attempt, as far as that can be told by now. Its manifest tells the result. A
// private attempt died with the engine that ran it. A function may still run until its time limit; without a
// manifest it is lost then, or as soon as its site knows better, and billed by what the site knows, else as if
// it had used its time up.
func (l *loop) outcome(run string, a workflow.AttemptRecord) (r providers.Result, decided bool) {
	m, err := l.Dispatcher.Manifest(l.work, run, a)
	var bad *providers.Error
	if errors.As(err, &bad) { // there is one, and it will never be good
		usage := providers.Usage{Executed: a.Site != PrivateSite, MemoryMiB: a.MemoryMiB}
		return providers.Result{Err: bad, Usage: usage}, true
	}
	if err != nil {
		return r, false
	}
	if a.Site == PrivateSite {
		if m == nil {
			return lost(providers.Usage{}), true
		}
		return providers.Result{Manifest: m}, true
	}
	fate := l.fate(run, a)
	timeUp := l.Clock.Now().After(a.DispatchedAt.Add(a.Timeout + outcomeGrace))
	switch {
	case m != nil && (fate.Ended || !fate.Known || timeUp):
		fate.Usage.Cold, fate.Usage.Executed = m.Cold, true
		return providers.Result{Manifest: m, Usage: fate.Usage}, true
	case fate.Ended, timeUp && (fate.Accepted || !fate.Known):
		fate.Usage.Executed, fate.Usage.MemoryMiB = true, a.MemoryMiB
		return lost(fate.Usage), true
	case fate.Known && !fate.Accepted && l.Clock.Now().After(a.DispatchedAt.Add(outcomeGrace)):
		return lost(providers.Usage{}), true
	}
	return r, false
}

func lost(u providers.Usage) providers.Result {
	return providers.Result{Usage: u, Err: &providers.Error{Class: providers.Lost, Message: "no result was left behind"}}
}

// fate asks the site, where it can be asked.
func (l *loop) fate(run string, a workflow.AttemptRecord) Fate {
	w, ok := l.Dispatcher.(Witness)
	if !ok {
		return Fate{}
	}
	f, err := w.Fate(l.work, run, a)
	if err != nil {
		return Fate{}
	}
	return f
}
