package sandbox

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"time"
)

// routes is the part of AWS Lambda's REST API that the sandbox has, its Runtime API, and the ledger.
func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	s.runtimeRoutes(mux)
	handle := func(pattern string, limit int64, h func(*call) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, limit, h) })
	}
	const fn = "/2015-03-31/functions/{name}"
	handle("POST "+fn+"/invocations", MaxPayload, s.handleInvoke)
	handle("GET /2015-03-31/functions", 0, s.handleList)
	handle("GET /2015-03-31/functions/{$}", 0, s.handleList)
	handle("POST /2015-03-31/functions", maxControlBody, s.handleCreate)
	handle("POST /2015-03-31/functions/{$}", maxControlBody, s.handleCreate)
	handle("GET "+fn, 0, s.handleGet)
	handle("DELETE "+fn, 0, s.handleDelete)
	handle("GET "+fn+"/configuration", 0, s.handleGetConfiguration)
	handle("PUT "+fn+"/configuration", MaxPayload, s.handleConfigure)
	handle("PUT "+fn+"/code", maxControlBody, s.handleCode)
	handle("PUT /2017-10-31/functions/{name}/concurrency", MaxPayload, s.handleReserve)
	handle("DELETE /2017-10-31/functions/{name}/concurrency", 0, s.handleUnreserve)
	handle("GET /2019-09-30/functions/{name}/concurrency", 0, s.handleReserved)
	handle("PUT /2019-09-30/functions/{name}/provisioned-concurrency", MaxPayload, s.handleProvision)
	handle("GET /2019-09-30/functions/{name}/provisioned-concurrency", 0, s.handleProvisioned)
	handle("GET /2016-08-19/account-settings", 0, s.handleAccount)
	handle("GET /sandbox/ledger", 0, s.handleLedger)
	handle("GET /sandbox/pid", 0, s.handlePID)
	handle("GET /sandbox/hold", 0, s.handleHold)
	handle("POST /sandbox/stop", 0, s.handleStop)
	mux.HandleFunc("/o/", func(w http.ResponseWriter, r *http.Request) {
		s.begin()
		defer s.finish()
		s.objects.ServeHTTP(w, r)
	})
	handle("/", MaxPayload, func(c *call) error {
		return &apiError{http.StatusNotFound, "UnknownOperationException", c.r.Method + " " + c.r.URL.Path, ""}
	})
	return mux
}

// call is one authenticated request.
type call struct {
	w    http.ResponseWriter
	r    *http.Request
	body []byte
}

// serve reads a bounded body, checks the signature over it, and answers errors in Lambda's shape.
func (s *server) serve(w http.ResponseWriter, r *http.Request, limit int64, h func(*call) error) {
	s.begin()
	defer s.finish()
	w.Header().Set("X-Amzn-RequestId", newRequestID())
	err := func() error {
		if r.ContentLength > limit && limit > 0 {
			return tooLarge(limit)
		}
		body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
		if err != nil {
			return invalidContent("Could not read the request: " + err.Error())
		}
		if int64(len(body)) > limit {
			return tooLarge(limit)
		}
		if e := s.keys.verify(r, body, time.Now()); e != nil {
			return e
		}
		return h(&call{w, r, body})
	}()
	if err == nil {
		return
	}
	var api *apiError
	if !errors.As(err, &api) {
		api = internal(err)
	}
	api.write(w)
}

func (c *call) function() (string, error) {
	name, ok := resolveName(c.r.PathValue("name"))
	if !ok {
		return "", functionNotFound(c.r.PathValue("name"))
	}
	return name, nil
}

func (c *call) decode(into any) error {
	if err := json.Unmarshal(c.body, into); err != nil {
		return invalidContent("Could not parse request body into json: " + err.Error())
	}
	return nil
}

func (s *server) handleInvoke(c *call) error {
	name, err := c.function()
	if err != nil {
		return err
	}
	h := c.r.Header
	kind := h.Get("X-Amz-Invocation-Type")
	req := request{id: c.w.Header().Get("X-Amzn-RequestId"), function: name, payload: c.body}
	if len(req.payload) == 0 {
		req.payload = []byte("{}")
	}
	if !json.Valid(req.payload) {
		return invalidContent("Could not parse request body into json")
	}
	_ = json.Unmarshal(req.payload, &req.labels) // a payload of another kind has none
	if text := h.Get("X-Amz-Client-Context"); text != "" {
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil || !json.Valid(raw) {
			return invalidContent("Client context must be a valid Base64-encoded JSON object.")
		}
		req.clientContext = string(raw)
	}
	switch kind {
	case "DryRun":
		if _, err := s.lookup(name); err != nil {
			return err
		}
		c.w.WriteHeader(http.StatusNoContent)
		return nil
	case "Event":
		return s.invokeAsync(c, req)
	case "", "RequestResponse":
		return s.invokeSync(c, req, h.Get("X-Amz-Log-Type") == "Tail")
	}
	return invalid("InvocationType %q: must be RequestResponse, Event or DryRun", kind)
}

func (s *server) invokeSync(c *call, req request, tail bool) error {
	fn, def, err := s.admit(req.function)
	if err != nil {
		return err
	}
	out, err := s.invoke(c.r.Context(), fn, def, req)
	if err != nil {
		return err
	}
	h := c.w.Header()
	h.Set("X-Amz-Executed-Version", "$LATEST")
	if out.failed {
		h.Set("X-Amz-Function-Error", "Unhandled")
	}
	if tail {
		h.Set("X-Amz-Log-Result", base64.StdEncoding.EncodeToString(out.log))
	}
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(out.payload)))
	_, _ = c.w.Write(out.payload) // whoever is gone finds the entry in the ledger
	return nil
}

