package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
)

// apiError is an answer in the shape of Lambda's REST errors, which SDKs turn into their typed errors.
type apiError struct {
	status  int
	kind    string // the SDK's exception name, sent as X-Amzn-ErrorType
	message string
	reason  string // of a throttle: the ThrottleReason
}

func (e *apiError) Error() string { return e.kind + ": " + e.message }

func denied(kind, message string) *apiError {
	return &apiError{status: http.StatusForbidden, kind: kind, message: message}
}

func invalid(format string, args ...any) *apiError {
	return &apiError{http.StatusBadRequest, "InvalidParameterValueException", fmt.Sprintf(format, args...), ""}
}

func invalidContent(message string) *apiError {
	return &apiError{http.StatusBadRequest, "InvalidRequestContentException", message, ""}
}

func functionNotFound(arn string) *apiError {
	return &apiError{http.StatusNotFound, "ResourceNotFoundException", "Function not found: " + arn, ""}
}

func conflict(message string) *apiError {
	return &apiError{http.StatusConflict, "ResourceConflictException", message, ""}
}

func tooLarge(limit int64) *apiError {
	return &apiError{http.StatusRequestEntityTooLarge, "RequestTooLargeException",
		fmt.Sprintf("Request must be smaller than %d bytes for the operation", limit), ""}
}

func throttled(reason string) *apiError {
	return &apiError{http.StatusTooManyRequests, "TooManyRequestsException", "Rate Exceeded.", reason}
}

// unavailable says that nothing ran.
func unavailable(message string) *apiError {
	return &apiError{http.StatusServiceUnavailable, "ServiceException", message, ""}
}

func internal(err error) *apiError {
	return &apiError{http.StatusInternalServerError, "ServiceException", err.Error(), ""}
}

func (e *apiError) write(w http.ResponseWriter) {
	body := map[string]string{"message": e.message, "Type": "User"}
	if e.status >= http.StatusInternalServerError {
		body["Type"] = "Service"
	}
	if e.reason != "" {
		body["Reason"] = e.reason
		w.Header().Set("Retry-After", "1")
	}
	w.Header().Set("X-Amzn-ErrorType", e.kind)
	writeJSON(w, e.status, body)
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client is gone: nobody left to tell
}

func warnStderr(message string) { fmt.Fprintln(os.Stderr, "sandbox: "+message) }
