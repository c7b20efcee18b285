package engine

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/estimate"
	"github.com/spillway/spillway/offload"
	"github.com/spillway/spillway/workflow"
)

const planned = `deadline: {within: 100s}
tasks:
  a: {run: "true", outputs: [{path: out}], estimate: {runtime: 4s, output: 1MiB}}
  b: {run: "true", inputs: [{from: a}], estimate: {runtime: 4s}}
  c: {run: "true", estimate: {runtime: 10s}}
  d: {run: "true", estimate: {runtime: 10s}, retry: {max: 1, base: 1s}}
  e: {run: "false", estimate: {runtime: 10s}}
  f: {run: "true", data: private, estimate: {runtime: 10s}}
`

// halfway is a run with something in every state that a planner must know of.
func halfway(t *testing.T) *dialogue {
	d := &dialogue{t: t, now: start, cat: catalogue()}
	d.cat.Sites[0].Nodes[0].Cores = 8
	d.cat.Sites = append(d.cat.Sites, cloud("other", 1))
	d.cat.Sites[0].Rates.PerCoreHour = 36
	d.step(step{line: "workflow", input: planned})
	for _, line := range []string{
		"opened", "plan a@private b@cloud c@cloud d@cloud e@private f@private",
		"@100ms started a#1", "@200ms started c#1",
		"@1s ended a#1 ok", "@1s ended d#1 payload_too_large", "@1s ended e#1 exit=1",
		"@2s moved a/out to=cloud bytes=1048576",
	} {
		d.step(step{line: line})
	}
	return d
}

func planning(name string, c Catalogue) *Planning {
	planner, _ := offload.Lookup(name)
	return &Planning{Model: &estimate.Model{Platform: platform(c)}, Planner: planner}
}

func TestProblemTellsWhatHasHappened(t *testing.T) {
	d := halfway(t)
	now := start.Add(3 * time.Second)
	p, err := planning("private", d.cat).problem(d.s, now)
	require.NoError(t, err)
	require.EqualValues(t, 3_000_000, p.NowUs)
	require.EqualValues(t, 100_000_000, p.DeadlineUs)
	require.EqualValues(t, 7, p.Seed)
	f := d.task("f")
	require.Equal(t, []offload.FixedPlacement{
		{Task: 0, Target: offload.Private, Node: -1, Done: true, StartUs: 100_000, FinishUs: 1_000_000,
			Cost: d.s.costOf(0)},
		{Task: 1, Target: 0, Node: -1},
		{Task: 2, Target: 0, Node: -1, StartUs: 200_000},
		{Task: 4, Target: offload.Private, Node: -1, Done: true, StartUs: 3_000_000, FinishUs: 3_000_000},
		{Task: 5, Target: offload.Private, Node: 0},
	}, withoutStart(p.Fixed, d.task("b"), f))
	require.Equal(t, "$0.009", d.s.costOf(0).String(), "a held a core for 0.9 s")
	cost := d.s.transfers[transferKey{0, 1}].Cost
	require.Positive(t, cost)
	require.Equal(t, []offload.FilePresence{{File: 0, Target: 0, AtUs: 2_000_000, Cost: cost}}, p.Present)
	require.Equal(t, []bool{true, false}, p.Tasks[d.task("d")].Deny, "the cloud could not take it")
	require.True(t, p.Tasks[f].PrivateOnly)
}

// withoutStart leaves out when some tasks were sent: that is when room came, and said elsewhere.
func withoutStart(fixed []offload.FixedPlacement, tasks ...int) []offload.FixedPlacement {
	for k := range fixed {
		for _, i := range tasks {
			if int(fixed[k].Task) == i {
				fixed[k].StartUs = 0
			}
		}
	}
	return fixed
}

