package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// instanceUID is who a function is: the kernel's nobody, on this machine (when the sandbox runs as root) and
// inside the instance alike.
const instanceUID = 65534

// host is what this machine lets the sandbox do with processes.
type host struct {
	self      string // this program, to re-execute
	instances string // folder of the instances' own folders
	root      string // the files of class `base`; empty: instances are not isolated
	mount     string
	uid       int // to become inside an instance; 0: stay
	groups    *cgroups
	governor  *governor
	forks     chan func()
}

// newHost finds out what can be enforced, says loudly what cannot, and ends what a killed sandbox left.
func newHost(dir string, warn func(string)) (*host, error) {
	self, err := executable()
	if err != nil {
		return nil, err
	}
	h := &host{self: self, instances: filepath.Join(dir, "instances"), mount: filepath.Join(dir, "mount"),
		forks: make(chan func())}
	h.groups = findCgroups(dir)
	h.groups.removeStale()
	if err := h.removeStale(); err != nil {
		return nil, err
	}
	for _, made := range []string{h.instances, h.mount} {
		if err := os.MkdirAll(made, 0o755); err != nil {
			return nil, err
		}
	}
	go h.forkLoop()
	if err := h.isolate(dir); err != nil {
		h.root = ""
		warn(fmt.Sprintf("instances are NOT ISOLATED: functions see this machine's files (%v)", err))
	}
	h.governor = newGovernor(h.groups)
	if lacks := h.groups.lacks(); lacks != "" {
		warn(lacks + " cannot be limited by cgroups here: the sandbox watches its instances instead, less exactly")
	}
	return h, nil
}

func (h *host) isolated() bool { return h.root != "" }

// isolate prepares the class's files and tries them: a shell in an isolated process.
func (h *host) isolate(dir string) error {
	root, err := buildRoot(filepath.Join(dir, "roots"))
	if err != nil {
		return err
	}
	h.root = root
	if os.Geteuid() == 0 {
		h.uid = instanceUID
	}
	probe, err := os.MkdirTemp(h.instances, "probe-")
	if err != nil {
		return err
	}
	p := &process{host: h, dir: probe}
	defer p.discard()
	scratch := filepath.Join(probe, "tmp")
	if err := h.ownedDir(scratch); err != nil {
		return err
	}
	su := setup{Root: h.root, Mount: h.mount, Code: scratch, Scratch: scratch, UID: h.uid,
		Args: []string{"/bin/sh", "-c", "echo probe > /tmp/probe && cat /tmp/probe | grep -q probe"}}
	if err := p.start(su, []string{"PATH=/bin"}); err != nil {
		return err
	}
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("%w: %s", err, p.log.last())
	}
	return nil
}

// ownedDir makes a folder that the function may write to.
func (h *host) ownedDir(path string) error {
	if err := os.Mkdir(path, 0o700); err != nil || h.uid == 0 {
		return err
	}
	return os.Chown(path, h.uid, h.uid)
}

// forkLoop starts every process from one thread that lives as long as the sandbox: the kernel kills an instance
// with the thread that started it, and the Go runtime may end any other.
func (h *host) forkLoop() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for f := range h.forks {
		f()
	}
}

func (h *host) fork(start func() error) error {
	done := make(chan error)
	h.forks <- func() { done <- start() }
	return <-done
}

// close ends the helpers; no instance is left.
func (h *host) close() {
	close(h.forks)
	h.governor.close()
}
