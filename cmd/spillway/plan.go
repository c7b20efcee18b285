//go:build linux || darwin

package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/spillway/spillway/internal/cores"
	"github.com/spillway/spillway/offload"
)

// searchBudget is an effort, on all cores of this machine. It counts simulations,
// not time, so that equal seeds give equal plans everywhere.
func searchBudget(effort string) offload.Budget {
	b := offload.Budget{Parallel: cores.Each}
	switch effort {
	case "low":
		b.Decodes = 20
	case "max":
		b.Times = 8
	}
	return b
}

type planFlags struct {
	problemFlags
	planner string
	seed    int64
	sigma   float64
	margin  float64 // percent of the deadline; negative: as run would
	effort  *choice
	all     bool
}

func (a *app) planCommand() *cobra.Command {
	var f planFlags
	cmd := &cobra.Command{
		Use:   "plan INSTANCE",
		Short: "Say where each task would run, when, at what cost, and why",
		Long: "Plans a Spillway YAML or a WfFormat trace without running it. Without --platform it\n" +
			"plans as run would: on this machine's sites, with the run times of earlier runs.\n" +
			"Exit code 0 also when the plan is late; 8 when a bound proves that no plan meets\n" +
			"the deadline.\n\n" +
			"Planners:\n" + plannerList(),
		Example: "  spillway plan montage.json --platform aws.json --deadline 10m\n" +
			"  spillway plan nightly.yaml --deadline 60% -o json",
		Args: exactly("INSTANCE"),
	}
	f.add(cmd)
	cmd.Flags().StringVar(&f.planner, "planner", offload.DefaultPlanner, "planner")
	cmd.Flags().Int64Var(&f.seed, "seed", 0, "seed of the planner's random numbers")
	cmd.Flags().Float64Var(&f.sigma, "noise", 0, "expected spread of run times: standard deviation of their logarithm")
	cmd.Flags().Float64Var(&f.margin, "margin", -1, "`percent` of the deadline to keep free")
	cmd.Flags().Lookup("margin").DefValue = "7, less where history tells run times; 0 for a trace"
	cmd.Flags().BoolVar(&f.all, "all", false, "list all tasks in the table")
	f.effort = choiceFlag(cmd, "effort", "", "how long to search", "default", "low", "max")
	output := outputFlag(cmd, "table", "json", "svg")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		p, err := a.plan(cmd.Context(), args[0], &f)
		if err != nil {
			return err
		}
		switch output.value {
		case "json":
			err = a.printJSON(p.doc())
		case "svg":
			err = drawPlan(a.out, p)
		default:
			err = a.printPlan(p, f.all)
		}
		if err == nil && p.plan.LowerBound.Infeasible {
			err = &exitError{exitInfeasible, fmt.Errorf("no plan can meet the deadline: %s", p.infeasible())}
		}
		return err
	}
	return cmd
}

func plannerList() string {
	var b strings.Builder
	for _, s := range offload.Planners() {
		fmt.Fprintf(&b, "  %-8s %s\n", s.Name, s.Doc)
	}
	return b.String()
}

// planned is a plan with what it was made from and for.
type planned struct {
	*instance
	plan   offload.Plan
	onTime *float64 // probability, when a spread is expected
	took   time.Duration
}

// infeasible says in words why no plan can meet the deadline.
func (p *planned) infeasible() string {
	switch why := p.plan.LowerBound.Why; why {
	case offload.NoSite:
		return p.stranded()
	case offload.NoWindow:
		return "its longest chain of tasks takes longer, even at the fastest sites and with nothing in the way"
	case offload.NoCapacity:
		return "what must run at the private site is more than its cores can do"
	default:
		return why
	}
}

// stranded names the first task that every site rules out, and why each does.
func (p *planned) stranded() string {
	for i := range p.plan.Placements {
		var why []string
		for _, c := range p.plan.Placements[i].Reason.Considered {
			if c.RuledOut != "" {
				why = append(why, c.Target+": "+c.RuledOut)
			}
		}
		if len(why) == len(p.plan.Placements[i].Reason.Considered) {
			return fmt.Sprintf("no site can run task %s (%s)", p.problem.Tasks[i].ID, strings.Join(why, "; "))
		}
	}
	return "some task can run nowhere"
}

// doc is the plan in its machine-readable form.
func (p *planned) doc() offload.PlanDoc {
	doc := offload.NewPlanDoc(p.problem, &p.plan)
	ms := float64(p.took.Microseconds()) / 1000
	doc.PlanningMs, doc.POnTime = &ms, p.onTime
	return doc
}

func (a *app) plan(ctx context.Context, path string, f *planFlags) (*planned, error) {
	planner, ok := offload.Lookup(f.planner)
	if !ok {
		return nil, usageErrorf("unknown planner %q; the planners are\n%s", f.planner, strings.TrimRight(plannerList(), "\n"))
	}
	if !(f.sigma >= 0 && f.sigma <= 2) {
		return nil, usageErrorf("--noise %g: want 0 to 2", f.sigma)
	}
	switch {
	case !(f.margin < 100):
		return nil, usageErrorf("--margin %g: want 0 to 99", f.margin)
	case f.margin >= 0 && f.sigma > 0:
		return nil, usageErrorf("--noise finds its own --margin: give one of them")
	}
	in, err := a.instance(ctx, path, &f.problemFlags)
	if err != nil {
		return nil, err
	}
	in.problem.Seed = f.seed
	if f.margin >= 0 {
		in.problem.MarginUs = int64(f.margin / 100 * float64(in.problem.DeadlineUs))
	} else if in.graph.Spec.IsTrace() {
		in.problem.MarginUs = 0 // its run times are what they were
	}
	p := &planned{instance: in}
	budget := searchBudget(f.effort.value)
	began := time.Now()
	if f.sigma > 0 {
		in.expectSpread(f.sigma)
		in.problem.MarginUs = 0 // the policy finds its own
	}
	if in.problem.Spreads() && in.problem.DeadlineUs > 0 {
		err = p.planForSpread(planner, budget)
	} else {
		p.plan, err = planner(*in.problem, budget)
	}
	p.took = time.Since(began)
	return p, err
}

// planForSpread plans for run times that spread, and measures how often the plan
// is in time in executions that did not choose it.
func (p *planned) planForSpread(planner offload.Planner, budget offload.Budget) (err error) {
	if p.plan, err = offload.Horizon(planner)(*p.problem, budget); err != nil {
		return err
	}
	share, err := offload.OnTime(*p.problem, &p.plan, min(2000, max(50, 500_000/max(1, len(p.problem.Tasks)))))
	p.onTime = &share
	return err
}