func TestPlanPlacesWhatIsLeft(t *testing.T) {
	d := halfway(t)
	now := start.Add(3 * time.Second)
	first := d.s.run.PrivateFinish
	p, err := planning("public", d.cat).Plan(d.s, "because", now)
	require.NoError(t, err)
	require.Equal(t, "because", p.Why)
	require.Equal(t, "public", p.Planner)
	require.True(t, p.Private.IsZero(), "told by the first plan only")
	require.True(t, first.IsZero())
	pl := p.Placements[d.task("d")]
	require.Equal(t, 2, pl.Site, "the site that could not take it is ruled out")
	require.Contains(t, []int{1024, 2048}, pl.MemoryMiB)
	require.False(t, pl.Start.Before(now))
	require.True(t, pl.Finish.After(pl.Start))
	require.Positive(t, pl.Cost)
	require.Contains(t, string(pl.Reason), "chosen_because")
	require.Equal(t, 0, p.Placements[d.task("f")].Site, "its data is private")
	require.Equal(t, 1, p.Placements[d.task("c")].Site, "it has begun there")
	require.True(t, p.Finish.After(now))
	orders := map[int]bool{}
	for _, pl := range p.Placements {
		orders[pl.Order] = true
	}
	require.Len(t, orders, len(p.Placements), "each has a place of its own in the order")
	d.s.sites[2].down = "no credentials"
	p, err = planning("public", d.cat).Plan(d.s, "because", now)
	require.NoError(t, err)
	require.Equal(t, 0, p.Placements[d.task("d")].Site, "no site but home is left")
}

func TestFirstPlanTellsWhatHomeAloneWouldTake(t *testing.T) {
	d := &dialogue{t: t, now: start, cat: catalogue()}
	d.step(step{line: "workflow", input: planned})
	d.step(step{line: "opened"})
	p, err := planning("public", d.cat).Plan(d.s, "start", start)
	require.NoError(t, err)
	require.Equal(t, start.Add(28*time.Second), p.Private, "two pairs of 10 s, then a and b")
	require.True(t, p.Finish.Before(p.Private))
}

// A task that fits nowhere has no site: the engine fails it with that reason, instead of waiting for room.
func TestPlanStrandsWhatFitsNowhere(t *testing.T) {
	d := &dialogue{t: t, now: start, cat: catalogue()}
	d.step(step{line: "workflow", input: `tasks:
  a: {run: "true", resources: {memory: 100GiB}}
  b: {run: "true"}
`})
	d.step(step{line: "opened"})
	p, err := planning(offload.DefaultPlanner, d.cat).Plan(d.s, "start", start)
	require.NoError(t, err)
	require.Equal(t, -1, p.Placements[0].Site)
	require.Contains(t, string(p.Placements[0].Reason), "no site can run it")
	require.GreaterOrEqual(t, p.Placements[1].Site, 0)
	d.tell(Planned{p})
	require.Equal(t, workflow.TaskFailed, d.s.Task(0).State)
	require.Equal(t, workflow.TaskRunning, d.s.Task(1).State)
}

// TestPlanInForceIsStated: a policy hears of the plan that the engine follows, and what it keeps of that
// keeps its reason. Without a place for every task there is none.
func TestPlanInForceIsStated(t *testing.T) {
	d := halfway(t)
	now := start.Add(3 * time.Second)
	_, err := planning("private", d.cat).problem(d.s, now)
	require.NoError(t, err)
	plan := d.s.incumbent()
	require.NotNil(t, plan)
	require.Equal(t, offload.Placement{Target: 0, Config: d.s.config(&d.s.tasks[1]), Node: -1}, plan.Placements[1])
	require.Equal(t, offload.Private, plan.Placements[0].Target)

	p := planning("density", d.cat)
	p.Model.Spreads = true
	for _, seconds := range []float64{3.8, 4, 4.1, 4.3} {
		p.Model.History = append(p.Model.History, estimate.Sample{Task: "a", Site: "private",
			Command: time.Duration(seconds * float64(time.Second))})
	}
	prob, err := p.problem(d.s, now)
	require.NoError(t, err)
	require.True(t, prob.Spreads())
	d.s.tasks[d.task("d")].rec.Reason = []byte(`{"chosen_because":"kept"}`)
	made, err := p.Plan(d.s, "because", now)
	require.NoError(t, err)
	require.True(t, made.OnTime)
	for i := range made.Placements {
		require.NotEmpty(t, made.Placements[i].Reason)
	}

	d.s.tasks[d.task("d")].site = -1
	require.Nil(t, d.s.incumbent())
}
