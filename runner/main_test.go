//go:build linux || darwin

package runner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/internal/envelope"
)

// program runs spillway-runner.
func program(t *testing.T, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Dir = t.TempDir()
	cmd.Env = []string{asRunner + "=1"}
	cmd.Stdin = strings.NewReader(stdin)
	var out, msg bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &msg
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return out.String(), msg.String(), cmd.ProcessState.ExitCode()
}

func TestCommandLine(t *testing.T) {
	for _, c := range []struct {
		args          []string
		stdin         string
		code          int
		stdout, stder string
	}{
		{args: nil, code: exitUsage, stder: "usage:"},
		{args: []string{"fly"}, code: exitUsage, stder: "usage:"},
		{args: []string{"run"}, code: exitUsage, stder: "usage:"},
		{args: []string{"version"}, code: exitOK, stdout: version()},
		{args: []string{"run", "missing.json"}, code: exitUsage, stder: "missing.json"},
		{args: []string{"run", "-"}, stdin: "{", code: exitUsage, stder: "invocation: unexpected end of JSON input"},
		{args: []string{"run", "-"}, stdin: `{} {}`, code: exitUsage, stder: "after top-level value"},
		{args: []string{"run", "-"}, stdin: `{"task": "` + strings.Repeat("x", maxInvocation) + `"}`, code: exitUsage,
			stder: "invocation: larger than 6291456 bytes"},
		{args: []string{"run", "-"}, stdin: `{"protocol": 1, "command": {"shell": "exit 5"}}`, code: exitFailed,
			stdout: `"exit_code":5`},
		{args: []string{"run", "-"}, stdin: `{"protocol": 1, "command": {"shell": "echo hi"}}`, code: exitOK,
			stdout: `"log_tail":"hi\n"`},
		{args: []string{"work", "-mode", "idle"}, code: exitUsage, stder: `mode "idle": busy or sleep`},
		{args: []string{"work", "-output", "../x=1"}, code: exitFailed, stder: "../x: outside the working directory"},
		{args: []string{"work", "-output", "d/x=1"}, code: exitOK},
		{args: []string{"work", "-h"}, code: exitOK, stder: "-output"},
	} {
		stdout, stderr, code := program(t, c.stdin, c.args...)
		require.Equal(t, c.code, code, "%.80q: %s", c.args, stderr)
		require.Contains(t, stdout, c.stdout, "%.80q", c.args)
		require.Contains(t, stderr, c.stder, "%.80q", c.args)
	}
}

func TestParseLoad(t *testing.T) {
	l, err := parseLoad(strings.Fields("-seconds 1.5 -mode sleep -memory 64 -output a=b=10 -output c=0"))
	require.NoError(t, err)
	require.Equal(t, load{seconds: 1.5, mode: "sleep", memoryMiB: 64, outputs: []file{{"a=b", 10}, {"c", 0}}}, l)
	for _, args := range [][]string{
		{"-seconds", "-1"}, {"-seconds", "NaN"}, {"-seconds", "Inf"}, {"-seconds", "1e10"}, {"-memory", "-1"},
		{"-memory", "99999999999"}, {"-output", "a"}, {"-output", "=1"}, {"-output", "a=-1"}, {"-output", "a=x"}, {"extra"},
	} {
		_, err := parseLoad(args)
		require.Error(t, err, "%q", args)
	}
}

func TestWorkLeavesTheSameFilesForTheSameNames(t *testing.T) {
	t.Chdir(t.TempDir())
	leave := func(path string) []byte {
		require.NoError(t, (&load{mode: "busy", outputs: []file{{path, 5000}}}).do(context.Background()))
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Len(t, text, 5000)
		return text
	}
	first := leave("d/a")
	require.Equal(t, first, leave("d/a"))
	require.NotEqual(t, first, leave("b"))
}

func TestBusyWorkUsesProcessorTime(t *testing.T) {
	cmd := exec.Command(os.Args[0], "work", "-seconds", "0.03")
	cmd.Env = []string{asRunner + "=1"}
	require.NoError(t, cmd.Run())
	require.GreaterOrEqual(t, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime(), 30*time.Millisecond)
}

func TestWorkCanBeWithdrawn(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	t.Chdir(t.TempDir())
	for _, mode := range []string{"busy", "sleep"} {
		l := load{seconds: 1000, mode: mode, outputs: []file{{"f", 1}}}
		require.ErrorIs(t, l.do(ctx), context.Canceled)
		require.NoFileExists(t, l.outputs[0].path)
	}
}

// What decodes survives a round trip, and Run answers it without executing what it does not understand.
func FuzzDecodeInvocation(f *testing.F) {
	whole, err := json.Marshal(envelope.Invocation{Protocol: 1, Run: "r", Task: "t", Attempt: "a",
		Command: envelope.Command{Args: []string{"true"}}, Env: map[string]string{"A": "b"},
		Inputs:  []envelope.Input{{Path: "p", SHA256: "00", Size: 1, Object: envelope.Object{Key: "k", Get: "g"}}},
		Outputs: []envelope.Output{{Name: "n", Path: "p", Value: true, Object: envelope.Object{Put: "u"}}}})
	require.NoError(f, err)
	f.Add(whole)
	f.Add([]byte(`{"protocol":1e9}`))
	f.Add([]byte(`{"inputs":[null]}`))
	f.Add([]byte(`null`))
	f.Add([]byte(`{"env":{"\ud800":"\u0000"},"timeout_ms":-1}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		inv, err := decodeInvocation(bytes.NewReader(text))
		if err != nil {
			require.Zero(t, inv)
			return
		}
		again, err := json.Marshal(inv)
		require.NoError(t, err)
		same, err := decodeInvocation(bytes.NewReader(again))
		require.NoError(t, err)
		once, err := json.Marshal(same)
		require.NoError(t, err)
		require.Equal(t, string(again), string(once))
	})
}
