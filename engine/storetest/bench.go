package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/engine"
	"github.com/spillway/spillway/workflow"
)

// Bench measures commits as an engine makes them: some tasks end, as many start, each with its attempt,
// output, line item, events and outbox.
func Bench(b *testing.B, open Open) {
	for _, tasks := range []int{1, 64} {
		b.Run(fmt.Sprintf("commit of %d tasks", tasks), func(b *testing.B) { benchCommit(b, open(b), tasks) })
	}
}

func benchCommit(b *testing.B, s engine.Store, tasks int) {
	require.NoError(b, s.Submit(b.Context(), record("r1", 0), nil))
	epoch, err := s.Lease(b.Context(), "r1", "owner", noon, noon.Add(time.Hour))
	require.NoError(b, err)
	b.ReportAllocs()
	b.ResetTimer()
	for n := range b.N {
		c := step(n*tasks, tasks)
		c.Epoch, c.Revision = epoch, int64(n)
		if _, err := s.Commit(b.Context(), c); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*tasks)/b.Elapsed().Seconds(), "tasks/s")
}

// step ends the tasks from first on and starts the same number of next ones.
func step(first, tasks int) engine.Change {
	c := engine.Change{RunID: "r1"}
	for i := first; i < first+tasks; i++ {
		next := i + tasks
		ended, started := attempt(i, workflow.AttemptSucceeded), attempt(next, workflow.AttemptDispatched)
		ended.FinishedAt, ended.LogTail = noon.Add(time.Minute), "done\n"
		c.Attempts = append(c.Attempts, ended, started)
		c.Tasks = append(c.Tasks,
			workflow.TaskRecord{Index: i, ID: fmt.Sprint("work", i), Task: "work", State: workflow.TaskSucceeded, FinishedAt: noon},
			workflow.TaskRecord{Index: next, ID: fmt.Sprint("work", next), Task: "work", State: workflow.TaskRunning, StartedAt: noon})
		c.Files = append(c.Files, workflow.FileRecord{Index: i, Key: fmt.Sprintf("ab/%064d", i), SHA256: fmt.Sprintf("%064d", i), Size: 100, Site: "local"})
		c.Items = append(c.Items, items(int64(i), 1)...)
		c.Events = append(c.Events, events(int64(2*i), 2)...)
		c.Outbox = append(c.Outbox, workflow.OutboxRecord{ID: int64(next), Kind: "start", Attempt: started.ID})
		c.OutboxDone = append(c.OutboxDone, int64(i))
	}
	return c
}
