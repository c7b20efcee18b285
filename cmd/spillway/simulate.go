//go:build linux || darwin

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spillway/spillway/bench/noise"
	"github.com/spillway/spillway/offload"
	"github.com/spillway/spillway/pricing"
)

type simulateFlags struct {
	problemFlags
	plan      string
	policy    string
	planner   offload.Planner // of policy
	replan    bool
	speculate bool
	sigma     float64
	seed      int64
	effort    *choice
	all       bool
}

func (a *app) simulateCommand() *cobra.Command {
	var f simulateFlags
	cmd := &cobra.Command{
		Use:   "simulate INSTANCE (--plan PLAN | --policy PLANNER [--replan [--speculate]])",
		Short: "Say what executing a plan would take and cost",
		Long: "Executes a plan (JSON, as plan -o json prints it) in the simulator, with the run\n" +
			"times of the instance, with noise, or with given ones. With --policy a planner makes\n" +
			"the plan, from the run times of the instance; with --replan it is asked again while\n" +
			"the run goes on, knows then what has finished, and expects run times to spread as\n" +
			"--noise says (0.3 when --runtimes alone is given). With --speculate every task is\n" +
			"taken as idempotent: one that takes longer at home than 99 of 100 do may be run a\n" +
			"second time at a provider, with a run time drawn anew, where the deadline is at risk.\n" +
			"The first to finish counts, both are billed. Exit code 0 also when the deadline is\n" +
			"missed.",
		Example: "  spillway simulate montage.json --platform aws.json --plan plan.json --deadline 10m --noise 0.1 --seed 3\n" +
			"  spillway simulate montage.json --platform aws.json --deadline 10m --policy pacer --replan --noise 0.1",
		Args: exactly("INSTANCE"),
	}
	f.add(cmd)
	cmd.Flags().StringVar(&f.plan, "plan", "", "plan `FILE` (JSON)")
	cmd.Flags().StringVar(&f.policy, "policy", "", "planner that plans, instead of --plan")
	cmd.Flags().BoolVar(&f.replan, "replan", false, "plan again while the run goes on")
	cmd.Flags().BoolVar(&f.speculate, "speculate", false, "with --replan, run stragglers a second time")
	cmd.Flags().Float64Var(&f.sigma, "noise", 0, "spread of run times: standard deviation of their logarithm")
	cmd.Flags().Int64Var(&f.seed, "seed", 0, "seed of the noise")
	cmd.Flags().BoolVar(&f.all, "all", false, "list all violations in the table")
	f.effort = choiceFlag(cmd, "effort", "", "how long to search", "default", "low", "max")
	output := outputFlag(cmd, "table", "json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := a.simulate(cmd.Context(), args[0], &f)
		if err != nil {
			return err
		}
		if output.value == "json" {
			return a.printJSON(s)
		}
		return a.printSimulation(s, f.all)
	}
	return cmd
}

// simulation is what simulate prints: the outcome of one execution.
type simulation struct {
	MakespanS   *float64             `json:"makespan_s"` // null when some task never ran
	DeadlineS   *float64             `json:"deadline_s,omitempty"`
	DeadlineMet bool                 `json:"deadline_met"`
	Feasible    bool                 `json:"feasible"` // no limit is broken
	CostUSD     float64              `json:"cost_usd"`
	FaasUSD     float64              `json:"faas_usd"`
	EgressUSD   float64              `json:"egress_usd"`
	StorageUSD  float64              `json:"storage_usd,omitempty"`
	PrivateUSD  float64              `json:"private_usd"`
	Offloaded   int                  `json:"offloaded"`
	ColdStarts  int                  `json:"cold_starts"`
	QuotaWaitS  float64              `json:"quota_wait_s"`
	UpBytes     int64                `json:"wan_up_bytes"`
	DownBytes   int64                `json:"wan_down_bytes"`
	CrossBytes  int64                `json:"wan_x_bytes"`
	PrivateUtil float64              `json:"private_util"`
	Violations  []violationDoc       `json:"violations"`
	Policy      string               `json:"policy,omitempty"`
	Plans       int                  `json:"plans,omitempty"`  // made by the policy
	Copies      []copyDoc            `json:"copies,omitempty"` // of stragglers, with --speculate
	Order       []string             `json:"order,omitempty"`  // with a policy: of the plan as realised
	Runtimes    map[string]float64   `json:"runtimes"`         // realised, in seconds: what --runtimes takes
	Tasks       map[string]simulated `json:"tasks"`

	name      string
	outcome   offload.Outcome
	us        int64 // deadline
	speculate bool
}

