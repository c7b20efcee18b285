package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"time"
)

const accountID = "000000000000"

// definition is what a caller set of a function; it is kept in one file of the sandbox's folder.
type definition struct {
	Name        string            `json:"name"`
	Role        string            `json:"role"`
	Runtime     string            `json:"runtime"`
	Handler     string            `json:"handler"`
	Description string            `json:"description,omitempty"`
	MemoryMiB   int               `json:"memory_mib"`
	TimeoutSec  int               `json:"timeout_s"`
	Env         map[string]string `json:"env,omitempty"`
	Code        string            `json:"code"` // folder name: hex SHA-256 of the zip
	CodeSize    int64             `json:"code_size"`
	Modified    time.Time         `json:"modified"`
	Revision    int               `json:"revision"`           // counts changes; instances of an older one retire
	Reserved    *int              `json:"reserved,omitempty"` // reserved concurrency
	Provisioned int               `json:"provisioned,omitempty"`
}

func (d *definition) timeout() time.Duration { return time.Duration(d.TimeoutSec) * time.Second }

// function is a definition with its instances. The server's mutex guards everything but the def it started
// with, which is replaced, never changed.
type function struct {
	def       *definition
	inflight  int
	instances map[*instance]struct{}
	idle      []*instance      // the last one used is the first one used again, so that others expire
	returning int              // instances that answered and have not yet asked for the next event
	waiting   []chan *instance // invocations that wait for a returning instance, in order
	deleted   bool
}

var functionName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

// resolveName reads a function name, partial ARN or ARN, with an optional $LATEST qualifier.
func resolveName(s string) (string, bool) {
	parts := strings.Split(s, ":")
	switch {
	case len(parts) >= 7 && parts[0] == "arn" && parts[5] == "function":
		parts = parts[6:]
	case len(parts) >= 3 && parts[1] == "function":
		parts = parts[2:]
	}
	if len(parts) > 2 || len(parts) == 2 && parts[1] != "$LATEST" {
		return "", false
	}
	return parts[0], functionName.MatchString(parts[0])
}

func (s *server) arn(name string) string {
	return fmt.Sprintf("arn:aws:lambda:%s:%s:function:%s", s.cfg.Region, accountID, name)
}

// check refuses a definition that this sandbox could not run as promised.
func (s *server) check(d *definition) *apiError {
	if d.MemoryMiB < minMemoryMiB || d.MemoryMiB > maxMemoryMiB {
		return invalid("MemorySize %d: must be between %d and %d", d.MemoryMiB, minMemoryMiB, maxMemoryMiB)
	}
	if d.TimeoutSec < 1 || d.timeout() > maxTimeout {
		return invalid("Timeout %d: must be between 1 and %d", d.TimeoutSec, int(maxTimeout.Seconds()))
	}
	if budget := s.cfg.VCPU; budget > 0 && VCPU(d.MemoryMiB) > budget {
		return invalid("MemorySize %d comes with %.2f vCPU, more than the sandbox's %.2f: use at most %d MB",
			d.MemoryMiB, VCPU(d.MemoryMiB), budget, int(budget*MiBPerVCPU))
	}
	return nil
}

func (s *server) functionsDir() string { return filepath.Join(s.cfg.Dir, "functions") }
func (s *server) codeDir() string      { return filepath.Join(s.cfg.Dir, "code") }

// save keeps d over restarts: written beside, then renamed.
func (s *server) save(d *definition) error {
	data, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return writeFileAtomic(filepath.Join(s.functionsDir(), d.Name+".json"), data)
}

func (s *server) loadFunctions() error {
	if err := os.MkdirAll(s.functionsDir(), 0o700); err != nil {
		return err
	}
	paths, err := filepath.Glob(filepath.Join(s.functionsDir(), "*.json"))
	if err != nil {
		return err
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		d := new(definition)
		if err := json.Unmarshal(data, d); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		s.functions[d.Name] = newFunction(d)
	}
	return nil
}

func newFunction(d *definition) *function {
	return &function{def: d, instances: make(map[*instance]struct{})}
}

// change applies edit to a copy of the function's definition, checks and saves it, and retires the instances
// of the former one when retire is set.
func (s *server) change(name string, retire bool, edit func(*definition)) (*definition, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn := s.functions[name]
	if fn == nil {
		return nil, functionNotFound(s.arn(name))
	}
	next := *fn.def
	edit(&next)
	if err := s.check(&next); err != nil {
		return nil, err
	}
	if retire {
		next.Revision++
		next.Modified = time.Now().UTC()
	}
	if err := s.save(&next); err != nil {
		return nil, err
	}
	fn.def = &next
	if retire {
		s.retireIdle(fn)
	}
	return fn.def, nil
}

func (s *server) create(d *definition) error {
	if err := s.check(d); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.functions[d.Name] != nil {
		return conflict("Function already exist: " + d.Name)
	}
	if err := s.save(d); err != nil {
		return err
	}
	s.functions[d.Name] = newFunction(d)
	return nil
}

// remove deletes a function. Invocations that run come to their end; its code stays for other functions.
func (s *server) remove(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn := s.functions[name]
	if fn == nil {
		return functionNotFound(s.arn(name))
	}
	if err := os.Remove(filepath.Join(s.functionsDir(), name+".json")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	fn.deleted = true
	delete(s.functions, name)
	s.retireIdle(fn)
	return nil
}

// lookup returns the definition of name as it stands now.
func (s *server) lookup(name string) (*definition, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if fn := s.functions[name]; fn != nil {
		return fn.def, nil
	}
	return nil, functionNotFound(s.arn(name))
}

// list returns up to limit definitions by name, after marker, and the marker of the next page.
func (s *server) list(marker string, limit int) ([]*definition, string) {
	s.mu.Lock()
	var all []*definition
	for name, fn := range s.functions {
		if name > marker {
			all = append(all, fn.def)
		}
	}
	s.mu.Unlock()
	sort.Slice(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	if len(all) <= limit {
		return all, ""
	}
	return all[:limit], all[limit-1].Name
}

func writeFileAtomic(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
