package table

import (
	"slices"

	"github.com/spillway/spillway/engine"
	"github.com/spillway/spillway/workflow"
)

const defaultLimit = 50

// Limit is how many runs a filter asks for.
func Limit(f engine.RunFilter) int {
	if f.Limit <= 0 {
		return defaultLimit
	}
	return f.Limit
}

// States are the states that a filter lets through, or any.
func States(f engine.RunFilter) (states []string, any bool) {
	wanted := f.States
	if f.Unfinished {
		open := []workflow.RunState{workflow.RunPending, workflow.RunRunning, workflow.RunHeld}
		if wanted == nil {
			wanted = open
		}
		wanted = slices.DeleteFunc(slices.Clone(wanted), workflow.RunState.Terminal)
	}
	states = make([]string, len(wanted))
	for i, s := range wanted {
		states[i] = s.String()
	}
	return states, len(states) == 0 && !f.Unfinished
}

// History is the query for samples of a workflow: the newest of each task, site and memory size, no more
// than a limit of them. Only keys are sorted; the rest is fetched for those that stay.
func History(workflowParameter, limitParameter string) string {
	return `SELECT task, site, memory_mib, command_ns, cold, output_bytes, finished_at FROM (
		SELECT t.task, a.run, a.id, row_number() OVER (
			PARTITION BY t.task, a.site, a.memory_mib ORDER BY a.finished_at DESC, a.run DESC, a.id) AS age
		FROM runs r JOIN attempts a ON a.run = r.run JOIN tasks t ON t.run = a.run AND t.idx = a.task_idx
		WHERE r.workflow = ` + workflowParameter + ` AND a.state = 'succeeded' AND a.finished_at IS NOT NULL) AS newest
	JOIN attempts USING (run, id) WHERE age <= ` + limitParameter + ` ORDER BY finished_at DESC, run DESC, id`
}
