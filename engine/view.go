package engine

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/spillway/spillway/workflow"
)

// RunID, State and Value let expressions see the run (workflow.View).

// RunID is the run's id.
func (s *State) RunID() string { return s.run.ID }

// State is where an instance stands.
func (s *State) State(instance int) workflow.TaskState { return s.tasks[instance].rec.State }

// Value is the content of an output that is passed as a value.
func (s *State) Value(instance, output int) (json.RawMessage, bool) {
	for _, f := range s.Graph.Instances[instance].Out {
		if s.Graph.Files[f].Output == output {
			return s.files[f].rec.Value, len(s.files[f].rec.Value) > 0
		}
	}
	return nil, false
}

// retryCovers tells whether a policy tries again after an exit code; one without codes covers all.
func retryCovers(r *workflow.Retry, exitCode int) bool {
	return len(r.On) == 0 || slices.Contains(r.On, exitCode)
}

// retryWait is the full wait before the attempt that follows n counted ones.
func retryWait(r *workflow.Retry, n int) time.Duration {
	base, limit := r.Base, r.Cap
	if base == 0 {
		base = time.Second
	}
	if limit == 0 {
		limit = time.Minute
	}
	if r.Backoff == workflow.BackoffConstant {
		return min(base, limit)
	}
	return backoff(base, limit, n)
}
