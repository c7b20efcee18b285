package offload

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// PlanDoc is a plan as JSON: the reference evaluator's PLAN (order, tasks with
// target, mem_mib, node, not_before) and, beside it, what was predicted and why.
// Equal plans marshal to equal bytes.
type PlanDoc struct {
	Planner    string             `json:"planner"`
	DeadlineS  *float64           `json:"deadline_s"` // null when there is none
	Predicted  *PredictedDoc      `json:"predicted"`
	LowerBound *float64           `json:"lower_bound_usd"`      // null when infeasible
	Infeasible string             `json:"infeasible,omitempty"` // why no plan can meet the deadline
	POnTime    *float64           `json:"p_on_time,omitempty"`  // for the caller to fill in
	PlanningMs *float64           `json:"planning_ms,omitempty"`
	Order      []string           `json:"order"`
	Tasks      map[string]TaskDoc `json:"tasks"`
}

// PredictedDoc is the outcome that the planner expects.
type PredictedDoc struct {
	MakespanS   *float64 `json:"makespan_s"` // null when some task can never run
	CostUSD     float64  `json:"cost_usd"`
	DeadlineMet bool     `json:"deadline_met"`
	FaasUSD     float64  `json:"faas_usd"`
	EgressUSD   float64  `json:"egress_usd"`
	StorageUSD  float64  `json:"storage_usd,omitempty"`
	PrivateUSD  float64  `json:"private_usd"`
}

// TaskDoc is one placement.
type TaskDoc struct {
	Target    string          `json:"target"`
	MemMiB    json.RawMessage `json:"mem_mib,omitempty"`
	Node      *int            `json:"node,omitempty"`
	NotBefore float64         `json:"not_before,omitempty"`
	StartS    *float64        `json:"start_s,omitempty"`
	FinishS   *float64        `json:"finish_s,omitempty"`
	Reason    *ReasonDoc      `json:"reason,omitempty"`
}

// ReasonDoc is a placement's Reason in seconds and dollars.
type ReasonDoc struct {
	Considered    []ConsideredDoc `json:"considered"`
	ChosenBecause string          `json:"chosen_because"`
}

// ConsideredDoc is one alternative. Its finish is the planned one for what was
// chosen; elsewhere it is the earliest, with no wait for cores, quota or links,
// unless the planner places tasks one by one (dato, greedy) and saw the waits.
type ConsideredDoc struct {
	Target   string   `json:"target"`
	MemMiB   *int     `json:"mem_mib"`  // null for private
	FinishS  *float64 `json:"finish_s"` // null when it can never finish
	CostUSD  float64  `json:"cost_usd"`
	RuledOut string   `json:"ruled_out"` // empty when it was possible
}

// SiteName is "private" or the provider's name.
func (p *Platform) SiteName(target int) string {
	if target == Private {
		return "private"
	}
	return p.Providers[target].Name
}

// seconds is a time in seconds; nil for Never.
func seconds(us int64) *float64 {
	if us == Never {
		return nil
	}
	s := float64(us) / second
	return &s
}

// NewPlanDoc describes a plan of a problem.
func NewPlanDoc(p *Problem, plan *Plan) PlanDoc {
	doc := PlanDoc{Planner: plan.Planner, Tasks: make(map[string]TaskDoc, len(p.Tasks))}
	if p.DeadlineUs != 0 {
		doc.DeadlineS = seconds(p.DeadlineUs)
	}
	o := &plan.Predicted
	doc.Predicted = &PredictedDoc{
		MakespanS: seconds(o.MakespanUs), CostUSD: o.Cost.USD(), DeadlineMet: o.DeadlineMet, FaasUSD: o.FaaS.USD(),
		EgressUSD: o.Egress.USD(), StorageUSD: o.Storage.USD(), PrivateUSD: o.Private.USD(),
	}
	if plan.LowerBound.Infeasible {
		doc.Infeasible = plan.LowerBound.Why
	} else {
		usd := plan.LowerBound.Cost.USD()
		doc.LowerBound = &usd
	}
	for _, i := range plan.Order {
		doc.Order = append(doc.Order, p.Tasks[i].ID)
	}
	for i := range plan.Placements {
		doc.Tasks[p.Tasks[i].ID] = taskDoc(p, &plan.Placements[i])
	}
	return doc
}

