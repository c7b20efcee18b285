//go:build linux || darwin

package runner

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	defaultLogBytes = 10 << 20
	tailBytes       = 4 << 10
)

// strayWait is how long the log waits for processes that outlived the command and still hold its output.
const strayWait = 100 * time.Millisecond

// output collects what a command writes: the beginning in a bounded log, the end in memory.
type output struct {
	r, w *os.File
	done chan struct{}
	held bool // some process kept the output open

	openLog func() (io.WriteCloser, error)
	log     io.WriteCloser
	left    int64 // bytes the log may still grow, -1 once it was cut off
	limit   int64
	err     error // of the log; the command goes on without it
	tail    []byte
}

var outputBuffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// collect reads what is written to the output's w, until finish.
func collect(openLog func() (io.WriteCloser, error), limit int64) (*output, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	if limit <= 0 {
		limit = defaultLogBytes
	}
	o := &output{r: r, w: w, done: make(chan struct{}), openLog: openLog, left: limit, limit: limit}
	go o.read()
	return o, nil
}

func (o *output) read() {
	defer close(o.done)
	buf := outputBuffers.Get().(*[32 << 10]byte)
	defer outputBuffers.Put(buf)
	for {
		n, err := o.r.Read(buf[:])
		if n > 0 {
			o.keep(buf[:n])
		}
		if err != nil {
			o.held = errors.Is(err, os.ErrDeadlineExceeded)
			return
		}
	}
}

// keep takes some output. What is above the bound is read and dropped: a talkative command is not stopped.
func (o *output) keep(p []byte) {
	o.tail = append(o.tail, p[max(0, len(p)-tailBytes):]...)
	if over := len(o.tail) - tailBytes; over > 0 {
		o.tail = append(o.tail[:0], o.tail[over:]...)
	}
	if o.openLog == nil || o.err != nil || o.left < 0 {
		return
	}
	if o.log == nil {
		if o.log, o.err = o.openLog(); o.err != nil {
			o.log = nil
			return
		}
	}
	whole := int64(len(p)) <= o.left
	if !whole {
		p = p[:o.left]
	}
	o.left -= int64(len(p))
	if _, o.err = o.log.Write(p); o.err == nil && !whole {
		o.left = -1
		_, o.err = fmt.Fprintf(o.log, "\n[log cut off after %d bytes]\n", o.limit)
	}
}

// finish closes the log and returns the output's last bytes. Processes that still hold the output after a
// while are ended by endStrays.
func (o *output) finish(endStrays func()) string {
	_ = o.w.Close()
	_ = o.r.SetReadDeadline(time.Now().Add(strayWait))
	<-o.done
	if o.held {
		endStrays()
	}
	err := o.err
	if o.log != nil {
		err = errors.Join(err, o.log.Close())
	}
	_ = o.r.Close()
	tail := strings.ToValidUTF8(string(o.tail), "\uFFFD")
	if err != nil {
		tail += fmt.Sprintf("\n[log: %v]\n", err)
	}
	return tail
}
