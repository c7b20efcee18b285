//go:build linux || darwin

package runner

import (
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// load is what `work` does: it stands for a task of a trace, whose command nobody has.
type load struct {
	seconds   float64
	mode      string
	memoryMiB int64
	outputs   []file
}

type file struct {
	path string
	size int64
}

func work(args []string) int {
	l, err := parseLoad(args)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "spillway-runner work:", err)
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := l.do(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "spillway-runner work:", err)
		return exitFailed
	}
	return exitOK
}

func parseLoad(args []string) (load, error) {
	var l load
	flags := flag.NewFlagSet("work", flag.ContinueOnError)
	flags.Float64Var(&l.seconds, "seconds", 0, "how long to work")
	flags.StringVar(&l.mode, "mode", "busy", "busy: seconds of processor time; sleep: seconds of waiting")
	flags.Int64Var(&l.memoryMiB, "memory", 0, "MiB of memory to hold while working")
	flags.Func("output", "PATH=BYTES, a file to leave; may be repeated", l.addOutput)
	if err := flags.Parse(args); err != nil {
		return l, err
	}
	switch {
	case flags.NArg() > 0:
		return l, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case l.mode != "busy" && l.mode != "sleep":
		return l, fmt.Errorf("mode %q: busy or sleep", l.mode)
	case !(l.seconds >= 0 && l.seconds < 1e9) || l.memoryMiB < 0 || l.memoryMiB > 1<<24:
		return l, errors.New("seconds and memory must be sensible and not negative")
	}
	return l, nil
}

// addOutput takes PATH=BYTES; PATH may hold further equals signs.
func (l *load) addOutput(text string) error {
	at := strings.LastIndexByte(text, '=')
	if at <= 0 {
		return errors.New("want PATH=BYTES")
	}
	size, err := strconv.ParseInt(text[at+1:], 10, 64)
	if err != nil || size < 0 {
		return fmt.Errorf("bytes %q: want a whole number", text[at+1:])
	}
	l.outputs = append(l.outputs, file{path: text[:at], size: size})
	return nil
}

// do works, then leaves the files. It holds its memory until the work is done.
func (l *load) do(ctx context.Context) error {
	held := hold(l.memoryMiB << 20)
	work := time.Duration(l.seconds * float64(time.Second))
	var err error
	if l.mode == "sleep" {
		err = sleep(ctx, work)
	} else {
		err = burn(ctx, work)
	}
	for i := 0; err == nil && i < len(l.outputs); i++ {
		err = l.outputs[i].write()
	}
	if len(held) > 0 {
		held[0]++ // used to here, so that it is not collected before
	}
	return err
}

// hold returns memory of which each page was written.
func hold(bytes int64) []byte {
	m := make([]byte, bytes)
	for i := 0; i < len(m); i += 4096 {
		m[i] = 1
	}
	return m
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// burn computes until this process has used d of processor time: on a share of a core it takes
// accordingly longer, as any program would.
func burn(ctx context.Context, d time.Duration) error {
	sum := [32]byte{}
	for used := time.Duration(0); used < d; used = processorTime() {
		for range 256 { // some 20 us between two looks
			sum = sha256.Sum256(sum[:])
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// processorTime is what this process has used, by user and system.
func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// write leaves the file with pseudo-random content, the same for the same path: it neither compresses nor
// differs between runs.
func (f file) write() error {
	if !filepath.IsLocal(f.path) {
		return fmt.Errorf("output %s: outside the working directory", f.path)
	}
	if err := os.MkdirAll(filepath.Dir(f.path), 0o755); err != nil {
		return err
	}
	w, err := os.Create(f.path)
	if err != nil {
		return err
	}
	random := rand.NewChaCha8(sha256.Sum256([]byte(f.path)))
	_, err = io.CopyN(w, random, f.size)
	return errors.Join(err, w.Close())
}
