package providertest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/internal/envelope"
	"github.com/spillway/spillway/providers"
)

func (s *suite) offerings() {
	offerings, err := s.exec.Offerings(s.Context())
	require.NoError(s, err)
	require.NotEmpty(s, offerings)
	again, err := s.exec.Offerings(s.Context())
	require.NoError(s, err)
	require.Equal(s, offerings, again, "the order is fixed")
	for _, o := range offerings {
		require.NotEmpty(s, o.Site)
		require.Positive(s, o.VCPU)
		require.Positive(s, o.MaxDuration)
		require.Positive(s, o.MaxPayload)
	}
	require.Equal(s, s.MemoryMiB, offerings[0].MemoryMiB)
}

// succeeds: an input arrives, the command sees it and its environment, its output is stored with its digest.
func (s *suite) succeeds() {
	inv := s.attempt(`tr a-z A-Z < in/text > out/text && echo "$WORD said"`, "out/text")
	inv.Envelope.Command.Shell = "mkdir out && " + inv.Envelope.Command.Shell
	key := inv.Envelope.Attempt + "/input"
	require.NoError(s, s.Store.Put(s.Context(), key, []byte("spill way")))
	inv.Envelope.Inputs = []envelope.Input{{Path: "in/text", Size: 9, Object: s.object(key, false)}}
	inv.Envelope.Env = map[string]string{"WORD": "hello"}
	started := counter(&inv)

	r := s.must(inv)
	require.EqualValues(s, 1, started.Load(), "calls of Started")
	require.Contains(s, r.Manifest.LogTail, "hello said")
	require.Len(s, r.Manifest.Outputs, 1)
	sum := sha256.Sum256([]byte("SPILL WAY"))
	require.Equal(s, hex.EncodeToString(sum[:]), r.Manifest.Outputs[0].SHA256)
	got, err := s.Store.Get(s.Context(), r.Manifest.Outputs[0].Key)
	require.NoError(s, err)
	require.Equal(s, "SPILL WAY", string(got))

	require.True(s, r.Usage.Executed)
	require.NotEmpty(s, r.Usage.RequestID)
	require.Equal(s, s.MemoryMiB, r.Usage.MemoryMiB)
	require.Positive(s, r.Usage.Billed)
	require.Equal(s, *r.Manifest, s.stored(inv), "the answer is what is stored")
}

// commandFails: a command that fails is an answer, not an error of the site.
func (s *suite) commandFails() {
	r := s.do(s.Context(), s.exec, s.attempt("echo why >&2; exit 7"))
	require.Nil(s, r.Err)
	require.Equal(s, 7, r.Manifest.ExitCode)
	require.Equal(s, envelope.FailExit, r.Manifest.Failure.Class)
	require.Contains(s, r.Manifest.LogTail, "why")
}

// coldThenWarm: what the site says of cold starts agrees with what the runner saw.
func (s *suite) coldThenWarm() {
	for range 2 * s.Quota { // until a crash meets a cold instance, so that no warm one is left
		if s.do(s.Context(), s.exec, s.attempt("kill -QUIT $PPID; sleep 5")).Usage.Cold {
			break
		}
	}
	cold := s.must(s.attempt("true"))
	require.True(s, cold.Usage.Cold)
	require.True(s, cold.Manifest.Cold)
	require.Positive(s, cold.Usage.Init)
	warm := s.must(s.attempt("true"))
	require.False(s, warm.Usage.Cold)
	require.False(s, warm.Manifest.Cold)
	require.Zero(s, warm.Usage.Init)
}

// parallel: as many as the quota at once, each with its own answer.
func (s *suite) parallel() {
	var all sync.WaitGroup
	for range s.Quota {
		inv := s.attempt(`printf %s "$SPILLWAY_ATTEMPT"`)
		all.Go(func() {
			r := s.do(s.Context(), s.exec, inv)
			if r.Err != nil || r.Manifest.Failure != nil || r.Manifest.LogTail != inv.Envelope.Attempt {
				s.Errorf("%s: %+v %v", inv.Envelope.Attempt, r.Manifest, r.Err)
			}
		})
	}
	all.Wait()
}

// lostAnswer: the attempt runs once, its outcome is unknown, and its manifest is found.
func (s *suite) lostAnswer() {
	proxy := newProxy(s.T, s.Address, loseAnswers)
	inv := s.attempt("echo done > out", "out")
	r := s.do(s.Context(), s.Connect(s.T, proxy), inv)
	s.wantClass(r, providers.UnknownOutcome, true)
	m := s.stored(inv)
	require.Nil(s, m.Failure)
	require.Equal(s, inv.Envelope.Attempt, m.Attempt)
	require.Len(s, m.Outputs, 1)
}

