package awslambda

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/smithy-go"

	"github.com/spillway/spillway/providers"
)

// traced notes when the first byte of the request may have left this machine, and when all of it has: from then
// on the function may run, whatever becomes of the answer.
func traced(ctx context.Context, sent *atomic.Bool, started func(time.Time)) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteHeaders: func() { sent.Store(true) },
		WroteRequest: func(info httptrace.WroteRequestInfo) {
			if info.Err == nil && started != nil {
				started(time.Now())
			}
		},
	})
}

// codes are the error codes of Invoke in its public reference, by what they mean for the engine. Those of 5xx
// statuses come from before the function's code runs.
var codes = map[string]providers.Class{
	"TooManyRequestsException": providers.Throttled, "ThrottlingException": providers.Throttled,
	"Throttling": providers.Throttled, "RequestLimitExceeded": providers.Throttled,
	"EC2ThrottledException": providers.Throttled,

	"RequestTooLargeException":                 providers.PayloadTooLarge,
	"RequestEntityTooLargeException":           providers.PayloadTooLarge,
	"SerializedRequestEntityTooLargeException": providers.PayloadTooLarge,

	"ResourceNotFoundException": providers.NotFound,

	"InvalidRequestContentException": providers.Refused, "InvalidParameterValueException": providers.Refused,
	"UnsupportedMediaTypeException": providers.Refused, "ValidationException": providers.Refused,
	"RecursiveInvocationException": providers.Refused,

	"KMSAccessDeniedException": providers.Denied, "KMSDisabledException": providers.Denied,
	"KMSInvalidStateException": providers.Denied, "KMSNotFoundException": providers.Denied,
	"EC2AccessDeniedException": providers.Denied, "InvalidRuntimeException": providers.Denied,
	"InvalidZipFileException": providers.Denied, "InvalidSecurityGroupIDException": providers.Denied,
	"InvalidSubnetIDException": providers.Denied, "ModeNotSupportedException": providers.Denied,
	"NoPublishedVersionException": providers.Denied,

	"ResourceConflictException": providers.Transient, "ResourceNotReadyException": providers.Transient,
	"EC2UnexpectedException": providers.Transient, "ENILimitReachedException": providers.Transient,
	"ENINotReadyException": providers.Transient, "SubnetIPAddressLimitReachedException": providers.Transient,
	"EFSIOException": providers.Transient, "EFSMountConnectivityException": providers.Transient,
	"EFSMountFailureException": providers.Transient, "EFSMountTimeoutException": providers.Transient,
	"SnapStartException": providers.Transient, "SnapStartNotReadyException": providers.Transient,
	"SnapStartTimeoutException": providers.Transient,
}

// classify translates an error that AWS answered with; nil where there was no answer.
func classify(err error) *providers.Error {
	var answer *awshttp.ResponseError
	if !errors.As(err, &answer) || answer.HTTPStatusCode() == 0 {
		return nil
	}
	e := &providers.Error{Class: byStatus(answer.HTTPStatusCode()), Message: answer.Error()}
	var api smithy.APIError
	if errors.As(err, &api) {
		e.Message = api.ErrorCode() + ": " + api.ErrorMessage()
		if class, known := codes[api.ErrorCode()]; known {
			e.Class = class
		}
	}
	var throttle *types.TooManyRequestsException
	if errors.As(err, &throttle) {
		e.Message += fmt.Sprintf(" (%s)", throttle.Reason)
		if s, err := strconv.Atoi(deref(throttle.RetryAfterSeconds)); err == nil && s > 0 {
			e.RetryAfter = time.Duration(s) * time.Second
		}
	}
	return e
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// byStatus is the class of an answer whose code says nothing. A server that failed in the middle, or a proxy
// that lost it, may have run the function; one that is unavailable has not taken the request.
func byStatus(status int) providers.Class {
	switch {
	case status == http.StatusTooManyRequests:
		return providers.Throttled
	case status == http.StatusRequestEntityTooLarge:
		return providers.PayloadTooLarge
	case status == http.StatusNotFound:
		return providers.NotFound
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return providers.Denied
	case status == http.StatusServiceUnavailable:
		return providers.Transient
	case status >= http.StatusMultipleChoices && status < http.StatusInternalServerError:
		return providers.Refused
	}
	return providers.UnknownOutcome
}

// unanswered is the error of a request without an answer.
func unanswered(ctx context.Context, err error, sent bool) *providers.Error {
	e := &providers.Error{Class: providers.UnknownOutcome, Message: cause(err).Error()}
	switch {
	case ctx.Err() != nil:
		e.Class, e.Message = providers.Canceled, "withdrawn; a function that was invoked runs on"
	case !sent:
		e.Class = providers.Transient
	}
	return e
}

// cause is the innermost error: the SDK's layers around it say nothing more, and name the URL.
func cause(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

func requestIDOf(err error) string {
	var answer *awshttp.ResponseError
	if errors.As(err, &answer) {
		return answer.ServiceRequestID()
	}
	return ""
}

// functionError translates the error object of a function that failed. Texts and types are those of Lambda's
// public documentation.
func functionError(payload []byte) *providers.Error {
	var body struct{ ErrorType, ErrorMessage string }
	if json.Unmarshal(payload, &body) != nil || body.ErrorType == "" && body.ErrorMessage == "" {
		body.ErrorMessage = fmt.Sprintf("%.200s", payload)
	}
	e := &providers.Error{Class: providers.FunctionError, Message: body.ErrorMessage}
	switch {
	case body.ErrorType == "Sandbox.Timedout", strings.Contains(body.ErrorMessage, "Task timed out after"):
		e.Class = providers.TimedOut
	case body.ErrorType == "Function.ResponseSizeTooLarge": // it came to its end: the stored manifest tells
		e.Class = providers.UnknownOutcome
	case body.ErrorType == "Runtime.OutOfMemory", strings.Contains(body.ErrorMessage, "signal: killed"):
		e.Message = "out of memory: " + e.Message
	}
	if body.ErrorType != "" && !strings.Contains(e.Message, body.ErrorType) {
		e.Message = body.ErrorType + ": " + e.Message
	}
	return e
}
