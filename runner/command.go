//go:build linux || darwin

package runner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spillway/spillway/internal/envelope"
	"github.com/spillway/spillway/internal/procgroup"
)

// selfName as Args[0] stands for the runner's own executable.
const selfName = "spillway-runner"

// usualPath is a PATH that every site has.
const usualPath = "/usr/local/bin:/usr/bin:/bin"

// Exit codes of commands that could not be started, as shells have them.
const (
	exitNotExecutable = 126
	exitNotFound      = 127
)

// command runs the command and notes how it ended.
func (a *attempt) command(ctx context.Context) {
	args, err := a.args()
	if err != nil {
		a.fail(envelope.FailInternal, "%v", err)
		return
	}
	env := a.env()
	path, err := lookUp(args[0], a.opt.WorkDir, a.path())
	if err != nil {
		a.unstartable(err)
		return
	}
	if a.inv.TimeoutMillis > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(a.inv.TimeoutMillis)*time.Millisecond)
		defer cancel()
	}
	out, err := collect(a.opt.Log, a.opt.LogBytes)
	if err != nil {
		a.fail(envelope.FailInternal, "log: %v", err)
		return
	}
	confine := a.opt.Confine
	if confine == nil {
		confine = procgroup.Run
	}
	exit, err := confine(ctx, procgroup.Command{Path: path, Args: args, Dir: a.opt.WorkDir, Env: env,
		Output: out.w, Marker: a.marker(), MemoryBytes: a.inv.MemoryBytes})
	a.m.LogTail = out.finish(func() { procgroup.End(a.marker(), a.opt.WorkDir) })
	if err != nil {
		a.unstartable(err)
		return
	}
	a.ended(ctx, exit)
}

// ended translates the end of the command.
func (a *attempt) ended(ctx context.Context, exit procgroup.Exit) {
	a.m.ExitCode, a.m.PeakMemoryBytes = exit.Code, exit.PeakMemoryBytes
	switch {
	case exit.OutOfMemory:
		a.fail(envelope.FailMemory, "stopped at its memory limit of %d MiB", a.inv.MemoryBytes>>20)
	case exit.Code == 0:
	case exit.Signal == syscall.SIGKILL && errors.Is(ctx.Err(), context.DeadlineExceeded):
		a.fail(envelope.FailTimeout, "stopped at its time limit%s", a.limitText())
	case exit.Signal == syscall.SIGKILL && ctx.Err() != nil:
		a.fail(envelope.FailCanceled, "stopped: the attempt was withdrawn")
	case exit.Signal != 0:
		a.fail(envelope.FailExit, "ended by signal %d (%v)", int(exit.Signal), exit.Signal)
	default:
		a.fail(envelope.FailExit, "exit code %d", exit.Code)
	}
}

func (a *attempt) limitText() string {
	if a.inv.TimeoutMillis == 0 {
		return ""
	}
	return fmt.Sprintf(" of %v", time.Duration(a.inv.TimeoutMillis)*time.Millisecond)
}

// unstartable notes that the command did not start: for a reason in the command, as a shell would, or in
// this machine.
func (a *attempt) unstartable(err error) {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		a.m.ExitCode = exitNotFound
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.ENOEXEC), errors.Is(err, syscall.E2BIG),
		errors.Is(err, syscall.EINVAL):
		a.m.ExitCode = exitNotExecutable
	default:
		a.fail(envelope.FailInternal, "%v", err)
		return
	}
	a.fail(envelope.FailExit, "%v", err)
}

// args is the argument vector to execute.
func (a *attempt) args() ([]string, error) {
	c := a.inv.Command
	switch {
	case c.Shell != "":
		return []string{"/bin/sh", "-c", c.Shell}, nil
	case len(c.Args) == 0 || c.Args[0] == "":
		return nil, errors.New("the invocation has no command")
	case c.Args[0] != selfName:
		return c.Args, nil
	case len(a.opt.Self) > 0:
		return append(a.opt.Self[:len(a.opt.Self):len(a.opt.Self)], c.Args[1:]...), nil
	}
	own, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return append([]string{own}, c.Args[1:]...), nil
}

// path is the command's PATH.
func (a *attempt) path() string {
	if p := a.inv.Env["PATH"]; p != "" {
		return p
	}
	if a.opt.Path != "" {
		return a.opt.Path
	}
	return usualPath
}

// exprPrefix begins the variables that stand for the expressions of a command line.
const exprPrefix = "SPILLWAY_EXPR_"

// env is the command's whole environment: nothing of the runner's own gets in, and nothing of the task's
// replaces Spillway's.
func (a *attempt) env() []string {
	dir := a.opt.WorkDir
	env := make([]string, 0, 8+len(a.opt.Env)+len(a.inv.Env))
	for _, d := range [...][2]string{{"HOME", dir}, {"TMPDIR", dir}, {"LANG", "C.UTF-8"}} {
		if _, ok := a.inv.Env[d[0]]; !ok {
			env = append(env, d[0]+"="+d[1])
		}
	}
	for name, value := range a.inv.Env {
		if name != "PATH" && (!strings.HasPrefix(name, "SPILLWAY_") || strings.HasPrefix(name, exprPrefix)) {
			env = append(env, name+"="+value)
		}
	}
	env = append(env, "PATH="+a.path(), "SPILLWAY_RUN="+a.inv.Run, "SPILLWAY_TASK="+a.inv.Task,
		"SPILLWAY_ATTEMPT="+a.inv.Attempt, a.marker())
	return append(env, a.opt.Env...)
}

// marker is the entry of the environment by which strays are found. The working directory tells places on
// one machine apart that execute an attempt of the same id.
func (a *attempt) marker() string { return "SPILLWAY_MARK=" + a.inv.Attempt + ":" + a.opt.WorkDir }

// lookUp finds a program as execvp does: a name with a slash is taken from the working directory, others
// from path. Empty and relative folders of path count from the working directory.
func lookUp(name, dir, path string) (string, error) {
	if strings.Contains(name, "/") {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		return name, nil
	}
	for _, d := range filepath.SplitList(path) {
		if !filepath.IsAbs(d) {
			d = filepath.Join(dir, d)
		}
		full := filepath.Join(d, name)
		if info, err := os.Stat(full); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return full, nil
		}
	}
	return "", &fs.PathError{Op: "find", Path: name, Err: fs.ErrNotExist}
}
