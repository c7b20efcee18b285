package engine

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/workflow"
)

// again makes a new run of what a dialogue came to, and goes on talking about that one.
func (d *dialogue) again() error {
	var sub submission
	run := workflow.RunRecord{ID: "r", SubmittedAt: start}
	if err := Resubmit(d.t.Context(), &sub, run, d.k.record(), d.s.Graph); err != nil {
		return err
	}
	d.k = keptOf(sub.got)
	d.s = d.k.load(d.t, d.cat)
	return nil
}

func converse(t *testing.T, definition string, lines ...string) *dialogue {
	d := &dialogue{t: t, now: start, cat: catalogue()}
	d.step(step{line: "workflow", input: definition})
	for _, line := range lines {
		d.step(step{line: line})
	}
	return d
}

// A result that did not come home the first time is brought home by the next run, though all its tasks are done.
func TestResubmitBringsAResultHome(t *testing.T) {
	d := converse(t, "tasks:\n  a: {run: \"true\", outputs: [{path: out}]}\n",
		"opened", "plan a@cloud", "@1s ended a#1 ok billed=1s")
	for range maxTransferTries {
		d.step(step{line: "moved a/out to=private err=cut"})
	}
	require.Equal(t, workflow.RunFailed, d.s.run.State)
	require.NoError(t, d.again())
	d.step(step{line: "opened"})
	require.Equal(t, workflow.RunRunning, d.s.run.State)
	require.Contains(t, d.step(step{line: "plan"}), "-> transfer a/out from cloud to private")
	d.step(step{line: "moved a/out to=private bytes=9"})
	require.Equal(t, workflow.RunSucceeded, d.s.run.State)
	require.Empty(t, d.k.attempts)
}

// What had succeeded is not done again, unless it rests on something that is.
func TestResubmitKeepsWhatSucceeded(t *testing.T) {
	d := converse(t, `tasks:
  a: {run: "true"}
  b: {run: "true"}
  c: {run: "true", needs: [b], if: "${{ tasks.b.failed > 0 }}"}
`, "opened", "plan", "@1s ended a#1 ok", "@1s ended b#1 exit=1", "@2s ended c#1 ok")
	require.Equal(t, workflow.RunFailed, d.s.run.State)
	require.NoError(t, d.again())
	d.step(step{line: "opened"})
	d.step(step{line: "plan"})
	require.Contains(t, d.step(step{line: "@3s ended b#1 ok"}), "event task_skipped c")
	require.Equal(t, workflow.RunSucceeded, d.s.run.State)
	require.Zero(t, d.s.Task(0).Attempts)
}

// The elements of a foreach are known only as long as what they came from is kept.
func TestResubmitKeepsElementsWithTheirSource(t *testing.T) {
	const definition = `tasks:
  x: {run: "true"}
  a: {run: "true", needs: [x], if: "${{ true }}", outputs: [{path: list, name: list, value: json}]}
  b: {run: "true", foreach: "${{ tasks.a.outputs.list }}", estimate: {count: 1}}
  c: {run: "true", needs: [b]}
`
	for list, elements := range map[string]int{"[]": 0, "[1,2]": 2} {
		d := converse(t, definition, "opened", "plan", "@1s ended x#1 exit=1", "@2s ended a#1 ok list="+list)
		require.ErrorContains(t, d.again(), "do all of it anew", "a has to run again, %s", list)
		d = converse(t, definition, "opened", "plan", "@1s ended x#1 ok", "@2s ended a#1 ok list="+list, "@2s cancel")
		require.NoError(t, d.again(), list)
		require.Equal(t, "b", d.s.run.Resolved)
		b, _ := d.s.Graph.Spec.Task("b")
		require.Len(t, d.s.Graph.Of(b), elements)
	}
}