type violationDoc struct {
	Kind   string `json:"kind"`
	Task   string `json:"task"`
	Detail string `json:"detail,omitempty"`
}

// copyDoc is a second execution. The task's own entry is the one that finished first.
type copyDoc struct {
	Task    string   `json:"task"`
	Target  string   `json:"target"`
	MemMiB  int      `json:"mem_mib"`
	StartS  *float64 `json:"start_s"`
	FinishS *float64 `json:"finish_s"`
	First   bool     `json:"first"`
	CostUSD float64  `json:"cost_usd"`
}

type simulated struct {
	Target  string   `json:"target"`
	MemMiB  int      `json:"mem_mib,omitempty"`
	Node    *int     `json:"node,omitempty"`
	StartS  *float64 `json:"start_s"`
	FinishS *float64 `json:"finish_s"`
	Cold    bool     `json:"cold"`
	CostUSD float64  `json:"cost_usd"`

	NotBefore float64 `json:"not_before,omitempty"` // seconds
}

func (a *app) simulate(ctx context.Context, path string, f *simulateFlags) (*simulation, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	stated := f.problemFlags
	if f.policy != "" {
		stated.runtimes = "" // the policy knows the instance's run times
	}
	in, err := a.instance(ctx, path, &stated)
	if err != nil {
		return nil, err
	}
	if f.policy != "" {
		return a.simulatePolicy(in, f)
	}
	name, text, err := a.readFile(f.plan, maxSmallFile)
	if err != nil {
		return nil, err
	}
	plan, violations, err := offload.DecodePlan(in.problem, text)
	if err != nil {
		return nil, invalidFile(name, err)
	}
	options := offload.SimOptions{Violations: violations}
	if f.sigma > 0 {
		options.Multipliers = noise.Multipliers(len(in.problem.Tasks), f.sigma, f.seed)
	}
	o, err := offload.Simulate(in.problem, &plan, options)
	if err != nil {
		return nil, err
	}
	return newSimulation(in, &plan, o, options.Multipliers), nil
}

func (f *simulateFlags) check() error {
	var known bool
	f.planner, known = offload.Lookup(f.policy)
	switch {
	case f.policy == "" && f.replan:
		return usageErrorf("--replan needs a --policy")
	case f.speculate && !f.replan:
		return usageErrorf("--speculate needs --replan")
	case f.policy != "" && !known:
		return usageErrorf("--policy %s: unknown planner; the planners are\n%s", f.policy, strings.TrimRight(plannerList(), "\n"))
	case f.policy != "" && f.plan != "":
		return usageErrorf("--plan and --policy exclude each other")
	case f.policy == "" && f.plan == "":
		return usageErrorf("--plan is missing, or a --policy")
	case !(f.sigma >= 0 && f.sigma <= 5):
		return usageErrorf("--noise %g: want 0 to 5", f.sigma)
	case f.sigma > 0 && f.runtimes != "" && !f.replan:
		return usageErrorf("--noise and --runtimes exclude each other, but for --replan, where --noise is what the policy expects")
	}
	return nil
}

