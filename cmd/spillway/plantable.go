//go:build linux || darwin

package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spillway/spillway/estimate"
	"github.com/spillway/spillway/offload"
	"github.com/spillway/spillway/pricing"
)

// fewTasks is how many tasks a table lists unless all are asked for.
const fewTasks = 40

// printPlan is a plan for people.
func (a *app) printPlan(p *planned, all bool) error {
	o := &p.plan.Predicted
	fmt.Fprintf(a.out, "%s: %s on %s, planned by %s\n\n", p.graph.Spec.Name,
		count(len(p.problem.Tasks), "task"), cmp.Or(p.problem.Platform.Name, "the platform"), p.plan.Planner)
	private, err := p.privateAlone()
	if err != nil {
		return err
	}
	fact := func(name, format string, args ...any) {
		fmt.Fprintf(a.out, "  %-10s %s\n", name, fmt.Sprintf(format, args...))
	}
	if d := p.problem.DeadlineUs; d > 0 {
		fact("deadline", "%s  %s", span(d), a.verdict(o, d))
	}
	fact("makespan", "%s  (all private: %s)", span(o.MakespanUs), private)
	fact("cost", "%s  (%s)", dollars(o.Cost), costSplit(o))
	if !p.plan.LowerBound.Infeasible && p.problem.DeadlineUs > 0 {
		fact("bound", "%s  no plan in time costs less%s", dollars(p.plan.LowerBound.Cost), certificate(o, p.plan.LowerBound.Cost))
	}
	if p.onTime != nil {
		fact("on time", "%.0f %% of sampled executions", 100**p.onTime)
	}
	fact("offloaded", "%d of %s, %s", o.Offloaded, count(len(p.problem.Tasks), "task"), count(o.ColdStarts, "cold start"))
	fact("run times", "%s", basesText(p.bases))
	fmt.Fprintln(a.out)
	return a.printPlacements(p, all)
}

// certificate says how far a plan in time may be from the cheapest.
func certificate(o *offload.Outcome, bound pricing.Money) string {
	switch {
	case !o.DeadlineMet:
		return ""
	case o.Cost <= bound:
		return ": this one is optimal"
	case bound == 0:
		return ""
	}
	if o.Cost > 2*bound {
		return fmt.Sprintf("; this one costs %.1f times that", o.Cost.USD()/bound.USD())
	}
	return fmt.Sprintf("; this one is within %s of that", gap(o.Cost, bound))
}

// gap is by how much a cost is above a bound.
func gap(cost, bound pricing.Money) string {
	switch {
	case cost <= bound:
		return "0 %"
	case bound == 0:
		return "-"
	}
	percent := 100 * (cost.USD()/bound.USD() - 1)
	if percent < 10 {
		return fmt.Sprintf("%.1f %%", percent)
	}
	return fmt.Sprintf("%.0f %%", percent)
}

// costSplit says what a cost is for, in parts of it.
func costSplit(o *offload.Outcome) string {
	if o.Cost == 0 {
		return "nothing is bought"
	}
	var parts []string
	for _, part := range []struct {
		name   string
		amount pricing.Money
	}{{"functions", o.FaaS}, {"egress", o.Egress}, {"storage", o.Storage}, {"private", o.Private}} {
		if part.amount > 0 {
			parts = append(parts, fmt.Sprintf("%s %s, %.0f %%", part.name, dollars(part.amount), 100*part.amount.USD()/o.Cost.USD()))
		}
	}
	return strings.Join(parts, "; ")
}

// basesText says how many estimates rest on what.
func basesText(bases []estimate.Basis) string {
	words := []struct {
		source estimate.Source
		text   string
	}{
		{estimate.Trace, "from the trace"}, {estimate.History, "from earlier runs"},
		{estimate.Hint, "from estimate.runtime"}, {estimate.Prior, "assumed, as nothing is said or known"},
	}
	var parts []string
	for _, w := range words {
		n, longest := 0, 0.0
		for i := range bases {
			if bases[i].Source == w.source {
				n++
				longest = max(longest, bases[i].Seconds)
			}
		}
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s (at most %s)", n, w.text, span(int64(longest*1e6))))
		}
	}
	return strings.Join(parts, ", ")
}

