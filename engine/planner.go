package engine

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spillway/spillway/estimate"
	"github.com/spillway/spillway/offload"
	"github.com/spillway/spillway/workflow"
)

// Planning makes the engine's plans: the same planner that `spillway plan` calls, on a problem in which
// what has started is fixed. Where history tells how run times spread, the planner is asked by a
// receding-horizon policy, as `spillway simulate --replan` does.
type Planning struct {
	Model   *estimate.Model
	Planner offload.Planner
	Budget  offload.Budget
}

// revision is the budget of planning again, in simulations: the plan in force is
// there to start from, and the machine has tasks to run.
const revision = 200

// Plan is a PlanFunc.
func (p *Planning) Plan(s *State, why string, now time.Time) (Plan, error) {
	prob, err := p.problem(s, now)
	if err != nil {
		return Plan{}, err
	}
	budget := p.Budget
	if s.planned && budget.Decodes == 0 {
		budget.Decodes = revision
	}
	made, err := offload.Horizon(p.Planner)(*prob, budget)
	if err != nil {
		return Plan{}, err
	}
	out := Plan{Planner: made.Planner, Why: why, OnTime: made.Predicted.DeadlineMet,
		Cost: int64(made.Predicted.Cost), Finish: s.instant(made.Predicted.MakespanUs),
		LowerBound: int64(made.LowerBound.Cost), Placements: placements(s, prob, &made)}
	if !s.planned {
		out.Private, err = p.privateFinish(s, prob)
	}
	return out, err
}

// privateFinish is when the run would end if nothing were offloaded.
func (p *Planning) privateFinish(s *State, prob *offload.Problem) (time.Time, error) {
	private, ok := offload.Lookup("private")
	if !ok {
		return time.Time{}, errors.New("there is no planner named private")
	}
	made, err := private(*prob, offload.Budget{})
	if err != nil || len(made.Predicted.Violations) > 0 {
		return time.Time{}, err
	}
	return s.instant(made.Predicted.MakespanUs), nil
}

// problem states what is left to decide, on a time axis that begins with the run.
func (p *Planning) problem(s *State, now time.Time) (*offload.Problem, error) {
	deadline := int64(0)
	if !s.run.DeadlineAt.IsZero() {
		deadline = s.micros(s.run.DeadlineAt)
	}
	prob, _, err := p.Model.Problem(s.Graph, deadline)
	if err != nil {
		return nil, err
	}
	prob.NowUs, prob.Seed = s.micros(now), s.run.Seed
	prob.Incumbent = s.incumbent()
	for i := range s.tasks {
		s.denyIn(&prob.Tasks[i], i)
		if f, ok := s.fixed(i, now); ok {
			prob.Fixed = append(prob.Fixed, f)
		}
	}
	for k, tr := range s.transfers {
		if tr.State == workflow.TransferDone {
			prob.Present = append(prob.Present, offload.FilePresence{File: int32(k.file), Target: k.to - 1,
				AtUs: s.micros(tr.FinishedAt), Cost: tr.Cost})
		}
	}
	sortPresent(prob.Present)
	return prob, nil
}

// incumbent is the plan in force, where every task has a place in it.
func (s *State) incumbent() *offload.Plan {
	if !s.planned {
		return nil
	}
	plan := &offload.Plan{Planner: s.run.Planner, Placements: make([]offload.Placement, len(s.tasks))}
	plan.Order = make([]int32, len(s.tasks))
	for i := range s.tasks {
		t := &s.tasks[i]
		if t.site < 0 {
			return nil
		}
		pl := &plan.Placements[i]
		*pl = offload.Placement{Target: t.site - 1, Config: s.config(t), Node: -1}
		if !t.hold.IsZero() {
			pl.NotBeforeUs = s.micros(t.hold)
		}
		plan.Order[i] = int32(i)
	}
	slices.SortStableFunc(plan.Order, func(a, b int32) int { return cmp.Compare(s.tasks[a].rec.Order, s.tasks[b].rec.Order) })
	return plan
}

