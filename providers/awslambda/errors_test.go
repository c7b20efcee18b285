package awslambda

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/internal/envelope"
	"github.com/spillway/spillway/providers"
)

// fake is a server in the place of AWS, which answers with h and counts requests.
func fake(t *testing.T, h http.HandlerFunc, edit func(*Config)) (*Site, *atomic.Int64) {
	t.Helper()
	requests := new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		_, _ = io.Copy(io.Discard, r.Body) // as a service that takes the request
		h(w, r)
	}))
	t.Cleanup(server.Close)
	cfg := Config{Site: "aws:us-east-1", Region: "us-east-1", Endpoint: server.URL, Sizes: []int{512},
		Credentials: credentials.NewStaticCredentialsProvider("AKID", "very-secret", "")}
	if edit != nil {
		edit(&cfg)
	}
	site, err := New(context.Background(), cfg)
	require.NoError(t, err)
	t.Cleanup(site.Close)
	return site, requests
}

var someAttempt = providers.Invocation{MemoryMiB: 512,
	Envelope: envelope.Invocation{Protocol: envelope.Protocol, Run: "r", Task: "t", Attempt: "a"}}

// TestErrorAnswers: one request each, whatever the answer, and the class that the engine acts on.
func TestErrorAnswers(t *testing.T) {
	for _, c := range []struct {
		status   int
		kind     string
		class    providers.Class
		executed bool
	}{
		{429, "TooManyRequestsException", providers.Throttled, false},
		{400, "ThrottlingException", providers.Throttled, false},
		{502, "EC2ThrottledException", providers.Throttled, false},
		{413, "RequestTooLargeException", providers.PayloadTooLarge, false},
		{413, "", providers.PayloadTooLarge, false},
		{404, "ResourceNotFoundException", providers.NotFound, false},
		{403, "AccessDeniedException", providers.Denied, false},
		{403, "InvalidSignatureException", providers.Denied, false},
		{403, "ExpiredTokenException", providers.Denied, false},
		{502, "KMSAccessDeniedException", providers.Denied, false},
		{502, "InvalidZipFileException", providers.Denied, false},
		{400, "InvalidRequestContentException", providers.Refused, false},
		{415, "UnsupportedMediaTypeException", providers.Refused, false},
		{409, "ResourceConflictException", providers.Transient, false},
		{502, "ResourceNotReadyException", providers.Transient, false},
		{502, "ENILimitReachedException", providers.Transient, false},
		{502, "SubnetIPAddressLimitReachedException", providers.Transient, false},
		{503, "ServiceException", providers.Transient, false},
		{503, "", providers.Transient, false},
		{500, "ServiceException", providers.UnknownOutcome, true},
		{502, "", providers.UnknownOutcome, true},
		{504, "", providers.UnknownOutcome, true},
		{302, "", providers.Refused, false},
		{200, "ServiceException", providers.UnknownOutcome, true},
	} {
		t.Run(http.StatusText(c.status)+" "+c.kind, func(t *testing.T) {
			site, requests := fake(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-Amzn-RequestId", "req-1")
				if c.kind != "" {
					w.Header().Set("X-Amzn-ErrorType", c.kind)
				}
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, `{"Message":"no","message":"no"}`)
			}, nil)
			r := site.Execute(context.Background(), someAttempt)
			require.NotNil(t, r.Err)
			require.Equal(t, c.class, r.Err.Class, r.Err.Message)
			require.Equal(t, c.executed, r.Usage.Executed)
			require.EqualValues(t, 1, requests.Load(), "requests sent")
			require.Equal(t, "req-1", r.Usage.RequestID)
			require.NotContains(t, r.Err.Message, "very-secret")
		})
	}
}

func TestThrottleTellsReasonAndWait(t *testing.T) {
	site, _ := fake(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Amzn-ErrorType", "TooManyRequestsException")
		w.Header().Set("Retry-After", "3")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, `{"message":"Rate Exceeded.","Reason":"ConcurrentInvocationLimitExceeded"}`)
	}, nil)
	r := site.Execute(context.Background(), someAttempt)
	require.Equal(t, 3*time.Second, r.Err.RetryAfter)
	require.Contains(t, r.Err.Message, "ConcurrentInvocationLimitExceeded")
}

