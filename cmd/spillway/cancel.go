//go:build linux || darwin

package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/spillway/spillway/engine"
	"github.com/spillway/spillway/workflow"
)

func (a *app) cancelCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "cancel RUN",
		Short: "Ask a run to end",
		Long: "Asks a run to end: the engine that runs it stops its tasks and starts none. A run\n" +
			"that no engine holds ends when it is resumed.",
		Args: exactly("RUN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return a.withRun(ctx, args[0], func(store engine.Store, r workflow.Record) error {
				run := &r.Run
				if run.State == workflow.RunCancelled {
					a.notef("run %s was cancelled before", run.ID)
					return nil
				}
				if run.State.Terminal() {
					return fmt.Errorf("run %s has already %s", run.ID, run.State)
				}
				wishes, err := store.Signals(ctx, run.ID)
				if err != nil {
					return err
				}
				wishes.Cancel = true
				if err := store.Signal(ctx, run.ID, wishes); err != nil {
					return err
				}
				a.notef("run %s is asked to end%s", run.ID, a.whoCancels(run, time.Now()))
				return nil
			})
		},
	}
}

// whoCancels tells when nobody is there to hear the wish.
func (a *app) whoCancels(run *workflow.RunRecord, now time.Time) string {
	dir, err := a.state()
	if err == nil && run.LeaseUntil.After(now) {
		if died, err := engineDied(dir, run.LeaseOwner); !died || err != nil {
			return ""
		}
	}
	return "; no engine runs it now: `spillway resume " + run.ID + "` ends it"
}
