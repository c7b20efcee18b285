package dispatch

import (
	_ "github.com/spillway/spillway/artifact" // want "engine/dispatch (level 45) cannot import artifact (level 50)"
	_ "github.com/spillway/spillway/engine"
)
