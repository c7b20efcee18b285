package report

import (
	"encoding/json"
	"io"
	"time"

	"github.com/spillway/spillway/pricing"
)

// The JSON form. Times ending in _s count from the start of the run, amounts
// are exact decimals.
type (
	reportDoc struct {
		RunID      string      `json:"run_id"`
		Project    string      `json:"project,omitempty"`
		Workflow   string      `json:"workflow"`
		State      string      `json:"state"`
		Reason     string      `json:"reason,omitempty"`
		Planner    string      `json:"planner,omitempty"`
		StartedAt  *time.Time  `json:"started_at"`
		FinishedAt *time.Time  `json:"finished_at"`
		Deadline   *dueDoc     `json:"deadline"`
		MakespanS  *seconds    `json:"makespan_s"`
		Planned    *plannedDoc `json:"planned"`
		Ratio      *float64    `json:"makespan_ratio"`
		TimeScale  float64     `json:"time_scale"`
		Unscaled   *seconds    `json:"unscaled_makespan_s,omitempty"`
		Cost       costDoc     `json:"cost"`
		LowerBound *usd        `json:"lower_bound_usd"`
		SlackLost  lostDoc     `json:"slack_lost"`
		Tasks      []taskDoc   `json:"tasks"`
		Items      []itemDoc   `json:"items"`
	}
	dueDoc struct {
		At     time.Time `json:"at"`
		Met    *bool     `json:"met"`
		SlackS *seconds  `json:"slack_s"`
	}
	plannedDoc struct {
		MakespanS seconds  `json:"makespan_s"`
		CostUSD   usd      `json:"cost_usd"`
		PrivateS  *seconds `json:"all_private_makespan_s"`
	}
	costDoc struct {
		Total      usd                      `json:"total_usd"`
		Estimated  usd                      `json:"estimated_usd"`
		Metered    usd                      `json:"metered_usd"`
		Billed     *usd                     `json:"billed_usd"` // by an invoice; the sandbox sends none
		Sandbox    bool                     `json:"sandbox"`
		SandboxUSD usd                      `json:"sandbox_usd"`
		BySite     map[string]usd           `json:"by_site"`
		ByCategory map[pricing.Category]usd `json:"by_category"`
		Other      usd                      `json:"no_task_usd"`
	}
	lostDoc struct {
		Chain  []linkDoc `json:"critical_chain"`
		OtherS seconds   `json:"other_s"`
	}
	linkDoc struct {
		ID      string  `json:"id"`
		WaitedS seconds `json:"waited_s"`
		RanS    seconds `json:"ran_s"`
		Queued  bool    `json:"queued_for_node,omitempty"`
	}
	taskDoc struct {
		ID             string          `json:"id"`
		State          string          `json:"state"`
		Attempts       int             `json:"attempts"`
		Site           string          `json:"site"`
		Offering       string          `json:"offering"`
		PlannedStartS  *seconds        `json:"planned_start_s"`
		StartS         *seconds        `json:"start_s"`
		PlannedFinishS *seconds        `json:"planned_finish_s"`
		FinishS        *seconds        `json:"finish_s"`
		CostUSD        usd             `json:"cost_usd"`
		ColdStart      bool            `json:"cold_start"`
		Reason         json.RawMessage `json:"reason"`
		Message        string          `json:"message,omitempty"`
	}
	itemDoc struct {
		At        time.Time `json:"at"`
		Task      string    `json:"task,omitempty"`
		Attempt   string    `json:"attempt,omitempty"`
		File      string    `json:"file,omitempty"`
		Site      string    `json:"site"`
		Category  string    `json:"category"`
		Quantity  float64   `json:"quantity"`
		Unit      string    `json:"unit"`
		UnitPrice usd       `json:"unit_price_usd"`
		Amount    usd       `json:"amount_usd"`
		Estimated bool      `json:"estimated,omitempty"`
		Note      string    `json:"note,omitempty"`
	}
)

// JSON writes the report as one indented object.
func JSON(w io.Writer, r Report) error { return writeJSON(w, r.doc()) }

