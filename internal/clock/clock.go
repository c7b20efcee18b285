// Package clock gives time to the shells of Spillway. Pure packages take `now` as an argument instead.
package clock

import (
	"sort"
	"sync"
	"time"
)

// Clock is where a shell reads time and sets alarms.
type Clock interface {
	Now() time.Time // UTC, cut to microseconds
	// AfterFunc calls f in its own goroutine after d; the returned stop reports whether it prevented the call.
	AfterFunc(d time.Duration, f func()) (stop func() bool)
}

// Real is the machine's clock.
type Real struct{}

// Now is the current instant in UTC, cut to microseconds, the precision of both stores.
func (Real) Now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// AfterFunc is time.AfterFunc.
func (Real) AfterFunc(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop }

// Manual is a clock that stands still until it is advanced; alarms fire in order of time, then of setting,
// inside Advance.
type Manual struct {
	mu     sync.Mutex
	now    time.Time
	alarms []*alarm
}

type alarm struct {
	at time.Time
	f  func()
}

// NewManual starts at now.
func NewManual(now time.Time) *Manual { return &Manual{now: now.UTC().Truncate(time.Microsecond)} }

// Now is the instant the clock stands at.
func (m *Manual) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

// AfterFunc sets an alarm that a later Advance fires.
func (m *Manual) AfterFunc(d time.Duration, f func()) func() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := &alarm{at: m.now.Add(d), f: f}
	m.alarms = append(m.alarms, a)
	return func() bool { return m.remove(a) }
}

func (m *Manual) remove(a *alarm) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, b := range m.alarms {
		if a == b {
			m.alarms = append(m.alarms[:i], m.alarms[i+1:]...)
			return true
		}
	}
	return false
}

// Advance moves the clock by d and fires, one after the other, the alarms that came due, each at its instant.
func (m *Manual) Advance(d time.Duration) {
	m.mu.Lock()
	end := m.now.Add(d)
	m.mu.Unlock()
	for {
		a := m.nextDue(end)
		if a == nil {
			break
		}
		a.f()
	}
	m.mu.Lock()
	m.now = end
	m.mu.Unlock()
}

func (m *Manual) nextDue(end time.Time) *alarm {
	m.mu.Lock()
	defer m.mu.Unlock()
	sort.SliceStable(m.alarms, func(i, j int) bool { return m.alarms[i].at.Before(m.alarms[j].at) })
	if len(m.alarms) == 0 || m.alarms[0].at.After(end) {
		return nil
	}
	a := m.alarms[0]
	m.alarms = m.alarms[1:]
	m.now = a.at
	return a
}
