package sandbox

import (
	_ "net/http"

	_ "github.com/spillway/spillway/artifact" // want "providers/sandbox (level 50) cannot import artifact (level 50)"
	_ "github.com/spillway/spillway/pricing"
	_ "github.com/spillway/spillway/providers"
	_ "github.com/spillway/spillway/providers/sandbox/inner"
)
