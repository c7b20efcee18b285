//go:build linux || darwin

package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"

	"github.com/spillway/spillway/artifact"
	"github.com/spillway/spillway/engine"
	"github.com/spillway/spillway/workflow"
)

// keepFiles stores the files that a run starts from, by digest, on the private
// side. They lie relative to the definition; those of a trace are made up, in
// the traced sizes.
func (e *embedded) keepFiles(ctx context.Context, g *workflow.Graph, definition string, scale float64) ([]workflow.FileRecord, error) {
	dir := "."
	if definition != "-" {
		dir = filepath.Dir(definition)
	}
	var files []workflow.FileRecord
	var errs []error
	for i := range g.Files {
		f := &g.Files[i]
		if f.Producer >= 0 || f.Retired {
			continue
		}
		open := func() (io.ReadCloser, error) { return openInput(dir, f.Path) }
		if g.Spec.IsTrace() {
			size := int64(float64(f.Size) / scale)
			open = func() (io.ReadCloser, error) { return madeUp(f.Name, size), nil }
		}
		rec, err := e.keepFile(ctx, open)
		if err != nil {
			errs = append(errs, fmt.Errorf("input %s: %w", f.Path, err))
			continue
		}
		rec.Index = i
		files = append(files, rec)
	}
	return files, errors.Join(errs...)
}

// openInput opens a file below the folder of the definition.
func openInput(dir, path string) (io.ReadCloser, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	f, err := root.OpenFile(filepath.FromSlash(path), os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe would wait for its writer
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		_ = f.Close()
		return nil, errors.Join(err, errors.New("it is not a regular file"))
	}
	return f, nil
}

// keepFile reads a file twice: for its digest, which is its name, and to store
// it unless it is there already.
func (e *embedded) keepFile(ctx context.Context, open func() (io.ReadCloser, error)) (workflow.FileRecord, error) {
	h := sha256.New()
	size, err := readAll(open, func(r io.Reader) (int64, error) { return io.Copy(h, interruptible{ctx, r}) })
	if err != nil {
		return workflow.FileRecord{}, err
	}
	sum := hex.EncodeToString(h.Sum(nil))
	rec := workflow.FileRecord{Key: "files/" + sum, SHA256: sum, Size: size, Site: engine.PrivateSite}
	if info, err := e.home.Stat(ctx, rec.Key); err == nil && info.Size == size {
		return rec, nil
	}
	_, err = readAll(open, func(r io.Reader) (int64, error) {
		info, err := e.home.Put(ctx, rec.Key, interruptible{ctx, r}, artifact.PutOptions{})
		if err == nil && info.SHA256 != sum {
			err = errors.New("it changed while it was read")
		}
		return info.Size, err
	})
	return rec, err
}

// interruptible reads until its context ends: files of a trace can be of any size.
type interruptible struct {
	ctx context.Context
	r   io.Reader
}

func (i interruptible) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.r.Read(p)
}

func readAll(open func() (io.ReadCloser, error), read func(io.Reader) (int64, error)) (int64, error) {
	r, err := open()
	if err != nil {
		return 0, err
	}
	n, err := read(r)
	return n, errors.Join(err, r.Close())
}

// madeUp yields bytes that do not compress, the same for the same name.
func madeUp(name string, size int64) io.ReadCloser {
	return io.NopCloser(io.LimitReader(rand.NewChaCha8(sha256.Sum256([]byte(name))), size))
}
