package engine

import (
	"errors"
	"slices"
	"strings"

	"github.com/spillway/spillway/workflow"
)

// wantElements notes that a task's foreach can be evaluated: all that it needs has ended.
func (s *State) wantElements(task int) {
	if !slices.Contains(s.foreach, task) {
		s.foreach = append(s.foreach, task)
	}
}

// resolveForeach replaces the placeholders of tasks whose foreach waited for a parent's output by their real
// instances. It runs when nothing else is being settled, since it counts again what every task waits for.
func (s *State) resolveForeach() {
	for k := 0; k < len(s.foreach); {
		task := s.foreach[k]
		items, ready, err := s.Graph.Elements(task, s)
		if err == nil && !ready && !s.needsEnded(task) {
			k++ // another instance of it still waits for its part of the source
			continue
		}
		if err == nil && !ready {
			err = errors.New("foreach: the elements of a task that it reads were never known")
		}
		s.foreach = slices.Delete(s.foreach, k, k+1)
		k = 0
		if err == nil {
			err = s.Graph.Resolve(task, items)
		}
		s.resolved(task, err)
	}
}

// needsEnded tells whether everything that any instance of a task waits for has ended.
func (s *State) needsEnded(task int) bool {
	return !slices.ContainsFunc(s.Graph.Of(task), func(i int32) bool { return s.tasks[i].parents > 0 })
}

// resolved goes on with a task whose elements are known, or fails it.
func (s *State) resolved(task int, err error) {
	id := s.Graph.Spec.Tasks[task].ID
	if err != nil {
		for _, i := range s.Graph.Of(task) {
			s.fail(int(i), err.Error())
		}
		return
	}
	s.run.Resolved = strings.TrimSpace(s.run.Resolved + " " + id)
	s.touchRun()
	s.record("foreach_resolved", -1, "", map[string]any{"task": id, "count": len(s.Graph.Of(task))})
	s.grow()
	s.wantPlan("the instances of "+id+" are known", s.now)
	s.readyUp()
}

// noElement is said of placeholders that no element came for.
const noElement = "no element"

// grow makes room for instances and files that a resolved foreach added, and counts again what waits.
func (s *State) grow() {
	for i := len(s.tasks); i < len(s.Graph.Instances); i++ {
		s.tasks = append(s.tasks, s.newTask(i))
		s.touchTask(i)
		s.open++
	}
	for f := len(s.files); f < len(s.Graph.Files); f++ {
		s.files = append(s.files, fileState{present: make([]bool, len(s.sites))})
	}
	s.linkChildren()
	for i := range s.tasks {
		if s.Graph.Instances[i].Retired && !s.tasks[i].rec.State.Terminal() {
			s.tasks[i].rec.Message = noElement
			s.setTask(i, workflow.TaskSkipped)
		}
	}
	for i := range s.tasks {
		if s.tasks[i].rec.State == workflow.TaskWaiting {
			s.countParents(i)
		}
	}
}

// linkChildren inverts the graph's parents.
func (s *State) linkChildren() {
	s.kids = make([][]int32, len(s.Graph.Instances))
	for i := range s.Graph.Instances {
		for _, p := range s.Graph.Instances[i].Parents {
			s.kids[p] = append(s.kids[p], int32(i))
		}
	}
}

func (s *State) children(i int) []int32 { return s.kids[i] }
