//go:build linux || darwin

package runner

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sync/errgroup"

	"github.com/spillway/spillway/internal/envelope"
)

// parallelFiles is how many files move at once: enough to hide the latency of an object store.
const parallelFiles = 8

// open makes the working directory the root of file names: no path, and no link in it, leads out.
func (a *attempt) open() error {
	if a.root != nil {
		return nil
	}
	var err error
	a.root, err = os.OpenRoot(a.opt.WorkDir)
	return err
}

// eachFile calls f for 0 to n-1, some at a time, and ends with the first error.
func eachFile(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	if n == 1 {
		return f(ctx, 0)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelFiles)
	for i := range n {
		group.Go(func() error { return f(ctx, i) })
	}
	return group.Wait()
}

// fetchInputs lays the inputs into the working directory.
func (a *attempt) fetchInputs(ctx context.Context) {
	if len(a.inv.Inputs) == 0 {
		return
	}
	err := a.open()
	if err == nil {
		err = eachFile(ctx, len(a.inv.Inputs), func(ctx context.Context, i int) error {
			return a.fetch(ctx, a.inv.Inputs[i])
		})
	}
	if err != nil {
		a.interrupted(ctx, fileClass(err, envelope.FailInput), err)
	}
}

// fileClass is the class of a failure with a file: of the kind given, or the runner's own.
func fileClass(err error, class envelope.FailureClass) envelope.FailureClass {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EMFILE) {
		return envelope.FailInternal
	}
	return class
}

func (a *attempt) fetch(ctx context.Context, in envelope.Input) error {
	if !filepath.IsLocal(in.Path) {
		return fmt.Errorf("input %q lies outside the working directory", in.Path)
	}
	f, err := a.create(in)
	if err != nil {
		return fmt.Errorf("input %s: %w", in.Path, err)
	}
	size, sum, err := a.opt.Objects.Fetch(ctx, in.Object, f)
	switch err = errors.Join(err, f.Close()); {
	case err != nil:
		return fmt.Errorf("input %s: %w", in.Path, err)
	case in.SHA256 != "" && sum != in.SHA256:
		return fmt.Errorf("input %s: expected %d bytes with SHA-256 %s, got %d with %s",
			in.Path, in.Size, in.SHA256, size, sum)
	}
	return nil
}

func (a *attempt) create(in envelope.Input) (*os.File, error) {
	if dir := filepath.Dir(in.Path); dir != "." {
		if err := a.root.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
	}
	perm := os.FileMode(0o644)
	if in.Executable {
		perm = 0o755
	}
	return a.root.OpenFile(in.Path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
}

// storeOutputs stores what the command left, in the order of its declaration.
func (a *attempt) storeOutputs(ctx context.Context) {
	if len(a.inv.Outputs) == 0 {
		return
	}
	stored := make([]envelope.Stored, len(a.inv.Outputs))
	err := a.open()
	if err == nil {
		err = eachFile(ctx, len(stored), func(ctx context.Context, i int) (err error) {
			stored[i], err = a.store(ctx, a.inv.Outputs[i])
			return err
		})
	}
	if err != nil {
		a.interrupted(ctx, fileClass(err, envelope.FailOutput), err)
		return
	}
	a.m.Outputs = stored
}

func (a *attempt) store(ctx context.Context, out envelope.Output) (envelope.Stored, error) {
	s := envelope.Stored{Name: out.Name, Path: out.Path, Key: out.Object.Key}
	f, err := a.openOutput(out.Path)
	if err != nil {
		return s, err
	}
	defer func() { _ = f.Close() }()
	var from io.ReadSeeker = f
	if out.Value {
		if s.Value, err = readValue(f); err != nil {
			return s, fmt.Errorf("output %s: %w", out.Path, err)
		}
		from = bytes.NewReader(s.Value)
	}
	if out.Object.Put == "" { // a value that nobody reads as a file
		digest := sha256.Sum256(s.Value)
		s.Size, s.SHA256 = int64(len(s.Value)), hex.EncodeToString(digest[:])
		return s, nil
	}
	s.Size, s.SHA256, err = a.opt.Objects.Store(ctx, out.Object, from)
	if err != nil {
		return s, fmt.Errorf("output %s: %w", out.Path, err)
	}
	return s, nil
}

// openOutput opens a regular file of the working directory. A link that leads out of it is refused, and a
// pipe is not waited for.
func (a *attempt) openOutput(path string) (*os.File, error) {
	if !filepath.IsLocal(path) {
		return nil, fmt.Errorf("output %q lies outside the working directory", path)
	}
	f, err := a.root.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("output %s: the command left no such file", path)
	}
	if err != nil {
		return nil, fmt.Errorf("output %s: %w", path, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("output %s: not a regular file", path)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// readValue reads the JSON of an output that travels in the manifest.
func readValue(r io.Reader) (json.RawMessage, error) {
	text, err := io.ReadAll(io.LimitReader(r, envelope.MaxValueBytes+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > envelope.MaxValueBytes:
		return nil, fmt.Errorf("a value has at most %d bytes of JSON", envelope.MaxValueBytes)
	case !json.Valid(text):
		return nil, errors.New("a value must be JSON")
	}
	return text, nil
}
