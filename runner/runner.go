//go:build linux || darwin

// Package runner executes one attempt: it fetches the inputs, runs the command in an empty directory,
// stores the outputs and writes the manifest of the result, first writer wins. The same code runs in the
// engine around the processes of private slots, in pods and in functions.
package runner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/spillway/spillway/internal/envelope"
	"github.com/spillway/spillway/internal/procgroup"
)

// Objects is how a runner reaches stored objects, by the URLs they carry.
type Objects interface {
	// Fetch copies an object to w and returns its size and hex SHA-256; fs.ErrNotExist where there is none.
	Fetch(ctx context.Context, o envelope.Object, w io.Writer) (size int64, sha256 string, err error)
	// Store writes all of r as the object, replacing an earlier one.
	Store(ctx context.Context, o envelope.Object, r io.ReadSeeker) (size int64, sha256 string, err error)
	// StoreOnce creates the object; fs.ErrExist where there is one.
	StoreOnce(ctx context.Context, o envelope.Object, data []byte) error
}

// Confine runs a command to its end, or until ctx ends, and leaves nothing of it running. Its error means
// that the command did not start.
type Confine func(ctx context.Context, c procgroup.Command) (procgroup.Exit, error)

// Options say how a place runs attempts.
type Options struct {
	Objects Objects
	Confine Confine // nil: procgroup.Run

	// WorkDir becomes the command's working directory: it is made empty and removed afterwards. Empty: a
	// temporary one.
	WorkDir string
	// KeepWorkDir lets a working directory that the command left empty stay for the next attempt. To make
	// and remove one costs more than to start a process: ext4 gives the inode of a removed file to nobody
	// for a minute, and each new file looks through all of these.
	KeepWorkDir bool
	// Log opens where the command's output goes, at its first byte; nil: only the manifest's tail is kept.
	Log      func() (io.WriteCloser, error)
	LogBytes int64 // bound of the log; 0: 10 MiB

	Path string   // the command's PATH; empty: the usual folders
	Env  []string // further entries of its environment, which the task cannot change
	Self []string // what an Args[0] of "spillway-runner" stands for; nil: this executable
	Cold bool     // first attempt of this environment
}

// attempt is one execution under way.
type attempt struct {
	inv  envelope.Invocation
	opt  Options
	m    envelope.Manifest
	root *os.Root // the working directory, once a file in it is touched
}

// Run executes an attempt and returns its manifest, which is also stored under the attempt's key. When
// one is stored there already, by an earlier delivery of the same attempt, that one is returned: nothing
// runs again, and of two that ran at once the first to finish counts. When ctx ends, the command is
// killed; the manifest is written nevertheless.
func Run(ctx context.Context, inv envelope.Invocation, opt Options) envelope.Manifest {
	a := &attempt{inv: inv, opt: opt, m: envelope.Manifest{Protocol: envelope.Protocol, Run: inv.Run,
		Task: inv.Task, Attempt: inv.Attempt, StartedAt: time.Now().UnixMicro(), Cold: opt.Cold}}
	if inv.Protocol != envelope.Protocol {
		a.fail(envelope.FailInternal, "this runner speaks protocol %d, the invocation %d", envelope.Protocol, inv.Protocol)
		return a.finished()
	}
	if found, err := a.stored(ctx); err == nil {
		return found
	} else if !errors.Is(err, fs.ErrNotExist) {
		a.interrupted(ctx, envelope.FailInternal, fmt.Errorf("look for an earlier result: %w", err))
		return a.finished()
	}
	a.execute(ctx)
	return a.publish(ctx)
}

// stored returns the manifest that an earlier delivery left.
func (a *attempt) stored(ctx context.Context) (m envelope.Manifest, err error) {
	var text bytes.Buffer
	if _, _, err := a.opt.Objects.Fetch(ctx, a.inv.Manifest, &text); err != nil {
		return m, err
	}
	if err := json.Unmarshal(text.Bytes(), &m); err != nil {
		return m, err
	}
	if m.Attempt != a.inv.Attempt {
		return m, fmt.Errorf("%s holds the result of attempt %q", a.inv.Manifest.Key, m.Attempt)
	}
	return m, nil
}

