package sandbox

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// returningInstance is an instance without a process that holds event ev, in a sandbox of its own.
func returningInstance(ev *event) *instance {
	s := &server{cfg: Config{KeepAlive: time.Hour},
		functions: make(map[string]*function), byToken: make(map[string]*instance)}
	fn := newFunction(&definition{Name: "f"})
	s.functions["f"] = fn
	in := s.register(fn, fn.def)
	in.state, in.event = busy, ev
	return in
}

// An instance that answered is no longer asked: it is idle when it asks for its next event, not before.
func TestAnsweredIsNotIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := returningInstance(&event{id: "e", answer: make(chan answer, 1)})
		require.True(t, in.answer("e", answer{}))
		require.Empty(t, in.fn.idle)
		require.True(t, in.listen(make(chan *event, 1)))
		require.Equal(t, []*instance{in}, in.fn.idle)
		in.unpark()
	})
}

// Whoever receives an answer finds the instance without the event: it may hand over the next one at once.
func TestEventIsGoneBeforeItsAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ev := &event{id: "e", answer: make(chan answer)}
		in := returningInstance(ev)
		go in.answer("e", answer{})
		synctest.Wait() // until it hands over the answer
		require.Nil(t, in.event)
		<-ev.answer
		require.False(t, in.take(ev), "and a timeout cannot take it any more")
		require.False(t, in.answer("e", answer{}), "nor a second answer")
	})
}

// A call right after an answer waits for the instance that is on its way back, and is not cold.
func TestNextCallAwaitsTheReturningInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := returningInstance(&event{id: "e", answer: make(chan answer, 1)})
		in.answer("e", answer{})
		type found struct {
			in   *instance
			cold bool
		}
		obtained := make(chan found, 2)
		for range 2 { // one is to get it, the other one starts its own
			go func() {
				got, cold := in.srv.obtain(in.fn, in.fn.def)
				obtained <- found{got, cold}
			}()
		}
		second := <-obtained
		require.True(t, second.cold, "nobody waits for an instance that another call waits for")
		synctest.Wait()
		in.listen(make(chan *event, 1))
		require.Equal(t, found{in, false}, <-obtained)
	})
}

// An instance that dies instead of returning, as after a panic, or does not come in time, is not waited for.
func TestNextCallGivesUpOnADyingInstance(t *testing.T) {
	for name, end := range map[string]func(*instance){
		"dies": func(in *instance) {
			in.srv.mu.Lock()
			defer in.srv.mu.Unlock()
			in.forget()
		},
		"hangs": func(*instance) {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := returningInstance(&event{id: "e", answer: make(chan answer, 1)})
				in.answer("e", answer{})
				cold := make(chan bool, 1)
				go func() {
					got, isCold := in.srv.obtain(in.fn, in.fn.def)
					cold <- isCold && got != in
				}()
				synctest.Wait()
				end(in)
				require.True(t, <-cold)
				require.Empty(t, in.fn.waiting)
			})
		})
	}
}
