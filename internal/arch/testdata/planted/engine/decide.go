package engine

import (
	"context"
	"log/slog" // want "engine is pure: it cannot import log/slog"
	"time"

	_ "github.com/spillway/spillway/engine/dispatch" // want "engine (level 40) cannot import engine/dispatch (level 45)"
	_ "github.com/spillway/spillway/store/sqlite"    // want "engine (level 40) cannot import store/sqlite (level 50)"
	_ "github.com/spillway/spillway/workflow"
)

func decide() {
	_ = time.NewTimer(0)     // want "engine is pure: it cannot use time.NewTimer"
	_ = context.Background() // want "engine is pure: it cannot use context.Background"
}
