package offload

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/spillway/spillway/pricing"
)

// The reference evaluator runs as one long-lived process, asked a JSON line at
// a time. It is not part of this repository; without it, or without python3,
// these tests are skipped and the golden cases remain.

type reference struct {
	mu  sync.Mutex
	in  *json.Encoder
	out *bufio.Reader
}

type answer struct {
	Error       string             `json:"error"`
	MakespanS   *float64           `json:"makespan_s"`
	Cost        float64            `json:"cost"`
	Exec        float64            `json:"exec_cost"`
	Egress      float64            `json:"egress_cost"`
	PrivateCost float64            `json:"private_cost"`
	Met         bool               `json:"deadline_met"`
	Feasible    bool               `json:"feasible"`
	Offloaded   int                `json:"offloaded"`
	Cold        int                `json:"cold_starts"`
	QuotaWaitS  float64            `json:"quota_wait_s"`
	Up          int64              `json:"wan_up_bytes"`
	Down        int64              `json:"wan_down_bytes"`
	Cross       int64              `json:"wan_x_bytes"`
	Util        float64            `json:"private_util"`
	Violations  []answerViolation  `json:"violations"`
	Tasks       map[string]answerT `json:"tasks"`
	Transfers   []answerX          `json:"transfers"`
	Multipliers []float64          `json:"multipliers"`
	LowerBound  *float64           `json:"lower_bound"`
	Why         string             `json:"why"`
	Plan        json.RawMessage    `json:"plan"`
	Platform    json.RawMessage    `json:"platform"`
	Critical    float64            `json:"critical_path"`
}

type answerViolation struct {
	Kind string `json:"kind"`
	Task string `json:"task"`
}

type answerT struct {
	Start  *float64 `json:"start"`
	Finish *float64 `json:"finish"`
	Cold   bool     `json:"cold"`
	Cost   float64  `json:"cost"`
	Node   *int     `json:"node"`
}

type answerX struct {
	File   string  `json:"file"`
	Src    string  `json:"src"`
	Dst    string  `json:"dst"`
	Start  float64 `json:"start"`
	Arrive float64 `json:"arrive"`
}

// shared finds the folder of the reference evaluator and the traces.
func shared(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("SPILLWAY_SHARED")
	if dir == "" {
		dir, _ = os.Getwd()
		for dir != "/" {
			if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
				break
			}
			dir = filepath.Dir(dir)
		}
		dir = filepath.Join(filepath.Dir(dir), "shared")
	}
	if _, err := os.Stat(filepath.Join(dir, "refeval", "refeval.py")); err != nil {
		t.Skip("no reference evaluator: looked for ../shared/refeval beside the checkout (SPILLWAY_SHARED overrides)")
	}
	return dir
}

func startReference(t testing.TB) *reference {
	t.Helper()
	dir := shared(t)
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed: the reference evaluator cannot run")
	}
	cmd := exec.Command(python, "testdata/reference.py", filepath.Join(dir, "refeval"))
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	return &reference{in: json.NewEncoder(in), out: bufio.NewReaderSize(out, 1<<20)}
}

func (r *reference) ask(t testing.TB, q doc) answer {
	t.Helper()
	a, _ := r.askRaw(t, q)
	return a
}

func (r *reference) askRaw(t testing.TB, q doc) (a answer, line []byte) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.in.Encode(q); err != nil {
		t.Fatal(err)
	}
	line, err := r.out.ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(line, &a); err != nil {
		t.Fatalf("%v in %.200s", err, line)
	}
	if a.Error != "" {
		t.Fatalf("reference evaluator: %s", a.Error)
	}
	return a, line
}

func us(s *float64) int64 {
	if s == nil {
		return Never
	}
	return int64(math.Floor(*s*second + 0.5))
}

// near allows 1e-9 relative, or a pico-USD for each of that many line items.
func near(m pricing.Money, usd float64, items int) bool {
	diff := math.Abs(float64(m) - usd*1e12)
	return diff <= max(1e-9*math.Abs(usd)*1e12, float64(items))
}

