package table

import (
	"github.com/spillway/spillway/engine"
	"github.com/spillway/spillway/workflow"
)

// Run is what the engine owns of a run; its id comes first. The table also has "spec" and "filename".
func Run(r *workflow.RunRecord) []Field {
	return []Field{
		{"id", &r.ID},
		{"project", &r.Project},
		{"workflow", &r.Workflow},
		{"state", &r.State},
		{"reason", &r.Reason},
		{"submitted_at", &r.SubmittedAt},
		{"started_at", &r.StartedAt},
		{"finished_at", &r.FinishedAt},
		{"deadline_at", &r.DeadlineAt},
		{"deadline_in", &r.DeadlineIn},
		{"deadline_raw", &r.DeadlineRaw},
		{"planner", &r.Planner},
		{"seed", &r.Seed},
		{"time_scale", &r.TimeScale},
		{"params", &r.Params},
		{"options", &r.Options},
		{"budget_max", &r.BudgetMax},
		{"planned_finish", &r.PlannedFinish},
		{"planned_cost", &r.PlannedCost},
		{"private_finish", &r.PrivateFinish},
		{"lower_bound", &r.LowerBound},
		{"deadline_passed", &r.DeadlinePassed},
		{"budget_refused", &r.BudgetRefused},
		{"resolved", &r.Resolved},
	}
}

// Head is what the store itself keeps of a run. It has a table of its own, a small row that each commit
// rewrites, so that no change of a run can touch it.
func Head(r *workflow.RunRecord) []Field {
	return []Field{
		{"revision", &r.Revision},
		{"epoch", &r.Epoch},
		{"lease_owner", &r.LeaseOwner},
		{"lease_until", &r.LeaseUntil},
		{"cancel_requested", &r.CancelRequested},
	}
}

// Tables of the rows of a run.
var (
	Tasks = Table[workflow.TaskRecord]{Name: "tasks", Key: 1, Order: "idx",
		Fields: func(t *workflow.TaskRecord) []Field {
			return []Field{
				{"idx", &t.Index},
				{"id", &t.ID},
				{"task", &t.Task},
				{"state", &t.State},
				{"attempts", &t.Attempts},
				{"site", &t.Site},
				{"memory_mib", &t.MemoryMiB},
				{"plan_order", &t.Order},
				{"planned_start", &t.PlannedStart},
				{"planned_finish", &t.PlannedFinish},
				{"ready_at", &t.ReadyAt},
				{"started_at", &t.StartedAt},
				{"finished_at", &t.FinishedAt},
				{"not_before", &t.NotBefore},
				{"reason", &t.Reason},
				{"message", &t.Message},
			}
		}}

	Attempts = Table[workflow.AttemptRecord]{Name: "attempts", Key: 1, Order: "task_idx, number, id",
		Fields: func(a *workflow.AttemptRecord) []Field {
			return []Field{
				{"id", &a.ID},
				{"task_idx", &a.Task},
				{"number", &a.Number},
				{"state", &a.State},
				{"site", &a.Site},
				{"memory_mib", &a.MemoryMiB},
				{"node", &a.Node},
				{"cores", &a.Cores},
				{"timeout_ns", &a.Timeout},
				{"dispatched_at", &a.DispatchedAt},
				{"started_at", &a.StartedAt},
				{"finished_at", &a.FinishedAt},
				{"exit_code", &a.ExitCode},
				{"class", &a.Class},
				{"message", &a.Message},
				{"cold", &a.Cold},
				{"billed_ns", &a.Billed},
				{"request_id", &a.RequestID},
				{"peak_memory", &a.PeakMemory},
				{"command_ns", &a.Command},
				{"output_bytes", &a.OutputBytes},
				{"reserved", &a.Reserved},
				{"cost", &a.Cost},
				{"estimated", &a.Estimated},
				{"log_tail", &a.LogTail},
			}
		}}

	Files = Table[workflow.FileRecord]{Name: "files", Key: 1, Order: "idx",
		Fields: func(f *workflow.FileRecord) []Field {
			return []Field{
				{"idx", &f.Index},
				{"object_key", &f.Key},
				{"sha256", &f.SHA256},
				{"size", &f.Size},
				{"site", &f.Site},
				{"attempt", &f.Attempt},
				{"value", &f.Value},
			}
		}}

	Transfers = Table[workflow.TransferRecord]{Name: "transfers", Key: 2, Order: "file_idx, to_site",
		Fields: func(t *workflow.TransferRecord) []Field {
			return []Field{
				{"file_idx", &t.File},
				{"to_site", &t.To},
				{"from_site", &t.From},
				{"state", &t.State},
				{"tries", &t.Tries},
				{"bytes", &t.Bytes},
				{"started_at", &t.StartedAt},
				{"finished_at", &t.FinishedAt},
				{"cost", &t.Cost},
				{"message", &t.Message},
			}
		}}

	Items = Table[workflow.ItemRecord]{Name: "items", Key: 1, Order: "seq", Append: true,
		Fields: func(i *workflow.ItemRecord) []Field {
			return []Field{
				{"seq", &i.Seq},
				{"at", &i.At},
				{"task_idx", &i.Task},
				{"attempt", &i.Attempt},
				{"file_idx", &i.File},
				{"site", &i.Site},
				{"category", &i.Category},
				{"quantity", &i.Quantity},
				{"unit", &i.Unit},
				{"unit_price", &i.UnitPrice},
				{"amount", &i.Amount},
				{"estimated", &i.Estimated},
				{"note", &i.Note},
			}
		}}

	Events = Table[workflow.EventRecord]{Name: "events", Key: 1, Order: "seq", Append: true,
		Fields: func(e *workflow.EventRecord) []Field {
			return []Field{
				{"seq", &e.Seq},
				{"at", &e.At},
				{"kind", &e.Kind},
				{"task_idx", &e.Task},
				{"attempt", &e.Attempt},
				{"data", &e.Data},
			}
		}}

	Outbox = Table[workflow.OutboxRecord]{Name: "outbox", Key: 1, Order: "id",
		Fields: func(o *workflow.OutboxRecord) []Field {
			return []Field{
				{"id", &o.ID},
				{"kind", &o.Kind},
				{"attempt", &o.Attempt},
				{"file_idx", &o.File},
				{"from_site", &o.From},
				{"to_site", &o.To},
			}
		}}
)

// Sample is a row of History.
func Sample(s *engine.Sample) []Field {
	return []Field{
		{"task", &s.Task},
		{"site", &s.Site},
		{"memory_mib", &s.MemoryMiB},
		{"command_ns", &s.Command},
		{"cold", &s.Cold},
		{"output_bytes", &s.OutputSize},
		{"finished_at", &s.At},
	}
}
