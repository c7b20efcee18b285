package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Endpoint is how a client reaches a running sandbox.
type Endpoint struct {
	URL         string `json:"url"`
	Region      string `json:"region"`
	AccessKeyID string `json:"access_key_id"`
	SecretKey   string `json:"secret_key"`
	PID         int    `json:"pid"`
	Isolated    bool   `json:"isolated"` // instances see their own root only
}

// ErrNotRunning reports that no sandbox serves the folder.
var ErrNotRunning = errors.New("no sandbox is running")

func statePath(dir string) string { return filepath.Join(dir, "sandbox.json") }

func readState(dir string) (Endpoint, error) {
	var e Endpoint
	data, err := os.ReadFile(statePath(dir))
	if err != nil {
		return e, err
	}
	if err := json.Unmarshal(data, &e); err != nil {
		return e, fmt.Errorf("%s: %w", statePath(dir), err)
	}
	return e, nil
}

// writeState keeps the endpoint with its keys where only the owner can read it. It outlives the process, so
// that the next one keeps address and keys.
func writeState(dir string, e Endpoint) error {
	data, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return err
	}
	return writeFileAtomic(statePath(dir), append(data, '\n'))
}

// Attach returns the endpoint of the sandbox that serves dir, after it answered a signed request. The error
// wraps ErrNotRunning when there is none.
func Attach(ctx context.Context, dir string) (Endpoint, error) {
	e, err := readState(dir)
	if errors.Is(err, os.ErrNotExist) {
		return e, ErrNotRunning
	}
	if err != nil {
		return e, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.URL+"/2016-08-19/account-settings", nil)
	if err != nil {
		return e, fmt.Errorf("%s: %w", statePath(dir), err)
	}
	keys{e.AccessKeyID, e.SecretKey, e.Region}.sign(req, nil, time.Now())
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		return e, fmt.Errorf("%w: %w", ErrNotRunning, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return e, fmt.Errorf("%w: %s answers %s, so another program has its address", ErrNotRunning, e.URL, resp.Status)
	}
	return e, nil
}

// Ensure attaches to the sandbox of dir, or has spawn start one and waits until it answers, at most until ctx
// ends. Of several callers at once, in any process, one spawns.
func Ensure(ctx context.Context, dir string, spawn func() error) (Endpoint, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Endpoint{}, fmt.Errorf("sandbox: %w", err)
	}
	if e, err := Attach(ctx, dir); err == nil {
		return e, nil
	}
	lock, err := lockFileContext(ctx, filepath.Join(dir, "start.lock"))
	if err != nil {
		return Endpoint{}, fmt.Errorf("sandbox: %w", err)
	}
	defer lock.Close()
	e, err := Attach(ctx, dir)
	if err == nil {
		return e, nil
	}
	if err := spawn(); err != nil {
		return Endpoint{}, fmt.Errorf("sandbox: start: %w", err)
	}
	for ; err != nil; e, err = Attach(ctx, dir) {
		if stop := pause(ctx, 10*time.Millisecond); stop != nil {
			return Endpoint{}, fmt.Errorf("sandbox: did not answer (see %s): %w", logPath(dir), err)
		}
	}
	return e, nil
}

func logPath(dir string) string { return filepath.Join(dir, "sandbox.log") }

// StartDetached starts cmd, which is to serve the sandbox of dir, in a session of its own with its output in
// dir/sandbox.log, so that it outlives the caller. It is a spawn for Ensure.
func StartDetached(cmd *exec.Cmd, dir string) error {
	log, err := os.OpenFile(logPath(dir), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = nil, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }() // no zombie while the caller lives; how it ended is in the log
	return nil
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
