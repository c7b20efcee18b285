package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// server is a running sandbox.
type server struct {
	cfg    Config
	keys   keys
	url    string // host:port
	ledger *ledger
	host   *host
	shares shares
	ctx    context.Context // ends when the sandbox shuts down

	watchers   sync.WaitGroup // one an instance's process
	background sync.WaitGroup // Event invocations and prewarming

	mu        sync.Mutex
	functions map[string]*function
	byToken   map[string]*instance
	active    int       // requests and Event invocations under way
	used      time.Time // the last moment something was
	closing   bool
}

// Serve runs a sandbox until ctx ends or it was idle for Config.IdleExit; both return nil, after every
// instance's process has ended. It fails at once when another process serves the folder. What a killed
// predecessor left behind, processes and open ledger entries, is ended first.
func Serve(ctx context.Context, cfg Config) error {
	if err := cfg.setDefaults(); err != nil {
		return err
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	lock, err := lockFile(filepath.Join(cfg.Dir, "lock"))
	if err != nil {
		return fmt.Errorf("sandbox: %s is already served: %w", cfg.Dir, err)
	}
	defer lock.Close()
	s, listener, err := open(cfg)
	if err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	if err := s.run(ctx, listener); err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	return nil
}

// open prepares everything up to the listener; the caller holds the folder's lock.
func open(cfg Config) (_ *server, _ net.Listener, err error) {
	s := &server{
		cfg: cfg, shares: newShares(cfg.VCPU), used: time.Now(),
		functions: make(map[string]*function), byToken: make(map[string]*instance),
	}
	old, err := readState(cfg.Dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, nil, err
	}
	s.keys = keys{old.AccessKeyID, old.SecretKey, cfg.Region}
	if s.keys.SecretKey == "" {
		s.keys.AccessKeyID, s.keys.SecretKey = "SANDBOX"+newToken()[:13], newToken()+newToken()
	}
	if s.host, err = newHost(&s.cfg); err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			s.host.close()
		}
	}()
	if err := s.loadFunctions(); err != nil {
		return nil, nil, err
	}
	if s.ledger, err = openLedger(cfg.Dir); err != nil {
		return nil, nil, err
	}
	if err := s.settle(); err != nil {
		return nil, nil, err
	}
	listener, err := listen(cfg.Address, old.URL)
	if err != nil {
		return nil, nil, err
	}
	s.url = listener.Addr().String()
	if err := writeState(cfg.Dir, s.endpoint()); err != nil {
		return nil, nil, errors.Join(err, listener.Close())
	}
	return s, listener, nil
}

// listen takes the configured address, else the one that clients know from before, else any on loopback.
func listen(address, before string) (net.Listener, error) {
	if address != "" {
		return net.Listen("tcp", address)
	}
	if len(before) > len("http://") {
		if l, err := net.Listen("tcp", before[len("http://"):]); err == nil {
			return l, nil
		}
	}
	return net.Listen("tcp", "127.0.0.1:0")
}

// settle closes the ledger entries of invocations that a killed sandbox never saw the end of. How long they
// ran is not known: they are billed for the time until now, at most their function's timeout.
func (s *server) settle() error {
	entries, err := ReadLedger(s.cfg.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Status != StatusStarted {
			continue
		}
		e.Status, e.Estimated = StatusLost, true
		e.Duration = min(e.TimeoutUs, max(0, time.Now().UnixMicro()-e.StartedAt))
		if e.Cost, err = s.bill(&e); err != nil {
			return err
		}
		if err := s.ledger.end(e); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) isolated() bool { return s.host.isolated() }

func (s *server) endpoint() Endpoint {
	return Endpoint{URL: "http://" + s.url, Region: s.keys.Region, AccessKeyID: s.keys.AccessKeyID,
		SecretKey: s.keys.SecretKey, PID: os.Getpid(), Isolated: s.isolated()}
}

func (s *server) run(ctx context.Context, listener net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.ctx = ctx
	web := &http.Server{
		Handler: s.routes(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	failed := make(chan error, 1)
	go func() { failed <- web.Serve(listener) }()
	for name := range s.functions {
		s.prewarm(name)
	}
	var err error
	select {
	case err = <-failed:
	case <-s.idled(ctx):
	}
	cancel()
	return errors.Join(err, s.shutdown(web))
}

// idled is closed when ctx ends or nothing has happened for the idle time.
func (s *server) idled(ctx context.Context) <-chan struct{} {
	if s.cfg.IdleExit <= 0 {
		return ctx.Done()
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for wait := s.cfg.IdleExit; wait > 0; wait = s.idleLeft() {
			if pause(ctx, wait) != nil {
				return
			}
		}
	}()
	return done
}

// idleLeft is how long the sandbox has to stay idle until it may exit; 0: it may, and no request comes in any more.
func (s *server) idleLeft() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.active > 0 || len(s.byToken) > 0 {
		return s.cfg.IdleExit
	}
	left := s.cfg.IdleExit - time.Since(s.used)
	s.closing = left <= 0
	return max(left, 0)
}

// shutdown ends every instance, answers what waited for one, and closes the ledger last.
func (s *server) shutdown(web *http.Server) error {
	s.mu.Lock()
	s.closing = true
	for _, in := range s.byToken {
		if in.proc != nil {
			in.proc.kill()
		}
	}
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := web.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, web.Close())
	}
	s.background.Wait()
	s.watchers.Wait()
	s.host.close()
	return errors.Join(err, s.ledger.close())
}

// begin and finish frame what keeps the sandbox from being idle.
func (s *server) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active++
}

func (s *server) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active--
	s.touch()
}

// touch notes that something happened; the mutex is held.
func (s *server) touch() { s.used = time.Now() }

// pause waits for d and reports an error if ctx ended before.
func pause(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil || d <= 0 {
		return err
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
