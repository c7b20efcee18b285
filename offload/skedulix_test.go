package offload

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// queueOf is independent tasks of those seconds.
func queueOf(deadlineS float64, runtimes ...float64) *Problem {
	p := alike(len(runtimes), deadlineS)
	for i, s := range runtimes {
		p.Tasks[i].RuntimeS = s
	}
	return p
}

func TestSkedulixHCFPutsTheDearestFirst(t *testing.T) {
	p := queueOf(100, 10, 30, 20, 5)
	p.Tasks[3].PrivateOnly = true
	require.Equal(t, []int32{3, 1, 2, 0}, newPlan(t, p).byPublicCost(), "what cannot be bought leads")
	p.Tasks[0].MemBytes = 4096 * mib // fits nowhere, so nobody sells it
	require.Equal(t, []int32{3, 0, 1, 2}, newPlan(t, p).byPublicCost())
}

func TestSkedulixSPTPutsTheShortestFirst(t *testing.T) {
	p := queueOf(100, 10, 30, 20, 10)
	require.Equal(t, []int32{0, 3, 2, 1}, newPlan(t, p).byPrivateTime())
}

// TestSkedulixLastMoment: bought, a takes 12 s, b 22 s and c 12 s.
func TestSkedulixLastMoment(t *testing.T) {
	p := chainAndOne(100)
	p.Platform.WAN.LatencyUs = second
	p.Files = []File{{Name: "in", Size: 5e6}}
	p.Tasks[2].In = []int32{0}
	want := []int64{micros(100 - 22 - 12), micros(100 - 22), micros(100 - 12 - 5 - 1)}
	require.Equal(t, want, newPlan(t, p).lastMoments())
	p.MarginUs = 10 * second
	require.Equal(t, micros(90-22), newPlan(t, p).lastMoments()[1], "the goal is 90")
	p.Platform.Providers[0].SpeedPerVCPU = 10
	require.Equal(t, micros(90-20-3), newPlan(t, p).lastMoments()[0], "b takes 20 s at home, 4 s bought: the longer way")
	p.Tasks[1].PrivateOnly = true
	p.Tasks[0].PublicOnly = true
	require.Equal(t, micros(90-20-3), newPlan(t, p).lastMoments()[0])
}

// TestSkedulixBuysTheExcess from the end of the queue, until the cores can do the
// rest.
func TestSkedulixBuysTheExcess(t *testing.T) {
	for _, c := range []struct {
		deadline float64
		hcf      bool
		want     []bool
	}{
		{60, true, []bool{false, false, false}},
		{59, true, []bool{true, false, false}},
		{50, true, []bool{true, false, false}},
		{49, true, []bool{true, false, true}},
		{59, false, []bool{false, true, false}},
		{9, false, []bool{true, true, true}},
		{0, true, []bool{false, false, false}}, // no deadline
	} {
		g := newPlan(t, queueOf(c.deadline, 10, 30, 20))
		order := g.byPrivateTime()
		if c.hcf {
			order = g.byPublicCost()
		}
		s := newSkedule(g, order)
		s.buyExcess()
		require.Equal(t, c.want, s.excess, "%+v", c)
	}
	p := queueOf(9, 10, 30, 20)
	p.Tasks[1].PrivateOnly = true
	s := newSkedule(newPlan(t, p), []int32{0, 1, 2})
	s.buyExcess()
	require.Equal(t, []bool{true, false, true}, s.excess, "what cannot be bought is none of it")
	p = queueOf(30, 10, 30, 20)
	p.Platform.Nodes = []Node{{Cores: 1, Speed: 1, MemMiB: 1024}, {Cores: 1, Speed: 0.5, MemMiB: 1024}}
	s = newSkedule(newPlan(t, p), []int32{0, 1, 2})
	s.buyExcess()
	require.Equal(t, []bool{false, false, true}, s.excess, "a slow core is half a core: 45 s of 60")
}