// compare lists the differences between an outcome and the reference's answer.
func compare(p *Problem, o *Outcome, a *answer) (diffs []string) {
	differ := func(ok bool, what string, got, want any) {
		if !ok {
			diffs = append(diffs, fmt.Sprintf("%s: got %v, want %v", what, got, want))
		}
	}
	items := 3*len(p.Tasks) + len(p.Files)*(len(p.Platform.Providers)+1)
	differ(o.MakespanUs == us(a.MakespanS), "makespan", o.MakespanUs, us(a.MakespanS))
	differ(near(o.Cost, a.Cost, items), "cost", o.Cost, a.Cost)
	differ(near(o.FaaS, a.Exec, items), "faas", o.FaaS, a.Exec)
	differ(near(o.Egress, a.Egress, items), "egress", o.Egress, a.Egress)
	differ(near(o.Private, a.PrivateCost, items), "private", o.Private, a.PrivateCost)
	differ(o.DeadlineMet == a.Met, "met", o.DeadlineMet, a.Met)
	differ((len(o.Violations) == 0) == a.Feasible, "feasible", o.Violations, a.Feasible)
	differ(o.Offloaded == a.Offloaded, "offloaded", o.Offloaded, a.Offloaded)
	differ(o.ColdStarts == a.Cold, "cold starts", o.ColdStarts, a.Cold)
	differ(o.QuotaWaitUs == us(&a.QuotaWaitS), "quota wait", o.QuotaWaitUs, a.QuotaWaitS)
	differ(o.UpBytes == a.Up && o.DownBytes == a.Down && o.CrossBytes == a.Cross, "bytes moved",
		[]int64{o.UpBytes, o.DownBytes, o.CrossBytes}, []int64{a.Up, a.Down, a.Cross})
	differ(math.Abs(o.PrivateUtil-a.Util) < 1e-9, "utilisation", o.PrivateUtil, a.Util)
	var want []Violation
	for _, v := range a.Violations {
		want = append(want, Violation{Kind: v.Kind, Task: v.Task})
	}
	differ(slices.Equal(kinds(o.Violations), kinds(want)), "violations", kinds(o.Violations), kinds(want))
	if a.Tasks != nil {
		for i := range o.Tasks {
			g, w := &o.Tasks[i], a.Tasks[p.Tasks[i].ID]
			differ(g.StartUs == us(w.Start) && g.FinishUs == us(w.Finish), p.Tasks[i].ID+" runs",
				[]int64{g.StartUs, g.FinishUs}, []int64{us(w.Start), us(w.Finish)})
			node := -1
			if w.Node != nil {
				node = *w.Node
			}
			differ(g.Cold == w.Cold && g.Node == node, p.Tasks[i].ID+" cold, node", []any{g.Cold, g.Node}, []any{w.Cold, node})
			if g.Node < 0 {
				differ(near(g.Cost, w.Cost, 3), p.Tasks[i].ID+" cost", g.Cost, w.Cost)
			}
		}
		differ(slices.Equal(transfers(p, o), answered(a)), "transfers", transfers(p, o), answered(a))
	}
	return diffs
}

func transfers(p *Problem, o *Outcome) (out []string) {
	for _, x := range o.Transfers {
		out = append(out, fmt.Sprint(p.Files[x.File].Name, p.Platform.SiteName(x.From), p.Platform.SiteName(x.To), x.StartUs, x.ArriveUs))
	}
	return out
}

func answered(a *answer) (out []string) {
	for _, x := range a.Transfers {
		out = append(out, fmt.Sprint(x.File, x.Src, x.Dst, us(&x.Start), us(&x.Arrive)))
	}
	return out
}

// agree simulates one case both ways.
func agree(t *testing.T, ref *reference, tr *trace, platform, plan any, deadline, noise float64, seed int) {
	t.Helper()
	a := ref.ask(t, doc{"op": "simulate", "instance": tr, "platform": platform, "plan": plan, "deadline": deadline, "noise": noise, "seed": seed})
	p := tr.problem(t, mustPlatform(t, encode(t, platform)))
	p.DeadlineUs = micros(deadline)
	decoded, bad, err := DecodePlan(p, encode(t, plan))
	if err != nil {
		t.Fatal(err)
	}
	o, err := Simulate(p, &decoded, SimOptions{Multipliers: a.Multipliers, Trace: true, Violations: bad})
	if err != nil {
		t.Fatal(err)
	}
	if diffs := compare(p, &o, &a); len(diffs) > 0 {
		t.Fatalf("%d differences, first: %s\ninstance %s\nplatform %s\nplan %s", len(diffs), diffs[0], encode(t, tr), encode(t, platform), encode(t, plan))
	}
}

func TestSimulateAgreesWithReferenceOnGeneratedCases(t *testing.T) {
	ref := startReference(t)
	cases := 3000
	if testing.Short() {
		cases = 300
	}
	for seed := range cases {
		g := newGenerator(uint64(seed))
		tr, pf := g.trace(1+g.IntN(30)), g.platform()
		noise := pick(g, 0, 0, 0, 0.1, 0.4)
		agree(t, ref, tr, pf, g.plan(tr, pf), float64(1+g.IntN(100)), noise, seed)
	}
}
