package examples

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The programs under test, and the Go tree that the examples read.
var binDir, goroot string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "spillway-examples-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binDir = dir
	out, err := exec.Command("go", "build", "-o", dir, "../cmd/spillway", "../cmd/spillway-runner").CombinedOutput()
	if err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		fmt.Fprintf(os.Stderr, "go env: %v\n", err)
		return 1
	}
	goroot = strings.TrimSpace(string(root))
	return m.Run()
}

// report is what these tests read of `spillway run -o json`.
type report struct {
	RunID     string    `json:"run_id"`
	State     string    `json:"state"`
	MakespanS float64   `json:"makespan_s"`
	StartedAt time.Time `json:"started_at"`
	Deadline  struct {
		At time.Time `json:"at"`
	} `json:"deadline"`
	Planned struct {
		MakespanS  float64 `json:"makespan_s"`
		AllPrivate float64 `json:"all_private_makespan_s"`
	} `json:"planned"`
	Tasks []taskReport `json:"tasks"`
}

type taskReport struct {
	ID       string `json:"id"`
	Attempts int    `json:"attempts"`
	Site     string `json:"site"`
}

func (r report) task(t *testing.T, id string) taskReport {
	t.Helper()
	for _, task := range r.Tasks {
		if task.ID == id {
			return task
		}
	}
	require.Failf(t, "no such task", "%s is not in the report", id)
	return taskReport{}
}

// sites counts the tasks that ran at home and elsewhere.
func (r report) sites() (home, bought int) {
	for _, task := range r.Tasks {
		switch {
		case task.Attempts == 0:
		case task.Site == "private":
			home++
		default:
			bought++
		}
	}
	return home, bought
}

// state is a state directory of its own for one test.
type state string

func newState(t *testing.T) state {
	s := state(t.TempDir())
	t.Cleanup(func() { s.spillway(t, "sandbox", "stop") }) // runs leave it for the next one
	return s
}

// late is the exit code of a run that missed its deadline.
const late = 6

// spillway runs the program and returns its standard output. It must exit 0.
func (s state) spillway(t *testing.T, args ...string) []byte {
	t.Helper()
	out, errs, err := s.try(args...)
	if err != nil {
		require.Failf(t, "spillway failed", "spillway %s: %v\n%s%s", strings.Join(args, " "), err, out, errs)
	}
	return out
}

func (s state) try(args ...string) (out, messages []byte, err error) {
	cmd := exec.Command(filepath.Join(binDir, "spillway"), args...)
	cmd.Env = append(os.Environ(), "SPILLWAY_STATE_DIR="+string(s))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	return stdout.Bytes(), stderr.Bytes(), err
}

// run takes a workflow to its end, in time or not, and returns its report.
func (s state) run(t *testing.T, file string, args ...string) report {
	t.Helper()
	args = append([]string{"run", file, "-p", "goroot=" + goroot, "-o", "json"}, args...)
	out, errs, err := s.try(args...)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == late { // others use this machine too: no test of how quick it is
		t.Logf("late:\n%s", errs)
		err = nil
	}
	require.NoError(t, err, "%s%s", out, errs)
	var r report
	require.NoError(t, json.Unmarshal(out, &r), "%s", out)
	require.Equal(t, "succeeded", r.State)
	return r
}

// outputs are the contents of all stored outputs of a run with that name, by the folder they were found in.
func (s state) outputs(t *testing.T, r report, name string) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	err := filepath.WalkDir(string(s), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, filepath.Join("/out", name)) || !strings.Contains(path, r.RunID) {
			return err
		}
		found[filepath.Dir(path)], err = os.ReadFile(path)
		return err
	})
	require.NoError(t, err)
	require.NotEmpty(t, found, "no stored output %s of run %s", name, r.RunID)
	return found
}

// output is the content of the one output of that name.
func (s state) output(t *testing.T, r report, name string) []byte {
	t.Helper()
	var content []byte
	for _, c := range s.outputs(t, r, name) {
		if content != nil {
			require.Equal(t, content, c, "two different outputs %s", name)
		}
		content = c
	}
	return content
}

func TestExamplesAreValid(t *testing.T) {
	files, err := filepath.Glob("*.yaml")
	require.NoError(t, err)
	require.Len(t, files, 3)
	for _, file := range files {
		newState(t).spillway(t, "validate", file)
	}
}
