package arch

import (
	"slices"
	"strings"
)

// room is a place for code, and what may be in it. Imports within the module only go to a lower level: pure values
// at the bottom, adapters above the engine, programs on top.
type room struct {
	path  string // folder below the module; * stands for one folder name, and each such folder is a room of its own
	level int

	pure    bool     // values from values: no I/O, clock, goroutine, global random source or network
	shell   []string // files of a pure room that are exempt, being the shell around its core
	stdOnly bool     // nothing but the standard library and the module
	only    []string // the only folders of the module it may import; nil: any of a lower level
}

// rooms is the table. A new folder with Go code needs a line here: where it stands is a decision.
var rooms = []room{
	{path: "dag", level: 0, pure: true, stdOnly: true},
	{path: "pricing", level: 0, pure: true, stdOnly: true},
	{path: "internal/envelope", level: 0, pure: true, stdOnly: true},
	{path: "internal/clock", level: 0, stdOnly: true},
	{path: "internal/cores", level: 0, stdOnly: true},
	{path: "internal/draw", level: 0, pure: true, stdOnly: true},
	{path: "internal/procgroup", level: 0},

	// offload never sees a workflow: numbers in, numbers out.
	{path: "offload", level: 10, pure: true, stdOnly: true, only: []string{"dag", "pricing"}},
	{path: "providers", level: 10, pure: true, stdOnly: true, only: []string{"internal/envelope"}},
	{path: "bench/gen", level: 10, pure: true, stdOnly: true},
	{path: "workflow", level: 20, pure: true, only: []string{"dag", "pricing"}},

	{path: "estimate", level: 30, pure: true},
	{path: "report", level: 30, pure: true},
	{path: "schedule", level: 30, pure: true},

	// Decide is all of engine that is not listed: a new file is pure until someone argues otherwise here.
	{path: "engine", level: 40, pure: true, shell: []string{"runner.go", "shell.go", "port.go"}},
	{path: "runner", level: 40, only: []string{"internal/envelope", "internal/procgroup", "internal/clock"}},
	{path: "engine/dispatch", level: 45},
	{path: "engine/storetest", level: 45},
	{path: "providers/providertest", level: 45},
	{path: "internal/pgtest", level: 45},
	{path: "migrations", level: 45},
	{path: "store/internal/table", level: 45}, // the rows that both SQL stores keep

	// Adapters: one technology each, and as they share a level, none imports another.
	{path: "artifact", level: 50},
	{path: "store/*", level: 50},
	{path: "providers/*", level: 50},
	{path: "privatecloud/*", level: 50},
	{path: "web/*", level: 50},
	{path: "telemetry", level: 50},
	{path: "notify", level: 50},
	{path: "trigger", level: 50},
	{path: "billing", level: 50},
	{path: "secret", level: 50},

	{path: "sim", level: 60},
	{path: "bench", level: 60},
	{path: "cmd/*", level: 70},
	{path: "examples", level: 70},
	{path: "internal/arch", level: 70, stdOnly: true},
}

// badNames say nothing of what a package holds, so that everything ends up in them.
var badNames = []string{"pkg", "common", "util", "utils", "helper", "helpers", "model", "models", "types", "misc", "shared", "lib", "base"}

// bannedImports of pure rooms, by path or by everything below it.
var bannedImports = []string{
	"net", "os", "io/fs", "io/ioutil", "path/filepath", "syscall", "golang.org/x/sys", "runtime", "unsafe",
	"log", "database/sql", "crypto/rand", "math/rand", "testing", "embed", "plugin",
}

// allowedImports are exceptions to bannedImports that touch nothing outside the program.
var allowedImports = []string{"net/url", "net/netip", "math/rand/v2"}

// bannedNames of pure rooms, by import path.
var bannedNames = map[string][]string{
	"time": {"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "Local"},
	"fmt":  {"Print", "Printf", "Println", "Scan", "Scanf", "Scanln"},
	"context": {"Background", "TODO", "WithTimeout", "WithTimeoutCause", "WithDeadline", "WithDeadlineCause",
		"AfterFunc"},
	// Everything that draws from the global source; New, NewPCG and the types take a seed.
	"math/rand/v2": {"ExpFloat64", "Float32", "Float64", "Int", "Int32", "Int32N", "Int64", "Int64N", "IntN", "N",
		"NormFloat64", "Perm", "Shuffle", "Uint", "Uint32", "Uint32N", "Uint64", "Uint64N", "UintN"},
}

// place is a folder with the room it lies in and the path of that room without stars.
type place struct {
	room *room
	unit string
}

// placeOf finds the most particular room of a folder; room is nil where the table has none.
func placeOf(folder string) place {
	var best place
	for i := range rooms {
		r := &rooms[i]
		unit, ok := match(r.path, folder)
		if ok && (best.room == nil || better(r.path, best.room.path)) {
			best = place{r, unit}
		}
	}
	if best.room != nil && best.room.path == "providers" && folder != "providers" {
		return place{}
	}
	return best
}

// match says whether a folder is a room or lies in it.
func match(pattern, folder string) (unit string, ok bool) {
	want, have := strings.Split(pattern, "/"), strings.Split(folder, "/")
	if len(have) < len(want) {
		return "", false
	}
	for i := range want {
		if want[i] != "*" && want[i] != have[i] {
			return "", false
		}
	}
	return strings.Join(have[:len(want)], "/"), true
}

// better says whether pattern a is more particular than b: deeper, or as deep without a star.
func better(a, b string) bool {
	depth := func(p string) int { return 2*strings.Count(p, "/") - strings.Count(p, "*") }
	return depth(a) > depth(b)
}

// under says whether path is one of the list or below one of it.
func under(path string, list []string) bool {
	return slices.ContainsFunc(list, func(p string) bool { return path == p || strings.HasPrefix(path, p+"/") })
}
