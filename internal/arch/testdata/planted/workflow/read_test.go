package workflow

import (
	"os"
	"time"

	_ "github.com/spillway/spillway/store/sqlite"
)

var _, _ = os.Args, time.Now
