package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spillway/spillway/pricing"
)

// request is one call of Invoke that was found well-formed.
type request struct {
	id            string
	function      string
	payload       []byte
	clientContext string
	labels
}

// labels name what an invocation is for, where its payload is an attempt's. They are for the ledger alone.
type labels struct {
	Run     string `json:"run,omitempty"`
	Task    string `json:"task,omitempty"`
	Attempt string `json:"attempt,omitempty"`
}

// outcome is what the caller of Invoke gets to see.
type outcome struct {
	payload []byte
	failed  bool // payload is a function error
	log     []byte
}

// admit counts the invocation against the function's and the account's concurrency.
func (s *server) admit(name string) (*function, *definition, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn := s.functions[name]
	if fn == nil {
		return nil, nil, functionNotFound(s.arn(name))
	}
	if s.closing {
		return nil, nil, unavailable("the sandbox is shutting down")
	}
	if r := fn.def.Reserved; r != nil && fn.inflight >= *r {
		return nil, nil, throttled("ReservedFunctionConcurrentInvocationLimitExceeded")
	}
	if fn.def.Reserved == nil {
		if used, free := s.unreserved(); used >= free {
			return nil, nil, throttled("ConcurrentInvocationLimitExceeded")
		}
	}
	fn.inflight++
	return fn, fn.def, nil
}

// unreserved is how many invocations run without a reservation, and how many may; the mutex is held.
func (s *server) unreserved() (used, limit int) {
	limit = s.cfg.Quota
	for _, fn := range s.functions {
		if fn.def.Reserved == nil {
			used += fn.inflight
		} else {
			limit -= *fn.def.Reserved
		}
	}
	return used, limit
}

func (s *server) leave(fn *function) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn.inflight--
}

// invoke runs an admitted invocation to its end and bills it. A caller who leaves (ctx) before an instance was
// asked for is not served; after that the function runs on, as it would on AWS.
func (s *server) invoke(ctx context.Context, fn *function, def *definition, req request) (outcome, error) {
	defer s.leave(fn)
	entry := Entry{
		RequestID: req.id, labels: req.labels, Function: def.Name, MemoryMiB: def.MemoryMiB, VCPU: VCPU(def.MemoryMiB),
		TimeoutUs: def.timeout().Microseconds(), PriceBook: s.cfg.Book, Isolated: s.isolated(),
		StartedAt: time.Now().UnixMicro(), Status: StatusStarted,
	}
	if err := s.awaitShare(ctx, def.MemoryMiB); err != nil {
		return outcome{}, err
	}
	defer s.shares.release(def.MemoryMiB)

	entry.StartedAt = time.Now().UnixMicro()
	if err := s.ledger.start(entry); err != nil {
		return outcome{}, err
	}
	end := s.execute(fn, def, req, &entry)
	cost, err := s.bill(&entry)
	if err != nil {
		return outcome{}, err
	}
	entry.Cost = cost
	if err := s.ledger.end(entry); err != nil {
		return outcome{}, fmt.Errorf("ledger: %w", err)
	}
	return end.outcome(req.id, &entry, def), nil
}

// awaitShare waits for a CPU share, at most for shareWait: callers count on an answer within their function's time.
// An error means that nothing ran.
func (s *server) awaitShare(ctx context.Context, memoryMiB int) error {
	wait, cancel := context.WithTimeout(ctx, shareWait)
	defer cancel()
	switch err := s.shares.acquire(wait, memoryMiB); {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return unavailable("the invocation was withdrawn before it began")
	}
	return throttled("ConcurrentInvocationLimitExceeded")
}

// ending is what execute leaves for the answer and the report.
type ending struct {
	answer
	log       []byte
	peakBytes int64
	exit      string // how the process ended, when it did
}

// execute finds an instance for the invocation, hands it over and waits for the answer. It fills the entry's
// measurements and status.
func (s *server) execute(fn *function, def *definition, req request, entry *Entry) ending {
	asked := time.Now()
	in, cold := s.obtain(fn, def)
	entry.Cold = cold
	if cold {
		if err := in.coldStart(); err != nil {
			entry.Status = StatusInit
			entry.Duration = time.Since(asked).Microseconds()
			return in.failedInit(err)
		}
		entry.Init = time.Since(asked).Microseconds()
	}
	in.proc.log.reset()
	begun := time.Now()
	ev := &event{req.id, req.payload, req.clientContext, begun.Add(def.timeout()), make(chan answer, 1)}
	a := in.perform(ev, def.timeout())
	entry.Status = a.status
	entry.Duration = a.at.Sub(begun).Microseconds()
	return in.ending(a)
}

