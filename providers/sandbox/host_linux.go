package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// executable is this program even after its file was replaced by an upgrade.
func executable() (string, error) { return "/proc/self/exe", nil }

// attributes is how an instance's process is cloned: a session of its own, killed with the sandbox; isolated,
// in namespaces of its own, which a plain user gets from a user namespace.
func (h *host) attributes(su setup) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	if su.Root == "" {
		return attr
	}
	attr.Cloneflags = unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS
	if os.Geteuid() == 0 {
		return attr
	}
	attr.Cloneflags |= unix.CLONE_NEWUSER
	attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: instanceUID, HostID: os.Getuid(), Size: 1}}
	attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: instanceUID, HostID: os.Getgid(), Size: 1}}
	attr.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN}
	return attr
}

// identity tells a process from another one that got its number later: start time and boot.
func identity(pid int) string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	st, err := readStat(pid)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(boot)) + " " + strconv.FormatUint(st.start, 10)
}

// stale is the record of a process, kept in its instance's folder in case the sandbox is killed.
type stale struct {
	PID      int    `json:"pid"`
	Identity string `json:"identity"`
}

func (h *host) record(dir string, pid int) error {
	data, err := json.Marshal(stale{pid, identity(pid)})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "process.json"), data, 0o600)
}

// removeStale ends the sessions that a killed sandbox left and removes their folders.
func (h *host) removeStale() error {
	records, err := filepath.Glob(filepath.Join(h.instances, "*", "process.json"))
	if err != nil {
		return err
	}
	for _, path := range records {
		var old stale
		data, err := os.ReadFile(path)
		if err != nil || json.Unmarshal(data, &old) != nil || old.PID <= 1 {
			continue // torn by the crash: the kernel kills the process with its parent
		}
		// A session keeps its number while it has members; when its leader lives and is another process, the
		// number was given away, so nobody of ours is left.
		now, boot := identity(old.PID), identity(1)
		sameBoot, _, _ := strings.Cut(boot, " ")
		if strings.HasPrefix(old.Identity, sameBoot) && (now == "" || now == old.Identity) {
			killSession(old.PID)
		}
	}
	return os.RemoveAll(h.instances)
}

// killSession kills every process of the session, also those that left its process group, until none is left.
func killSession(sid int) {
	for range 100 {
		members := sessionMembers()[sid]
		if len(members) == 0 {
			return
		}
		for _, m := range members {
			_ = unix.Kill(m.pid, unix.SIGKILL) // it may have ended meanwhile
		}
	}
}

// stat is the part of /proc/PID/stat that the sandbox uses.
type stat struct {
	pid     int
	state   byte
	session int
	ticks   uint64 // CPU time of the process and its ended children, in clock ticks
	start   uint64 // after boot, in clock ticks
	rss     int64  // bytes
}

// sessionMembers lists the processes of this machine by session, zombies left out.
func sessionMembers() map[int][]stat {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	members := make(map[int][]stat)
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if st, err := readStat(pid); err == nil && st.state != 'Z' && st.state != 'X' {
			members[st.session] = append(members[st.session], st)
		}
	}
	return members
}

func readStat(pid int) (stat, error) {
	st := stat{pid: pid}
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return st, err
	}
	end := bytes.LastIndexByte(data, ')') // the name before it may hold anything
	if end < 0 {
		return st, errors.New("malformed stat")
	}
	f := strings.Fields(string(data[end+1:])) // f[0] is field 3 of proc(5)
	if len(f) < 22 {
		return st, errors.New("malformed stat")
	}
	number := func(field int) uint64 { n, _ := strconv.ParseUint(f[field-3], 10, 64); return n }
	st.state = f[0][0]
	st.session = int(number(6))
	st.ticks = number(14) + number(15) + number(16) + number(17)
	st.start = number(22)
	st.rss = int64(number(24)) * int64(os.Getpagesize())
	return st, nil
}

// maxRSS is the peak memory of an ended process in bytes.
func maxRSS(state *os.ProcessState) int64 {
	if usage, ok := state.SysUsage().(*syscall.Rusage); ok {
		return usage.Maxrss << 10
	}
	return 0
}
