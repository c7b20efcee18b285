package sandbox

import (
	"crypto/rand"
	"encoding/hex"
	"time"
)

type instanceState int

const (
	starting  instanceState = iota // the process runs and has not asked for its first event
	idle                           // it waits in /next and belongs to nobody
	busy                           // it belongs to an invocation
	returning                      // it answered and has not asked for the next event: not to be used yet
	dead
)

// instance is one execution environment: a process and its life. The server's mutex guards the fields below it.
type instance struct {
	srv   *server
	fn    *function
	def   *definition // what it was started with
	token string      // its path on the Runtime API, known to nobody else
	ready chan struct{}
	ended chan struct{} // closed when the process and everything it started are gone
	proc  *process

	state     instanceState
	event     *event      // handed over and unanswered
	next      chan *event // of the /next call that waits
	expiry    *time.Timer
	initError []byte // the runtime's own account of a failed start
}

// event is one invocation as an instance sees it. Whoever takes it out of instance.event answers it, once.
type event struct {
	id            string
	payload       []byte
	clientContext string
	deadline      time.Time
	answer        chan answer // capacity 1
}

// answer is what became of an event.
type answer struct {
	status  Status
	payload []byte
	at      time.Time
}

func newToken() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// newRequestID is a random UUID, version 4.
func newRequestID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// register adds a starting instance of fn; the server's mutex is held.
func (s *server) register(fn *function, def *definition) *instance {
	in := &instance{srv: s, fn: fn, def: def, token: newToken(), ready: make(chan struct{}), ended: make(chan struct{})}
	fn.instances[in] = struct{}{}
	s.byToken[in.token] = in
	return in
}

// start gives the instance its process. On error the instance is forgotten.
func (in *instance) start() error {
	proc, err := in.srv.launch(in)
	s := in.srv
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		in.forget()
		close(in.ended)
		return err
	}
	in.proc = proc
	s.watchers.Add(1)
	go in.watch()
	if s.closing {
		proc.kill()
	}
	return nil
}

// watch waits for the end of the process and settles everything that hung on it.
func (in *instance) watch() {
	s := in.srv
	defer s.watchers.Done()
	in.proc.wait()
	status := StatusExit
	if in.proc.outOfMemory() {
		status = StatusMemory
	}
	s.mu.Lock()
	in.forget()
	ev := in.event
	in.event = nil
	s.mu.Unlock()
	in.proc.sweep()
	close(in.ended)
	if ev != nil {
		ev.answer <- answer{status: status, at: time.Now()}
	}
}

// forget takes the instance out of every list; the server's mutex is held.
func (in *instance) forget() {
	fn := in.fn
	if in.state == returning {
		fn.returning--
		fn.wake(nil) // whoever hoped for it starts one of its own
	}
	in.unpark()
	in.state = dead
	delete(fn.instances, in)
	delete(in.srv.byToken, in.token)
	in.srv.touch()
}

// unpark takes the instance out of the idle list, if it is there; the server's mutex is held.
func (in *instance) unpark() {
	if in.expiry != nil {
		in.expiry.Stop()
		in.expiry = nil
	}
	for i, other := range in.fn.idle {
		if other == in {
			in.fn.idle = append(in.fn.idle[:i], in.fn.idle[i+1:]...)
			return
		}
	}
}

// wake hands in to the invocation that has waited longest, if any; the server's mutex is held.
func (fn *function) wake(in *instance) bool {
	if len(fn.waiting) == 0 {
		return false
	}
	first := fn.waiting[0]
	fn.waiting = fn.waiting[1:]
	first <- in
	return true
}

// park makes an instance that asked for its next event available; the server's mutex is held.
func (in *instance) park() {
	s, fn := in.srv, in.fn
	if s.closing || fn.deleted || in.def.Revision != fn.def.Revision {
		in.state = busy // nobody's; it ends here
		in.proc.kill()
		return
	}
	in.state = busy
	if fn.wake(in) {
		return
	}
	in.state = idle
	fn.idle = append(fn.idle, in)
	in.expiry = time.AfterFunc(s.cfg.KeepAlive, in.expire)
}

// expire ends an instance that nobody used for the keep-alive time, unless it is provisioned.
func (in *instance) expire() {
	s := in.srv
	s.mu.Lock()
	defer s.mu.Unlock()
	if in.state != idle {
		return
	}
	if len(in.fn.instances) <= in.fn.def.Provisioned {
		in.expiry = time.AfterFunc(s.cfg.KeepAlive, in.expire)
		return
	}
	in.unpark()
	in.state = busy
	in.proc.kill()
}

// retireIdle ends fn's idle instances; busy ones end after their event. The server's mutex is held.
func (s *server) retireIdle(fn *function) {
	for len(fn.idle) > 0 {
		in := fn.idle[0]
		in.unpark()
		in.state = busy
		in.proc.kill()
	}
}

// give hands ev to the instance's waiting /next call. It reports false when the process is gone.
func (in *instance) give(ev *event) bool {
	s := in.srv
	s.mu.Lock()
	defer s.mu.Unlock()
	if in.state == dead || in.next == nil {
		return false
	}
	in.event = ev
	in.next <- ev
	in.next = nil
	return true
}

// take withdraws ev from the instance, so that the caller may answer it. It reports false when somebody did.
func (in *instance) take(ev *event) bool {
	s := in.srv
	s.mu.Lock()
	defer s.mu.Unlock()
	if in.event != ev {
		return false
	}
	in.event = nil
	return true
}

// obtain returns an instance of fn that belongs to the caller: a warm one, one on its way back, or a new one
// that is starting.
func (s *server) obtain(fn *function, def *definition) (in *instance, cold bool) {
	s.mu.Lock()
	if n := len(fn.idle); n > 0 && fn.idle[n-1].def.Revision == def.Revision {
		in = fn.idle[n-1]
		in.unpark()
		in.state = busy
		s.mu.Unlock()
		return in, false
	}
	if fn.returning > len(fn.waiting) {
		returned := make(chan *instance, 1)
		fn.waiting = append(fn.waiting, returned)
		s.mu.Unlock()
		if in = s.awaitReturn(fn, returned); in != nil {
			return in, false
		}
		s.mu.Lock()
	}
	defer s.mu.Unlock()
	return s.register(fn, def), true
}

// awaitReturn waits for a returning instance within the grace time; nil: none came.
func (s *server) awaitReturn(fn *function, returned chan *instance) *instance {
	grace := time.NewTimer(returnGrace)
	defer grace.Stop()
	select {
	case in := <-returned:
		return in
	case <-grace.C:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, ch := range fn.waiting {
		if ch == returned {
			fn.waiting = append(fn.waiting[:i], fn.waiting[i+1:]...)
			return nil
		}
	}
	return <-returned // handed over just before the lock
}
