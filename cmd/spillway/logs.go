//go:build linux || darwin

package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/spillway/spillway/engine"
	"github.com/spillway/spillway/workflow"
)

// followEvery is how often logs -f looks for attempts that ended.
const followEvery = 300 * time.Millisecond

func (a *app) logsCommand() *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use:   "logs RUN [TASK]",
		Short: "Print what the tasks of a run wrote",
		Long: "Prints the kept end of what each ended attempt wrote, in the order of their end.\n" +
			"Which attempt it was goes to stderr.",
		Example: "  spillway logs last 'project[3]'\n  spillway logs last -f",
		Args:    between(1, "RUN", "TASK"),
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the run has ended")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.withRun(cmd.Context(), args[0], func(store engine.Store, r workflow.Record) error {
			l := logPrinter{app: a, task: -1, seen: map[string]bool{}}
			if len(args) == 2 {
				t, err := findTask(&r, args[1])
				if err != nil {
					return err
				}
				l.task = t.Index
			}
			if follow {
				return l.follow(cmd.Context(), store, r)
			}
			return l.print(&r)
		})
	}
	return cmd
}

// logPrinter prints each ended attempt once.
type logPrinter struct {
	*app
	task int // only this one; -1: all
	seen map[string]bool
}

func (l *logPrinter) print(r *workflow.Record) error {
	ended := slices.DeleteFunc(slices.Clone(r.Attempts), func(at workflow.AttemptRecord) bool {
		return at.FinishedAt.IsZero() || l.seen[at.ID] || l.task >= 0 && at.Task != l.task
	})
	slices.SortStableFunc(ended, func(x, y workflow.AttemptRecord) int {
		return cmp.Or(x.FinishedAt.Compare(y.FinishedAt), cmp.Compare(x.Task, y.Task), cmp.Compare(x.Number, y.Number))
	})
	for i := range ended {
		at := &ended[i]
		l.seen[at.ID] = true
		l.notef("== %s, attempt %d at %s: %s", r.Tasks[at.Task].ID, at.Number, at.Site, outcomeOf(at))
		text := at.LogTail
		if text != "" && !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		if _, err := io.WriteString(l.out, text); err != nil {
			return err
		}
	}
	return nil
}

func outcomeOf(at *workflow.AttemptRecord) string {
	s := string(at.State)
	if at.ExitCode != 0 {
		s += fmt.Sprintf(" (exit code %d)", at.ExitCode)
	}
	if at.Message != "" {
		s += ": " + at.Message
	}
	return s
}

// follow prints until the run has ended.
func (l *logPrinter) follow(ctx context.Context, store engine.Store, r workflow.Record) error {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		if err := l.print(&r); err != nil || r.Run.State.Terminal() {
			return err
		}
		select {
		case <-ctx.Done():
			return nil // the person has seen enough
		case <-tick.C:
		}
		var err error
		if r, err = store.Load(ctx, r.Run.ID); err != nil {
			return err
		}
	}
}