// TestSkedulixBuysAtTheLastMoment: c waits for the core behind a and b until 20,
// and buying it at 20 would end at 32.
func TestSkedulixBuysAtTheLastMoment(t *testing.T) {
	const queued, turn = "still queued at its last moment", "its turn at home came in time"
	for _, c := range []struct {
		deadline float64
		want     []int
		because  string
	}{
		{33, []int{Private, Private, Private}, turn},
		{32.000001, []int{Private, Private, Private}, turn},
		{32, []int{Private, Private, 0}, queued}, // its last moment comes first
		{30, []int{Private, Private, 0}, queued},
	} {
		plan := made(t, "skedulix", alike(3, c.deadline))
		require.Equal(t, c.want, targets(&plan), "%g s", c.deadline)
		require.Equal(t, c.because, plan.Placements[2].Reason.ChosenBecause, "%g s", c.deadline)
		require.True(t, plan.Predicted.DeadlineMet)
	}
	plan := made(t, "skedulix", alike(3, 29))
	require.Equal(t, "more work than the private cores can do in time", plan.Placements[2].Reason.ChosenBecause)
	require.True(t, plan.Predicted.DeadlineMet)
}

// TestSkedulixTakesTheBetterOrder: of 30, 10 and 10 s in 35 s, HCF buys the two
// short ones for 24 cents, SPT the long one for 32. Of 32, 32 and 3 s in 40 s, SPT
// buys one long task, HCF the short one too.
func TestSkedulixTakesTheBetterOrder(t *testing.T) {
	plan := made(t, "skedulix", queueOf(35, 30, 10, 10))
	require.Equal(t, []int{Private, 0, 0}, targets(&plan))
	plan = made(t, "skedulix", queueOf(40, 32, 32, 3))
	require.Equal(t, []int{Private, 0, Private}, targets(&plan))
}

// TestSkedulixQueue: a task that fits no idle core is passed over, and what
// finishes calls its children.
func TestSkedulixQueue(t *testing.T) {
	p := queueOf(0, 10, 20, 5, 1)
	p.Platform.Nodes[0].Cores = 2
	p.Tasks[1].Cores = 2
	p.Tasks[3].Parents = []int32{2}
	for i := range p.Tasks {
		p.Tasks[i].PrivateOnly = true
	}
	s := newSkedule(newPlan(t, p), []int32{0, 1, 2, 3})
	s.run()
	require.Equal(t, []int64{0, 10 * second, 0, 5 * second}, s.start)
	require.Equal(t, []int64{10 * second, 30 * second, 5 * second, 6 * second}, s.e.finish)
}

// TestSkedulixWaits for what has started, for capacity that others hold, for files
// on their way home, and buys no earlier than it decides to.
func TestSkedulixWaits(t *testing.T) {
	starts := func(p *Problem) []int64 {
		g := newPlan(t, p)
		s := newSkedule(g, g.seq)
		s.run()
		return s.start
	}
	require.Equal(t, []int64{0, 10 * second, 18 * second}, starts(alike(3, 30)), "12 s before the deadline")

	p := alike(2, 0)
	p.Tasks[1].Parents, p.NowUs = []int32{0}, 4*second
	p.Fixed = []FixedPlacement{{Task: 0, Target: Private, StartUs: 2 * second}}
	require.Equal(t, []int64{2 * second, 12 * second}, starts(p))

	p = alike(1, 0)
	p.Reserved = []Reservation{{Target: Private, Cores: 1, UntilUs: 7 * second}}
	require.Equal(t, []int64{7 * second}, starts(p))

	p = alike(2, 0)
	p.Files = []File{{Name: "f", Size: 8e6}}
	p.Tasks[0].Out, p.Tasks[0].PublicOnly, p.Tasks[1].In = []int32{0}, true, []int32{0}
	require.Equal(t, []int64{0, 20 * second}, starts(p), "12 s there, 8 s on the way")
}
