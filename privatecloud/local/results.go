//go:build linux || darwin

package local

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
	"sync"

	"github.com/spillway/spillway/internal/envelope"
	"github.com/spillway/spillway/runner"
)

// results keeps the manifests of a run at this site in one file, a line each, as a directory, a file and
// its name for every attempt would cost more than its process. Whoever appends an attempt's first whole
// line has written its manifest, also among several engines.
//
// A line is an attempt's id, a tab and the manifest. It has a newline at both ends: one that a killed
// engine wrote in part ends where the next begins, and is no JSON.
type results struct {
	users int // attempts and questions under way; the site's mutex guards it

	mu    sync.Mutex
	file  *os.File
	taken int64 // bytes of the file that lines knows
	lines map[string]span
}

// span is where in the file a manifest is.
type span struct {
	offset int64
	length int
}

func openResults(name string) (*results, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	return &results{file: f, lines: map[string]span{}}, nil
}

// find returns the manifest of an attempt, fs.ErrNotExist where there is none.
func (r *results) find(attempt string) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.catchUp(); err != nil {
		return nil, err
	}
	at, ok := r.lines[attempt]
	if !ok {
		return nil, fs.ErrNotExist
	}
	text := make([]byte, at.length)
	_, err := r.file.ReadAt(text, at.offset)
	return text, err
}

// add writes the manifest of an attempt, and fails with fs.ErrExist where another came first.
func (r *results) add(attempt string, manifest []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.catchUp(); err != nil {
		return err
	}
	if _, ok := r.lines[attempt]; ok {
		return fs.ErrExist
	}
	line := make([]byte, 0, len(attempt)+len(manifest)+3)
	line = append(append(append(append(append(line, '\n'), attempt...), '\t'), manifest...), '\n')
	if _, err := r.file.Write(line); err != nil {
		return err
	}
	end, err := r.file.Seek(0, io.SeekCurrent) // where the appended line came to its end
	if err = errors.Join(err, r.catchUp()); err != nil {
		return err
	}
	if r.lines[attempt].offset != end-1-int64(len(manifest)) {
		return fs.ErrExist
	}
	return nil
}

// catchUp reads the lines that were added since the last time.
func (r *results) catchUp() error {
	info, err := r.file.Stat()
	if err != nil || info.Size() <= r.taken {
		return err
	}
	text := make([]byte, info.Size()-r.taken)
	if _, err := r.file.ReadAt(text, r.taken); err != nil {
		return err
	}
	for {
		line, rest, whole := bytes.Cut(text, []byte("\n"))
		if !whole {
			return nil
		}
		r.note(line)
		r.taken += int64(len(line)) + 1
		text = rest
	}
}

// note takes a line, which stands where taken points.
func (r *results) note(line []byte) {
	id, manifest, _ := bytes.Cut(line, []byte("\t"))
	if _, known := r.lines[string(id)]; !known && json.Valid(manifest) {
		r.lines[string(id)] = span{offset: r.taken + int64(len(id)) + 1, length: len(manifest)}
	}
}

// maxIdleResults bounds the files that stay open for runs of which nothing executes at the moment.
const maxIdleResults = 32

// use opens the manifests of a run, until done is called for each use.
func (s *Site) use(run string) (*results, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.results[run]
	if r == nil {
		var err error
		if r, err = openResults(filepath.Join(s.cfg.Dir, resultDir, run+".jsonl")); err != nil {
			return nil, err
		}
		s.closeIdle()
		s.results[run] = r
	}
	r.users++
	return r, nil
}

func (s *Site) done(r *results) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.users--
}

// closeIdle makes room for one more.
func (s *Site) closeIdle() {
	for run, r := range s.results {
		if len(s.results) < maxIdleResults {
			return
		}
		if r.users == 0 {
			_ = r.file.Close() // it was written to without a buffer
			delete(s.results, run)
		}
	}
}

// Manifest is the result of an attempt that was executed here, by whichever engine; nil where there is
// none.
func (s *Site) Manifest(run, attempt string) (*envelope.Manifest, error) {
	if !isName(run) || !isName(attempt) {
		return nil, fmt.Errorf("manifest of run %q, attempt %q: not names of files", run, attempt)
	}
	r, err := s.use(run)
	if err != nil {
		return nil, err
	}
	defer s.done(r)
	text, err := r.find(attempt)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	m := &envelope.Manifest{}
	if err == nil {
		err = json.Unmarshal(text, m)
	}
	if err != nil {
		return nil, fmt.Errorf("manifest of %s: %w", attempt, err)
	}
	return m, nil
}

// objects are an attempt's: its manifest is among the run's results, everything else where its URL says.
type objects struct {
	runner.Objects
	results  *results
	attempt  string
	manifest string // its key
}

func (o objects) Fetch(ctx context.Context, obj envelope.Object, w io.Writer) (int64, string, error) {
	if obj.Key != o.manifest {
		return o.Objects.Fetch(ctx, obj, w)
	}
	text, err := o.results.find(o.attempt)
	if err != nil {
		return 0, "", err
	}
	digest := sha256.Sum256(text)
	n, err := w.Write(text)
	return int64(n), hex.EncodeToString(digest[:]), err
}

func (o objects) StoreOnce(_ context.Context, _ envelope.Object, data []byte) error {
	return o.results.add(o.attempt, data)
}
