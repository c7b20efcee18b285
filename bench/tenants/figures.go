package main

import (
	"time"

	"github.com/spillway/spillway/bench/figures"
	"github.com/spillway/spillway/offload"
	"github.com/spillway/spillway/pricing"
)

// result is what a day under a policy came to.
type result struct {
	policy         string
	workflows      int
	possible, kept int // deadlines that are possible alone, and those of them that were kept
	verdicts       map[string]int
	cost           pricing.Money
	bounds         *bounds
	jainShare      float64
	jainSlowdown   float64
	unfinished     int
	waitUs         int64   // longest from an arrival to its first start
	slowest        float64 // worst slowdown of a workflow without a deadline
	planning       time.Duration
	longest        time.Duration
	tenants        []tenant
}

// tenant is one project's day.
type tenant struct {
	name      string
	workflows int
	demand    int64 // core-microseconds, as if at home
	received  int64 // of them at home
	entitled  int64
	slowdown  float64       // mean over its workflows
	bought    pricing.Money // for its own tasks
	pays      pricing.Money // by its share
}

func (r *run) result(b *bounds) *result {
	f := &result{policy: r.policy.name, workflows: len(r.flights), verdicts: map[string]int{}, bounds: b,
		planning: r.planning, longest: r.longest, tenants: make([]tenant, len(projects))}
	var hours ledger
	var got, slow []float64
	for _, x := range r.flights {
		f.see(x)
		hours.enter(x)
		t := &f.tenants[x.project]
		t.workflows++
		t.slowdown += x.slowdown()
	}
	hours.settle(f.tenants)
	for p := range f.tenants {
		t := &f.tenants[p]
		t.name = projects[p].name
		t.slowdown /= max(1, float64(t.workflows))
		got = append(got, float64(t.received)/float64(max(1, t.entitled)))
		slow = append(slow, t.slowdown)
	}
	f.jainShare, f.jainSlowdown = jain(got), jain(slow)
	return f
}

func (f *result) see(x *flight) {
	f.cost += x.cost()
	f.verdicts[x.verdict]++
	if x.endUs == 0 {
		f.unfinished++
	}
	f.waitUs = max(f.waitUs, x.waitUs())
	switch {
	case x.deadlineUs == 0:
		f.slowest = max(f.slowest, x.slowdown())
	case f.bounds.possible[x.name]:
		f.possible++
		if x.endUs <= x.deadlineUs {
			f.kept++
		}
	}
}

// ledger is what every project did in each hour: a share of yesterday's idle
// cores is of no use today.
type ledger [][]tenant

func (l *ledger) at(us int64, project int) *tenant {
	h := int(us / hour)
	for len(*l) <= h {
		*l = append(*l, make([]tenant, len(projects)))
	}
	return &(*l)[h][project]
}

// enter books every task in the hour of its start, and every copy of a file in
// that of its arrival.
func (l *ledger) enter(x *flight) {
	for _, f := range x.part.Problem.Fixed {
		t, task := l.at(x.atUs+f.StartUs, x.project), &x.problem.Tasks[f.Task]
		us := int64(task.RuntimeS*float64(second)) * int64(task.Cores)
		t.demand += us
		t.bought += f.Cost
		if f.Target == offload.Private {
			t.received += us
		}
	}
	for _, c := range x.part.Problem.Present {
		l.at(x.atUs+c.AtUs, x.project).bought += c.Cost
	}
}

// settle compares, hour by hour, what projects got of the private cores with
// what they are entitled to of all that was used, and divides the bill by it.
func (l *ledger) settle(sum []tenant) {
	for _, now := range *l {
		var demand []int64
		var weights []float64
		var used int64
		var bill pricing.Money
		for p := range now {
			demand, weights = append(demand, now[p].demand), append(weights, projects[p].weight)
			used += now[p].received
			bill += now[p].bought
		}
		entitled := offload.Entitle(used, demand, weights)
		pays := offload.Settle(bill, demand, entitled)
		for p := range now {
			sum[p].demand += now[p].demand
			sum[p].received += now[p].received
			sum[p].bought += now[p].bought
			sum[p].entitled += entitled[p]
			sum[p].pays += pays[p]
		}
	}
}

// jain is the fairness index of Jain, Chiu and Hawe (DEC-TR-301, 1984): 1 when
// all are equal, 1/n when one has everything.
func jain(x []float64) float64 {
	sum, squares := 0.0, 0.0
	for _, v := range x {
		sum += v
		squares += v * v
	}
	if squares == 0 {
		return 1
	}
	return sum * sum / (float64(len(x)) * squares)
}

// rows are the figures of one day. The baseline of costs is the joint bound, of
// deadlines those that are possible, of fairness 1.
func (f *result) rows(day string) []figures.Row {
	row := func(metric string, value float64, unit string, baseline float64) figures.Row {
		if baseline == 0 { // a bound of nothing is no measure
			return figures.Row{Case: day + " " + f.policy, Metric: metric, Value: value, Unit: unit}
		}
		return figures.Beside(day+" "+f.policy, metric, value, unit, baseline)
	}
	return []figures.Row{
		row("deadlines kept", float64(f.kept), "workflows", float64(f.possible)),
		row("cost", f.cost.USD(), "USD", f.bounds.joint.USD()),
		row("cost beside single bounds", f.cost.USD(), "USD", f.bounds.single.USD()),
		row("fairness of private time", f.jainShare, "Jain", 1),
		row("fairness of slowdown", f.jainSlowdown, "Jain", 1),
		row("longest wait", float64(f.waitUs)/float64(second), "s", float64(hour/second)),
		row("worst slowdown without deadline", f.slowest, "critical paths", 1),
		row("unfinished", float64(f.unfinished), "workflows", float64(f.workflows)),
		row("planning", f.planning.Seconds(), "s", float64(dayUs/second)),
	}
}
