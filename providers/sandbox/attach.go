package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Endpoint is how a client reaches a running sandbox. It prints as its URL, without the secrets.
type Endpoint struct {
	URL         string   `json:"url"` // of the Lambda API; objects are below it as artifact.Handler serves them
	Region      string   `json:"region"`
	AccessKeyID string   `json:"access_key_id"`
	SecretKey   string   `json:"secret_key"`
	Objects     []byte   `json:"objects_secret"` // signs the URLs of objects
	PID         int      `json:"pid"`
	Isolated    bool     `json:"isolated"`        // instances see their own root only
	Notes       []string `json:"notes,omitempty"` // what this machine does not permit, for people
	Settings    Config   `json:"settings"`
}

func (e Endpoint) String() string { return e.URL }

// errNotRunning reports that no sandbox serves the folder.
var errNotRunning = errors.New("no sandbox is running")

func statePath(dir string) string  { return filepath.Join(dir, "sandbox.json") }
func configPath(dir string) string { return filepath.Join(dir, "config.json") }
func serveLock(dir string) string  { return filepath.Join(dir, "lock") }
func logPath(dir string) string    { return filepath.Join(dir, "sandbox.log") }

func readJSON[T any](path string) (v T, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return v, fmt.Errorf("%s: %w", path, err)
	}
	return v, nil
}

// saveJSON keeps v where only the owner can read it.
func saveJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return writeFileAtomic(path, append(data, '\n'))
}

// Ensure attaches to the sandbox of cfg.Dir or starts one, in a session of its own so that it outlives the
// caller, and waits until it answers, at most until ctx ends. Of several callers at once, in any process, one
// starts it. A running sandbox with other settings is replaced when nobody uses it; else that is an error.
func Ensure(ctx context.Context, cfg Config) (*Client, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	e, err := ensure(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	return newClient(cfg, e), nil
}

func ensure(ctx context.Context, cfg Config) (Endpoint, error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return Endpoint{}, err
	}
	lock, err := lockFileContext(ctx, filepath.Join(cfg.Dir, "start.lock"))
	if err != nil {
		return Endpoint{}, err
	}
	defer lock.Close()
	e, err := attach(ctx, cfg.Dir)
	if err == nil && !sameSettings(e.Settings, cfg) {
		if err := stop(ctx, cfg.Dir, e, true); err != nil {
			return Endpoint{}, fmt.Errorf("the one of %s has other settings; wait until nobody uses it, or take another folder: %w",
				cfg.Dir, err)
		}
		err = errNotRunning
	}
	if !errors.Is(err, errNotRunning) {
		return e, err
	}
	return start(ctx, cfg)
}

func sameSettings(a, b Config) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// Stop ends the sandbox of dir and everything that runs in it; none there is no error.
func Stop(ctx context.Context, dir string) error {
	e, err := attach(ctx, dir)
	if err == nil {
		err = stop(ctx, dir, e, false)
	}
	if err != nil && !errors.Is(err, errNotRunning) {
		return fmt.Errorf("sandbox: stop: %w", err)
	}
	return nil
}

// stop ends a sandbox, with unused only one that nobody else uses, and waits until its folder is free.
func stop(ctx context.Context, dir string, e Endpoint, unused bool) error {
	path := "/sandbox/stop"
	if unused {
		path += "?unused=1"
	}
	if err := e.do(ctx, http.MethodPost, path, nil); err != nil {
		return err
	}
	lock, err := lockFileContext(ctx, serveLock(dir))
	if err != nil {
		return err
	}
	return lock.Close()
}

// start has Command serve the folder and waits for it.
func start(ctx context.Context, cfg Config) (Endpoint, error) {
	if err := saveJSON(configPath(cfg.Dir), cfg); err != nil {
		return Endpoint{}, err
	}
	ended, err := startDetached(cfg)
	if err != nil {
		return Endpoint{}, fmt.Errorf("start: %w", err)
	}
	for {
		e, err := attach(ctx, cfg.Dir)
		if err == nil || !errors.Is(err, errNotRunning) {
			return e, err
		}
		select {
		case state := <-ended:
			return e, fmt.Errorf("%s ended (%s); its last words, from %s:\n%s",
				cfg.Command[0], state, logPath(cfg.Dir), lastWords(logPath(cfg.Dir)))
		case <-ctx.Done():
			return e, fmt.Errorf("no answer yet (see %s): %w", logPath(cfg.Dir), ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// startDetached starts the server with its output in the folder's log. The channel tells when it ends.
func startDetached(cfg Config) (<-chan string, error) {
	if len(cfg.Command) == 0 {
		return nil, errors.New("Config.Command is empty")
	}
	log, err := os.OpenFile(logPath(cfg.Dir), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(cfg.Command[0], cfg.Command[1:]...) //nolint:noctx // it outlives every context of the caller
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, cfg.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan string, 1)
	go func() {
		_ = cmd.Wait() // told by the state; no zombie is left while the caller lives
		ended <- cmd.ProcessState.String()
	}()
	return ended, nil
}

func lastWords(path string) string {
	data, _ := os.ReadFile(path) // what cannot be read has nothing to say
	return strings.TrimSpace(string(data[max(0, len(data)-500):]))
}

// attach returns the endpoint of the sandbox that serves dir, after it answered a signed request. The error
// wraps errNotRunning when there is none.
func attach(ctx context.Context, dir string) (Endpoint, error) {
	e, err := readJSON[Endpoint](statePath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return e, errNotRunning
	}
	if err != nil {
		return e, err
	}
	return attachTo(ctx, e)
}

// attachTo asks the process at the address for its number, so that a state file that outlived its sandbox is
// told from a living one even where another program, or another sandbox, has the address now.
func attachTo(ctx context.Context, e Endpoint) (Endpoint, error) {
	ask, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var pid int
	if err := e.do(ask, http.MethodGet, "/sandbox/pid", &pid); err != nil {
		return e, fmt.Errorf("%w: %w", errNotRunning, err)
	}
	if pid != e.PID {
		return e, fmt.Errorf("%w: another one has its address %s", errNotRunning, e.URL)
	}
	return e, ctx.Err()
}

// lockFile takes an exclusive lock that the kernel drops with the process; it fails when it is held.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func lockFileContext(ctx context.Context, path string) (*os.File, error) {
	for {
		f, err := lockFile(path)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return f, err
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return nil, err
		}
	}
}
