package sandbox

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/spillway/spillway/pricing"
)

// Status is how an invocation ended, as the ledger records it.
type Status string

// The ends of an invocation. Started is no end: the invocation is running.
const (
	StatusStarted  Status = "started"
	StatusOK       Status = "ok"
	StatusError    Status = "error"     // the handler returned an error or panicked
	StatusExit     Status = "exit"      // the process ended during the invocation
	StatusMemory   Status = "memory"    // killed at the memory limit
	StatusTimeout  Status = "timeout"   // killed at the function's time limit
	StatusInit     Status = "init"      // the process did not become ready
	StatusTooLarge Status = "too_large" // the response exceeded MaxPayload
	StatusLost     Status = "lost"      // the sandbox ended first; billed at the upper bound
)

// Entry is one invocation in the ledger. Times are microseconds.
type Entry struct {
	RequestID string `json:"request_id"`
	labels
	Function  string        `json:"function"`
	MemoryMiB int           `json:"memory_mib"`
	VCPU      float64       `json:"vcpu"`
	TimeoutUs int64         `json:"timeout_us"`
	StartedAt int64         `json:"started_us"` // Unix time the instance was asked for
	Cold      bool          `json:"cold"`
	Init      int64         `json:"init_us,omitempty"`
	Duration  int64         `json:"duration_us"`
	Billed    int64         `json:"billed_us"`
	Cost      pricing.Money `json:"cost_pico_usd"`
	PriceBook string        `json:"price_book"`
	Status    Status        `json:"status"`
	Isolated  bool          `json:"isolated"`
	Estimated bool          `json:"estimated,omitempty"` // Duration is an upper bound, not a measurement
}

// ledger appends entries to a file, a JSON line each. An invocation has a line when it starts, so that a
// killed sandbox leaves its trace, and a line when it ends, which is on disk before the caller is answered.
type ledger struct {
	file *os.File

	mu      sync.Mutex
	pending bytes.Buffer
	waiters []chan error
	syncing bool
}

func ledgerPath(dir string) string { return filepath.Join(dir, "ledger.jsonl") }

func openLedger(dir string) (*ledger, error) {
	f, err := os.OpenFile(ledgerPath(dir), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	if err := endLine(f); err != nil {
		return nil, errors.Join(fmt.Errorf("repair ledger: %w", err), f.Close())
	}
	return &ledger{file: f}, nil
}

// endLine closes a line that a crash tore, so that the next entry does not continue it.
func endLine(f *os.File) error {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil || end == 0 {
		return err
	}
	last := make([]byte, 1)
	if _, err := f.ReadAt(last, end-1); err != nil || last[0] == '\n' {
		return err
	}
	_, err = f.WriteString("\n")
	return err
}

// start notes an invocation that begins. The line reaches the kernel, which a killed process cannot undo; it
// is not forced to disk, for a machine that loses power loses the instance too.
func (l *ledger) start(e Entry) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_, err = l.file.Write(append(line, '\n'))
	return err
}

// end notes how an invocation ended and returns when the line is on disk. Concurrent calls share one fsync.
func (l *ledger) end(e Entry) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	l.mu.Lock()
	l.pending.Write(append(line, '\n'))
	l.waiters = append(l.waiters, done)
	lead := !l.syncing
	l.syncing = true
	l.mu.Unlock()
	if lead {
		go l.flush() // not in this call: a leader would be detained by the groups that follow its own
	}
	return <-done
}

// flush writes and syncs group after group until nothing is pending.
func (l *ledger) flush() {
	for {
		l.mu.Lock()
		if len(l.waiters) == 0 {
			l.syncing = false
			l.mu.Unlock()
			return
		}
		group := bytes.Clone(l.pending.Bytes())
		waiters := l.waiters
		l.pending.Reset()
		l.waiters = nil
		l.mu.Unlock()

		_, err := l.file.Write(group)
		if err == nil {
			err = l.file.Sync()
		}
		for _, w := range waiters {
			w <- err
		}
	}
}

func (l *ledger) close() error { return l.file.Close() }

// ReadLedger returns the invocations recorded in a sandbox's folder in the order they started, each as it
// stands now. It needs no running sandbox. A folder without ledger has no entries.
func ReadLedger(dir string) ([]Entry, error) {
	f, err := os.Open(ledgerPath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read ledger: %w", err)
	}
	defer f.Close()
	return decodeLedger(f)
}

// decodeLedger folds lines into invocations: the last line of a request id stands. A line torn by a crash
// says nothing and is passed over; the invocation's earlier line still stands.
func decodeLedger(r io.Reader) ([]Entry, error) {
	var entries []Entry
	index := make(map[string]int)
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e Entry
		if json.Unmarshal(lines.Bytes(), &e) != nil || e.RequestID == "" {
			continue
		}
		if i, seen := index[e.RequestID]; seen {
			entries[i] = e
			continue
		}
		index[e.RequestID] = len(entries)
		entries = append(entries, e)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read ledger: %w", err)
	}
	return entries, nil
}