// TestFunctionErrors: the function was invoked; payloads are those of Lambda's documentation.
func TestFunctionErrors(t *testing.T) {
	const exit = `{"errorType":"Runtime.ExitError","errorMessage":"RequestId: 1 Error: Runtime exited with error: `
	for payload, want := range map[string]providers.Class{
		`{"errorType":"Sandbox.Timedout","errorMessage":"Error: Task timed out after 3.00 seconds"}`: providers.TimedOut,
		`{"errorMessage":"2026-11-25T12:00:00.000Z 1 Task timed out after 3.00 seconds"}`:            providers.TimedOut,
		exit + `exit status 2"}`:                                                      providers.FunctionError,
		exit + `signal: killed"}`:                                                     providers.FunctionError,
		`{"errorType":"errorString","errorMessage":"no luck"}`:                        providers.FunctionError,
		`{"errorType":"Function.ResponseSizeTooLarge","errorMessage":"Response ..."}`: providers.UnknownOutcome,
		`null`: providers.FunctionError, `[`: providers.FunctionError, ``: providers.FunctionError,
	} {
		t.Run(payload, func(t *testing.T) {
			site, _ := fake(t, answerWith(payload, "Unhandled", reportLine), nil)
			r := site.Execute(context.Background(), someAttempt)
			require.NotNil(t, r.Err)
			require.Equal(t, want, r.Err.Class, r.Err.Message)
			require.True(t, r.Usage.Executed)
			require.Equal(t, 13*time.Millisecond, r.Usage.Billed, "a failed function bills")
		})
	}
	e := functionError([]byte(`{"errorType":"Runtime.ExitError","errorMessage":"signal: killed"}`))
	require.Contains(t, e.Message, "out of memory")
}

func answerWith(payload, functionError, log string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if functionError != "" {
			w.Header().Set("X-Amz-Function-Error", functionError)
		}
		w.Header().Set("X-Amz-Log-Result", base64.StdEncoding.EncodeToString([]byte(log)))
		w.Header().Set("X-Amz-Executed-Version", "$LATEST")
		_, _ = io.WriteString(w, payload)
	}
}

// An answer that is not this attempt's manifest leaves the outcome to what was stored.
func TestStrangeAnswers(t *testing.T) {
	other, err := json.Marshal(envelope.Manifest{Protocol: envelope.Protocol, Attempt: "another"})
	require.NoError(t, err)
	for _, payload := range []string{"", "null", "{}", "[1]", `"text"`, string(other)} {
		site, _ := fake(t, answerWith(payload, "", ""), nil)
		r := site.Execute(context.Background(), someAttempt)
		require.NotNil(t, r.Err, payload)
		require.Equal(t, providers.UnknownOutcome, r.Err.Class, payload)
		require.True(t, r.Usage.Executed)
	}
}

func TestAnswerWithoutReport(t *testing.T) {
	m, err := json.Marshal(envelope.Manifest{Protocol: envelope.Protocol, Attempt: "a"})
	require.NoError(t, err)
	site, _ := fake(t, answerWith(string(m), "", "no report here"), nil)
	r := site.Execute(context.Background(), someAttempt)
	require.Nil(t, r.Err)
	require.Zero(t, r.Usage.Billed, "not told")
	require.False(t, r.Usage.SandboxRun)
}

// A connection that ends, or a server that stays silent, after the request was sent: sent once, and unknown.
func TestNoAnswer(t *testing.T) {
	site, requests := fake(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, nil)
	r := site.Execute(context.Background(), someAttempt)
	require.Equal(t, providers.UnknownOutcome, r.Err.Class, r.Err.Message)
	require.True(t, r.Usage.Executed)
	require.EqualValues(t, 1, requests.Load())
}

func TestWithdrawnBeforeItWasSent(t *testing.T) {
	site, requests := fake(t, answerWith("{}", "", ""), nil)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r := site.Execute(ctx, someAttempt)
	require.Equal(t, providers.Canceled, r.Err.Class)
	require.False(t, r.Usage.Executed)
	require.Zero(t, requests.Load())
}

func TestNoCredentials(t *testing.T) {
	site, requests := fake(t, answerWith("{}", "", ""), func(c *Config) {
		c.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{}, errors.New("the profile is gone")
		})
	})
	r := site.Execute(context.Background(), someAttempt)
	require.Equal(t, providers.Denied, r.Err.Class)
	require.Contains(t, r.Err.Message, "the profile is gone")
	require.Zero(t, requests.Load())
}
