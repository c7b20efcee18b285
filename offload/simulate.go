package offload

import (
	"fmt"
	"slices"
)

// SimOptions vary a simulation.
type SimOptions struct {
	Multipliers []float64   // by task: actual over planned run time; nil: all 1
	Copies      []float64   // the same of a task's copy; nil: as the task itself
	Trace       bool        // record transfers
	Violations  []Violation // found while reading the plan; they come first
}

// Simulate executes a plan on a problem by the rules of the package comment,
// the same as the reference evaluator's, from the state that NowUs, Fixed,
// Present and Reserved describe. A Fixed task stays where it is whatever the
// plan says. The outcome's money counts the given cost of what is Fixed and
// Present too. The error is for a plan or problem that makes no sense (wrong
// lengths, indexes out of range, amounts beyond Money); broken limits are
// Violations.
func Simulate(p *Problem, plan *Plan, opts SimOptions) (Outcome, error) {
	if err := p.Prepare(); err != nil {
		return Outcome{}, err
	}
	p = p.withCopies(plan.Copies)
	if err := p.checkState(); err != nil {
		return Outcome{}, err
	}
	d, err := p.decide(plan)
	if err != nil {
		return Outcome{}, err
	}
	for _, mult := range [][]float64{opts.Multipliers, opts.Copies} {
		if err := checkMultipliers(mult, len(p.Tasks)); err != nil {
			return Outcome{}, err
		}
	}
	s := newSimulator(p)
	s.trace, s.detail, s.copyMult = opts.Trace, true, opts.Copies
	s.run(d, opts.Multipliers)
	o, err := s.outcome()
	if len(opts.Violations) > 0 {
		o.Violations = append(slices.Clone(opts.Violations), o.Violations...)
		o.DeadlineMet = false
	}
	return o, err
}

func checkMultipliers(mult []float64, n int) error {
	if mult == nil {
		return nil
	}
	if len(mult) != n {
		return fmt.Errorf("%d run time multipliers for %d tasks", len(mult), n)
	}
	for i, m := range mult {
		if !(m >= 0 && m <= 1e6) {
			return fmt.Errorf("run time multiplier %g of task %d: want 0 to 1e6", m, i)
		}
	}
	return nil
}

// decide checks a plan's shape. Tasks missing from its order come last.
func (p *Problem) decide(plan *Plan) (*decision, error) {
	n := len(p.Tasks)
	if len(plan.Placements) != n {
		return nil, fmt.Errorf("plan has %d placements for %d tasks", len(plan.Placements), n)
	}
	order, err := completeOrder(plan.Order, n)
	if err != nil {
		return nil, err
	}
	d := &decision{order: order, target: make([]int32, n), config: make([]int32, n)}
	d.node, d.notBefore = make([]int32, n), make([]int64, n)
	for i := range plan.Placements {
		pl := &plan.Placements[i]
		if err := p.checkSite(pl.Target, pl.Config, pl.Node); err != nil {
			return nil, fmt.Errorf("placement of task %q: %w", p.Tasks[i].ID, err)
		}
		d.target[i], d.config[i] = int32(pl.Target), int32(pl.Config)
		d.node[i], d.notBefore[i] = int32(pl.Node), pl.NotBeforeUs
	}
	return d, nil
}

func completeOrder(given []int32, n int) ([]int32, error) {
	order, seen := make([]int32, 0, n), make([]bool, n)
	for _, i := range given {
		if i < 0 || int(i) >= n {
			return nil, fmt.Errorf("plan order names task %d of %d", i, n)
		}
		if !seen[i] {
			seen[i] = true
			order = append(order, i)
		}
	}
	for i := range n {
		if !seen[i] {
			order = append(order, int32(i))
		}
	}
	return order, nil
}

func (p *Problem) checkSite(target, config, node int) error {
	pf := &p.Platform
	switch {
	case target == Private:
		if node < -1 || node >= len(pf.Nodes) {
			return fmt.Errorf("no private node %d", node)
		}
	case target < Private || target >= len(pf.Providers):
		return fmt.Errorf("no target %d", target)
	case config < 0 || config >= len(pf.Providers[target].Configs):
		return fmt.Errorf("provider %s has no configuration %d", pf.Providers[target].Name, config)
	}
	return nil
}

// checkState checks what describes the present of a problem.
func (p *Problem) checkState() error {
	if err := p.checkWorkflows(); err != nil {
		return err
	}
	for _, f := range p.Fixed {
		if f.Task < 0 || int(f.Task) >= len(p.Tasks) {
			return fmt.Errorf("fixed placement of task %d of %d", f.Task, len(p.Tasks))
		}
		if err := p.checkSite(f.Target, f.Config, f.Node); err != nil {
			return fmt.Errorf("fixed placement of task %q: %w", p.Tasks[f.Task].ID, err)
		}
		if f.Target == Private && len(p.Platform.Nodes) == 0 {
			return fmt.Errorf("fixed placement of task %q: no private nodes", p.Tasks[f.Task].ID)
		}
		if f.StartUs > p.NowUs || f.Done && (f.FinishUs > p.NowUs || f.FinishUs < f.StartUs) {
			return fmt.Errorf("fixed placement of task %q: runs from %d to %d us, now is %d us", p.Tasks[f.Task].ID, f.StartUs, f.FinishUs, p.NowUs)
		}
	}
	if err := p.checkCopies(); err != nil {
		return err
	}
	for _, c := range p.Present {
		if c.File < 0 || int(c.File) >= len(p.Files) || c.Target < Private || c.Target >= len(p.Platform.Providers) {
			return fmt.Errorf("present file %d in domain %d: no such file or domain", c.File, c.Target)
		}
	}
	for _, r := range p.Reserved {
		if r.Target < Private || r.Target >= len(p.Platform.Providers) ||
			r.Target == Private && (r.Node < 0 || r.Node >= len(p.Platform.Nodes)) {
			return fmt.Errorf("reservation at target %d, node %d: no such place", r.Target, r.Node)
		}
	}
	return nil
}

// outcome copies a run's result out of the scratch space.
func (s *simulator) outcome() (Outcome, error) {
	o := Outcome{
		MakespanUs: s.ends, DeadlineMet: s.inTime(0), Violations: s.violations,
		Cost: s.cost(), FaaS: s.faas, Egress: s.egress, Storage: s.storage, Private: s.private,
		ColdStarts: s.coldStarts, QuotaWaitUs: s.quotaWait,
		UpBytes: s.moved[0], DownBytes: s.moved[1], CrossBytes: s.moved[2],
		Tasks: slices.Clone(s.task), Transfers: s.transfers, Copies: s.copyRuns(),
	}
	for i := range s.task {
		if s.site(int32(i)) != Private {
			o.Offloaded++
		}
	}
	if len(s.p.Workflows) > 0 {
		o.Ends = slices.Clone(s.ended)
	}
	cores := 0
	for k := range s.p.Platform.Nodes {
		cores += s.p.Platform.Nodes[k].Cores
	}
	if s.ends > 0 && s.ends < Never && cores > 0 {
		o.PrivateUtil = float64(s.coreUs) / (float64(cores) * float64(s.ends))
	}
	return o, s.err
}
