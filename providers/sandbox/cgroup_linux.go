package sandbox

import (
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	cpuPeriodUs  = 20_000 // short, so that a small share is a slow CPU and not a long pause
	minQuotaUs   = 1_000  // the kernel's least
	maxProcesses = 1024   // as on AWS Lambda
)

// cgroups is where instances' control groups can be made: a parent folder for each controller, of either
// version. A controller that this process may not use is absent, and the governor takes its part.
type cgroups struct {
	prefix  string
	parents map[string]parent // by controller: cpu, memory, pids
}

type parent struct {
	dir string
	v2  bool
}

// cgroup is the control groups of one instance; a nil cgroup limits nothing.
type cgroup struct {
	dirs map[string]parent // by controller
}

// probes are the files whose presence shows that a controller works in a folder.
var probes = map[string][2]string{
	"cpu":    {"cpu.cfs_quota_us", "cpu.max"},
	"memory": {"memory.limit_in_bytes", "memory.max"},
	"pids":   {"pids.max", "pids.max"},
}

// findCgroups tries the hierarchies of this machine. owner names the sandbox, so that its next process finds
// what this one leaves when it is killed.
func findCgroups(owner string) *cgroups {
	h := fnv.New64a()
	h.Write([]byte(owner))
	g := &cgroups{prefix: fmt.Sprintf("spillway-%x-", h.Sum64()), parents: make(map[string]parent)}
	own := ownCgroups()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return g
	}
	for line := range strings.Lines(string(mounts)) {
		before, after, ok := strings.Cut(line, " - ")
		fields, kind := strings.Fields(before), strings.Fields(after)
		if !ok || len(fields) < 5 || len(kind) < 3 || !strings.HasPrefix(kind[0], "cgroup") {
			continue
		}
		for controller := range probes {
			g.try(controller, fields[4], kind[0] == "cgroup2", kind[2], own)
		}
	}
	return g
}

// try finds a folder of the hierarchy at mount in which controller can be used.
func (g *cgroups) try(controller, mount string, v2 bool, options string, own map[string]string) {
	if _, found := g.parents[controller]; found {
		return
	}
	at := filepath.Join(mount, own[controller])
	candidates := []string{at, mount}
	if v2 {
		at = filepath.Join(mount, own[""])
		candidates = []string{at, filepath.Dir(at), mount} // a group with processes may not have limited children
	} else if !slices.Contains(strings.Split(options, ","), controller) {
		return
	}
	for _, dir := range candidates {
		p := parent{dir, v2}
		if strings.HasPrefix(dir, mount) && g.usable(p, controller) {
			g.parents[controller] = p
			return
		}
	}
}

func (g *cgroups) usable(p parent, controller string) bool {
	if p.v2 {
		_ = os.WriteFile(filepath.Join(p.dir, "cgroup.subtree_control"), []byte("+"+controller), 0) // the probe tells
	}
	trial := filepath.Join(p.dir, g.prefix+"probe-"+strconv.Itoa(os.Getpid()))
	if os.Mkdir(trial, 0o755) != nil {
		return false
	}
	defer os.Remove(trial)
	file := probes[controller][0]
	if p.v2 {
		file = probes[controller][1]
	}
	return unix.Access(filepath.Join(trial, file), unix.W_OK) == nil
}

// ownCgroups is this process's path in each hierarchy, by controller; "" is version 2's.
func ownCgroups() map[string]string {
	own := make(map[string]string)
	data, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return own
	}
	for line := range strings.Lines(string(data)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		for controller := range strings.SplitSeq(parts[1], ",") {
			own[controller] = parts[2]
		}
	}
	return own
}

func (g *cgroups) has(controller string) bool {
	_, ok := g.parents[controller]
	return ok
}

// lacks names what cannot be limited here; empty: nothing.
func (g *cgroups) lacks() string {
	var names []string
	for _, controller := range []string{"cpu", "memory"} {
		if !g.has(controller) {
			names = append(names, controller)
		}
	}
	return strings.Join(names, " and ")
}

// create makes the groups of an instance with its limits.
func (g *cgroups) create(name string, memoryMiB int) (*cgroup, error) {
	c := &cgroup{dirs: make(map[string]parent)}
	for controller, p := range g.parents {
		dir := filepath.Join(p.dir, g.prefix+name)
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			c.remove()
			return nil, err
		}
		c.dirs[controller] = parent{dir, p.v2}
	}
	if err := c.limit(memoryMiB); err != nil {
		c.remove()
		return nil, err
	}
	return c, nil
}

