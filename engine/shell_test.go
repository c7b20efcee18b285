package engine

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/internal/clock"
	"github.com/spillway/spillway/internal/envelope"
	"github.com/spillway/spillway/providers"
	"github.com/spillway/spillway/workflow"
)

// fakeWitness knows of one attempt what a test says.
type fakeWitness struct {
	Dispatcher
	manifest *envelope.Manifest
	lookErr  error
	fate     Fate
	fateErr  error
}

func (f fakeWitness) Manifest(context.Context, string, workflow.AttemptRecord) (*envelope.Manifest, error) {
	return f.manifest, f.lookErr
}

func (f fakeWitness) Fate(context.Context, string, workflow.AttemptRecord) (Fate, error) {
	return f.fate, f.fateErr
}

// TestOutcome goes through what can be known of an attempt whose answer is lost, soon after it was sent, and
// after its time. What is decided must be certain, and what may have run must be billed.
func TestOutcome(t *testing.T) {
	found := &envelope.Manifest{Attempt: "r.0.1"}
	accepted := Fate{Known: true, Accepted: true}
	ended := Fate{Known: true, Accepted: true, Ended: true, Usage: providers.Usage{Billed: 3 * time.Second}}
	away, bad := errors.New("away"), &providers.Error{Class: providers.FunctionError, Message: "forged"}
	const wait, good, gone, broken = "wait", "its result", "lost", "broken"
	for name, c := range map[string]struct {
		site        string
		knows       fakeWitness
		soon, late  string
		mayHaveRun  bool // and is billed when it is lost
		billedAsRan time.Duration
	}{
		"at home, its manifest":    {PrivateSite, fakeWitness{manifest: found}, good, good, false, 0},
		"at home, nothing":         {PrivateSite, fakeWitness{}, gone, gone, false, 0},
		"at home, store away":      {PrivateSite, fakeWitness{lookErr: away}, wait, wait, false, 0},
		"its manifest":             {"cloud", fakeWitness{manifest: found}, good, good, true, 0},
		"nothing":                  {"cloud", fakeWitness{}, wait, gone, true, 0},
		"store away":               {"cloud", fakeWitness{lookErr: away}, wait, wait, true, 0},
		"a forged manifest":        {"cloud", fakeWitness{lookErr: bad}, broken, broken, true, 0},
		"site away":                {"cloud", fakeWitness{fate: Fate{Known: true}, fateErr: away}, wait, gone, true, 0},
		"never came":               {"cloud", fakeWitness{fate: Fate{Known: true}}, wait, gone, false, 0},
		"runs":                     {"cloud", fakeWitness{fate: accepted}, wait, gone, true, 0},
		"ended, nothing left":      {"cloud", fakeWitness{fate: ended}, gone, gone, true, 3 * time.Second},
		"ended, its manifest":      {"cloud", fakeWitness{manifest: found, fate: ended}, good, good, true, 3 * time.Second},
		"its manifest, still runs": {"cloud", fakeWitness{manifest: found, fate: accepted}, wait, good, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			now := clock.NewManual(start)
			l := &loop{Runner: &Runner{Dispatcher: c.knows, Clock: now}, work: t.Context()}
			a := workflow.AttemptRecord{ID: "r.0.1", Site: c.site, MemoryMiB: 512, Timeout: time.Minute, DispatchedAt: start}
			check := func(want string) {
				r, decided := l.outcome("r", a)
				require.Equal(t, want != wait, decided)
				switch want {
				case good:
					require.Same(t, found, r.Manifest)
					require.Nil(t, r.Err)
				case gone:
					require.Equal(t, providers.Lost, r.Err.Class)
				case broken:
					require.Equal(t, bad, r.Err)
				case wait:
					return
				}
				require.Equal(t, c.mayHaveRun, c.site != PrivateSite && billable(r))
				require.Equal(t, c.billedAsRan, r.Usage.Billed)
			}
			check(c.soon)
			now.Advance(time.Minute + outcomeGrace + time.Second)
			check(c.late)
		})
	}
}
