package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	superuser = "spillway"
	patience  = 30 * time.Second // for a start on a busy machine; one second is usual
)

// Server is a PostgreSQL server in a folder of its own, reached by a socket in that folder and by loopback.
type Server struct {
	bin      string
	dir      string
	port     int
	settings []string
	account  *account // nil: the caller's own
	process  *exec.Cmd
	ended    chan struct{}
}

// account is an unprivileged user: PostgreSQL refuses to run as root.
type account struct{ uid, gid int }

func start(bin string, settings ...string) (s *Server, err error) {
	s = &Server{bin: bin, settings: settings}
	if s.account, err = unprivileged(); err != nil {
		return nil, err
	}
	// Not below $TMPDIR: the path of a socket has room for 107 bytes.
	if s.dir, err = os.MkdirTemp("/tmp", "pgtest"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	if s.account != nil {
		if err := os.Chown(s.dir, s.account.uid, s.account.gid); err != nil {
			return nil, err
		}
	}
	if s.port, err = freePort(); err != nil {
		return nil, err
	}
	initdb := s.command("initdb", "--no-sync", "--no-locale", "--encoding=UTF8", "--auth=trust",
		"--username="+superuser, "--pgdata="+s.data())
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return s, s.Restart()
}

// URL names a database of the server, by its socket.
func (s *Server) URL(database string) string {
	q := url.Values{"host": {s.dir}, "port": {strconv.Itoa(s.port)}}
	u := url.URL{Scheme: "postgres", User: url.User(superuser), Path: "/" + database, RawQuery: q.Encode()}
	return u.String()
}

// Restart starts the server after Stop or Kill9 and returns when it takes connections. After a kill, memory
// that its children still hold refuses a new server for a moment.
func (s *Server) Restart() error {
	deadline := time.Now().Add(patience)
	for {
		log, err := s.run(deadline)
		if err == nil {
			return nil
		}
		held := bytes.Contains(log, []byte("shared memory block")) || bytes.Contains(log, []byte("already in use"))
		if !held || time.Now().After(deadline) {
			return fmt.Errorf("start PostgreSQL: %w\n%s", err, log)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (s *Server) run(deadline time.Time) (log []byte, err error) {
	var out bytes.Buffer
	args := []string{"-D", s.data(), "-k", s.dir, "-p", strconv.Itoa(s.port), "-h", "127.0.0.1"}
	for _, setting := range s.settings {
		args = append(args, "-c", setting)
	}
	process := s.command("postgres", args...)
	process.Stdout, process.Stderr = &out, &out
	if err := process.Start(); err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = process.Wait()
	}()
	s.process, s.ended = process, ended
	for {
		select {
		case <-ended:
			return out.Bytes(), errors.New("the server ended")
		case <-time.After(20 * time.Millisecond):
		}
		if s.answers() {
			return nil, nil
		}
		if time.Now().After(deadline) {
			s.Kill9()
			return out.Bytes(), errors.New("the server does not answer")
		}
	}
}

func (s *Server) answers() bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return false
	}
	_ = conn.Close(ctx)
	return true
}

// Stop ends the server in order: connections are cut, what was committed is written.
func (s *Server) Stop() { s.end(syscall.SIGINT) }

// Kill9 ends the server as a crash would.
func (s *Server) Kill9() { s.end(syscall.SIGKILL) }

// Close ends the server and removes its data.
func (s *Server) Close() {
	s.end(syscall.SIGQUIT)
	_ = os.RemoveAll(s.dir)
}

func (s *Server) end(signal syscall.Signal) {
	if s.process == nil {
		return
	}
	_ = s.process.Process.Signal(signal)
	select {
	case <-s.ended:
	case <-time.After(patience):
		_ = s.process.Process.Kill()
		<-s.ended
	}
	s.process = nil
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.SysProcAttr = attributes(s.account)
	// Children that outlive a killed server hold its output open.
	cmd.WaitDelay = 100 * time.Millisecond
	return cmd
}

func unprivileged() (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.Atoi(u.Uid)
		gid, err2 := strconv.Atoi(u.Gid)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		return &account{uid, gid}, nil
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port, nil
}
