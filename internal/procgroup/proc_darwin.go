package procgroup

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// Without /proc, a session and its process group are all that confines: memory is not watched, and
// processes that left the session are not found.

// waitExited returns when the child has ended, and leaves it to be reaped.
func waitExited(pid int) {
	queue, err := unix.Kqueue()
	if err != nil {
		return
	}
	defer func() { _ = unix.Close(queue) }()
	event := unix.Kevent_t{Ident: uint64(pid), Filter: unix.EVFILT_PROC, Flags: unix.EV_ADD, Fflags: unix.NOTE_EXIT}
	for {
		n, err := unix.Kevent(queue, []unix.Kevent_t{event}, make([]unix.Kevent_t, 1), nil)
		if n == 1 || err != unix.EINTR {
			return // an error here means that it has ended already
		}
	}
}

// maxRSS is in bytes, as macOS counts.
func maxRSS(u *syscall.Rusage) int64 { return u.Maxrss }

func watch(*group) (unwatch func()) { return func() {} }

func (g *group) limited() bool { return false }

// Marked finds nothing.
func Marked(string, string) []int { return nil }

func alive(int) bool { return false }

func closeOnExec() {}