// perform hands ev over and returns its answer, at the latest when the function's time is up: then the process
// and all it started are killed.
func (in *instance) perform(ev *event, timeout time.Duration) answer {
	if !in.give(ev) {
		in.proc.kill()
		<-in.ended
		return answer{status: StatusExit, at: time.Now()}
	}
	limit := time.NewTimer(timeout)
	defer limit.Stop()
	select {
	case a := <-ev.answer:
		return a
	case <-limit.C:
	}
	if !in.take(ev) {
		return <-ev.answer // it came in at the last moment
	}
	in.proc.kill()
	<-in.ended
	return answer{status: StatusTimeout, at: time.Now()}
}

func (in *instance) ending(a answer) ending {
	e := ending{answer: a, log: in.proc.log.last(), peakBytes: in.proc.peakMemory()}
	if a.status == StatusExit || a.status == StatusMemory {
		e.exit = in.proc.exit()
	}
	return e
}

// coldStart starts the instance's process and waits until it asks for its first event.
func (in *instance) coldStart() error {
	s := in.srv
	if err := pause(s.ctx, s.cfg.ColdStart); err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		in.forget()
		return err
	}
	if err := in.start(); err != nil {
		return err
	}
	limit := time.NewTimer(initTimeout)
	defer limit.Stop()
	select {
	case <-in.ready:
		return nil
	case <-in.ended:
		return errors.New("Runtime exited with error: " + in.proc.exit())
	case <-limit.C:
		in.proc.kill()
		<-in.ended
		return fmt.Errorf("Init timed out after %.2f seconds", initTimeout.Seconds())
	}
}

// failedInit describes a start that came to nothing: in the runtime's own words where it had any.
func (in *instance) failedInit(err error) ending {
	e := ending{answer: answer{status: StatusInit, at: time.Now()}, exit: err.Error()}
	if in.proc != nil {
		e.log = in.proc.log.last()
	}
	in.srv.mu.Lock()
	defer in.srv.mu.Unlock()
	e.payload = in.initError
	return e
}

// outcome turns an ending into Lambda's answer: the payload, or the error object of the public documentation.
func (e *ending) outcome(id string, entry *Entry, def *definition) outcome {
	out := outcome{payload: e.payload, failed: e.status != StatusOK, log: e.report(id, entry, def)}
	var kind, message string
	switch e.status {
	case StatusTimeout:
		kind, message = "Sandbox.Timedout", fmt.Sprintf("Error: Task timed out after %.2f seconds", def.timeout().Seconds())
	case StatusExit:
		kind, message = "Runtime.ExitError", "Error: Runtime exited with error: "+e.exit
	case StatusMemory:
		kind, message = "Runtime.OutOfMemory", "Error: Runtime exited with error: "+e.exit
	case StatusTooLarge:
		kind, message = "Function.ResponseSizeTooLarge",
			fmt.Sprintf("Response payload size exceeded maximum allowed payload size (%d bytes).", MaxPayload)
	case StatusInit:
		if len(e.payload) > 0 {
			return out
		}
		kind, message = "Runtime.ExitError", "Error: "+e.exit
	default:
		return out
	}
	out.payload, _ = json.Marshal(map[string]string{"errorType": kind, "errorMessage": "RequestId: " + id + " " + message})
	return out
}

// report is the log tail as AWS lays it out, at most 4 KiB of it: the caller reads its bill in the last line.
func (e *ending) report(id string, entry *Entry, def *definition) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "START RequestId: %s Version: $LATEST\n", id)
	b.Write(e.log)
	if n := len(e.log); n > 0 && e.log[n-1] != '\n' {
		b.WriteByte('\n')
	}
	if e.status == StatusTimeout {
		fmt.Fprintf(&b, "%s %s Task timed out after %.2f seconds\n",
			e.at.UTC().Format(time.RFC3339Nano), id, def.timeout().Seconds())
	}
	fmt.Fprintf(&b, "END RequestId: %s\nREPORT RequestId: %s\tDuration: %.2f ms\tBilled Duration: %s ms\t"+
		"Memory Size: %d MB\tMax Memory Used: %d MB\t",
		id, id, float64(entry.Duration)/1000, millis(entry.Billed), entry.MemoryMiB, (e.peakBytes+1<<20-1)>>20)
	if entry.Cold {
		fmt.Fprintf(&b, "Init Duration: %.2f ms\t", float64(entry.Init)/1000)
	}
	b.WriteByte('\n')
	text := b.String()
	return []byte(text[max(0, len(text)-logTailBytes):])
}

// millis prints microseconds as milliseconds, exactly: price books round to the millisecond or coarser, but one
// that does not still has its bill told as it is.
func millis(us int64) string { return strconv.FormatFloat(float64(us)/1000, 'f', -1, 64) }

// bill fills the entry's billed duration and returns its cost by the price book.
func (s *server) bill(e *Entry) (pricing.Money, error) {
	u := pricing.Usage{Requests: 1, HandlerUs: e.Duration, ColdStartUs: e.Init, MemMiB: e.MemoryMiB, VCPU: e.VCPU}
	e.Billed = s.cfg.Rates.BilledUs(u.HandlerUs, u.ColdStartUs)
	return s.cfg.Rates.Total(u)
}
