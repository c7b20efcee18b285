package sandbox

import (
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"
)

// runtimePrefix leads to the Runtime API; the instance's token follows. The token is in nobody's hands but the
// instance's own, so that functions on one machine cannot answer for each other.
const runtimePrefix = "/runtime/"

// runtimeRoutes is Lambda's public Runtime API of version 2018-06-01.
func (s *server) runtimeRoutes(mux *http.ServeMux) {
	handle := func(pattern string, h func(http.ResponseWriter, *http.Request, *instance)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if in := s.instance(r.PathValue("token")); in != nil {
				h(w, r, in)
				return
			}
			runtimeError(w, http.StatusForbidden, "InvalidInstance", "no such instance")
		})
	}
	const base = runtimePrefix + "{token}/2018-06-01/runtime/"
	handle("GET "+base+"invocation/next", s.handleNext)
	handle("POST "+base+"invocation/{id}/response", s.handleResponse)
	handle("POST "+base+"invocation/{id}/error", s.handleError)
	handle("POST "+base+"init/error", s.handleInitError)
}

func (s *server) instance(token string) *instance {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byToken[token]
}

func runtimeError(w http.ResponseWriter, status int, kind, message string) {
	writeJSON(w, status, map[string]string{"errorType": kind, "errorMessage": message})
}

func (s *server) handleNext(w http.ResponseWriter, r *http.Request, in *instance) {
	next := make(chan *event, 1)
	if !in.listen(next) {
		runtimeError(w, http.StatusBadRequest, "InvalidStateTransition", "the event handed over before is unanswered")
		return
	}
	select {
	case ev := <-next:
		h := w.Header()
		h.Set("Lambda-Runtime-Aws-Request-Id", ev.id)
		h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(ev.deadline.UnixMilli(), 10))
		h.Set("Lambda-Runtime-Invoked-Function-Arn", s.arn(in.def.Name))
		h.Set("Lambda-Runtime-Trace-Id", "Root=1-00000000-000000000000000000000000;Sampled=0")
		if ev.clientContext != "" {
			h.Set("Lambda-Runtime-Client-Context", ev.clientContext)
		}
		h.Set("Content-Type", "application/json")
		_, _ = w.Write(ev.payload) // a broken connection ends the instance, which ends the event
	case <-r.Context().Done():
		// A runtime that stops listening is gone or about to be. Whatever it was given ends with it.
		s.mu.Lock()
		defer s.mu.Unlock()
		if in.state != dead && in.proc != nil {
			in.unpark()
			in.state = busy
			in.proc.kill()
		}
	}
}

// listen notes that the instance asks for its next event: the one sign that it is ready for one.
func (in *instance) listen(next chan *event) bool {
	s := in.srv
	s.mu.Lock()
	defer s.mu.Unlock()
	if in.event != nil || in.next != nil {
		return false
	}
	in.next = next
	switch in.state {
	case starting:
		in.state = busy // whoever started it has it
		close(in.ready)
	case returning:
		in.fn.returning--
		in.park()
	}
	return true
}

func (s *server) handleResponse(w http.ResponseWriter, r *http.Request, in *instance) {
	body, err := io.ReadAll(io.LimitReader(r.Body, MaxPayload+1))
	if err != nil {
		return // the process died while it answered; its end settles the event
	}
	a := answer{status: StatusOK, payload: body, at: time.Now()}
	switch kind := r.Trailer.Get("Lambda-Runtime-Function-Error-Type"); {
	case len(body) > MaxPayload:
		a.status, a.payload = StatusTooLarge, nil
	case kind != "":
		a.status = StatusError
		a.payload, _ = base64.StdEncoding.DecodeString(r.Trailer.Get("Lambda-Runtime-Function-Error-Body"))
	}
	if !in.answer(r.PathValue("id"), a) {
		runtimeError(w, http.StatusBadRequest, "InvalidRequestID", "Invalid request ID")
		return
	}
	if a.status == StatusTooLarge {
		runtimeError(w, http.StatusRequestEntityTooLarge, "Function.ResponseSizeTooLarge",
			"Exceeded maximum allowed payload size")
		return
	}
	writeJSON(w, http.StatusAccepted, map[string]string{"status": "OK"})
}

func (s *server) handleError(w http.ResponseWriter, r *http.Request, in *instance) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxPayload))
	var over *http.MaxBytesError
	if err != nil && !errors.As(err, &over) {
		return
	}
	if !in.answer(r.PathValue("id"), answer{status: StatusError, payload: body, at: time.Now()}) {
		runtimeError(w, http.StatusBadRequest, "InvalidRequestID", "Invalid request ID")
		return
	}
	writeJSON(w, http.StatusAccepted, map[string]string{"status": "OK"})
}

// answer settles the event of that id. The event leaves the instance before its answer is passed on, so that
// whoever receives the answer never meets an instance that still holds it; and the instance is not idle yet:
// a runtime that panicked reports its error and then exits.
func (in *instance) answer(id string, a answer) bool {
	s := in.srv
	s.mu.Lock()
	ev := in.event
	if ev == nil || ev.id != id {
		s.mu.Unlock()
		return false
	}
	in.event = nil
	in.state = returning
	in.fn.returning++
	s.mu.Unlock()
	ev.answer <- a
	return true
}

func (s *server) handleInitError(w http.ResponseWriter, r *http.Request, in *instance) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, logTailBytes))
	if err != nil {
		return
	}
	s.mu.Lock()
	if in.state == starting {
		in.initError = body
	}
	s.mu.Unlock()
	writeJSON(w, http.StatusAccepted, map[string]string{"status": "OK"})
}
