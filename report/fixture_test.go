package report

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/spillway/spillway/pricing"
	"github.com/spillway/spillway/workflow"
)

var start = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

func after(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }

const words = `
apiVersion: spillway/v1
name: word-statistics
deadline: {within: 30s}
tasks:
  split: {run: "true", outputs: [{path: parts.tar}]}
  count:
    foreach: [a, b, c, d, e, f]
    inputs: [{from: split}]
    run: "true"
    outputs: [{path: counts.txt}]
  merge:
    inputs: [{from: count}]
    run: "true"
    outputs: [{path: report.txt}]
`

func expand(t testing.TB, text string) *workflow.Graph {
	t.Helper()
	spec, err := workflow.Parse("w.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	params, err := workflow.Bind(spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	g, err := workflow.Expand(spec, params)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// history writes records as an engine would.
type history struct {
	workflow.Record
	g *workflow.Graph
}

func newHistory(g *workflow.Graph, finish float64) *history {
	h := &history{g: g}
	h.Run = workflow.RunRecord{
		ID: "01J9ZK3W", Project: "default", Workflow: g.Spec.Name, State: workflow.RunSucceeded,
		SubmittedAt: start, StartedAt: start, FinishedAt: after(finish), DeadlineAt: after(30),
		Planner: "density", TimeScale: 1,
		PlannedFinish: after(26), PlannedCost: 31_000_000, PrivateFinish: after(47.5), LowerBound: 24_500_000,
	}
	for i := range g.Instances {
		in := &g.Instances[i]
		h.Tasks = append(h.Tasks, workflow.TaskRecord{
			Index: i, ID: in.ID, Task: g.Spec.Tasks[in.Task].ID, State: workflow.TaskWaiting,
		})
	}
	return h
}

// ran puts task i where it ran, with plan and actual times in seconds.
func (h *history) ran(i int, site string, memory, node int, planStart, planEnd, from, to float64) {
	t := &h.Tasks[i]
	t.State, t.Attempts, t.Site, t.MemoryMiB = workflow.TaskSucceeded, t.Attempts+1, site, memory
	t.PlannedStart, t.PlannedFinish = after(planStart), after(planEnd)
	t.StartedAt, t.FinishedAt = after(from), after(to)
	because := "it is in time at home"
	if memory > 0 {
		because = "late at home; the cheapest that is in time"
	}
	t.Reason, _ = json.Marshal(map[string]any{"considered": []any{}, "chosen_because": because})
	h.Attempts = append(h.Attempts, workflow.AttemptRecord{
		ID: fmt.Sprintf("%s-%d", t.ID, t.Attempts), Task: i, Number: t.Attempts, State: workflow.AttemptSucceeded,
		Site: site, MemoryMiB: memory, Node: node, Cores: 1, StartedAt: after(from), FinishedAt: after(to), Cold: memory > 0 && i%2 == 0,
	})
}

func (h *history) item(it workflow.ItemRecord) {
	it.Seq, it.At = int64(len(h.Items)+1), h.Run.FinishedAt
	h.Items = append(h.Items, it)
}

func (h *history) compute(i int, site string, giBs float64, amount pricing.Money) {
	h.item(workflow.ItemRecord{
		Task: i, File: -1, Attempt: h.Tasks[i].ID + "-1", Site: site, Category: "compute",
		Quantity: giBs, Unit: "GiB-s", UnitPrice: 16_666_700, Amount: amount,
	})
	h.item(workflow.ItemRecord{Task: i, File: -1, Site: site, Category: "request", Quantity: 1, Unit: "request", UnitPrice: 200_000, Amount: 200_000})
}

// wordRun is a run in time: four counts at home on two nodes, two bought, one of
// them retried after an answer was lost.
func wordRun(t testing.TB) (workflow.Record, *workflow.Graph) {
	g := expand(t, words)
	h := newHistory(g, 28.4)
	h.ran(0, "private", 0, 0, 0, 4, 0.02, 4.3)
	h.ran(1, "private", 0, 0, 4, 12, 4.31, 12.9)
	h.ran(2, "private", 0, 1, 4, 12, 4.31, 11.8)
	h.ran(3, "private", 0, 0, 12, 20, 12.92, 21.4)
	h.ran(4, "private", 0, 1, 12, 20, 11.82, 20.1)
	h.Tasks[5].Attempts = 1
	h.Attempts = append(h.Attempts, workflow.AttemptRecord{ID: "count[4]-1", Task: 5, Number: 1, State: workflow.AttemptLost, Site: "sandbox:local", MemoryMiB: 1769, Node: -1})
	h.ran(5, "sandbox:local", 1769, -1, 5, 13, 9.1, 18.2)
	h.ran(6, "sandbox:local", 1769, -1, 5, 13, 5.2, 13.7)
	h.ran(7, "private", 0, 0, 20, 26, 21.5, 28.3)
	h.compute(5, "sandbox:local", 15.72, 262_000_557)
	h.compute(6, "sandbox:local", 14.68, 244_667_156)
	h.item(workflow.ItemRecord{
		Task: 5, File: -1, Attempt: "count[4]-1", Site: "sandbox:local", Category: "compute", Quantity: 1.7275,
		Unit: "GiB-s", UnitPrice: 16_666_700, Amount: 28_791_724, Estimated: true, Note: "answer lost",
	})
	h.item(workflow.ItemRecord{
		Task: -1, File: int(g.Instances[5].Out[0]), Site: "sandbox:local", Category: "egress", Quantity: 0.001,
		Unit: "GiB", UnitPrice: 90_000_000_000, Amount: 90_000_000,
	})
	h.Run.PlannedCost, h.Run.LowerBound = 590_000_000, 410_000_000
	return h.Record, g
}

// wideRun is a run that missed its deadline, of a 120-wide trace at time scale
// 60.
func wideRun(t testing.TB) (workflow.Record, *workflow.Graph) {
	const n = 120
	tasks := ""
	runs := ""
	for i := range n {
		tasks += fmt.Sprintf(`,{"id":"blast_%d","parents":["split"],"inputFiles":[],"outputFiles":["o%d"]}`, i, i)
		runs += fmt.Sprintf(`,{"id":"blast_%d","runtimeInSeconds":%d}`, i, 100+i)
	}
	trace := `{"name":"blast","workflow":{"specification":{"files":[],"tasks":[{"id":"split","parents":[],"inputFiles":[],"outputFiles":["q"]}` + tasks +
		`]},"execution":{"tasks":[{"id":"split","runtimeInSeconds":60}` + runs + `]}}}`
	spec, err := workflow.ParseWfFormat("blast.json", []byte(trace))
	if err != nil {
		t.Fatal(err)
	}
	g, err := workflow.Expand(spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	h := newHistory(g, 33)
	h.Run.TimeScale = 60
	h.ran(0, "private", 0, 0, 0, 1, 0.1, 1.2)
	free := [4]float64{1.2, 1.2, 1.2, 1.2}
	for i := 1; i <= n; i++ {
		took := float64(100+i) / 60
		if i%3 != 0 {
			from := 1.3 + float64(i)/40
			h.ran(i, "aws:eu-west-1", 1769, -1, from, from+took, from+0.2, from+took*1.1)
			h.compute(i, "aws:eu-west-1", took*1.7, pricing.Money(took*1.7*16_666_700))
			continue
		}
		k := i / 3 % len(free)
		h.ran(i, "private", 0, k, free[k], free[k]+took, free[k], free[k]+took*1.2)
		free[k] += took * 1.2
	}
	h.Run.FinishedAt = after(max(free[0], free[1], free[2], free[3]) + 0.05)
	return h.Record, g
}
