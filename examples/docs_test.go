package examples

import (
	"fmt"
	"os"
	"strings"
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

// TestReadmeExample: what the README shows is a complete workflow.
func TestReadmeExample(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	_, after, found := strings.Cut(string(text), "```yaml\n")
	require.True(t, found)
	example, _, _ := strings.Cut(after, "```")
	spec, err := workflow.Parse("README.md", []byte(example))
	require.NoError(t, err)
	params, err := workflow.Bind(spec, nil)
	require.NoError(t, err)
	_, err = workflow.Expand(spec, params)
	require.NoError(t, err)
}
