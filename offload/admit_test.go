package offload

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/pricing"
)

// tenants are generated workflows that share a generated platform.
func tenants(t testing.TB, seed uint64, n int) (base Problem, parts []Part) {
	t.Helper()
	g := newGenerator(seed + 70_000)
	base.Platform = mustPlatform(t, encode(t, g.platform()))
	for k := range n {
		p := g.trace(1+g.IntN(12)).problem(t, base.Platform)
		var work int64
		for i := range p.Tasks {
			work += micros(p.Tasks[i].RuntimeS)
		}
		flow := Workflow{Name: fmt.Sprintf("w%d", k), ReleaseUs: int64(g.IntN(40)) * second, Weight: pick(g, 0.0, 1, 2)}
		if g.chance(0.8) {
			flow.DeadlineUs = flow.ReleaseUs + 1 + int64(g.Float64()*2*float64(work))
		}
		parts = append(parts, Part{Workflow: flow, Problem: p})
	}
	return base, parts
}

func joined(t testing.TB, base Problem, parts []Part) *Joint {
	t.Helper()
	j, err := Join(base, parts)
	require.NoError(t, err)
	return j
}

func density(t testing.TB, p *Problem) *Plan {
	t.Helper()
	plan, err := planOf("density")(*p, Budget{})
	require.NoError(t, err)
	return &plan
}

// TestJoinOfOneIsItself plans a workflow as it is and as a joint problem of one.
func TestJoinOfOneIsItself(t *testing.T) {
	for seed := range uint64(80) {
		p := generated(t, seed)
		j := joined(t, Problem{Platform: p.Platform, MarginUs: p.MarginUs},
			[]Part{{Workflow: Workflow{Name: "w", DeadlineUs: p.DeadlineUs}, Problem: p}})
		for _, name := range []string{"private", "public", "greedy", "dato", "density"} {
			single, err := planOf(name)(*p, Budget{})
			require.NoError(t, err)
			together, err := planOf(name)(*j.Problem, Budget{})
			require.NoError(t, err)
			plans, err := j.Split(&together)
			require.NoError(t, err)
			require.Equal(t, single.Order, plans[0].Order, "seed %d, %s", seed, name)
			require.Equal(t, single.Placements, plans[0].Placements, "seed %d, %s", seed, name)
			require.Equal(t, single.LowerBound, together.LowerBound, "seed %d, %s", seed, name)
			want, got := single.Predicted, plans[0].Predicted
			want.QuotaWaitUs, want.PrivateUtil, want.Ends = 0, 0, nil // of the whole
			got.Transfers = nil
			require.Equal(t, want, got, "seed %d, %s", seed, name)
		}
	}
}

// TestSplitJoins takes joint plans apart and puts them together again: every
// placement, bill and end must come back, whatever the axes.
func TestSplitJoins(t *testing.T) {
	for seed := range uint64(200) {
		base, parts := tenants(t, seed, 1+int(seed%4))
		j := joined(t, base, parts)
		plan := density(t, j.Problem)
		plans, err := j.Split(plan)
		require.NoError(t, err)

		var sum pricing.Money
		inTime := true
		for k := range parts {
			sum += plans[k].Predicted.Cost
			inTime = inTime && plans[k].Predicted.DeadlineMet
			require.Equal(t, plan.Predicted.Ends[k], later(plans[k].Predicted.MakespanUs, parts[k].ReleaseUs))
			own := *parts[k].Problem
			own.Incumbent = &plans[k]
			parts[k].Problem = &own
		}
		require.Equal(t, plan.Predicted.Cost, sum, "seed %d", seed)
		require.Equal(t, plan.Predicted.DeadlineMet, inTime, "seed %d", seed)

		again := joined(t, base, parts)
		require.Equal(t, plan.Placements, again.Incumbent.Placements, "seed %d", seed)
		byStart := slices.Clone(plan.Order)
		slices.SortStableFunc(byStart, func(a, b int32) int {
			x, y := &plan.Placements[a], &plan.Placements[b]
			return cmp.Or(cmp.Compare(x.StartUs, y.StartUs), cmp.Compare(j.Tasks[a].Workflow, j.Tasks[b].Workflow))
		})
		require.Equal(t, byStart, again.Incumbent.Order, "seed %d", seed)
	}
}