func writeJSON(w io.Writer, doc any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(doc)
}

func (r *Report) doc() reportDoc {
	d := reportDoc{
		RunID: r.Run.ID, Project: r.Run.Project, Workflow: r.Run.Workflow, State: r.Run.State.String(),
		Reason: r.Run.Reason, Planner: r.Run.Planner, TimeScale: r.scale(), Cost: r.costDoc(),
		StartedAt: known(r.Run.StartedAt), FinishedAt: known(r.Run.FinishedAt), Deadline: r.dueDoc(),
	}
	if r.Makespan > 0 {
		s := seconds(r.Makespan)
		d.MakespanS = &s
		if r.scale() != 1 {
			whole := seconds(r.atScale(r.Makespan))
			d.Unscaled = &whole
		}
	}
	if planned, ok := r.Planned(); ok {
		bound := usd(r.Run.LowerBound)
		d.LowerBound = &bound
		d.Planned = &plannedDoc{seconds(planned), usd(r.Run.PlannedCost), r.after(r.Run.PrivateFinish)}
	}
	if ratio, ok := r.Ratio(); ok {
		d.Ratio = &ratio
	}
	d.SlackLost = lostDoc{Chain: []linkDoc{}, OtherS: seconds(r.Other)}
	for _, l := range r.Chain {
		d.SlackLost.Chain = append(d.SlackLost.Chain, linkDoc{r.Tasks[l.Task].ID, seconds(l.Waited), seconds(l.Ran), l.Queued})
	}
	d.Tasks = make([]taskDoc, len(r.Tasks))
	for k := range r.Tasks {
		d.Tasks[k] = r.taskDoc(&r.Tasks[k])
	}
	d.Items = make([]itemDoc, len(r.Items))
	for k := range r.Items {
		d.Items[k] = r.Items[k].doc()
	}
	return d
}

func (r *Report) dueDoc() *dueDoc {
	if r.Deadline.At.IsZero() {
		return nil
	}
	d := &dueDoc{At: r.Deadline.At}
	if r.Deadline.Decided {
		d.Met = &r.Deadline.Met
	}
	if r.Run.State.Terminal() {
		s := seconds(r.Deadline.Slack)
		d.SlackS = &s
	}
	return d
}

func (r *Report) costDoc() costDoc {
	c := &r.Cost
	d := costDoc{
		Total: usd(c.Total), Estimated: usd(c.Estimated), Metered: usd(c.Metered), Sandbox: r.UsesSandbox(),
		SandboxUSD: usd(c.Sandbox), Other: usd(c.Other),
		BySite: map[string]usd{}, ByCategory: map[pricing.Category]usd{},
	}
	for site, m := range c.BySite {
		d.BySite[site] = usd(m)
	}
	for category, m := range c.ByCategory {
		d.ByCategory[category] = usd(m)
	}
	return d
}

func (r *Report) taskDoc(t *Task) taskDoc {
	d := taskDoc{
		ID: t.ID, State: t.State.String(), Attempts: t.Attempts, Site: t.Site, Offering: t.Offering,
		PlannedStartS: r.after(t.PlannedStart), StartS: r.after(t.StartedAt),
		PlannedFinishS: r.after(t.PlannedFinish), FinishS: r.after(t.FinishedAt),
		CostUSD: usd(t.Cost), ColdStart: t.Cold, Message: t.Message,
	}
	if json.Valid(t.Reason) {
		d.Reason = t.Reason
	}
	return d
}

func (it *Item) doc() itemDoc {
	return itemDoc{
		At: it.At, Task: it.TaskID, Attempt: it.Attempt, File: it.FileName, Site: it.Site, Category: it.Category,
		Quantity: it.Quantity, Unit: it.Unit, UnitPrice: usd(it.UnitPrice), Amount: usd(it.Amount),
		Estimated: it.Estimated, Note: it.Note,
	}
}

// after is a time from the start of the run; nil where it is unknown.
func (r *Report) after(t time.Time) *seconds {
	d, ok := r.since(t)
	if !ok {
		return nil
	}
	s := seconds(d)
	return &s
}

func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
