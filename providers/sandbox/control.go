package sandbox

import (
	"errors"
	"io/fs"
	"maps"
	"net/http"
	"time"
)

// createInput is the part of CreateFunction's request that the sandbox honours.
type createInput struct {
	FunctionName, Role, Runtime, Handler, Description string
	PackageType                                       string
	MemorySize, Timeout                               *int
	Environment                                       *environment
	Code                                              struct{ ZipFile []byte }
}

func (s *server) handleCreate(c *call) error {
	var in createInput
	if err := c.decode(&in); err != nil {
		return err
	}
	name, ok := resolveName(in.FunctionName)
	if !ok {
		return invalid("FunctionName %q is not valid", in.FunctionName)
	}
	if in.PackageType != "" && in.PackageType != "Zip" {
		return invalid("PackageType %s: the sandbox runs zip packages only", in.PackageType)
	}
	d := &definition{
		Name: name, Role: in.Role, Runtime: in.Runtime, Handler: in.Handler, Description: in.Description,
		MemoryMiB: or(in.MemorySize, minMemoryMiB), TimeoutSec: or(in.Timeout, 3), Modified: time.Now().UTC(), Revision: 1,
	}
	if in.Environment != nil {
		d.Env = maps.Clone(in.Environment.Variables)
	}
	code, err := s.install(in.Code.ZipFile)
	if err != nil {
		return err
	}
	d.Code, d.CodeSize = code, int64(len(in.Code.ZipFile))
	if err := s.create(d); err != nil {
		return err
	}
	writeJSON(c.w, http.StatusCreated, s.configuration(d))
	return nil
}

func or(value *int, otherwise int) int {
	if value == nil {
		return otherwise
	}
	return *value
}

// install unpacks a zip and tells the caller's faults from the machine's.
func (s *server) install(archive []byte) (string, error) {
	code, err := installCode(s.codeDir(), archive)
	var machine *fs.PathError
	if err != nil && !errors.As(err, &machine) {
		return "", invalid("%s", err)
	}
	return code, err
}

func (s *server) handleConfigure(c *call) error {
	var in createInput
	if err := c.decode(&in); err != nil {
		return err
	}
	return s.update(c, func(d *definition) {
		d.MemoryMiB = or(in.MemorySize, d.MemoryMiB)
		d.TimeoutSec = or(in.Timeout, d.TimeoutSec)
		if in.Description != "" {
			d.Description = in.Description
		}
		if in.Environment != nil {
			d.Env = maps.Clone(in.Environment.Variables)
		}
	})
}

func (s *server) handleCode(c *call) error {
	var in struct{ ZipFile []byte }
	if err := c.decode(&in); err != nil {
		return err
	}
	code, err := s.install(in.ZipFile)
	if err != nil {
		return err
	}
	return s.update(c, func(d *definition) { d.Code, d.CodeSize = code, int64(len(in.ZipFile)) })
}

func (s *server) update(c *call, edit func(*definition)) error {
	name, err := c.function()
	if err != nil {
		return err
	}
	d, err := s.change(name, true, edit)
	if err != nil {
		return err
	}
	writeJSON(c.w, http.StatusOK, s.configuration(d))
	return nil
}

func (s *server) handleDelete(c *call) error {
	name, err := c.function()
	if err != nil {
		return err
	}
	if err := s.remove(name); err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *server) handleReserve(c *call) error {
	var in struct{ ReservedConcurrentExecutions *int }
	if err := c.decode(&in); err != nil {
		return err
	}
	n := in.ReservedConcurrentExecutions
	if n == nil || *n < 0 || *n > s.cfg.Quota {
		return invalid("ReservedConcurrentExecutions: must be between 0 and %d", s.cfg.Quota)
	}
	name, err := c.function()
	if err != nil {
		return err
	}
	if _, err := s.change(name, false, func(d *definition) { d.Reserved = n }); err != nil {
		return err
	}
	writeJSON(c.w, http.StatusOK, map[string]int{"ReservedConcurrentExecutions": *n})
	return nil
}

func (s *server) handleUnreserve(c *call) error {
	name, err := c.function()
	if err != nil {
		return err
	}
	if _, err := s.change(name, false, func(d *definition) { d.Reserved = nil }); err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *server) handleProvision(c *call) error {
	var in struct{ ProvisionedConcurrentExecutions int }
	if err := c.decode(&in); err != nil {
		return err
	}
	want := in.ProvisionedConcurrentExecutions
	if want < 1 || want > s.cfg.Quota {
		return invalid("ProvisionedConcurrentExecutions: must be between 1 and %d", s.cfg.Quota)
	}
	name, err := c.function()
	if err != nil {
		return err
	}
	if _, err := s.change(name, false, func(d *definition) { d.Provisioned = want }); err != nil {
		return err
	}
	s.prewarm(name)
	return s.provisioned(c, http.StatusAccepted)
}

func (s *server) handleProvisioned(c *call) error { return s.provisioned(c, http.StatusOK) }

func (s *server) provisioned(c *call, status int) error {
	name, err := c.function()
	if err != nil {
		return err
	}
	s.mu.Lock()
	fn := s.functions[name]
	if fn == nil || fn.def.Provisioned == 0 {
		s.mu.Unlock()
		return &apiError{http.StatusNotFound, "ProvisionedConcurrencyConfigNotFoundException",
			"No Provisioned Concurrency Config found for this function", ""}
	}
	want, have := fn.def.Provisioned, min(fn.def.Provisioned, len(fn.idle))
	modified := fn.def.Modified
	s.mu.Unlock()
	state := "READY"
	if have < want {
		state = "IN_PROGRESS"
	}
	writeJSON(c.w, status, map[string]any{
		"RequestedProvisionedConcurrentExecutions": want, "AllocatedProvisionedConcurrentExecutions": have,
		"AvailableProvisionedConcurrentExecutions": have, "Status": state, "LastModified": modified.Format(time.RFC3339),
	})
	return nil
}

// prewarm starts instances in the background until the function has as many as are provisioned.
func (s *server) prewarm(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn := s.functions[name]
	if fn == nil || s.closing {
		return
	}
	for range fn.def.Provisioned - len(fn.instances) {
		in := s.register(fn, fn.def)
		s.background.Go(in.prewarm)
	}
}

func (in *instance) prewarm() {
	s := in.srv
	memory := in.def.MemoryMiB
	if err := s.shares.acquire(s.ctx, memory); err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		in.forget()
		return
	}
	defer s.shares.release(memory)
	if err := in.coldStart(); err != nil {
		warnStderr("prewarm " + in.def.Name + ": " + err.Error())
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if in.state == busy {
		in.park()
	}
}