// TestTimePassesTogether stops joint executions at some instant and joins the
// parts as they stand there: the rest must go as if nobody had looked.
func TestTimePassesTogether(t *testing.T) {
	halfway := 0
	for seed := range uint64(200) {
		base, parts := tenants(t, seed, 1+int(seed%4))
		j := joined(t, base, parts)
		plan := density(t, j.Problem)
		if plan.Predicted.MakespanUs == Never {
			continue
		}
		g := newGenerator(seed)
		mult := make([]float64, len(j.Tasks))
		for i := range mult {
			mult[i] = 0.5 + g.Float64()
		}
		whole, err := Simulate(j.Problem, plan, SimOptions{Multipliers: mult})
		require.NoError(t, err)
		base.NowUs = int64(g.Float64() * float64(whole.MakespanUs))
		soon, _, err := j.Pass(plan, mult, base.NowUs/2)
		require.NoError(t, err)
		early := base
		early.NowUs /= 2
		then, _, err := joined(t, early, soon).Pass(plan, mult, base.NowUs)
		require.NoError(t, err)
		rest := joined(t, base, then)
		if len(rest.Fixed) > 0 && len(rest.Fixed) < len(rest.Tasks) {
			halfway++
		}
		o, err := Simulate(rest.Problem, plan, SimOptions{Multipliers: mult})
		require.NoError(t, err)
		require.Equal(t, whole.Ends, o.Ends, "seed %d", seed)
		require.Equal(t, whole.Cost, o.Cost, "seed %d", seed)
		plans, err := rest.Split(plan)
		require.NoError(t, err)
		var sum pricing.Money
		for k := range plans {
			sum += plans[k].Predicted.Cost
		}
		expected, err := Simulate(rest.Problem, plan, SimOptions{})
		require.NoError(t, err)
		require.Equal(t, expected.Cost, sum, "seed %d: what was spent before is somebody's", seed)
	}
	require.Greater(t, halfway, 60)
}

// TestJointPlansKeepCapacity counts cores, memory and quota in use from the
// intervals of joint plans alone, and looks at releases.
func TestJointPlansKeepCapacity(t *testing.T) {
	full := 0
	for seed := range uint64(200) {
		base, parts := tenants(t, seed, 2+int(seed%3))
		parts[len(parts)-1].Phantom = true
		j := joined(t, base, parts)
		plan := density(t, j.Problem)
		o, err := Simulate(j.Problem, plan, SimOptions{Trace: true})
		require.NoError(t, err)
		if len(o.Violations) > 0 {
			continue
		}
		for i := range j.Tasks {
			require.GreaterOrEqual(t, o.Tasks[i].StartUs, j.Workflows[j.Tasks[i].Workflow].ReleaseUs)
			if inUse(j.Problem, plan, &o, i) {
				full++
			}
		}
		for _, x := range o.Transfers {
			require.GreaterOrEqual(t, x.StartUs, parts[j.owner(x.File)].ReleaseUs, "a file moves early")
		}
	}
	require.Greater(t, full, 50, "too few plans fill what they have")
}

// inUse looks at the instant at which task i starts, and says whether its node
// or provider is then full; it panics where more is in use than there is.
func inUse(p *Problem, plan *Plan, o *Outcome, i int) bool {
	at, pl := o.Tasks[i].StartUs, &plan.Placements[i]
	cores, mem := 0, 0.0
	for k := range p.Tasks {
		same := plan.Placements[k].Target == pl.Target && (pl.Target != Private || o.Tasks[k].Node == o.Tasks[i].Node)
		if !same || o.Tasks[k].StartUs > at || o.Tasks[k].FinishUs <= at {
			continue
		}
		cores += p.Tasks[k].Cores
		mem += p.Tasks[k].MemBytes
		if pl.Target != Private {
			cores += 1 - p.Tasks[k].Cores
		}
	}
	if pl.Target != Private {
		if quota := p.Platform.Providers[pl.Target].Quota; cores > quota {
			panic(fmt.Sprintf("%d invocations, quota %d", cores, quota))
		} else {
			return cores == quota
		}
	}
	node := &p.Platform.Nodes[o.Tasks[i].Node]
	if cores > node.Cores || mem > node.MemMiB*mib {
		panic(fmt.Sprintf("%d cores and %g bytes on a node of %d and %g MiB", cores, mem, node.Cores, node.MemMiB))
	}
	return cores == node.Cores
}

func TestJoinRefuses(t *testing.T) {
	base, parts := tenants(t, 1, 2)
	parts[1].Name = "w0"
	_, err := Join(base, parts)
	require.ErrorContains(t, err, "twice")
	parts[1].Problem = nil
	_, err = Join(base, parts)
	require.ErrorContains(t, err, "single workflow")
}

