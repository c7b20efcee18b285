package engine

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/spillway/spillway/workflow"
)

// TestRandomRuns takes drawn workflows through drawn trouble, then lets the trouble end: every run must
// end too, and at each commit on the way the state must be sound.
func TestRandomRuns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		source, cat := drawWorkflow(t), drawCatalogue(t)
		w := newWorld(t, source, cat)
		for range rapid.IntRange(0, 80).Draw(t, "steps of trouble") {
			if w.s.Finished() {
				break
			}
			w.step()
		}
		w.calm = true
		for n := 0; !w.s.Finished(); n++ {
			require.Less(t, n, 1000, "the run does not end: %+v", w.s.run)
			w.step()
		}
		w.requireBill()
		w.replay(source)
		if w.s.cancelling {
			require.Equal(t, workflow.RunCancelled, w.s.run.State)
		}
	})
}
