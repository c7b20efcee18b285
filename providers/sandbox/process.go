package sandbox

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"time"
)

// initName is the argument zero that turns a re-executed program into the set-up of an instance.
const initName = "spillway-sandbox-instance"

// setup is what the re-executed program does before it becomes the function.
type setup struct {
	Cgroups []string `json:"cgroups,omitempty"` // cgroup.procs files to enter
	Root    string   `json:"root,omitempty"`    // the class's files; empty: no isolation
	Mount   string   `json:"mount,omitempty"`   // an empty folder to assemble the new root on
	Code    string   `json:"code,omitempty"`
	Scratch string   `json:"scratch,omitempty"`
	UID     int      `json:"uid,omitempty"` // to become; 0: stay
	Args    []string `json:"args"`          // the program to become, with its arguments
}

// process is the operating system's side of an instance: the function's process, what limits it and its output.
type process struct {
	cmd   *exec.Cmd
	log   *logTail
	host  *host
	dir   string // the instance's own folder, removed with it
	group *cgroup

	watched *watched // the governor's view, where a cgroup does not hold the limits
	oom     bool
	peak    atomic.Int64
}

// launch starts the process of an instance.
func (s *server) launch(in *instance) (_ *process, err error) {
	p := &process{host: s.host}
	if p.dir, err = os.MkdirTemp(s.host.instances, "i-"); err != nil {
		return nil, err
	}
	defer func() {
		if err == nil {
			return
		}
		if p.cmd != nil && p.cmd.Process != nil {
			p.kill()
			_ = p.cmd.Wait() // the error that matters is returned
		}
		p.discard()
	}()
	scratch := filepath.Join(p.dir, "tmp")
	if err := s.host.ownedDir(scratch); err != nil {
		return nil, err
	}
	if p.group, err = s.host.groups.create(filepath.Base(p.dir), in.def.MemoryMiB); err != nil {
		return nil, err
	}
	code := filepath.Join(s.codeDir(), in.def.Code)
	su := setup{Cgroups: p.group.entrances(), Code: code, Scratch: scratch,
		Args: []string{filepath.Join(code, "bootstrap")}}
	if s.isolated() {
		su.Root, su.Mount, su.UID = s.host.root, s.host.mount, s.host.uid
		su.Args[0] = "/var/task/bootstrap"
	}
	if err := p.start(su, s.environment(in, code, scratch)); err != nil {
		return nil, err
	}
	p.watched = s.host.governor.watch(p, in.def.MemoryMiB)
	return p, nil
}

// start re-executes this program as the set-up su, with its output on the log.
func (p *process) start(su setup, env []string) error {
	text, err := json.Marshal(su)
	if err != nil {
		return err
	}
	log, out, err := newLogTail()
	if err != nil {
		return err
	}
	defer out.Close()
	p.log = log
	p.cmd = &exec.Cmd{
		Path: p.host.self, Args: []string{initName, string(text)}, Env: env,
		Dir: "/", Stdout: out, Stderr: out, SysProcAttr: p.host.attributes(su),
	}
	if err := p.host.fork(p.cmd.Start); err != nil {
		return fmt.Errorf("start instance: %w", err)
	}
	go log.pump()
	return p.host.record(p.dir, p.cmd.Process.Pid)
}

// kill ends the process; what it started ends with it, at once where it is isolated, else in sweep.
func (p *process) kill() { _ = p.cmd.Process.Kill() } // an error means it has ended

// wait returns when the process has ended.
func (p *process) wait() {
	_ = p.cmd.Wait() // how it ended is read from ProcessState
	p.peak.Store(max(p.peak.Load(), p.group.peak(), maxRSS(p.cmd.ProcessState)))
	p.oom = p.group.oomKilled() || p.watched.exceeded()
}

// outOfMemory tells, after wait, whether the memory limit ended the process.
func (p *process) outOfMemory() bool { return p.oom && !p.cmd.ProcessState.Exited() }

// exit says, after wait, how the process ended: "exit status 3", "signal: killed".
func (p *process) exit() string { return p.cmd.ProcessState.String() }

// peakMemory is the most memory the instance has used, in bytes; 0 where nothing measures it.
func (p *process) peakMemory() int64 {
	return max(p.peak.Load(), p.group.peak(), p.watched.peakBytes())
}

// sweep ends whatever the process left running and removes what was its own.
func (p *process) sweep() {
	p.host.governor.forget(p.watched)
	p.group.kill()
	if !p.host.isolated() {
		killSession(p.cmd.Process.Pid)
	}
	p.discard()
}

func (p *process) discard() {
	p.group.remove()
	if p.log != nil {
		p.log.close()
	}
	os.RemoveAll(p.dir)
}

// environment is what a function sees on AWS Lambda, and nothing of this machine's.
func (s *server) environment(in *instance, code, scratch string) []string {
	env := []string{
		"AWS_LAMBDA_RUNTIME_API=" + s.url + runtimePrefix + in.token,
		"AWS_LAMBDA_FUNCTION_NAME=" + in.def.Name,
		fmt.Sprintf("AWS_LAMBDA_FUNCTION_MEMORY_SIZE=%d", in.def.MemoryMiB),
		"AWS_LAMBDA_FUNCTION_VERSION=$LATEST",
		"AWS_LAMBDA_LOG_GROUP_NAME=/aws/lambda/" + in.def.Name,
		"AWS_LAMBDA_LOG_STREAM_NAME=" + time.Now().UTC().Format("2006/01/02") + "/[$LATEST]" +
			filepath.Base(filepath.Dir(scratch)),
		"AWS_LAMBDA_INITIALIZATION_TYPE=on-demand",
		"AWS_REGION=" + s.cfg.Region, "AWS_DEFAULT_REGION=" + s.cfg.Region,
		"_HANDLER=" + in.def.Handler, "TZ=:UTC", "LANG=C.UTF-8",
		"PATH=/usr/local/bin:/usr/bin:/bin:/opt/bin",
	}
	if s.isolated() {
		env = append(env, "LAMBDA_TASK_ROOT=/var/task", "LAMBDA_RUNTIME_DIR=/var/runtime",
			"LD_LIBRARY_PATH=/lib64:/usr/lib64:/var/runtime:/var/task:/var/task/lib:/opt/lib")
	} else {
		env = append(env, "LAMBDA_TASK_ROOT="+code, "LAMBDA_RUNTIME_DIR="+code, "TMPDIR="+scratch)
	}
	for name, value := range in.def.Env {
		env = append(env, name+"="+value)
	}
	return env
}
