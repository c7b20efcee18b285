package engine

import (
	"context"
	"encoding/json"

	"github.com/spillway/spillway/workflow"
)

// Submission is a run to be: what was asked for, and its graph.
type Submission struct {
	Run      workflow.RunRecord
	Source   []byte // the definition as written
	Filename string
	Graph    *workflow.Graph
	Files    []workflow.FileRecord // initial files, stored already
}

// Submit keeps a new run, ready for a Runner, in one transaction. A run id that is taken is ErrExists.
func Submit(ctx context.Context, store Store, sub Submission) error {
	rec := workflow.Record{Run: sub.Run, Source: sub.Source, Filename: sub.Filename, Files: sub.Files,
		Tasks: make([]workflow.TaskRecord, len(sub.Graph.Instances))}
	rec.Run.State = workflow.RunPending
	for i := range sub.Graph.Instances {
		rec.Tasks[i] = newTask(sub.Graph, i)
	}
	return submit(ctx, store, rec, "submitted", nil)
}

// Resubmit keeps a new run that goes on from an earlier one: what succeeded there is taken over with its
// files and costs nothing again, all else is done anew.
func Resubmit(ctx context.Context, store Store, run workflow.RunRecord, earlier workflow.Record, g *workflow.Graph) error {
	rec := workflow.Record{Run: run, Source: earlier.Source, Filename: earlier.Filename, Files: earlier.Files,
		Tasks: make([]workflow.TaskRecord, len(g.Instances))}
	rec.Run.State, rec.Run.Resolved = workflow.RunPending, earlier.Run.Resolved
	for i := range g.Instances {
		rec.Tasks[i] = newTask(g, i)
		if i < len(earlier.Tasks) && (earlier.Tasks[i].State == workflow.TaskSucceeded || g.Instances[i].Retired) {
			rec.Tasks[i] = earlier.Tasks[i]
			rec.Tasks[i].Attempts, rec.Tasks[i].Order = 0, i
		}
	}
	for _, tr := range earlier.Transfers {
		if tr.State == workflow.TransferDone {
			tr.Cost = 0
			rec.Transfers = append(rec.Transfers, tr)
		}
	}
	return submit(ctx, store, rec, "resubmitted", map[string]string{"from": earlier.Run.ID})
}

func submit(ctx context.Context, store Store, rec workflow.Record, kind string, data any) error {
	e := workflow.EventRecord{Seq: 1, At: rec.Run.SubmittedAt, Kind: kind, Task: -1}
	if data != nil {
		e.Data, _ = json.Marshal(data)
	}
	return store.Submit(ctx, rec, []workflow.EventRecord{e})
}

func newTask(g *workflow.Graph, i int) workflow.TaskRecord {
	inst := &g.Instances[i]
	return workflow.TaskRecord{Index: i, ID: inst.ID, Task: g.Spec.Tasks[inst.Task].ID,
		State: workflow.TaskWaiting, Order: i}
}
