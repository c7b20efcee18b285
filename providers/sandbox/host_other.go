//go:build unix && !linux

package sandbox

import (
	"encoding/json"
	"fmt"
	"os"
	"syscall"
)

// Outside of Linux a function is a plain process group: newHost says loudly that nothing isolates or limits it.

func executable() (string, error) { return os.Executable() }

// Init turns this process into an instance when the sandbox re-executed the program for one; it does not return
// then. Otherwise it does nothing. Programs that call Serve call it first in main.
func Init() {
	if len(os.Args) != 2 || os.Args[0] != initName {
		return
	}
	var su setup
	err := json.Unmarshal([]byte(os.Args[1]), &su)
	if err == nil && su.Root == "" {
		if err = os.Chdir(su.Code); err == nil {
			err = syscall.Exec(su.Args[0], su.Args, os.Environ())
		}
	}
	fmt.Fprintln(os.Stderr, "sandbox: set up instance: not possible on this system:", err)
	os.Exit(70)
}

func (h *host) attributes(setup) *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
func (h *host) record(string, int) error              { return nil }
func (h *host) removeStale() error                    { return os.RemoveAll(h.instances) }
func killSession(sid int)                             { _ = syscall.Kill(-sid, syscall.SIGKILL) }
func maxRSS(*os.ProcessState) int64                   { return 0 }

type (
	cgroups  struct{}
	cgroup   struct{}
	governor struct{}
	watched  struct{}
)

func findCgroups(string) *cgroups                    { return &cgroups{} }
func (*cgroups) removeStale()                        {}
func (*cgroups) lacks() string                       { return "cpu and memory" }
func (*cgroups) create(string, int) (*cgroup, error) { return nil, nil }
func (*cgroup) entrances() []string                  { return nil }
func (*cgroup) peak() int64                          { return 0 }
func (*cgroup) oomKilled() bool                      { return false }
func (*cgroup) kill()                                {}
func (*cgroup) remove()                              {}
func newGovernor(*cgroups) *governor                 { return &governor{} }
func (*governor) watch(*process, int) *watched       { return nil }
func (*governor) forget(*watched)                    {}
func (*governor) close()                             {}
func (*watched) exceeded() bool                      { return false }
func (*watched) peakBytes() int64                    { return 0 }
