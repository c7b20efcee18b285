// Package artifact keeps the files of runs and moves them between trust domains: object stores behind one
// port, signed URLs for attempts that hold no credentials, and the staging of one object from a site's
// store to another's over a link of known bandwidth.
package artifact

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"
)

// The errors that callers tell apart, with errors.Is. Every store wraps these.
var (
	ErrNotExist = fs.ErrNotExist // no object has this key
	ErrExists   = fs.ErrExist    // PutOptions.IfAbsent, and there is one
	ErrKey      = fs.ErrInvalid  // the key is not one
)

// Store keeps objects under keys: slash-separated names such as "runs/r1/a1/manifest.json". An object
// appears whole or not at all. A Store is safe for concurrent use.
type Store interface {
	// Put stores what r yields. It replaces an object of that key unless opt.IfAbsent is set: then the
	// first writer wins and every other gets ErrExists.
	Put(ctx context.Context, key string, r io.Reader, opt PutOptions) (Info, error)
	// Get opens an object for reading, or returns ErrNotExist.
	Get(ctx context.Context, key string) (io.ReadCloser, error)
	// Stat describes an object, or returns ErrNotExist. SHA256 is empty: stores do not keep it.
	Stat(ctx context.Context, key string) (Info, error)
	// DeletePrefix removes every object whose key begins with prefix; none is no error.
	DeletePrefix(ctx context.Context, prefix string) error
	// Sign returns a URL that allows method (GET or PUT) on key, and nothing else, for ttl.
	Sign(ctx context.Context, method, key string, ttl time.Duration) (string, error)
}

// PutOptions modify Put.
type PutOptions struct {
	IfAbsent bool // create, never replace
}

// Info describes a stored object.
type Info struct {
	Key    string
	Size   int64
	SHA256 string // hex, of the bytes as they were written
}

// maxKeyBytes is S3's bound on a key.
const maxKeyBytes = 1024

// tempPrefix begins the names of files being written; no part of a key may begin with it.
const tempPrefix = ".tmp-"

// checkKey accepts what is a key in every store: no empty, dot or temporary element, no backslash, no
// control character.
func checkKey(key string) error {
	if len(key) > maxKeyBytes || key == "." || !fs.ValidPath(key) || strings.ContainsFunc(key, notInKey) {
		return fmt.Errorf("object key %.80q: %w", key, ErrKey)
	}
	if strings.HasPrefix(key, tempPrefix) || strings.Contains(key, "/"+tempPrefix) {
		return fmt.Errorf("object key %.80q: elements beginning %q are reserved: %w", key, tempPrefix, ErrKey)
	}
	return nil
}

func notInKey(r rune) bool { return r == '\\' || r < ' ' || r == 0x7f }

// checkPrefix accepts the beginnings of keys, the empty one among them.
func checkPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	return checkKey(strings.TrimSuffix(prefix, "/"))
}