func (c *cgroup) limit(memoryMiB int) error {
	bytes := strconv.Itoa(memoryMiB << 20)
	quota := strconv.Itoa(max(minQuotaUs, int(VCPU(memoryMiB)*cpuPeriodUs)))
	period := strconv.Itoa(cpuPeriodUs)
	err := errors.Join(
		c.write("cpu", "cpu.cfs_period_us", period, ""),
		c.write("cpu", "cpu.cfs_quota_us", quota, ""),
		c.write("cpu", "", "", "cpu.max="+quota+" "+period),
		c.write("memory", "memory.limit_in_bytes", bytes, "memory.max="+bytes),
		c.write("pids", "pids.max", strconv.Itoa(maxProcesses), "pids.max="+strconv.Itoa(maxProcesses)),
	)
	// Swap has to be off for the limit to mean anything; a kernel without swap accounting has no file for it.
	_ = c.write("memory", "memory.memsw.limit_in_bytes", bytes, "memory.swap.max=0")
	return err
}

// write sets one control of version 1 (file, value) or version 2 ("file=value"), whichever the group is.
func (c *cgroup) write(controller, file, value, v2 string) error {
	p, ok := c.dirs[controller]
	if !ok {
		return nil
	}
	if p.v2 {
		file, value, _ = strings.Cut(v2, "=")
	}
	if file == "" {
		return nil
	}
	return os.WriteFile(filepath.Join(p.dir, file), []byte(value), 0)
}

// entrances are the files through which a process enters the groups.
func (c *cgroup) entrances() []string {
	var files []string
	for _, dir := range c.folders() {
		files = append(files, filepath.Join(dir, "cgroup.procs"))
	}
	return files
}

// folders are the distinct folders of the groups, in a fixed order.
func (c *cgroup) folders() []string {
	if c == nil {
		return nil
	}
	var dirs []string
	for _, p := range c.dirs {
		dirs = append(dirs, p.dir)
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

// peak is the most memory the group has used, in bytes; 0: not measured.
func (c *cgroup) peak() int64 {
	if c == nil {
		return 0
	}
	p, ok := c.dirs["memory"]
	if !ok {
		return 0
	}
	file := "memory.max_usage_in_bytes"
	if p.v2 {
		file = "memory.peak"
	}
	data, err := os.ReadFile(filepath.Join(p.dir, file))
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
	return n
}

// oomKilled tells whether the kernel killed a process of the group at the memory limit.
func (c *cgroup) oomKilled() bool {
	if c == nil {
		return false
	}
	p, ok := c.dirs["memory"]
	if !ok {
		return false
	}
	file := "memory.oom_control"
	if p.v2 {
		file = "memory.events"
	}
	data, err := os.ReadFile(filepath.Join(p.dir, file))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == "oom_kill" {
			return f[1] != "0"
		}
	}
	return false
}

// kill ends every process in the groups, those among them that left session and process group.
func (c *cgroup) kill() { killFolders(c.folders()) }

func killFolders(dirs []string) {
	for _, dir := range dirs {
		for attempt := range 200 {
			data, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
			if err != nil || len(data) == 0 {
				break
			}
			for pid := range strings.FieldsSeq(string(data)) {
				if n, err := strconv.Atoi(pid); err == nil && n > 1 {
					_ = unix.Kill(n, unix.SIGKILL) // it may have ended meanwhile
				}
			}
			if attempt > 0 {
				time.Sleep(time.Millisecond) //nolint:forbidigo // the kernel sends no event when the killed have left
			}
		}
	}
}

func (c *cgroup) remove() {
	for _, dir := range c.folders() {
		_ = os.Remove(dir) // what cannot go now goes at the next start
	}
}

// removeStale ends and removes the groups that a killed sandbox of the same folder left.
func (g *cgroups) removeStale() {
	for _, p := range g.parents {
		dirs, _ := filepath.Glob(filepath.Join(p.dir, g.prefix+"*"))
		killFolders(dirs)
		for _, dir := range dirs {
			_ = os.Remove(dir)
		}
	}
}
