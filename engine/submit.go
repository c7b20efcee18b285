package engine

import (
	"context"
	"encoding/json"
	"fmt"

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

// Resubmit keeps a new run that goes on from an earlier one: what succeeded there, and all that it rests on, is
// taken over with its files and costs nothing again; all else is done anew.
func Resubmit(ctx context.Context, store Store, run workflow.RunRecord, earlier workflow.Record,
	g *workflow.Graph) error {
	rec := workflow.Record{Run: run, Source: earlier.Source, Filename: earlier.Filename,
		Tasks: make([]workflow.TaskRecord, len(g.Instances))}
	rec.Run.State, rec.Run.Resolved = workflow.RunPending, earlier.Run.Resolved
	kept := keep(earlier, g)
	for i := range g.Instances {
		rec.Tasks[i] = newTask(g, i)
		if kept[i] {
			old := &earlier.Tasks[i]
			t := &rec.Tasks[i]
			t.State, t.Site, t.MemoryMiB, t.Message = old.State, old.Site, old.MemoryMiB, "taken over from run "+earlier.Run.ID
		}
	}
	there := map[int]bool{}
	for _, f := range earlier.Files {
		if p := g.Files[f.Index].Producer; p < 0 || kept[p] {
			rec.Files = append(rec.Files, f)
			there[f.Index] = true
		}
	}
	for _, tr := range earlier.Transfers {
		if tr.State == workflow.TransferDone && there[tr.File] {
			tr.Cost = 0
			rec.Transfers = append(rec.Transfers, tr)
		}
	}
	if _, err := workflow.Rebuild(&rec); err != nil {
		return fmt.Errorf("a task whose output it grew by has to run again: do all of it anew: %w", err)
	}
	return submit(ctx, store, rec, "resubmitted", map[string]string{"from": earlier.Run.ID})
}

// keep finds the instances to take over: those that succeeded after parents that are taken over, so that a task
// whose condition looked at a failure is decided again.
func keep(earlier workflow.Record, g *workflow.Graph) []bool {
	const unknown, yes, no = 0, 1, 2
	known := make([]int8, len(g.Instances))
	var ask func(i int32) bool
	ask = func(i int32) bool {
		if known[i] == unknown {
			known[i] = no
			ok := int(i) < len(earlier.Tasks) && (g.Instances[i].Retired || earlier.Tasks[i].State == workflow.TaskSucceeded)
			for _, p := range g.Instances[i].Parents {
				ok = ok && ask(p)
			}
			if ok {
				known[i] = yes
			}
		}
		return known[i] == yes
	}
	kept := make([]bool, len(g.Instances))
	for i := range kept {
		kept[i] = ask(int32(i))
	}
	return kept
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
