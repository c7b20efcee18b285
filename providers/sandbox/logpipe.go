package sandbox

import (
	"os"
	"sync"
	"syscall"
)

// logTail keeps the last bytes that an instance wrote. All reading of the pipe happens under its mutex and
// never blocks, so that last leaves nothing behind that was written before the call.
type logTail struct {
	mu   sync.Mutex
	file *os.File // the read end, not blocking
	raw  syscall.RawConn
	tail []byte
}

const (
	logTailBytes = 4 << 10
	pipeReads    = 64<<10/logTailBytes + 1 // empties a full pipe, yet ends beside a writer that never pauses
)

func (l *logTail) append(p []byte) {
	l.tail = append(l.tail, p...)
	if over := len(l.tail) - logTailBytes; over > 0 {
		l.tail = append(l.tail[:0], l.tail[over:]...)
	}
}

// newLogTail returns a tail and the file that the process writes to.
func newLogTail() (*logTail, *os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	raw, err := r.SyscallConn()
	if err != nil {
		r.Close()
		w.Close()
		return nil, nil, err
	}
	return &logTail{file: r, raw: raw}, w, nil
}

// pump follows the pipe until every writer has closed it, or close is called.
func (l *logTail) pump() {
	_ = l.raw.Read(l.read) // ends with the pipe; there is nobody to tell
}

// read takes what the pipe holds and reports whether its end was reached.
func (l *logTail) read(fd uintptr) (end bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	buf := make([]byte, logTailBytes)
	for range pipeReads {
		n, err := syscall.Read(int(fd), buf)
		switch {
		case n > 0:
			l.append(buf[:n])
		case err == syscall.EINTR:
		default:
			return err != syscall.EAGAIN
		}
	}
	return false
}

// reset forgets what was written until now.
func (l *logTail) reset() {
	_ = l.raw.Control(func(fd uintptr) { l.read(fd) })
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tail = l.tail[:0]
}

// last returns the last 4 KiB written since reset, the writes made before the call among them.
func (l *logTail) last() []byte {
	_ = l.raw.Control(func(fd uintptr) { l.read(fd) })
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]byte(nil), l.tail...)
}

func (l *logTail) close() { l.file.Close() }
