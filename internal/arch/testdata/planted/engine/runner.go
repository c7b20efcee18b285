package engine

import (
	"log/slog"
	"time"
)

// The shell around the core may look at the clock and start goroutines.
func loop() {
	go slog.Info(time.Now().String())
}
