package procgroup

import (
	"bytes"
	"math"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// waitExited returns when the child has ended, and leaves it to be reaped.
func waitExited(pid int) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return
		}
	}
}

// closeOnExec keeps all open files but the standard ones from programs started later. Kernels before 5.11
// cannot.
func closeOnExec() { _ = unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) }

// maxRSS is in bytes; the kernel counts in KiB.
func maxRSS(u *syscall.Rusage) int64 { return u.Maxrss << 10 }

// Process is a line of /proc.
type Process struct {
	PID, Parent, Group, Session int
	Zombie                      bool
	Terminal                    bool // a person may sit before it
	ResidentBytes               int64
	Started                     uint64 // clock ticks since boot: with PID, it names a process for good
}

// Processes lists what runs.
func Processes() []Process {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer func() { _ = dir.Close() }()
	names, _ := dir.Readdirnames(-1)
	all := make([]Process, 0, len(names))
	for _, name := range names {
		if name[0] < '1' || name[0] > '9' {
			continue
		}
		if p, ok := Lookup(name); ok {
			all = append(all, p)
		}
	}
	return all
}

// Lookup reads one process, by its pid or "self".
func Lookup(pid string) (p Process, ok bool) {
	var buf [1024]byte
	text, err := readInto("/proc/"+pid+"/stat", buf[:])
	end := bytes.LastIndexByte(text, ')') // the name before it may hold anything
	if err != nil || end < 0 {
		return p, false
	}
	pidText, _, _ := bytes.Cut(text, []byte(" "))
	p.PID, _ = strconv.Atoi(string(pidText))
	f := bytes.Fields(text[end+1:]) // f[0] is field 3 of proc_pid_stat(5)
	if len(f) < 22 {
		return p, false
	}
	p.Zombie = f[0][0] == 'Z' || f[0][0] == 'X'
	p.Parent, _ = strconv.Atoi(string(f[1]))
	p.Group, _ = strconv.Atoi(string(f[2]))
	p.Session, _ = strconv.Atoi(string(f[3]))
	p.Terminal = string(f[4]) != "0"
	p.Started, _ = strconv.ParseUint(string(f[19]), 10, 64)
	pages, _ := strconv.ParseInt(string(f[21]), 10, 64)
	p.ResidentBytes = pages * int64(os.Getpagesize())
	return p, true
}

// alive tells whether a process executes or may again.
func alive(pid int) bool {
	p, ok := Lookup(strconv.Itoa(pid))
	return ok && !p.Zombie
}

// readInto is os.ReadFile for small files, without garbage.
func readInto(name string, buf []byte) ([]byte, error) {
	fd, err := syscall.Open(name, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	n, err := syscall.Read(fd, buf)
	_ = syscall.Close(fd)
	return buf[:max(n, 0)], err
}

// Environ is the environment a process was started with, its entries each ended by a zero byte; empty
// where it may not be read.
func Environ(pid int) []byte {
	text, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	return text
}

// HasEntry tells whether an environment holds the entry "NAME=value".
func HasEntry(environ []byte, entry string) bool {
	for len(environ) > 0 {
		var e []byte
		e, environ, _ = bytes.Cut(environ, []byte{0})
		if string(e) == entry {
			return true
		}
	}
	return false
}

// Marked lists the living processes whose environment holds the entry "NAME=value" or who work below dir
// (empty: anywhere) without a terminal, and those of the sessions that such processes lead.
func Marked(entry, dir string) []int {
	all := Processes()
	var pids []int
	marked := make([]bool, len(all))
	sessions := map[int]bool{}
	for i, p := range all {
		marked[i] = !p.Zombie && (HasEntry(Environ(p.PID), entry) || !p.Terminal && worksBelow(p.PID, dir))
		sessions[p.Session] = sessions[p.Session] || marked[i] && p.PID == p.Session
	}
	for i, p := range all {
		if marked[i] || !p.Zombie && sessions[p.Session] {
			pids = append(pids, p.PID)
		}
	}
	return pids
}

// worksBelow tells whether a process has its working directory in dir, which may be gone.
func worksBelow(pid int, dir string) bool {
	if dir == "" {
		return false
	}
	at, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/cwd")
	rest, ok := strings.CutPrefix(strings.TrimSuffix(at, " (deleted)"), dir)
	return err == nil && ok && (rest == "" || rest[0] == '/')
}
