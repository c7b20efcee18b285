package examples

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/workflow"
)

// TestFunctionsAreDocumented: whoever reads an expression can look up every function that is not CEL's own.
func TestFunctionsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/workflow.md")
	require.NoError(t, err)
	for _, f := range workflow.Functions() {
		require.Contains(t, string(text), fmt.Sprintf("| `%s` | %s |", f.Signature, f.Doc))
	}
}
