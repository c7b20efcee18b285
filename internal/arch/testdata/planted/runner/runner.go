package runner

import (
	_ "os/exec"

	_ "github.com/spillway/spillway/internal/envelope"
	_ "github.com/spillway/spillway/workflow" // want "runner imports nothing of the module but"
)
