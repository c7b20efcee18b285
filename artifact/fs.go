package artifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// FS keeps objects as files under one folder. Keys cannot leave it, not even through symbolic links.
//
// Durability: an object is written to a temporary file and then named, so that a reader, and an engine
// killed at any moment, sees it whole or not at all. Nothing is synced: what the kernel has accepted
// survives the death of every process, but a power cut may lose the objects of the last seconds. The
// engine then finds no manifest and runs the attempt again; a file whose loss came after its manifest
// fails its reader's digest check.
type FS struct {
	dir  string // absolute
	root *os.Root
}

// NewFS opens the store in dir, which it creates where it is missing.
func NewFS(dir string) (*FS, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &FS{dir: dir, root: root}, nil
}

// Close releases the folder. Objects stay.
func (s *FS) Close() error { return s.root.Close() }

// Put implements Store.
func (s *FS) Put(ctx context.Context, key string, r io.Reader, opt PutOptions) (Info, error) {
	if err := checkKey(key); err != nil {
		return Info{}, err
	}
	size, sum, err := writeWhole(rooted{s.root}, filepath.FromSlash(key), withContext(ctx, r), opt.IfAbsent)
	if err != nil {
		return Info{}, fmt.Errorf("store %s: %w", key, err)
	}
	return Info{Key: key, Size: size, SHA256: sum}, nil
}

// Get implements Store.
func (s *FS) Get(_ context.Context, key string) (io.ReadCloser, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	f, err := s.root.Open(filepath.FromSlash(key))
	if err != nil {
		return nil, absent(err)
	}
	if err := mustBeRegular(f); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// mustBeRegular refuses folders and the like: as keys, they do not exist.
func mustBeRegular(f *os.File) error {
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not an object: %w", f.Name(), ErrNotExist)
	}
	return err
}

// Stat implements Store.
func (s *FS) Stat(_ context.Context, key string) (Info, error) {
	if err := checkKey(key); err != nil {
		return Info{}, err
	}
	info, err := s.root.Stat(filepath.FromSlash(key))
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not an object: %w", key, ErrNotExist)
	}
	if err != nil {
		return Info{}, absent(err)
	}
	return Info{Key: key, Size: info.Size()}, nil
}

// absent turns "below a file" into ErrNotExist: an object's name may begin those of others, but here none
// is below it.
func absent(err error) error {
	if errors.Is(err, syscall.ENOTDIR) {
		return fmt.Errorf("%w: %w", ErrNotExist, err)
	}
	return err
}

// DeletePrefix implements Store.
func (s *FS) DeletePrefix(ctx context.Context, prefix string) error {
	if err := checkPrefix(prefix); err != nil {
		return err
	}
	if dir, ok := strings.CutSuffix(prefix, "/"); ok {
		return s.root.RemoveAll(filepath.FromSlash(dir))
	}
	dir, base := path.Split(prefix)
	entries, err := fs.ReadDir(s.root.FS(), path.Clean("./"+dir))
	if errors.Is(err, ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if strings.HasPrefix(e.Name(), base) {
			err = s.root.RemoveAll(filepath.FromSlash(dir + e.Name()))
		}
	}
	return err
}

// Sign implements Store. The URL names the file; permission is the file system's, and ttl means nothing.
func (s *FS) Sign(_ context.Context, _, key string, _ time.Duration) (string, error) {
	if err := checkKey(key); err != nil {
		return "", err
	}
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(filepath.Join(s.dir, filepath.FromSlash(key)))}
	return u.String(), nil
}
