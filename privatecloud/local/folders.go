//go:build linux || darwin

package local

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spillway/spillway/internal/procgroup"
	"github.com/spillway/spillway/runner"
)

// Below the site's folder lie work/RUN/PID-SLOT, where attempts execute, logs/RUN/ATTEMPT.log and
// results/RUN.jsonl. None of it is synced to the disk: what the kernel has accepted outlives every process,
// and after a power cut the engine finds no manifest and runs the attempt again.
const (
	workDir   = "work"
	logDir    = "logs"
	resultDir = "results"
)

// LogPath is where the output of an attempt is kept at the site in dir. There is no file when the attempt
// wrote nothing.
func LogPath(dir, run, attempt string) string {
	return filepath.Join(dir, logDir, run, attempt+".log")
}

// createLog begins an attempt's log anew. Most folders exist already, so they are made only when that fails.
func createLog(name string) (io.WriteCloser, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return nil, err
	}
	return os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
}

// isName accepts what can be the name of a file and part of a line.
func isName(s string) bool {
	return s != "" && s != "." && s != ".." && len(s) <= 200 &&
		!strings.ContainsFunc(s, func(r rune) bool { return r == '/' || r < ' ' })
}

func (s *Site) workDir(run string) string { return filepath.Join(s.cfg.Dir, workDir, run) }

// mark is an entry of the environment of every command of a run at this site, and of no other: a sandbox
// may execute attempts of the same run, and they are not this site's to end.
func (s *Site) mark(run string) string { return "SPILLWAY_WORK=" + s.workDir(run) }

// Reap ends what a dead engine left running of a run and removes its working directories; ended counts
// the processes. Only after that may the run's attempts be executed again. The caller holds the run's
// lease, and executes no attempt of it at this site meanwhile.
func (s *Site) Reap(run string) (ended int, err error) {
	if !isName(run) {
		return 0, fmt.Errorf("reap run %q: not the name of a file", run)
	}
	if n := s.users(run); n > 0 {
		return 0, fmt.Errorf("reap run %s: this engine itself executes %d attempts of it", run, n)
	}
	ended, left := procgroup.End(s.mark(run), s.workDir(run))
	if len(left) > 0 {
		return ended, fmt.Errorf("reap run %s: processes %v of a dead engine cannot be ended", run, left)
	}
	if err := runner.RemoveDir(s.workDir(run)); err != nil {
		return ended, fmt.Errorf("reap run %s: %w", run, err)
	}
	return ended, nil
}

func (s *Site) users(run string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.results[run]; r != nil {
		return r.users
	}
	return 0
}
