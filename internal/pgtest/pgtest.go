// Package pgtest gives tests a real PostgreSQL server, started from the binaries installed on the machine.
//
// A package that needs one calls Run from its TestMain; its tests share that server and take a fresh
// database each. Tests that kill the server start their own with New.
package pgtest

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

const missing = "no PostgreSQL server on this machine: apt-get install postgresql (or make setup), or name its bin folder in SPILLWAY_PG_BIN"

var shared struct {
	once   sync.Once
	server *Server
	err    error
}

// Run runs the tests of a package and ends the server that they shared, if any asked for one.
func Run(m *testing.M) int {
	defer func() {
		if shared.server != nil {
			shared.server.Close()
		}
	}()
	return m.Run()
}

// Database gives the URL of a new, empty database, dropped with the test. It skips the test where no server
// is installed, and fails it there when CI or SPILLWAY_REQUIRE_POSTGRES is set.
func Database(t testing.TB) string {
	t.Helper()
	bin := require(t)
	// The shared server does not sync: no test of it loses power.
	shared.once.Do(func() { shared.server, shared.err = start(bin, "fsync=off", "full_page_writes=off") })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.server.Database(t)
}

// New starts a server of the test's own, with the durability of a real one, and ends it with the test.
func New(t testing.TB) *Server {
	t.Helper()
	s, err := start(require(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// Database creates an empty database for the test and gives its URL.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name := "t" + strings.ToLower(rand.Text())
	s.mustExec(t, "CREATE DATABASE "+name+" TEMPLATE template0")
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = s.exec(ctx, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)") // a killed server takes it along
	})
	return s.URL(name)
}

func (s *Server) mustExec(t testing.TB, query string) {
	t.Helper()
	if err := s.exec(t.Context(), query); err != nil {
		t.Fatal(err)
	}
}

func (s *Server) exec(ctx context.Context, query string) error {
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.Background()) }()
	_, err = conn.Exec(ctx, query)
	return err
}

func require(t testing.TB) (bin string) {
	t.Helper()
	bin = binaries()
	if bin != "" {
		return bin
	}
	if mandatory("CI") || mandatory("SPILLWAY_REQUIRE_POSTGRES") {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}

func mandatory(variable string) bool {
	v := os.Getenv(variable)
	return v != "" && v != "0" && v != "false"
}

// binaries is the folder that holds initdb and postgres: the one named and no other, else Debian's newest,
// else that of PATH, where a link may lead into the real one.
func binaries() string {
	folders := []string{os.Getenv("SPILLWAY_PG_BIN")}
	if folders[0] == "" {
		folders = installed()
	}
	for _, dir := range folders {
		if exists(filepath.Join(dir, "initdb")) && exists(filepath.Join(dir, "postgres")) {
			return dir
		}
	}
	return ""
}

func installed() []string {
	folders, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	slices.SortFunc(folders, func(a, b string) int { return version(b) - version(a) })
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if real, err := filepath.EvalSymlinks(filepath.Join(dir, "postgres")); err == nil {
			folders = append(folders, filepath.Dir(real))
		}
	}
	return folders
}

func version(bin string) (n int) {
	_, _ = fmt.Sscanf(filepath.Base(filepath.Dir(bin)), "%d", &n)
	return n
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
