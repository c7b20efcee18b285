//go:build linux || darwin

package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/spillway/spillway/engine"
	"github.com/spillway/spillway/workflow"
)

const (
	redrawEvery = 100 * time.Millisecond // on a terminal
	lineEvery   = 2 * time.Second        // elsewhere, when tasks have ended or begun
	aliveEvery  = 30 * time.Second       // elsewhere, when nothing has
)

// progress shows a run on stderr while it goes on: one line that is drawn again
// on a terminal, else a line now and then.
type progress struct {
	app   *app
	quiet bool
	live  bool // stderr is a terminal
	width int
	next  time.Time
	why   string // the plan that was last told
	drawn bool
	told  string // what the last line said of tasks
	tell  time.Time
}

func (a *app) newProgress(quiet bool) *progress {
	p := &progress{app: a, quiet: quiet}
	if f, ok := a.errs.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.live, p.width = true, 80
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 20 {
			p.width = w
		}
	}
	return p
}

// watch is told of every change of the run.
func (p *progress) watch(s *engine.State) {
	if p.quiet {
		return
	}
	now := time.Now()
	if now.Before(p.next) && !s.Finished() {
		return
	}
	p.next = now.Add(lineEvery)
	if p.live {
		p.next = now.Add(redrawEvery)
	}
	pr := s.Progress()
	if pr.Why != "" && pr.Why != p.why {
		p.why = pr.Why
		p.print(fmt.Sprintf("planned (%s): finish in %s, %s", pr.Why, shortSpan(pr.Finish.Sub(now)), slackOf(pr.Run.DeadlineAt, pr.Finish)), false)
		if budget := pr.Run.BudgetMax; budget > 0 && pr.Run.PlannedCost > budget && pr.Why == "start" {
			p.print(fmt.Sprintf("the plan costs %s, more than the budget of %s: the run will be held or fail", pr.Run.PlannedCost, budget), false)
		}
	}
	line, counts := progressLine(&pr, now), fmt.Sprint(pr.Tasks, pr.Running)
	if p.live || counts != p.told || now.After(p.tell) {
		p.told, p.tell = counts, now.Add(aliveEvery)
		p.print(line, true)
	}
}

// finish leaves the last line standing.
func (p *progress) finish() {
	if p.drawn {
		fmt.Fprintln(p.app.errs)
	}
}

// print writes a line; one that passes is drawn over by the next on a terminal.
func (p *progress) print(line string, passes bool) {
	if !p.live {
		p.app.notef("%s", line)
		return
	}
	if runes := []rune(line); len(runes) >= p.width {
		line = string(runes[:p.width-1])
	}
	end := "\n"
	if passes {
		end = ""
	}
	fmt.Fprintf(p.app.errs, "\r\x1b[K%s%s", line, end)
	p.drawn = passes
}

// progressLine is tasks by state and site, money, slack and the expected end.
func progressLine(pr *engine.Progress, now time.Time) string {
	done := pr.Tasks[workflow.TaskSucceeded]
	parts := []string{fmt.Sprintf("%s %d/%d", doneBar(done, pr.Total), done, pr.Total)}
	if !pr.Run.State.Terminal() && !pr.Finish.IsZero() {
		parts = append(parts, "ETA "+shortSpan(pr.Finish.Sub(now)), slackOf(pr.Run.DeadlineAt, latestOf(pr.Finish, now)))
	}
	parts = append(parts, pr.Spent.String())
	if at := bySite(pr.Running); at != "" {
		parts = append(parts, "running "+at)
	}
	if at := bySite(pr.Done); at != "" {
		parts = append(parts, "done "+at)
	}
	for _, st := range []workflow.TaskState{workflow.TaskRetrying, workflow.TaskFailed, workflow.TaskSkipped, workflow.TaskCancelled} {
		if n := pr.Tasks[st]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", st, n))
		}
	}
	if pr.Moving > 0 {
		parts = append(parts, fmt.Sprintf("%d files moving", pr.Moving))
	}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " | ")
}

func latestOf(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// slackOf says how far before the deadline the end is expected.
func slackOf(deadline, finish time.Time) string {
	switch {
	case deadline.IsZero():
		return "no deadline"
	case finish.After(deadline):
		return "late by " + shortSpan(finish.Sub(deadline))
	}
	return "slack " + shortSpan(deadline.Sub(finish))
}

// shortSpan is a time to wait, to a tenth of a second, and never negative.
func shortSpan(d time.Duration) string {
	if d = max(d, 0); d < time.Minute {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return duration(d)
}

func bySite(n map[string]int) string {
	var parts []string
	for site, k := range n {
		if k > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", site, k))
		}
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

func doneBar(done, total int) string {
	const cells = 20
	full := 0
	if total > 0 {
		full = done * cells / total
	}
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", cells-full) + "]"
}
