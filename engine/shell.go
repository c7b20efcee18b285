package engine

import (
	"context"
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
		l.mail.put(Ended{id, providers.Result{Err: &providers.Error{Class: providers.Refused, Message: err.Error()}}})
		return
	}
	l.goDo(func() {
		defer cancel()
		res := l.Dispatcher.Execute(ctx, order, func(at time.Time) { l.mail.put(Started{id, at}) })
		if l.work.Err() != nil {
			return // this engine stops: whoever goes on with the run asks the manifest
		}
		l.mail.put(Ended{id, res})
		if res.Err != nil && res.Err.Class == providers.UnknownOutcome {
			l.watchOutcome(order.Run.ID, order.Attempt)
		}
	})
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

// watchOutcome decides about an attempt whose answer is lost. Its manifest tells the result. A private
// attempt died with the engine that ran it. A function may still run until its time limit; after that it is
// lost, and billed as if it had used it up.
func (l *loop) watchOutcome(run string, a workflow.AttemptRecord) {
	end := a.DispatchedAt.Add(a.Timeout + outcomeGrace)
	for {
		m, err := l.Dispatcher.Manifest(l.work, run, a)
		if l.work.Err() != nil {
			return
		}
		public := a.Site != PrivateSite
		usage := providers.Usage{Executed: public, MemoryMiB: a.MemoryMiB}
		if m != nil {
			usage.Cold = m.Cold
			l.mail.put(Ended{a.ID, providers.Result{Manifest: m, Usage: usage}})
			return
		}
		if err == nil && (!public || l.Clock.Now().After(end)) {
			l.mail.put(Ended{a.ID, providers.Result{Usage: usage,
				Err: &providers.Error{Class: providers.Lost, Message: "no result was left behind"}}})
			return
		}
		if !sleep(l.work, outcomeEvery) {
			return
		}
	}
}
