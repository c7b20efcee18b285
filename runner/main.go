//go:build linux || darwin

package runner

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spillway/spillway/internal/envelope"
)

const usage = `usage:
  spillway-runner run FILE|-   execute the invocation (JSON) of FILE or standard input, print the manifest
  spillway-runner work ...     use processor time and write files, as the tasks of a trace do
  spillway-runner version
`

// Exit codes of Main.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// Main is the command line of spillway-runner, shared with `spillway runner`. It returns the exit code.
func Main(args []string, opt Options) int {
	verb := ""
	if len(args) > 0 {
		verb = args[0]
	}
	switch {
	case verb == "run" && len(args) == 2:
		return runFile(args[1], opt)
	case verb == "work":
		return work(args[1:])
	case verb == "version" && len(args) == 1:
		fmt.Fprintln(os.Stdout, version())
		return exitOK
	}
	_, _ = io.WriteString(os.Stderr, usage)
	return exitUsage
}

func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

// runFile executes one invocation. SIGINT and SIGTERM withdraw it.
func runFile(name string, opt Options) int {
	inv, err := readInvocation(name)
	if err != nil {
		fmt.Fprintln(os.Stderr, "spillway-runner:", err)
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	m := Run(ctx, inv, opt)
	if err := json.NewEncoder(os.Stdout).Encode(m); err != nil {
		fmt.Fprintln(os.Stderr, "spillway-runner:", err)
		return exitFailed
	}
	if m.Failure != nil {
		return exitFailed
	}
	return exitOK
}

// maxInvocation bounds an invocation in bytes, as the functions' requests are bounded.
const maxInvocation = 6 << 20

// readInvocation reads the file, or standard input for "-".
func readInvocation(name string) (envelope.Invocation, error) {
	in := os.Stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return envelope.Invocation{}, err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	return decodeInvocation(in)
}

// decodeInvocation reads one JSON object and nothing after it.
func decodeInvocation(r io.Reader) (inv envelope.Invocation, err error) {
	text, err := io.ReadAll(io.LimitReader(r, maxInvocation+1))
	if err == nil && len(text) > maxInvocation {
		err = fmt.Errorf("larger than %d bytes", maxInvocation)
	}
	if err == nil {
		err = json.Unmarshal(text, &inv)
	}
	if err != nil {
		return envelope.Invocation{}, fmt.Errorf("invocation: %w", err)
	}
	return inv, nil
}
