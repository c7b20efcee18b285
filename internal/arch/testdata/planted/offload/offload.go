package offload

import (
	_ "github.com/spillway/spillway/dag"
	_ "github.com/spillway/spillway/internal/clock" // want "offload imports nothing of the module but dag, pricing"
	_ "github.com/spillway/spillway/workflow"       // want "offload (level 10) cannot import workflow (level 20)"
)
