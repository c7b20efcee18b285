package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
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
	stop   context.CancelFunc

	objects   http.Handler
	objectKey []byte
	notes     []string // what this machine does not permit

	watchers   sync.WaitGroup // one an instance's process
	background sync.WaitGroup // Event invocations and prewarming

	mu        sync.Mutex
	functions map[string]*function
	byToken   map[string]*instance
	active    int       // requests and Event invocations under way
	used      time.Time // the last moment something was
	closing   bool
}

// Objects makes the object server of a sandbox: it keeps its files in dir and serves whoever has a URL that was
// signed with secret, below the path /o/.
type Objects func(dir string, secret []byte) (http.Handler, error)

// Serve runs the sandbox of dir as Ensure configured it, until ctx ends or it was unused for its idle time; both
// return nil, after every instance's process has ended. It fails at once when another process serves the folder.
// What a killed predecessor left behind, processes and open ledger entries, is ended first.
func Serve(ctx context.Context, dir string, objects Objects) error {
	cfg, err := readJSON[Config](configPath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("sandbox: %s holds no configuration: sandboxes are started by a run that needs one", dir)
	}
	if err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	cfg.Dir = dir
	if err := cfg.setDefaults(); err != nil {
		return err
	}
	lock, err := lockFile(serveLock(cfg.Dir))
	if err != nil {
		return fmt.Errorf("sandbox: %s is already served: %w", cfg.Dir, err)
	}
	defer lock.Close()
	s, listener, err := open(ctx, cfg, objects)
	if err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	if err := s.run(ctx, listener); err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	return nil
}

// open prepares everything up to the listener; the caller holds the folder's lock.
func open(ctx context.Context, cfg Config, objects Objects) (_ *server, _ net.Listener, err error) {
	s := &server{
		cfg: cfg, shares: newShares(cfg.VCPU), used: time.Now(),
		functions: make(map[string]*function), byToken: make(map[string]*instance),
	}
	old, err := readJSON[Endpoint](statePath(cfg.Dir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	s.inherit(old)
	if s.objects, err = objects(filepath.Join(cfg.Dir, "objects"), s.objectKey); err != nil {
		return nil, nil, err
	}
	if s.host, err = newHost(cfg.Dir, s.warn); err != nil {
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
	listener, err := listen(ctx, old.URL)
	if err != nil {
		return nil, nil, err
	}
	s.url = listener.Addr().String()
	if err := saveJSON(statePath(cfg.Dir), s.endpoint()); err != nil {
		return nil, nil, errors.Join(err, listener.Close())
	}
	return s, listener, nil
}

// inherit keeps the secrets of the folder's former sandbox, so that its clients can go on.
func (s *server) inherit(old Endpoint) {
	s.keys, s.objectKey = keys{old.AccessKeyID, old.SecretKey, s.cfg.Region}, old.Objects
	if s.keys.SecretKey == "" || len(s.objectKey) == 0 {
		s.keys.AccessKeyID, s.keys.SecretKey = "SANDBOX"+newToken()[:13], newToken()+newToken()
		s.objectKey = []byte(newToken())
	}
}

// warn says loudly what this machine does not permit: in the log, and in the endpoint for every client to tell.
func (s *server) warn(message string) {
	s.notes = append(s.notes, message)
	warnStderr(message)
}

// listen takes the address that clients know from before, else any on loopback.
func listen(ctx context.Context, before string) (net.Listener, error) {
	var config net.ListenConfig
	if u, err := url.Parse(before); err == nil && u.Host != "" {
		if l, err := config.Listen(ctx, "tcp", u.Host); err == nil {
			return l, nil
		}
	}
	return config.Listen(ctx, "tcp", "127.0.0.1:0")
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
		SecretKey: s.keys.SecretKey, Objects: s.objectKey, PID: os.Getpid(), Isolated: s.isolated(),
		Notes: s.notes, Settings: s.cfg}
}

func (s *server) run(ctx context.Context, listener net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.ctx, s.stop = ctx, cancel
	web := &http.Server{
		Handler: s.routes(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	for name := range s.functions { // before the first request can change them; the listener takes connections already
		s.prewarm(name)
	}
	failed := make(chan error, 1)
	go func() { failed <- web.Serve(listener) }()
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
	if s.active > 0 {
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