// TestUnpaidWorkflowsBuyNothing that could run at home.
func TestUnpaidWorkflowsBuyNothing(t *testing.T) {
	kept := 0
	for seed := range uint64(80) {
		base, parts := tenants(t, seed, 3)
		parts[1].Unpaid = true
		j := joined(t, base, parts)
		plan := density(t, j.Problem)
		plans, err := j.Split(plan)
		require.NoError(t, err)
		for i := range parts[1].Problem.Tasks {
			task := &parts[1].Problem.Tasks[i]
			home := slices.ContainsFunc(base.Platform.Nodes, func(n Node) bool { return n.fits(task) })
			require.Equal(t, home, plans[1].Placements[i].Target == Private && home)
			if home {
				kept++
			}
		}
	}
	require.Greater(t, kept, 100)
}

// farm is a cluster of so many cores beside a provider that is dear but fast to
// reach.
func farm(t testing.TB, cores int) Problem {
	t.Helper()
	return Problem{Platform: mustPlatform(t, fmt.Appendf(nil, `{
		"private":{"nodes":[{"cores":%d,"speed":1,"mem_mib":65536}]},
		"providers":{"p":{"configs":[{"mem_mib":2048,"vcpu":1}],"speed_per_vcpu":1,"invoke_s":0,"cold_start_s":0,
			"keep_warm_s":300,"price_gib_s":0.00001,"price_request":0,"granularity_s":1,"max_duration_s":900,
			"quota":1000,"egress_price_gib":0.1}},
		"wan":{"up_Bps":1e9,"down_Bps":1e9,"latency_s":0}}`, cores))}
}

// bag is a workflow of tasks side by side, released and due at those seconds.
func bag(name string, tasks int, each float64, release, due int64) Part {
	p := &Problem{}
	for i := range tasks {
		p.Tasks = append(p.Tasks, Task{ID: fmt.Sprintf("t%d", i), Cores: 1, MemBytes: 1e6, RuntimeS: each})
	}
	return Part{Workflow: Workflow{Name: name, ReleaseUs: release * second, DeadlineUs: due * second}, Problem: p}
}

func admit(t testing.TB, base Problem, admitted []Part, newcomer Part) Verdict {
	t.Helper()
	v, err := Admit(planOf("density"), base, admitted, newcomer, Budget{})
	require.NoError(t, err)
	return v
}

func TestAdmission(t *testing.T) {
	base := farm(t, 4)
	small := admit(t, base, nil, bag("a", 8, 10, 0, 20))
	require.Equal(t, Admitted, small.Kind, "it just fits at home")
	require.Zero(t, small.Cost)
	plans, err := small.Joint.Split(&small.Plan)
	require.NoError(t, err)
	running := bag("a", 8, 10, 0, 20)
	running.Problem.Incumbent = &plans[0]

	second := admit(t, base, []Part{running}, bag("b", 4, 10, 0, 20))
	require.Equal(t, Admitted, second.Kind, "the cloud takes what does not fit at home")
	require.Equal(t, pricing.Money(4*10*2*10_000_000), second.Extra, "four tasks of 10 s and 2 GiB")
	require.Empty(t, second.Late)

	late := admit(t, base, []Part{running}, bag("c", 4, 10, 0, 9))
	require.Equal(t, Impossible, late.Kind)
	require.Equal(t, NoWindow, late.Why)
	require.Equal(t, []Late{{Part: 1, DeadlineUs: 9_000_000, KeepUs: 10_000_000}}, late.Late)
	require.True(t, late.Plan.Predicted.DeadlineMet, "the others and the new deadline are kept")
}

// noCloud is a cluster that has to do with itself.
func noCloud(t testing.TB, cores int) Problem {
	base := farm(t, cores)
	base.Platform.Providers = nil
	return base
}

// TestTheLightestGivesWay looks at who is late where not all can be in time.
func TestTheLightestGivesWay(t *testing.T) {
	base := noCloud(t, 2)
	heavy, light := bag("heavy", 4, 10, 0, 20), bag("light", 2, 10, 0, 20)
	heavy.Weight, light.Weight = 5, 1
	want := []Late{{Part: 0, DeadlineUs: 20_000_000, KeepUs: 30_000_000}}
	require.Equal(t, want, admit(t, base, []Part{light}, heavy).Late, "the newcomer is heavier")
	v := admit(t, base, []Part{heavy}, light)
	require.Equal(t, AdmittedLate, v.Kind)
	want[0].Part = 1
	require.Equal(t, want, v.Late, "the newcomer is lighter")
	light.Weight = 5
	require.Equal(t, want, admit(t, base, []Part{heavy}, light).Late, "of equals the newcomer gives way")
}

