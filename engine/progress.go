package engine

import (
	"time"

	"github.com/spillway/spillway/pricing"
	"github.com/spillway/spillway/workflow"
)

// Progress is a run at a glance.
type Progress struct {
	Run     workflow.RunRecord
	Tasks   map[workflow.TaskState]int
	Total   int
	Running map[string]int // attempts under way, by site
	Done    map[string]int // tasks that succeeded, by site
	Moving  int            // files under way
	Spent   pricing.Money
	Finish  time.Time // by the newest plan; zero before there is one
	Why     string    // what the newest plan was made for
}

// Progress sums the state up. It looks at every task.
func (s *State) Progress() Progress {
	p := Progress{Run: s.run, Tasks: map[workflow.TaskState]int{}, Running: map[string]int{}, Done: map[string]int{},
		Moving: s.moving, Spent: s.spent, Finish: s.expected, Why: s.plannedFor}
	for i := range s.tasks {
		if s.Graph.Instances[i].Retired {
			continue
		}
		t := &s.tasks[i].rec
		p.Total++
		p.Tasks[t.State]++
		if t.State == workflow.TaskSucceeded {
			p.Done[t.Site]++
		}
	}
	for k := range s.sites {
		p.Running[s.Catalogue.Sites[k].Name] = s.sites[k].running
	}
	return p
}
