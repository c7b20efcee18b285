package offload

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCriticalIsTheSortedKnapsack: the median search finds what sorting finds.
func TestCriticalIsTheSortedKnapsack(t *testing.T) {
	for seed := range uint64(2000) {
		g := rand.New(rand.NewPCG(seed, 3))
		items := make([]item, 1+g.IntN(30))
		sum := 0.0
		for k := range items {
			items[k] = item{part: float64(1 + g.IntN(9)), price: float64(1 + g.IntN(9))}
			sum += items[k].part
		}
		need := sum * g.Float64() * 1.1
		sorted := slices.Clone(items)
		slices.SortFunc(sorted, func(x, y item) int { return cmp.Compare(x.ratio(), y.ratio()) })
		want, left := 0.0, need
		for _, x := range sorted {
			take := min(1, left/x.part)
			want, left = want+take*x.price, left-take*x.part
		}
		lambda, cost, ok := critical(items, need)
		require.Equal(t, left <= 1e-9, ok)
		if !ok {
			continue
		}
		require.InDelta(t, want, cost, 1e-6)
		dual := lambda * need
		for _, x := range items {
			dual += min(0, x.price-lambda*x.part)
		}
		require.InDelta(t, want, dual, 1e-6, "the multiplier proves it")
	}
}

// TestSharesAreASplit: what flows through a file is no more than its egress, and
// prices moved by it decide every task on its own for the same total.
func TestSharesAreASplit(t *testing.T) {
	split := 0
	for seed := range uint64(500) {
		g := newGenerator(seed)
		tr, pf := g.trace(2+g.IntN(15)), g.platform()
		p := tr.problem(t, mustPlatform(t, encode(t, pf)))
		require.NoError(t, p.Prepare())
		n := len(p.Tasks)
		stay, buy, egress := make([]int64, n), make([]int64, n), make([]int64, len(p.Files))
		for i := range n {
			stay[i], buy[i] = int64(g.IntN(50)), int64(g.IntN(50))
		}
		for f := range egress {
			egress[f] = int64(g.IntN(20))
		}
		net := newNetwork(p, egress)
		for range 2 { // the second time as the first
			net.reset()
			for i := range n {
				net.price(i, stay[i], buy[i])
			}
			want, _ := newCut(p, stay, buy, egress).solve()
			got, _ := net.solve()
			require.Equal(t, want, got)
			moved := slices.Clone(buy)
			through := map[int32]int64{}
			net.shares(func(producer, reader int32, amount int64) {
				moved[producer], moved[reader] = moved[producer]+amount, moved[reader]-amount
				through[producer] += amount
				split++
			})
			apart := int64(0)
			for i := range n {
				apart += min(stay[i], moved[i])
				most := int64(0)
				for _, f := range p.out.of(i) {
					most += egress[f]
				}
				require.LessOrEqual(t, through[int32(i)], most)
			}
			require.Equal(t, want, apart, "seed %d", seed)
		}
	}
	require.Greater(t, split, 500)
}

// TestDualIsTheLeastOverAllChoices: for the multipliers found, the value is the
// least, over every choice of sides, of what it costs and what the rows lack.
func TestDualIsTheLeastOverAllChoices(t *testing.T) {
	crossing, priced := 0, 0
	for _, c := range exactCases(t) {
		if len(c.problem.Tasks) > 12 {
			continue
		}
		g, err := newPlanning(c.problem, Budget{})
		require.NoError(t, err)
		b := newBounding(g)
		if !b.windows() {
			continue
		}
		d := b.newDual(24)
		if !d.solve(effort{24, 8, 6, 2}) {
			continue
		}
		least := math.Inf(1)
		for choice := range 1 << len(d.net) {
			least = min(least, d.lagrangian(choice))
		}
		require.InDelta(t, least, d.value(), 1e-9*math.Abs(least)+float64(len(d.egress)+len(d.net))+1, c.String())
		if d.crosses {
			crossing++
		}
		if slices.ContainsFunc(d.lambda[:len(d.rows)], func(x float64) bool { return x > 0 }) {
			priced++
		}
	}
	require.Greater(t, crossing, 20)
	require.Greater(t, priced, 20)
}

// lagrangian is what a choice costs and lacks; bit i is set where task i is bought.
func (d *dual) lagrangian(choice int) float64 {
	bought := func(i int32) bool {
		if d.b.undecided(int(i)) {
			return choice>>i&1 == 1
		}
		return !d.b.possible(int(i) * d.b.domains)
	}
	sum := d.fixed
	for i := range d.net {
		if d.b.undecided(i) && bought(int32(i)) {
			sum += d.b.buy[i] - d.b.keep[i]
		}
	}
	for f, amount := range d.egress {
		if amount > 0 && bought(d.b.p.Files[f].Producer) &&
			slices.ContainsFunc(d.b.p.readers.of(f), func(j int32) bool { return !bought(j) }) {
			sum += float64(amount)
		}
	}
	for r := range d.rows {
		lacks := d.need[r]
		for k := range d.tasks {
			if t := &d.tasks[k]; !t.bound && bought(t.task) {
				lacks -= max(0, d.part(&d.rows[r], k))
			}
		}
		sum += d.lambda[r] * lacks
	}
	return sum
}

