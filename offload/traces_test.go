package offload

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPlansOfPublicTraces has every planner plan every public trace on one of
// the reference platforms, and the reference evaluator execute the plans: it must
// find the makespan and cost that were predicted.
func TestPlansOfPublicTraces(t *testing.T) {
	ref := startReference(t)
	paths, err := filepath.Glob(filepath.Join(shared(t), "traces", "public", "*.json"))
	if err != nil || len(paths) == 0 {
		t.Skip("no public traces beside the reference evaluator")
	}
	for k, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(strings.TrimSuffix(filepath.Base(path), ".json"), func(t *testing.T) {
			traceCase(t, ref, text, []string{"aws", "gcp", "both"}[k%3])
		})
	}
}

func traceCase(t *testing.T, ref *reference, text []byte, book string) {
	instance := json.RawMessage(text)
	a := ref.ask(t, doc{"op": "platform", "instance": instance, "book": book})
	pf := mustPlatform(t, a.Platform)
	for _, factor := range []float64{1.05, 1.5, 2, 8} {
		deadline := a.Critical * factor
		for _, s := range Planners() {
			p := readTrace(t, text).problem(t, pf)
			p.DeadlineUs = micros(deadline)
			plan, err := s.Plan(*p, Budget{})
			if err != nil {
				t.Fatal(err)
			}
			body := encode(t, NewPlanDoc(p, &plan))
			got := ref.ask(t, doc{"op": "simulate", "instance": instance, "platform": a.Platform, "plan": json.RawMessage(body), "deadline": deadline})
			if diffs := compare(p, &plan.Predicted, &answer{
				MakespanS: got.MakespanS, Cost: got.Cost, Exec: got.Exec, Egress: got.Egress, PrivateCost: got.PrivateCost, Met: got.Met,
				Feasible: got.Feasible, Offloaded: got.Offloaded, Cold: got.Cold, QuotaWaitS: got.QuotaWaitS, Up: got.Up, Down: got.Down,
				Cross: got.Cross, Util: got.Util, Violations: got.Violations,
			}); len(diffs) > 0 {
				t.Fatalf("%s, %s, factor %g: %s", s.Name, book, factor, diffs)
			}
			if lb := plan.LowerBound; plan.Predicted.DeadlineMet && (lb.Infeasible || lb.Cost > plan.Predicted.Cost) {
				t.Fatalf("%s, %s, factor %g: cost %s is in time, bound says %+v", s.Name, book, factor, plan.Predicted.Cost, lb)
			}
			t.Logf("%s %.2f %-8s met=%v cost=%s bound=%s", book, factor, s.Name, plan.Predicted.DeadlineMet, plan.Predicted.Cost, plan.LowerBound.Cost)
		}
	}
}