// TestOneThatFitsAloneIsAdmitted on an idle cluster, whatever it is; and where
// the rest is kept, too, no verdict moves a deadline that could be kept.
func TestOneThatFitsAloneIsAdmitted(t *testing.T) {
	fits, late := 0, 0
	for seed := range uint64(70) {
		base, parts := tenants(t, seed, 3)
		alone := admit(t, base, nil, parts[0])
		single := density(t, joined(t, base, parts[:1]).Problem)
		require.Equal(t, single.Predicted.DeadlineMet, alone.Kind == Admitted, "seed %d", seed)
		if alone.Kind == Admitted {
			fits++
		}
		v := admit(t, base, parts[:2], parts[2])
		require.Equal(t, v.Kind == Admitted, len(v.Late) == 0, "seed %d", seed)
		for _, l := range v.Late {
			late++
			require.Greater(t, l.KeepUs, l.DeadlineUs)
		}
		o, err := Simulate(v.Joint.Problem, &v.Plan, SimOptions{})
		require.NoError(t, err)
		require.Equal(t, o, v.Plan.Predicted, "seed %d", seed)
		if o.MakespanUs < Never && len(o.Violations) == 0 {
			require.True(t, o.DeadlineMet, "seed %d: a deadline that was promised is not kept", seed)
			for _, l := range v.Late {
				require.Equal(t, l.KeepUs, v.Joint.Workflows[l.Part].DeadlineUs)
			}
		}
	}
	require.Greater(t, fits, 25)
	require.Greater(t, late, 10)
}

// TestPhantomsKeepCapacity: what a known run to come needs is not given away.
func TestPhantomsKeepCapacity(t *testing.T) {
	base := farm(t, 4)
	nightly := bag("nightly", 8, 10, 10, 30) // needs all cores from 10 s on
	nightly.Phantom = true
	flexible := bag("flexible", 6, 10, 0, 30)
	blind := admit(t, base, nil, flexible)
	require.Zero(t, blind.Cost, "nobody else is known, so home does it all")
	v := admit(t, base, []Part{nightly}, flexible)
	require.Equal(t, Admitted, v.Kind)
	require.Equal(t, pricing.Money(2*10*2*10_000_000), v.Extra, "the first four at home, two are bought")
	require.Equal(t, v.Cost, v.Extra)
	// And the phantom's own time is as good as free for it.
	plans, err := v.Joint.Split(&v.Plan)
	require.NoError(t, err)
	require.Zero(t, plans[0].Predicted.Cost)
}

// TestIncumbentsAreKept: a planner that finds nothing leaves what is in force.
func TestIncumbentsAreKept(t *testing.T) {
	base := farm(t, 4)
	parts := []Part{bag("a", 8, 10, 0, 20), bag("b", 8, 10, 0, 20)}
	first, err := Together(planOf("density"), base, parts, Budget{})
	require.NoError(t, err)
	require.Empty(t, first.Late)
	plans, err := first.Joint.Split(&first.Plan)
	require.NoError(t, err)
	for k := range parts {
		parts[k].Problem.Incumbent = &plans[k]
	}
	again, err := Together(planOf("private"), base, parts, Budget{})
	require.NoError(t, err)
	require.Empty(t, again.Late)
	require.Equal(t, first.Plan.Predicted.Cost, again.Plan.Predicted.Cost)
}

// TestRealLeavesPhantomsOut: the rest is as planned, under its own indexes.
func TestRealLeavesPhantomsOut(t *testing.T) {
	for seed := range uint64(60) {
		base, parts := tenants(t, seed, 4)
		ghost := int(seed % 4)
		parts[ghost].Phantom = true
		j := joined(t, base, parts)
		plan := density(t, j.Problem)
		want, err := j.Split(plan)
		require.NoError(t, err)
		real, kept, err := j.Real(plan)
		require.NoError(t, err)
		require.Len(t, real.Workflows, 3)
		require.Len(t, kept.Order, len(real.Tasks))
		got, err := real.Split(kept)
		require.NoError(t, err)
		for k := range parts {
			if k == ghost {
				continue
			}
			require.Equal(t, want[k].Order, got[0].Order)
			require.Equal(t, want[k].Placements, got[0].Placements)
			got = got[1:]
		}
		o, err := Simulate(real.Problem, kept, SimOptions{})
		require.NoError(t, err)
		require.Equal(t, o, kept.Predicted)
	}
}