func (s *server) invokeAsync(c *call, req request) error {
	if len(req.payload) > maxAsyncPayload {
		return tooLarge(maxAsyncPayload)
	}
	fn, def, err := s.admit(req.function)
	if err != nil {
		return err
	}
	s.begin()
	s.background.Go(func() {
		defer s.finish()
		if _, err := s.invoke(s.ctx, fn, def, req); err != nil {
			warnStderr("event " + req.id + ": " + err.Error())
		}
	})
	c.w.WriteHeader(http.StatusAccepted)
	return nil
}

func (s *server) handleList(c *call) error {
	limit := 50
	if text := c.r.URL.Query().Get("MaxItems"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return invalid("MaxItems %q: must be a positive number", text)
		}
		limit = min(n, limit)
	}
	page, next := s.list(c.r.URL.Query().Get("Marker"), limit)
	configs := make([]configuration, 0, len(page))
	for _, d := range page {
		configs = append(configs, s.configuration(d))
	}
	body := map[string]any{"Functions": configs}
	if next != "" {
		body["NextMarker"] = next
	}
	writeJSON(c.w, http.StatusOK, body)
	return nil
}

// configuration is Lambda's FunctionConfiguration.
type configuration struct {
	FunctionName, FunctionArn, Role, Runtime, Handler, Description, Version string
	CodeSha256, LastModified, RevisionId, State, LastUpdateStatus           string
	PackageType                                                             string
	CodeSize                                                                int64
	MemorySize, Timeout                                                     int
	Environment                                                             *environment `json:",omitempty"`
}

type environment struct{ Variables map[string]string }

func (s *server) configuration(d *definition) configuration {
	sum, _ := hex.DecodeString(d.Code) // its own name
	c := configuration{
		FunctionName: d.Name, FunctionArn: s.arn(d.Name), Role: d.Role, Runtime: d.Runtime, Handler: d.Handler,
		Description: d.Description + s.note(), Version: "$LATEST", PackageType: "Zip",
		CodeSha256: base64.StdEncoding.EncodeToString(sum), CodeSize: d.CodeSize,
		LastModified: d.Modified.Format("2006-01-02T15:04:05.000-0700"), RevisionId: strconv.Itoa(d.Revision),
		State: "Active", LastUpdateStatus: "Successful", MemorySize: d.MemoryMiB, Timeout: d.TimeoutSec,
	}
	if len(d.Env) > 0 {
		c.Environment = &environment{d.Env}
	}
	return c
}

// note tells in a function's description what this machine does not permit.
func (s *server) note() string {
	if s.isolated() {
		return ""
	}
	return " [sandbox: NOT ISOLATED from this machine's files]"
}

func (s *server) handleGet(c *call) error {
	return s.describe(c, func(d *definition) any {
		body := map[string]any{"Configuration": s.configuration(d), "Code": map[string]string{"RepositoryType": "S3"}}
		if d.Reserved != nil {
			body["Concurrency"] = map[string]int{"ReservedConcurrentExecutions": *d.Reserved}
		}
		return body
	})
}

func (s *server) handleGetConfiguration(c *call) error {
	return s.describe(c, func(d *definition) any { return s.configuration(d) })
}

func (s *server) handleReserved(c *call) error {
	return s.describe(c, func(d *definition) any {
		body := map[string]int{}
		if d.Reserved != nil {
			body["ReservedConcurrentExecutions"] = *d.Reserved
		}
		return body
	})
}

// describe answers with a view of the function's definition.
func (s *server) describe(c *call, view func(*definition) any) error {
	name, err := c.function()
	if err != nil {
		return err
	}
	d, err := s.lookup(name)
	if err != nil {
		return err
	}
	writeJSON(c.w, http.StatusOK, view(d))
	return nil
}

func (s *server) handleAccount(c *call) error {
	s.mu.Lock()
	count := len(s.functions)
	_, free := s.unreserved()
	s.mu.Unlock()
	writeJSON(c.w, http.StatusOK, map[string]any{
		"AccountLimit": map[string]any{"ConcurrentExecutions": s.cfg.Quota, "UnreservedConcurrentExecutions": free,
			"CodeSizeUnzipped": maxUnzipped, "CodeSizeZipped": 50 << 20, "TotalCodeSize": 75 << 30},
		"AccountUsage": map[string]any{"FunctionCount": count, "TotalCodeSize": 0},
	})
	return nil
}

// handleLedger sends the invocations of one run, or all.
func (s *server) handleLedger(c *call) error {
	entries, err := ReadLedger(s.cfg.Dir)
	if err != nil {
		return err
	}
	if run := c.r.URL.Query().Get("run"); run != "" {
		entries = slices.DeleteFunc(entries, func(e Entry) bool { return e.Run != run })
	}
	writeJSON(c.w, http.StatusOK, entries)
	return nil
}

func (s *server) handlePID(c *call) error {
	writeJSON(c.w, http.StatusOK, os.Getpid())
	return nil
}

// handleHold keeps its request, and with it the sandbox, until the client leaves or the sandbox ends.
func (s *server) handleHold(c *call) error {
	c.w.WriteHeader(http.StatusOK)
	if err := http.NewResponseController(c.w).Flush(); err != nil {
		return err
	}
	<-c.r.Context().Done()
	return nil
}

// handleStop ends the sandbox: at once, or only if no other request is under way.
func (s *server) handleStop(c *call) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.r.URL.Query().Get("unused") != "" && s.active > 1 {
		return conflict("the sandbox is in use")
	}
	s.closing = true
	writeJSON(c.w, http.StatusOK, "stopping")
	s.stop()
	return nil
}