// execute does everything between two manifests: the one looked for and the one written.
func (a *attempt) execute(ctx context.Context) {
	if err := a.makeWorkDir(); err != nil {
		a.fail(envelope.FailInternal, "working directory: %v", err)
		return
	}
	defer a.leaveWorkDir()
	a.m.FetchUs = timed(func() { a.fetchInputs(ctx) })
	if a.m.Failure == nil {
		a.m.CommandUs = timed(func() { a.command(ctx) })
	}
	if a.m.Failure == nil {
		a.m.StoreUs = timed(func() { a.storeOutputs(ctx) })
	}
}

// timed returns how long f took, in microseconds.
func timed(f func()) int64 {
	begin := time.Now()
	f()
	return time.Since(begin).Microseconds()
}

// makeWorkDir makes an empty directory. One that is there was kept, or left by a runner that died.
func (a *attempt) makeWorkDir() (err error) {
	dir := a.opt.WorkDir
	if dir == "" {
		a.opt.WorkDir, err = os.MkdirTemp("", "spillway-")
		return err
	}
	err = os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrNotExist) {
		return os.MkdirAll(dir, 0o700)
	}
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	if isFresh(dir) {
		return nil
	}
	if err := RemoveDir(dir); err != nil {
		return err
	}
	return os.Mkdir(dir, 0o700)
}

// isFresh tells whether dir is as good as a new one, and gives it a new one's permissions.
func isFresh(dir string) bool {
	f, err := os.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	_, err = f.Readdirnames(1)
	return errors.Is(err, io.EOF) && f.Chmod(0o700) == nil
}

// leaveWorkDir removes the directory unless it serves the next attempt as it is.
func (a *attempt) leaveWorkDir() {
	if a.root != nil {
		_ = a.root.Close()
	}
	if !a.opt.KeepWorkDir || !isFresh(a.opt.WorkDir) {
		_ = RemoveDir(a.opt.WorkDir) // what cannot be removed is another user's
	}
}

// RemoveDir removes working directories, of which most are empty, and which a command may have made
// unreadable.
func RemoveDir(dir string) error {
	if os.Remove(dir) == nil || os.RemoveAll(dir) == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			return os.Chmod(name, 0o700)
		}
		return err
	})
	return os.RemoveAll(dir)
}

// publish stores the manifest. It does so even when ctx has ended, as what happened has happened.
func (a *attempt) publish(ctx context.Context) envelope.Manifest {
	m := a.finished()
	text, err := json.Marshal(m)
	if err == nil {
		err = a.opt.Objects.StoreOnce(context.WithoutCancel(ctx), a.inv.Manifest, text)
	}
	if errors.Is(err, fs.ErrExist) {
		var first envelope.Manifest
		if first, err = a.stored(context.WithoutCancel(ctx)); err == nil {
			return first
		}
	}
	if err != nil { // without a stored manifest nobody else may learn of this result: it does not count
		a.fail(envelope.FailInternal, "manifest: %v", err)
	}
	return a.m
}

// finished closes the manifest.
func (a *attempt) finished() envelope.Manifest {
	a.m.FinishedAt = time.Now().UnixMicro()
	return a.m
}

// maxMessage bounds a failure's message in bytes.
const maxMessage = 1 << 10

// fail notes why the attempt did not succeed.
func (a *attempt) fail(class envelope.FailureClass, format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	for len(message) > maxMessage {
		_, size := utf8.DecodeLastRuneInString(message)
		message = message[:len(message)-size]
	}
	a.m.Failure = &envelope.Failure{Class: class, Message: message}
	a.m.Outputs = nil
}

// interrupted notes err as a failure of class, or as the end of ctx where that was its cause.
func (a *attempt) interrupted(ctx context.Context, class envelope.FailureClass, err error) {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		a.fail(envelope.FailTimeout, "out of time: %v", err)
	case ctx.Err() != nil:
		a.fail(envelope.FailCanceled, "canceled: %v", err)
	default:
		a.fail(class, "%v", err)
	}
}
