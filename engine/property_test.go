package engine

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/spillway/spillway/estimate"
	"github.com/spillway/spillway/offload"
	"github.com/spillway/spillway/workflow"
)

// TestRandomRuns takes drawn workflows through drawn trouble, then lets the trouble end: every run must
// end too, and at each commit on the way the state must be sound. Plans are drawn, bad ones among them.
func TestRandomRuns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { live(t, drawCatalogue(t), nil) })
}

// TestRandomRunsAreTakenUpAgain makes a new run of one that has ended, as rerun --from-failed does, and lets
// it go without trouble: what had succeeded is not done again, and all else can be.
func TestRandomRunsAreTakenUpAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cat := drawCatalogue(t)
		was := live(t, cat, nil)
		earlier := was.k.record()
		run := workflow.RunRecord{ID: "again", Seed: 7, SubmittedAt: start, TimeScale: 1}
		var sub submission
		if err := Resubmit(context.Background(), &sub, run, earlier, was.k.graph(t)); err != nil {
			require.ErrorContains(t, err, "do all of it anew")
			return
		}
		w := newWorld(t, keptOf(sub.got), cat, nil)
		w.calm = true
		w.finish()
		for _, was := range sub.got.Tasks {
			if was.State == workflow.TaskSucceeded {
				require.Zero(t, w.s.tasks[was.Index].rec.Attempts, "%s was done before", was.ID)
			}
		}
	})
}

// submission is a store that only takes runs in.
type submission struct {
	Store
	got workflow.Record
}

func (s *submission) Submit(_ context.Context, r workflow.Record, _ []workflow.EventRecord) error {
	s.got = r
	return nil
}

// TestRandomRunsWithPlanners does the same with the real planners: whatever has happened to a run, what is
// left of it is a problem that they can solve.
func TestRandomRunsWithPlanners(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cat := drawCatalogue(t)
		name := rapid.SampledFrom([]string{"private", "public", "greedy", "dato", offload.DefaultPlanner}).Draw(t, "planner")
		planner, _ := offload.Lookup(name)
		p := &Planning{Model: &estimate.Model{Platform: platform(cat)}, Planner: planner, Budget: offload.Budget{Decodes: 20}}
		for _, s := range cat.Sites[1:] {
			p.Model.Takes = append(p.Model.Takes, s.Takes)
		}
		live(t, cat, p.Plan)
	})
}

func live(t *rapid.T, cat Catalogue, planner PlanFunc) *world {
	source := drawWorkflow(t)
	w := newWorld(t, submitted(t, source), cat, planner)
	for range rapid.IntRange(0, 80).Draw(t, "steps of trouble") {
		if w.s.Finished() {
			break
		}
		w.step()
	}
	w.finish()
	w.replay(source)
	if w.s.cancelling {
		require.Equal(t, workflow.RunCancelled, w.s.run.State)
	}
	return w
}

// finish lets the trouble end, and then the run.
func (w *world) finish() {
	w.calm = true
	for n := 0; !w.s.Finished(); n++ {
		require.Less(w.t, n, 1000, "the run does not end: %+v", w.s.run)
		w.step()
	}
	w.requireBill()
}

// platform is the planner's view of a catalogue.
func platform(c Catalogue) offload.Platform {
	pf := offload.Platform{Name: "test", CoreHour: c.Sites[0].Rates.PerCoreHour, ReturnOutputs: true,
		WAN: offload.WAN{UpBps: 1e8, DownBps: 1e8, LatencyUs: 1000}}
	for _, n := range c.Sites[0].Nodes {
		pf.Nodes = append(pf.Nodes, offload.Node{Cores: n.Cores, MemMiB: float64(n.MemoryMiB), Speed: 1})
	}
	for _, s := range c.Sites[1:] {
		p := offload.Provider{Name: s.Name, SpeedPerVCPU: 1, InvokeUs: 5000, ColdStartUs: 100_000, KeepWarmUs: 60_000_000,
			Rates: s.Rates, Quota: s.Quota, MaxDurUs: s.Offerings[0].MaxDuration.Microseconds()}
		for _, o := range s.Offerings {
			p.Configs = append(p.Configs, offload.Config{MemMiB: o.MemoryMiB, VCPU: o.VCPU})
		}
		pf.Providers = append(pf.Providers, p)
	}
	return pf
}