// TestRoomIsWhatOthersLeave: one node of two cores at speed 2; one is held until
// 5 s, and others want two more until 3 s: together they have no more than there is.
func TestRoomIsWhatOthersLeave(t *testing.T) {
	p := smallProblem(t)
	p.Platform.Nodes = []Node{{Cores: 2, Speed: 2, MemMiB: 4096}}
	p.Reserved = []Reservation{{Target: Private, Cores: 1, UntilUs: 5 * second}, {Target: Private, Cores: 2, UntilUs: 3 * second}}
	g, err := newPlanning(p, Budget{})
	require.NoError(t, err)
	c := newBounding(g).cluster()
	require.InDelta(t, 0, c.room(cores, 0, 3*second), 1)
	require.InDelta(t, 2*2*second, c.room(cores, 3*second, 5*second), 1)
	require.InDelta(t, 2*second+2*2*second, c.room(cores, 4*second, 6*second), 1)
	require.InDelta(t, 4096*float64(mib)*2*second, c.room(memory, 4*second, 6*second), 1)
	require.InDelta(t, second+2*second, c.room(quick, 4*second, 6*second), 1)
}

// TestPartIsTheLeast tries every start and node of a task: none takes less of an
// interval than its part, and where nodes are alike some takes just that.
func TestPartIsTheLeast(t *testing.T) {
	for seed := range uint64(3000) {
		g := rand.New(rand.NewPCG(seed, 5))
		speeds := [][]float64{{1}, {2}, {3, 2}}[g.IntN(3)]
		slow, fast := speeds[len(speeds)-1], speeds[0]
		work := float64(6 * (1 + g.IntN(4)))
		c := cluster{slowest: slow, fastest: fast, speeds: speeds}
		first := float64(g.IntN(5))
		k := candidate{work: work, wall: work / fast, first: first, last: first + work/slow + float64(g.IntN(6))}
		k.held = [quick]float64{1, 10 / fast}
		d := &dual{cluster: c, tasks: []candidate{k}}
		from := float64(g.IntN(12))
		to := from + float64(1+g.IntN(8))
		least := [3]float64{1e9, 1e9, 1e9}
		for _, v := range speeds {
			for start := k.first; start+work/v <= k.last; start += 0.5 {
				span := max(0, min(to, start+work/v)-max(from, start))
				for r, took := range [3]float64{span * v, span * 10, span} {
					least[r] = min(least[r], took)
				}
			}
		}
		for r, resource := range [3]int{cores, memory, quick} {
			part := max(0, d.part(&row{resource: resource, from: from, to: to}, 0))
			require.LessOrEqual(t, part, least[r]+1e-9, "seed %d, resource %d", seed, r)
			if len(speeds) == 1 {
				require.InDelta(t, least[r], part, 1e-9, "seed %d, resource %d", seed, r)
			}
		}
	}
}

// TestLongChainMustBeBought: three tasks in a row take 20 s each on slow nodes and
// have 50 s. Each alone could stay, on many cores; bought, one takes 12 s, so that
// the 10 s too many are 10/8 of what one saves.
func TestLongChainMustBeBought(t *testing.T) {
	p := &Problem{Platform: oneCore(), DeadlineUs: 50 * second}
	p.Platform.Nodes[0].Cores, p.Platform.Nodes[0].Speed = 8, 0.5
	p.Platform.Providers[0].KeepWarmUs = -1
	for i := range int32(3) {
		task := Task{ID: string('a' + i), Cores: 1, RuntimeS: 10}
		if i > 0 {
			task.Parents = []int32{i - 1}
		}
		p.Tasks = append(p.Tasks, task)
	}
	g, err := newPlanning(p, Budget{})
	require.NoError(t, err)
	b := newBounding(g)
	root, why := b.evaluate(b.rootEffort())
	require.Empty(t, why)
	_, price := b.cheapest(1)
	require.InEpsilon(t, price*10/8, root.bound, 1e-6)
	require.InEpsilon(t, 2*0.12e12, float64(boundOf(t, p).Cost), 1e-6, "two whole ones, once parted")

	p.index, p.DeadlineUs = nil, 70*second // a fourth would last longer if bought: it does not count
	p.Tasks = append(p.Tasks, Task{ID: "d", Cores: 1, RuntimeS: 10, Parents: []int32{2}, RuntimeOn: []OfferingRuntime{{0, -1, 28}}})
	g, err = newPlanning(p, Budget{})
	require.NoError(t, err)
	b = newBounding(g)
	root, why = b.evaluate(b.rootEffort())
	require.Empty(t, why)
	require.InEpsilon(t, price*10/8, root.bound, 1e-6)
}