// denyIn rules out, for one task, the sites that refused it or are out of reach.
func (s *State) denyIn(t *offload.Task, i int) {
	for site := 1; site < len(s.sites); site++ {
		if !s.Denied(i, site) {
			continue
		}
		deny := make([]bool, len(s.sites)-1)
		copy(deny, t.Deny)
		deny[site-1] = true
		t.Deny = deny
	}
	if s.tasks[i].denied != nil && s.tasks[i].denied[0] {
		t.PublicOnly = true
	}
}

// fixed pins what has started. A task that ended without running takes no time.
func (s *State) fixed(i int, now time.Time) (offload.FixedPlacement, bool) {
	t := &s.tasks[i]
	f := offload.FixedPlacement{Task: int32(i), Target: t.site - 1, Config: s.config(t), Node: -1}
	switch {
	case t.rec.State == workflow.TaskSucceeded && t.rec.FinishedAt.IsZero(): // taken over from an earlier run
		f.Done = true
	case t.rec.State == workflow.TaskSucceeded:
		f.Done, f.StartUs, f.FinishUs = true, s.micros(t.rec.StartedAt), s.micros(t.rec.FinishedAt)
		f.Cost = s.costOf(i)
	case t.rec.State.Terminal():
		f.Done, f.Target, f.StartUs, f.FinishUs = true, offload.Private, s.micros(now), s.micros(now)
	case t.attempt != "":
		a := s.attempts[t.attempt]
		f.Node = a.rec.Node
		f.StartUs = s.micros(latest(a.rec.DispatchedAt, a.rec.StartedAt))
	default:
		return f, false
	}
	return f, true
}

func (s *State) config(t *taskState) int {
	if t.site <= 0 {
		return 0
	}
	for k := range s.Catalogue.Sites[t.site].Offerings {
		if s.Catalogue.Sites[t.site].Offerings[k].MemoryMiB == t.rec.MemoryMiB {
			return k
		}
	}
	return 0
}

func placements(s *State, prob *offload.Problem, made *offload.Plan) []Placement {
	doc := offload.NewPlanDoc(prob, made)
	out := make([]Placement, len(made.Placements))
	for i := range made.Placements {
		pl := &made.Placements[i]
		p := &out[i]
		p.Site = pl.Target + 1
		if pl.Target >= 0 {
			p.MemoryMiB = prob.Platform.Providers[pl.Target].Configs[pl.Config].MemMiB
		}
		if pl.StartUs != offload.Never {
			p.Start, p.Finish = s.instant(pl.StartUs), s.instant(pl.FinishUs)
		}
		if pl.NotBeforeUs > 0 {
			p.NotBefore = s.instant(pl.NotBeforeUs)
		}
		if i < len(made.Predicted.Tasks) && pl.Target >= 0 {
			p.Cost = int64(made.Predicted.Tasks[i].Cost)
		}
		if reason := doc.Tasks[prob.Tasks[i].ID].Reason; reason != nil {
			p.Reason, _ = json.Marshal(reason)
		} else { // kept from the plan before
			p.Reason = s.tasks[i].rec.Reason
		}
	}
	for rank, i := range made.Order {
		out[i].Order = rank
	}
	strand(prob, made, out)
	return out
}

// strand takes the site from tasks that a plan could place nowhere: it says so as a violation.
func strand(prob *offload.Problem, made *offload.Plan, out []Placement) {
	if len(made.Predicted.Violations) == 0 {
		return
	}
	index := make(map[string]int, len(prob.Tasks))
	for i := range prob.Tasks {
		index[prob.Tasks[i].ID] = i
	}
	for _, v := range made.Predicted.Violations {
		if i, ok := index[v.Task]; ok {
			out[i].Site = -1
			why := fmt.Sprintf("no site can run it: %s %s", v.Kind, v.Detail)
			out[i].Reason, _ = json.Marshal(offload.ReasonDoc{ChosenBecause: why})
		}
	}
}
