package workflow

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"
)

const schemaPath = "../docs/workflow.schema.json"

// TestSchemaIsShipped: the copy that editors are pointed at is what Schema gives. After a wanted change:
// go test ./workflow -run TestSchemaIsShipped -update
func TestSchemaIsShipped(t *testing.T) {
	if *update {
		require.NoError(t, os.WriteFile(schemaPath, Schema(), 0o644))
	}
	shipped, err := os.ReadFile(schemaPath)
	require.NoError(t, err)
	require.Equal(t, string(Schema()), string(shipped))
}

func compileSchema(tb testing.TB) *jsonschema.Schema {
	tb.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	require.NoError(tb, err)
	c := jsonschema.NewCompiler()
	require.NoError(tb, c.AddResource(schemaID, doc))
	compiled, err := c.Compile(schemaID) // also holds it to the schema of schemas
	require.NoError(tb, err)
	return compiled
}

// asJSON is a YAML text as a JSON Schema validator sees it; ok is false where the YAML itself is at fault.
func asJSON(tb testing.TB, text []byte) (value any, ok bool) {
	tb.Helper()
	var loaded any
	if err := yaml.Unmarshal(text, &loaded); err != nil {
		return nil, false
	}
	src, err := json.Marshal(loaded)
	if err != nil {
		return nil, false // NaN has no JSON
	}
	value, err = jsonschema.UnmarshalJSON(bytes.NewReader(src))
	require.NoError(tb, err)
	return value, true
}

func TestSchemaAcceptsExamples(t *testing.T) {
	compiled := compileSchema(t)
	files, err := filepath.Glob("../examples/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range append(files, "testdata/everything.yaml") {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, findings(string(text)), file)
		value, ok := asJSON(t, text)
		require.True(t, ok, file)
		require.NoError(t, compiled.Validate(value), file)
	}
}

// TestSchemaRefusesBadFiles: what is wrong with the structure of a file is refused by the schema as well.
func TestSchemaRefusesBadFiles(t *testing.T) {
	compiled := compileSchema(t)
	for _, f := range badFiles(t) {
		value, ok := asJSON(t, []byte(f.text))
		switch {
		case f.structure && !ok:
			continue
		case f.structure:
			require.Error(t, compiled.Validate(value), f.name)
		case ok:
			assert.NoError(t, compiled.Validate(value), "mark %q as (structure): the schema refuses it", f.name)
		}
	}
}