// refused: where nobody listens, and where a connection is closed before a request, nothing has started.
func (s *suite) refused() {
	closed := newProxy(s.T, s.Address, nobody)
	s.wantClass(s.do(s.Context(), s.Connect(s.T, closed), s.attempt("true")), providers.Transient, false)
}

// throttleBurst: of a burst above the quota some run and the others are throttled before they start.
func (s *suite) throttleBurst() {
	var all sync.WaitGroup
	var mu sync.Mutex
	ran, throttled := 0, 0
	for range 3 * s.Quota {
		inv := s.attempt("sleep 1")
		all.Go(func() {
			r := s.do(s.Context(), s.exec, inv)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case r.Err == nil && r.Manifest.Failure == nil:
				ran++
			case r.Err != nil && r.Err.Class == providers.Throttled && !r.Usage.Executed:
				throttled++
			default:
				s.Errorf("%+v %v", r.Manifest, r.Err)
			}
		})
	}
	all.Wait()
	require.GreaterOrEqual(s, ran, s.Quota)
	require.Positive(s, throttled)
}

// timeLimit: an attempt ends at the function's limit, by the runner's hand or the site's, and is billed for it.
func (s *suite) timeLimit() {
	r := s.do(s.Context(), s.exec, s.attempt("sleep 600"))
	if r.Err != nil {
		s.wantClass(r, providers.TimedOut, true)
	} else {
		require.NotNil(s, r.Manifest.Failure)
		require.Equal(s, envelope.FailTimeout, r.Manifest.Failure.Class)
	}
	require.Greater(s, r.Usage.Billed, s.Limit-time.Second)
	require.Less(s, r.Usage.Billed, s.Limit+time.Second)
	s.must(s.attempt("true"))
}

// crash: the runner itself ends in the middle. The next attempt meets a new one.
func (s *suite) crash() {
	r := s.do(s.Context(), s.exec, s.attempt("kill -QUIT $PPID; sleep 5"))
	s.wantClass(r, providers.FunctionError, true)
	require.Positive(s, r.Usage.Billed)
	s.must(s.attempt("true"))
}

// tooLarge: an invocation above the site's limit is refused, by the adapter or the site.
func (s *suite) tooLarge() {
	offerings, err := s.exec.Offerings(s.Context())
	require.NoError(s, err)
	inv := s.attempt("true")
	inv.Envelope.Env = map[string]string{"LONG": strings.Repeat("x", int(offerings[0].MaxPayload))}
	s.wantClass(s.do(s.Context(), s.exec, inv), providers.PayloadTooLarge, false)
}

func (s *suite) notDeployed() {
	inv := s.attempt("true")
	inv.MemoryMiB++
	s.wantClass(s.do(s.Context(), s.exec, inv), providers.NotFound, false)
}

func (s *suite) denied() {
	r := s.do(s.Context(), s.Intruder(s.T), s.attempt("true"))
	s.wantClass(r, providers.Denied, false)
	require.NotContains(s, r.Err.Message, "guessed", "no secret in a message")
}

// canceledWhileRunning: the call ends at once; the function runs on, bills, and leaves its manifest.
func (s *suite) canceledWhileRunning() {
	inv := s.attempt("sleep 1; echo done > out", "out")
	ctx, cancel := context.WithCancel(s.Context())
	defer cancel()
	inv.Started = func(time.Time) {
		go func() {
			s.awaitRunning()
			cancel()
		}()
	}
	s.wantClass(s.do(ctx, s.exec, inv), providers.Canceled, true)
	require.Nil(s, s.stored(inv).Failure)
}

// awaitRunning returns when the service's books show a running invocation.
func (s *suite) awaitRunning() {
	for s.Ledger != nil {
		bills, err := s.Ledger(context.WithoutCancel(s.Context()), s.run)
		if err != nil || len(bills) > 0 {
			return
		}
	}
}

// deliveredAgain: a second delivery of the same attempt finds the first one's manifest and runs nothing.
func (s *suite) deliveredAgain() {
	inv := s.attempt("date +%N")
	first, second := s.must(inv), s.must(inv)
	require.Equal(s, first.Manifest, second.Manifest)
}

// deliveredTwiceAtOnce: of two deliveries at once the first to finish counts, for both.
func (s *suite) deliveredTwiceAtOnce() {
	inv := s.attempt("date +%s%N > out; sleep 0.3", "out")
	results := make([]providers.Result, 2)
	var both sync.WaitGroup
	for i := range results {
		both.Go(func() { results[i] = s.do(s.Context(), s.exec, inv) })
	}
	both.Wait()
	for _, r := range results {
		require.Nil(s, r.Err)
		require.Nil(s, r.Manifest.Failure)
	}
	require.Equal(s, results[0].Manifest, results[1].Manifest)
	require.Equal(s, *results[0].Manifest, s.stored(inv))
}