// TestOwnersOfFiles looks at parts with and without files.
func TestOwnersOfFiles(t *testing.T) {
	files := []int{0, 2, 0, 0, 1, 0}
	var parts []Part
	for k, n := range files {
		part := bag(fmt.Sprint(k), 1, 1, 0, 0)
		part.Problem.Files = make([]File, n)
		parts = append(parts, part)
	}
	j := joined(t, farm(t, 1), parts)
	require.Equal(t, []int{1, 1, 4}, []int{j.owner(0), j.owner(1), j.owner(2)})
}

// TestRevisingOneLeavesTheOthers on their sites, with their reasons.
func TestRevisingOneLeavesTheOthers(t *testing.T) {
	revised := 0
	for seed := range uint64(60) {
		base, parts := tenants(t, seed, 3)
		a, err := newAgreeing(planOf("density"), base, parts, Budget{})
		require.NoError(t, err)
		public, err := planOf("public")(*a.joint.Problem, Budget{})
		require.NoError(t, err)
		a.adopt(&public)
		require.NoError(t, a.revise(1))
		for i := range a.joint.Tasks {
			was, is := &public.Placements[i], &a.best.Placements[i]
			if a.joint.Tasks[i].Workflow != 1 {
				require.Equal(t, was.Target, is.Target)
				require.Equal(t, was.Reason, is.Reason)
			} else if was.Target != is.Target {
				revised++
			}
		}
		o, err := Simulate(a.joint.Problem, &a.best, SimOptions{})
		require.NoError(t, err)
		require.Equal(t, o, a.best.Predicted)
	}
	require.Greater(t, revised, 20)
}

// TestAHopelessNewcomerAsksNobodyToGiveWay: it would help nobody.
func TestAHopelessNewcomerAsksNobodyToGiveWay(t *testing.T) {
	calls := 0
	counted := func(p Problem, b Budget) (Plan, error) {
		calls++
		return planOf("density")(p, b)
	}
	admitted := []Part{bag("a", 2, 10, 0, 20), bag("b", 2, 10, 0, 20)}
	newcomer := bag("c", 1, 10, 0, 9)
	newcomer.Weight = 9
	v, err := Admit(counted, noCloud(t, 4), admitted, newcomer, Budget{})
	require.NoError(t, err)
	require.Equal(t, []Late{{Part: 2, DeadlineUs: 9_000_000, KeepUs: 10_000_000}}, v.Late)
	require.LessOrEqual(t, calls, 9+7, "then its own deadline alone is looked for")
}

// TestAWideTaskIsWaitedFor: small tasks of a workflow that has time would take
// each core that comes free, so that a wide one never gets all of them. Holding
// them back costs nothing, buying them does.
func TestAWideTaskIsWaitedFor(t *testing.T) {
	base := farm(t, 4)
	small := bag("small", 12, 10, 0, 100)
	for i := range small.Problem.Tasks {
		small.Problem.Tasks[i].RuntimeS += float64(i % 4) // cores do not come free together
	}
	first, err := Together(planOf("density"), base, []Part{small}, Budget{})
	require.NoError(t, err)
	parts, _, err := first.Joint.Pass(&first.Plan, nil, 5*second)
	require.NoError(t, err)

	base.NowUs = 5 * second
	wide := bag("wide", 1, 10, 5, 30)
	wide.Problem.Tasks[0].Cores, wide.Problem.Tasks[0].PrivateOnly = 4, true
	v := admit(t, base, parts, wide)
	require.Equal(t, Admitted, v.Kind)
	require.Zero(t, v.Extra)
	held := 0
	for _, pl := range v.Plan.Placements[:12] {
		if pl.NotBeforeUs > base.NowUs {
			held++
			require.Contains(t, pl.Reason.ChosenBecause, "waiting")
		}
	}
	require.Equal(t, 8, held, "what has not started waits")

	// Once the wide one has gone, nothing waits any more.
	plans, err := v.Joint.Split(&v.Plan)
	require.NoError(t, err)
	parts[0].Problem.Incumbent = &plans[0]
	base.NowUs = 6 * second
	again, err := Together(planOf("density"), base, parts, Budget{})
	require.NoError(t, err)
	for _, pl := range again.Plan.Placements {
		require.Zero(t, pl.NotBeforeUs)
	}
}
