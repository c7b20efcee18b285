package pricing

import (
	"fmt"
	"math/rand/v2"
	"net/http" // want "pricing is pure: it cannot import net/http"
	"net/url"
	"os" // want "pricing is pure: it cannot import os"
	clock "time"
)

var now = clock.Now // want "pricing is pure: it cannot use time.Now"

func seeded() float64 { return rand.New(rand.NewPCG(1, 2)).Float64() }

func drawn() int { return rand.IntN(6) } // want "pricing is pure: it cannot use math/rand/v2.IntN"

func wait() {
	clock.Sleep(1)                  // want "pricing is pure: it cannot use time.Sleep"
	<-clock.After(clock.Second)     // want "pricing is pure: it cannot use time.After"
	go wait()                       // want "pricing is pure: it cannot start a goroutine"
	fmt.Println(url.PathEscape("")) // want "pricing is pure: it cannot use fmt.Println"
	println()                       // want "pricing is pure: it cannot print"
	_ = clock.Local                 // want "pricing is pure: it cannot use time.Local"
}

type ticker struct{}

func (ticker) Now() int { return 0 }

// shadowed looks like a clock and is none.
func shadowed(clock ticker) int { return clock.Now() }
