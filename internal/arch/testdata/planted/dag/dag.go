package dag

import (
	"crypto/rand"       // want "dag is pure: it cannot import crypto/rand"
	stdrand "math/rand" // want "dag is pure: it cannot import math/rand"
	. "strings"         // want "a dot import hides"
	"time"

	"github.com/spillway/spillway/offload" // want "dag (level 0) cannot import offload (level 10)"
	"golang.org/x/sync/errgroup"           // want "dag uses the standard library only, not golang.org/x/sync/errgroup"
)

var _ = time.Duration(0)