func newSimulation(in *instance, plan *offload.Plan, o offload.Outcome, multipliers []float64) *simulation {
	p := in.problem
	s := &simulation{
		MakespanS: seconds(o.MakespanUs), DeadlineMet: o.DeadlineMet, Feasible: len(o.Violations) == 0,
		CostUSD: o.Cost.USD(), FaasUSD: o.FaaS.USD(), EgressUSD: o.Egress.USD(), StorageUSD: o.Storage.USD(), PrivateUSD: o.Private.USD(),
		Offloaded: o.Offloaded, ColdStarts: o.ColdStarts, QuotaWaitS: float64(o.QuotaWaitUs) / 1e6,
		UpBytes: o.UpBytes, DownBytes: o.DownBytes, CrossBytes: o.CrossBytes, PrivateUtil: o.PrivateUtil,
		Violations: []violationDoc{}, Runtimes: make(map[string]float64, len(p.Tasks)), Tasks: make(map[string]simulated, len(p.Tasks)),
		name: in.graph.Spec.Name, outcome: o, us: p.DeadlineUs,
	}
	if p.DeadlineUs > 0 {
		s.DeadlineS = seconds(p.DeadlineUs)
	}
	for _, v := range o.Violations {
		s.Violations = append(s.Violations, violationDoc(v))
	}
	for _, c := range o.Copies {
		q := &p.Platform.Providers[c.Target]
		s.Copies = append(s.Copies, copyDoc{p.Tasks[c.Task].ID, q.Name, q.Configs[c.Config].MemMiB,
			seconds(c.StartUs), seconds(c.FinishUs), c.Won, c.Cost.USD()})
	}
	for i := range p.Tasks {
		id, actual := p.Tasks[i].ID, p.Tasks[i].RuntimeS
		if multipliers != nil {
			actual *= multipliers[i]
		}
		s.Runtimes[id], s.Tasks[id] = actual, newSimulated(p, &plan.Placements[i], &o.Tasks[i])
	}
	return s
}

func newSimulated(p *offload.Problem, pl *offload.Placement, t *offload.TaskOutcome) simulated {
	d := simulated{
		Target: p.Platform.SiteName(pl.Target), StartS: seconds(t.StartUs), FinishS: seconds(t.FinishUs),
		Cold: t.Cold, CostUSD: t.Cost.USD(),
	}
	if pl.Target != offload.Private {
		d.MemMiB = p.Platform.Providers[pl.Target].Configs[pl.Config].MemMiB
	} else if t.Node >= 0 {
		d.Node = &t.Node
	}
	return d
}

// seconds is nil for offload.Never.
func seconds(us int64) *float64 {
	if us == offload.Never {
		return nil
	}
	s := float64(us) / 1e6
	return &s
}

func (a *app) printSimulation(s *simulation, all bool) error {
	o := &s.outcome
	fmt.Fprintf(a.out, "%s: %s simulated\n\n", s.name, count(len(s.Tasks), "task"))
	fact := func(name, format string, args ...any) {
		fmt.Fprintf(a.out, "  %-10s %s\n", name, fmt.Sprintf(format, args...))
	}
	if s.us > 0 {
		fact("deadline", "%s  %s", span(s.us), a.verdict(o, s.us))
	}
	if s.Policy != "" {
		fact("policy", "%s, %s", s.Policy, count(s.Plans, "plan"))
	}
	if s.speculate {
		fact("copies", "%s", copiesText(o.Copies))
	}
	fact("makespan", "%s", span(o.MakespanUs))
	fact("cost", "%s  (functions %s, egress %s, private %s)", dollars(o.Cost), dollars(o.FaaS), dollars(o.Egress), dollars(o.Private))
	fact("offloaded", "%d of %s, %s, waits for quota %s", o.Offloaded, count(len(s.Tasks), "task"), count(o.ColdStarts, "cold start"), span(o.QuotaWaitUs))
	fact("moved", "%s up, %s down, %s across", bytesText(o.UpBytes), bytesText(o.DownBytes), bytesText(o.CrossBytes))
	fact("private", "%.0f %% of its cores busy", 100*o.PrivateUtil)
	shown := o.Violations
	if len(shown) > 10 && !all {
		shown = slices.Clip(shown[:10])
	}
	for _, v := range shown {
		fact("breaks", "%s", violation(v))
	}
	if more := len(o.Violations) - len(shown); more > 0 {
		fact("breaks", "%s: --all lists them", count(more, "more limit"))
	}
	return nil
}

// copiesText says how many copies were started, and what for.
func copiesText(copies []offload.CopyRun) string {
	first, cost := 0, pricing.Money(0)
	for _, c := range copies {
		if cost += c.Cost; c.Won {
			first++
		}
	}
	return fmt.Sprintf("%d started, %d of them first to finish, %s", len(copies), first, dollars(cost))
}

// bytesText is a size for people.
func bytesText(n int64) string {
	units := []string{"kB", "MB", "GB", "TB"}
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	x := float64(n) / 1000
	for len(units) > 1 && x >= 999.95 {
		x, units = x/1000, units[1:]
	}
	return fmt.Sprintf("%.1f %s", x, units[0])
}
