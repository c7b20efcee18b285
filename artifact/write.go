package artifact

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
)

// folder is the part of a file system that writeWhole needs: a confined root, or the whole machine for
// file:// URLs that the engine itself made.
type folder interface {
	OpenFile(name string, flag int, perm os.FileMode) (*os.File, error)
	MkdirAll(name string, perm os.FileMode) error
	Rename(from, to string) error
	Link(from, to string) error
	Remove(name string) error
}

type rooted struct{ *os.Root }

type machine struct{}

func (machine) OpenFile(name string, flag int, perm os.FileMode) (*os.File, error) {
	return os.OpenFile(name, flag, perm)
}
func (machine) MkdirAll(name string, perm os.FileMode) error { return os.MkdirAll(name, perm) }
func (machine) Rename(from, to string) error                 { return os.Rename(from, to) }
func (machine) Link(from, to string) error                   { return os.Link(from, to) }
func (machine) Remove(name string) error                     { return os.Remove(name) }

// tempCount makes the names of temporary files differ within this process.
var tempCount atomic.Uint64

// writeWhole stores what r yields as the file name and returns its size and hex SHA-256. The content goes
// to a temporary file beside it, which then takes the name in one act: by a link that fails where the
// name is taken when once is set, by a rename otherwise.
func writeWhole(d folder, name string, r io.Reader, once bool) (size int64, sum string, err error) {
	temp := filepath.Join(filepath.Dir(name), tempPrefix+strconv.Itoa(os.Getpid())+"-"+
		strconv.FormatUint(tempCount.Add(1), 36))
	f, err := create(d, temp)
	if err != nil {
		return 0, "", err
	}
	size, sum, err = copyDigest(f, r)
	if err = errors.Join(err, f.Close()); err == nil {
		err = giveName(d, temp, name, once)
	}
	if err != nil {
		_ = d.Remove(temp) // nobody wants it
		return 0, "", err
	}
	return size, sum, nil
}

// giveName lets temp be known as name, and only so.
func giveName(d folder, temp, name string, once bool) error {
	if !once {
		return d.Rename(temp, name)
	}
	if err := d.Link(temp, name); err != nil {
		return err
	}
	return d.Remove(temp)
}

// create makes a new file. Most folders exist already, so they are made only when that fails.
func create(d folder, name string) (*os.File, error) {
	f, err := d.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if !errors.Is(err, ErrNotExist) {
		return f, err
	}
	if err := d.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return nil, err
	}
	return d.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

// chunks holds the buffers that copyDigest works with.
var chunks = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// copyDigest copies r to w and returns the size and hex SHA-256 of what it copied.
func copyDigest(w io.Writer, r io.Reader) (int64, string, error) {
	buf := chunks.Get().(*[64 << 10]byte)
	defer chunks.Put(buf)
	h := sha256.New()
	var size int64
	for {
		n, err := r.Read(buf[:])
		h.Write(buf[:n])
		size += int64(n)
		if _, werr := w.Write(buf[:n]); werr != nil && n > 0 {
			return size, "", werr
		}
		if errors.Is(err, io.EOF) {
			return size, hex.EncodeToString(h.Sum(nil)), nil
		}
		if err != nil {
			return size, "", fmt.Errorf("read: %w", err)
		}
	}
}

// withContext ends reading when ctx ends.
func withContext(ctx context.Context, r io.Reader) io.Reader {
	if ctx.Done() == nil {
		return r
	}
	return readerFunc(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return r.Read(p)
	})
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