// TestManyTasksShareFewFastNodes: 200 tasks of 1 s, a fast core that needs half of
// that, and ten slow ones. In 25 s all are done at home; in 0.9 s only one is, by the
// fast core, and four fifths of another.
func TestManyTasksShareFewFastNodes(t *testing.T) {
	p := &Problem{Platform: oneCore()}
	p.Platform.Nodes = []Node{{Cores: 10, Speed: 1, MemMiB: 1024}, {Cores: 1, Speed: 2, MemMiB: 1024}}
	q := &p.Platform.Providers[0]
	q.KeepWarmUs, q.ColdStartUs, q.Configs, q.Quota, q.SpeedPerVCPU = -1, 0, []Config{{1024, 1}}, 1000, 2
	for i := range 200 {
		p.Tasks = append(p.Tasks, Task{ID: fmt.Sprint(i), Cores: 1, RuntimeS: 1})
	}
	p.DeadlineUs = 25 * second
	require.Zero(t, boundOf(t, p).Cost)
	p.DeadlineUs = 9 * second / 10
	require.InEpsilon(t, (200-1.8)*0.01e12, float64(boundOf(t, p).Cost), 1e-5)
}

// TestOneContainerPaysOnce: three tasks follow each other on one container and end
// at the deadline. The bound is exactly their bill, with one start.
func TestOneContainerPaysOnce(t *testing.T) {
	p := &Problem{Platform: oneCore(), NowUs: 7 * second, DeadlineUs: (7 + 2 + 3*10) * second}
	for i := range int32(3) {
		p.Tasks = append(p.Tasks, Task{ID: string('a' + i), Cores: 1, RuntimeS: 10, PublicOnly: true})
	}
	p.Tasks[1].Parents, p.Tasks[2].Parents = []int32{0}, []int32{1}
	plan, err := planOf("public")(*p, Budget{})
	require.NoError(t, err)
	require.True(t, plan.Predicted.DeadlineMet)
	require.Equal(t, 1, plan.Predicted.ColdStarts)
	require.LessOrEqual(t, plan.LowerBound.Cost, plan.Predicted.Cost)
	require.InEpsilon(t, float64(plan.Predicted.Cost), float64(plan.LowerBound.Cost), 1e-6)
}

// TestColdStartIsShared: two tasks of 10 s, of which one must be bought, on one
// core within 11 s. No container can serve twice in that time, so the one pays a
// start; where all may be warm, none is counted.
func TestColdStartIsShared(t *testing.T) {
	p := &Problem{Platform: oneCore(), DeadlineUs: 13 * second}
	for _, id := range []string{"a", "b"} {
		p.Tasks = append(p.Tasks, Task{ID: id, Cores: 1, RuntimeS: 10})
	}
	q := &p.Platform.Providers[0]
	q.Rates.BillColdStart, q.ColdStartUs, q.KeepWarmUs = true, 2*second, 100*second
	fresh := boundOf(t, p)
	o := cheapestOf(t, p)
	require.InEpsilon(t, float64(o), float64(fresh.Cost), 0.1)
	p.Tasks = append(p.Tasks, Task{ID: "done", Cores: 1, RuntimeS: 1})
	p.index = nil
	p.Fixed = []FixedPlacement{{Task: 2, Target: 0, Config: 1, StartUs: -5 * second, FinishUs: -second, Done: true, Cost: 1}}
	warm := boundOf(t, p)
	require.InEpsilon(t, float64(cheapestOf(t, p)), float64(warm.Cost), 1e-6)
	require.Less(t, warm.Cost, fresh.Cost)
}

func cheapestOf(t testing.TB, p *Problem) int64 {
	t.Helper()
	best := int64(-1)
	for k := range 1 << len(p.Tasks) {
		plan := Plan{Placements: make([]Placement, len(p.Tasks))}
		for i := range plan.Placements {
			plan.Placements[i] = Placement{Target: Private, Node: -1}
			if k>>i&1 == 1 {
				plan.Placements[i] = Placement{Target: 0, Config: len(p.Platform.Providers[0].Configs) - 1, Node: -1}
			}
		}
		o, err := Simulate(p, &plan, SimOptions{})
		require.NoError(t, err)
		if o.DeadlineMet && (best < 0 || int64(o.Cost) < best) {
			best = int64(o.Cost)
		}
	}
	return best
}

// TestBoundOfTheExactCases: never below the reference's bound, nine tenths of the
// optimum on average, and proofs where there is no plan.
func TestBoundOfTheExactCases(t *testing.T) {
	of, proofs, none := ratio{}, 0, 0
	for _, c := range exactCases(t) {
		bound := boundOf(t, c.problem)
		requireBelow(t, &c, bound)
		if c.RefBound != nil && !bound.Infeasible {
			require.GreaterOrEqual(t, float64(bound.Cost), *c.RefBound*1e12*(1-1e-7)-1000, c.String())
		}
		if c.Optimum == nil {
			none++
			if bound.Infeasible {
				proofs++
			}
			continue
		}
		of.add(float64(bound.Cost) / c.optimum())
	}
	t.Logf("bound/optimum %s; %d proofs of %d", &of, proofs, none)
	require.Greater(t, of.mean(), 0.97)
	require.GreaterOrEqual(t, proofs, 25)
}