func taskDoc(p *Problem, pl *Placement) TaskDoc {
	t := TaskDoc{
		Target: p.Platform.SiteName(pl.Target), NotBefore: float64(pl.NotBeforeUs) / second,
		StartS: seconds(pl.StartUs), FinishS: seconds(pl.FinishUs), Reason: reasonDoc(&pl.Reason),
	}
	if pl.Target != Private {
		t.MemMiB = strconv.AppendInt(nil, int64(p.Platform.Providers[pl.Target].Configs[pl.Config].MemMiB), 10)
	} else if pl.Node >= 0 {
		node := pl.Node
		t.Node = &node
	}
	return t
}

func reasonDoc(r *Reason) *ReasonDoc {
	if r.ChosenBecause == "" {
		return nil
	}
	doc := &ReasonDoc{ChosenBecause: r.ChosenBecause, Considered: make([]ConsideredDoc, 0, len(r.Considered))}
	for _, c := range r.Considered {
		d := ConsideredDoc{Target: c.Target, FinishS: seconds(c.FinishUs), CostUSD: c.Cost.USD(), RuledOut: c.RuledOut}
		if c.MemMiB != 0 {
			d.MemMiB = &c.MemMiB
		}
		doc.Considered = append(doc.Considered, d)
	}
	return doc
}

// DecodePlan reads a PLAN for a problem. What it names but the problem lacks is
// a Violation, as in the reference evaluator, and the task stays private; the
// error is for text that is no PLAN. Pass the violations on to Simulate.
func DecodePlan(p *Problem, text []byte) (Plan, []Violation, error) {
	var doc PlanDoc
	if err := json.Unmarshal(text, &doc); err != nil {
		return Plan{}, nil, fmt.Errorf("plan: %w", err)
	}
	ids := make(map[string]int, len(p.Tasks))
	for i := range p.Tasks {
		ids[p.Tasks[i].ID] = i
	}
	plan := Plan{Planner: doc.Planner, Placements: make([]Placement, len(p.Tasks))}
	var bad []Violation
	for _, id := range doc.Order {
		if i, ok := ids[id]; ok {
			plan.Order = append(plan.Order, int32(i))
		} else {
			bad = append(bad, Violation{"unknown-task", id, ""})
		}
	}
	for i := range plan.Placements {
		plan.Placements[i] = Placement{Target: Private, Node: -1}
		if t, ok := doc.Tasks[p.Tasks[i].ID]; !ok {
			bad = append(bad, Violation{"missing-task", p.Tasks[i].ID, ""})
		} else if kind, detail := t.place(&p.Platform, &plan.Placements[i]); kind != "" {
			bad = append(bad, Violation{kind, p.Tasks[i].ID, detail})
		}
	}
	return plan, append(bad, strangers(doc.Tasks, ids)...), nil
}

// place fills a placement, or says which part of it does not exist.
func (t *TaskDoc) place(pf *Platform, pl *Placement) (kind, detail string) {
	if !(math.Abs(t.NotBefore) <= 1e9) {
		return "unknown-time", fmt.Sprint(t.NotBefore)
	}
	pl.NotBeforeUs = micros(t.NotBefore)
	if t.Target == "private" {
		if t.Node == nil {
			return "", ""
		}
		if *t.Node < 0 || *t.Node >= len(pf.Nodes) {
			return "unknown-node", strconv.Itoa(*t.Node)
		}
		pl.Node = *t.Node
		return "", ""
	}
	target := pf.ProviderIndex(t.Target)
	if target < 0 {
		return "unknown-target", t.Target
	}
	var mem float64
	if json.Unmarshal(t.MemMiB, &mem) != nil || mem != math.Trunc(mem) || math.Abs(mem) > 1<<31 {
		return "unknown-config", string(t.MemMiB)
	}
	config := pf.Providers[target].ConfigIndex(int(mem))
	if config < 0 {
		return "unknown-config", string(t.MemMiB)
	}
	pl.Target, pl.Config = target, config
	return "", ""
}

// strangers are tasks of the document that the problem does not have, sorted.
func strangers(tasks map[string]TaskDoc, ids map[string]int) (bad []Violation) {
	for id := range tasks {
		if _, ok := ids[id]; !ok {
			bad = append(bad, Violation{"unknown-task", id, ""})
		}
	}
	slices.SortFunc(bad, func(a, b Violation) int { return cmp.Compare(a.Task, b.Task) })
	return bad
}
