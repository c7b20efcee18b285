package estimate

import (
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/spillway/spillway/offload"
	"github.com/spillway/spillway/workflow"
)

// shared is a file that lies beside the repository, or the test is skipped.
func shared(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("SPILLWAY_SHARED")
	if dir == "" {
		root, err := filepath.Abs("..")
		if err != nil {
			t.Fatal(err)
		}
		dir = filepath.Join(root, "..", "shared")
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("%s is not there; set SPILLWAY_SHARED to the folder that has it", path)
	}
	return path
}

func refeval(t *testing.T, args ...string) []byte {
	t.Helper()
	script := shared(t, "refeval/refeval.py")
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3 to run the reference evaluator")
	}
	out, err := exec.Command(python, append([]string{script}, args...)...).Output()
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return out
}

// The problem made of a trace is the reference evaluator's own: a plan that the
// evaluator made takes and costs the same in both.
func TestTraceProblemsAreTheReferenceEvaluators(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the reference evaluator for seconds")
	}
	dir := shared(t, "traces/public")
	for _, name := range []string{
		"helloworld-forkjoin-10-chameleon", "montage-chameleon-2mass-005d-001", "blast-chameleon-small-001",
		"seismology-chameleon-500p-001", "rnaseq-dirt02-001", "srasearch-chameleon-10a-001",
	} {
		t.Run(name, func(t *testing.T) { compare(t, filepath.Join(dir, name+".json")) })
	}
}

func compare(t *testing.T, instance string) {
	tmp := t.TempDir()
	platform, planned := filepath.Join(tmp, "platform.json"), filepath.Join(tmp, "plan.json")
	refeval(t, "platform", instance, "--book", "both", "-o", platform)
	refeval(t, "plan", instance, platform, "--planner", "dato", "--deadline", "60", "-o", planned)
	var want struct {
		MakespanS float64 `json:"makespan_s"`
		Cost      float64 `json:"cost"`
	}
	if err := json.Unmarshal(refeval(t, "simulate", instance, platform, planned, "--deadline", "60"), &want); err != nil {
		t.Fatal(err)
	}
	pf, err := offload.ParsePlatform(read(t, platform))
	if err != nil {
		t.Fatal(err)
	}
	spec, err := workflow.ParseWfFormat(instance, read(t, instance))
	if err != nil {
		t.Fatal(err)
	}
	g, err := workflow.Expand(spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	m := Model{Platform: pf, MarginFraction: -1}
	p, bases, err := m.Problem(g, 60_000_000)
	if err != nil {
		t.Fatal(err)
	}
	if p.MarginUs != 0 || bases[0].Source != Trace {
		t.Errorf("margin %d, basis %v", p.MarginUs, bases[0])
	}
	plan, bad, err := offload.DecodePlan(p, read(t, planned))
	if err != nil || len(bad) > 0 {
		t.Fatal(err, bad)
	}
	got, err := offload.Simulate(p, &plan, offload.SimOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if makespan := float64(got.MakespanUs) / 1e6; math.Abs(makespan-want.MakespanS) > 5e-7 {
		t.Errorf("makespan %.6f s, the reference has %.6f s", makespan, want.MakespanS)
	}
	if math.Abs(got.Cost.USD()-want.Cost) > max(1e-9*want.Cost, 1e-9) {
		t.Errorf("cost %v, the reference has %.12f", got.Cost, want.Cost)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