// privateAlone says what the all-private plan would take.
func (p *planned) privateAlone() (string, error) {
	if len(p.problem.Platform.Nodes) == 0 {
		return "impossible", nil
	}
	private, _ := offload.Lookup("private")
	plan, err := private(*p.problem, offload.Budget{})
	if err != nil {
		return "", err
	}
	if plan.Predicted.MakespanUs == offload.Never || len(plan.Predicted.Violations) > 0 {
		return "impossible", nil
	}
	return span(plan.Predicted.MakespanUs), nil
}

// verdict says whether an outcome is in time, and by how much.
func (a *app) verdict(o *offload.Outcome, deadlineUs int64) string {
	switch slack := deadlineUs - o.MakespanUs; {
	case o.DeadlineMet:
		return a.paint(green, "met") + ", " + span(slack) + " to spare"
	case o.MakespanUs == offload.Never:
		return a.paint(red, "missed") + ", some task can never run"
	case slack >= 0:
		return a.paint(red, "missed") + ", the plan breaks a limit: " + violation(o.Violations[0])
	default:
		return a.paint(red, "missed") + " by " + span(-slack)
	}
}

func violation(v offload.Violation) string {
	text := v.Kind + " of " + v.Task
	if v.Detail != "" {
		text += " (" + v.Detail + ")"
	}
	return text
}

// printPlacements lists the tasks in the order of their start.
func (a *app) printPlacements(p *planned, all bool) error {
	rows := make([]int, len(p.plan.Placements))
	for i := range rows {
		rows[i] = i
	}
	slices.SortStableFunc(rows, func(x, y int) int {
		return cmp.Compare(p.plan.Placements[x].StartUs, p.plan.Placements[y].StartUs)
	})
	hidden := 0
	if len(rows) > fewTasks && !all {
		hidden = len(rows) - fewTasks
		rows = rows[:fewTasks]
	}
	t := table{columns: []column{
		{head: "TASK"}, {head: "SITE", width: 16}, {head: "MIB", right: true}, {head: "START", right: true},
		{head: "FINISH", right: true}, {head: "COST", right: true}, {head: "WHY", width: 60},
	}}
	for _, i := range rows {
		pl := &p.plan.Placements[i]
		mem, cost := "", "-"
		if pl.Target != offload.Private {
			mem = strconv.Itoa(p.problem.Platform.Providers[pl.Target].Configs[pl.Config].MemMiB)
			cost = dollars(p.plan.Predicted.Tasks[i].Cost)
		}
		t.add(p.problem.Tasks[i].ID, p.problem.Platform.SiteName(pl.Target), mem, span(pl.StartUs), span(pl.FinishUs), cost, pl.Reason.ChosenBecause)
	}
	if err := t.print(a.out); err != nil || hidden == 0 {
		return err
	}
	_, err := fmt.Fprintf(a.out, "... and %s: --all lists them, -o json has the reasons too\n", count(hidden, "more task"))
	return err
}

// span is a time in microseconds for people: milliseconds below a minute, then
// seconds, then minutes.
func span(us int64) string {
	if us == offload.Never {
		return "never"
	}
	return duration(time.Duration(us) * time.Microsecond)
}

func duration(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + duration(-d)
	case d.Round(time.Millisecond) < time.Minute:
		return fmt.Sprintf("%.3fs", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%04.1fs", d/time.Minute, (d % time.Minute).Truncate(100*time.Millisecond).Seconds())
	}
	d = d.Round(time.Second)
	return fmt.Sprintf("%dh%02dm%02ds", d/time.Hour, d%time.Hour/time.Minute, d%time.Minute/time.Second)
}

// dollars is an amount for people, to a ten-thousandth of a cent.
func dollars(m pricing.Money) string {
	return usdText(m.USD())
}

func usdText(usd float64) string {
	switch {
	case usd == 0:
		return "$0"
	case usd > 0 && usd < 1e-6:
		return "<$0.000001"
	}
	return fmt.Sprintf("$%.6f", usd)
}
