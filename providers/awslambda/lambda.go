// Package awslambda executes attempts as synchronous invocations of AWS Lambda functions, one function a memory
// size, each of which is spillway-runner. It is the way to AWS and, with another endpoint, to the sandbox.
package awslambda

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/spillway/spillway/internal/envelope"
	"github.com/spillway/spillway/providers"
)

const (
	maxPayload = 6 << 20 // bytes of a synchronous request or answer
	miBPerVCPU = 1769.0  // the memory size that comes with one vCPU

	// answerMargin is how much longer than the function may run an answer is waited for: a cold start and
	// the way there and back fall into it.
	answerMargin = 60 * time.Second
)

// Config describes a site.
type Config struct {
	Site        string                  // as in "aws:us-east-1" or "sandbox:local"
	Region      string                  // of AWS, or the sandbox's
	Endpoint    string                  // base URL; empty: AWS itself
	Credentials aws.CredentialsProvider // nil: the SDK's default chain
	Function    string                  // functions are named Function-MEMORY; default "spillway-runner"
	Sizes       []int                   // memory sizes in MiB, in the order of the offerings
	Timeout     time.Duration           // the functions' time limit in whole seconds; default 15 minutes, the maximum
	Quota       int                     // concurrent invocations; 0: not known
	Sandbox     bool                    // bills are the sandbox's
}

// Site is a region of AWS Lambda, or a sandbox, as a place for attempts.
type Site struct {
	cfg    Config
	client *lambda.Client
}

var _ providers.Executor = (*Site)(nil)

// New connects nothing yet. The error is about the credentials' configuration.
func New(ctx context.Context, cfg Config) (*Site, error) {
	if cfg.Function == "" {
		cfg.Function = "spillway-runner"
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 15 * time.Minute
	}
	if cfg.Credentials == nil {
		loaded, err := config.LoadDefaultConfig(ctx, config.WithRegion(cfg.Region))
		if err != nil {
			return nil, fmt.Errorf("aws: %w", err)
		}
		cfg.Credentials = loaded.Credentials
	}
	opt := lambda.Options{
		Region: cfg.Region, Credentials: cfg.Credentials, HTTPClient: newHTTPClient(),
		RetryMaxAttempts: 1, // a lost answer sent again would run the task again: the engine retries
	}
	if cfg.Endpoint != "" {
		opt.BaseEndpoint = aws.String(cfg.Endpoint)
	}
	return &Site{cfg: cfg, client: lambda.New(opt)}, nil
}

// newHTTPClient keeps as many connections as attempts run at once, and waits for an answer as long as the
// request's context does.
func newHTTPClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 0, 256
	transport.DisableCompression = true
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
}

// Close drops idle connections.
func (s *Site) Close() {
	if c, ok := s.client.Options().HTTPClient.(*http.Client); ok {
		c.CloseIdleConnections()
	}
}

// Offerings implements providers.Executor.
func (s *Site) Offerings(context.Context) ([]providers.Offering, error) {
	offerings := make([]providers.Offering, 0, len(s.cfg.Sizes))
	for _, size := range s.cfg.Sizes {
		offerings = append(offerings, providers.Offering{
			Site: s.cfg.Site, Name: strconv.Itoa(size) + "MiB", Class: "base", MemoryMiB: size,
			VCPU: float64(size) / miBPerVCPU, MaxDuration: s.cfg.Timeout, MaxPayload: maxPayload, Quota: s.cfg.Quota,
		})
	}
	return offerings, nil
}

func (s *Site) function(memoryMiB int) string { return s.cfg.Function + "-" + strconv.Itoa(memoryMiB) }

// Execute implements providers.Executor. When ctx ends after the request was sent, the function runs on: the
// result says Canceled with Usage.Executed.
func (s *Site) Execute(ctx context.Context, inv providers.Invocation) providers.Result {
	payload, err := json.Marshal(inv.Envelope)
	if err != nil {
		return s.failed(inv, providers.Refused, err.Error())
	}
	if len(payload) > maxPayload {
		return s.failed(inv, providers.PayloadTooLarge,
			fmt.Sprintf("the invocation has %d bytes, %d are allowed", len(payload), maxPayload))
	}
	if _, err := s.cfg.Credentials.Retrieve(ctx); err != nil && ctx.Err() == nil {
		return s.failed(inv, providers.Denied, fmt.Sprintf("no credentials: %v", err))
	}
	var sent atomic.Bool
	wait := s.cfg.Timeout
	if inv.Timeout > 0 {
		wait = min(wait, inv.Timeout)
	}
	call, cancel := context.WithTimeout(traced(ctx, &sent, inv.Started), wait+answerMargin)
	defer cancel()
	out, err := s.client.Invoke(call, &lambda.InvokeInput{
		FunctionName: aws.String(s.function(inv.MemoryMiB)), Payload: payload, LogType: types.LogTypeTail,
	})
	if err != nil {
		return s.erred(ctx, inv, err, sent.Load())
	}
	return s.answered(inv, out)
}

// erred is the result of a call without a function's answer. sent: the request may have arrived.
func (s *Site) erred(ctx context.Context, inv providers.Invocation, err error, sent bool) providers.Result {
	r := providers.Result{Err: classify(err), Usage: s.usage(inv)}
	r.Usage.RequestID = requestIDOf(err)
	if r.Err != nil {
		r.Usage.Executed = r.Err.Class == providers.UnknownOutcome
		return r
	}
	r.Err, r.Usage.Executed = unanswered(ctx, err, sent), sent
	return r
}

func (s *Site) usage(inv providers.Invocation) providers.Usage {
	return providers.Usage{MemoryMiB: inv.MemoryMiB, SandboxRun: s.cfg.Sandbox}
}

// failed is the result of an attempt that was not sent.
func (s *Site) failed(inv providers.Invocation, class providers.Class, message string) providers.Result {
	return providers.Result{Usage: s.usage(inv), Err: &providers.Error{Class: class, Message: message}}
}

// answered reads the answer of a function that ran.
func (s *Site) answered(inv providers.Invocation, out *lambda.InvokeOutput) providers.Result {
	r := providers.Result{Usage: s.usage(inv)}
	r.Usage.Executed = true
	r.Usage.RequestID, _ = awsmiddleware.GetRequestIDMetadata(out.ResultMetadata)
	if rep, ok := parseReport(aws.ToString(out.LogResult)); ok {
		r.Usage.Billed, r.Usage.Init, r.Usage.Cold = rep.billed, rep.init, rep.cold
	}
	if out.FunctionError != nil {
		r.Err = functionError(out.Payload)
		return r
	}
	m, err := decodeManifest(out.Payload, inv.Envelope.Attempt)
	if err != nil { // something ran and said nothing we understand: what it stored tells
		r.Err = &providers.Error{Class: providers.UnknownOutcome, Message: err.Error()}
		return r
	}
	r.Manifest = m
	return r
}

func decodeManifest(payload []byte, attempt string) (*envelope.Manifest, error) {
	m := new(envelope.Manifest)
	if err := json.Unmarshal(payload, m); err != nil {
		return nil, fmt.Errorf("the function's answer is no manifest: %w", err)
	}
	if m.Protocol != envelope.Protocol || m.Attempt != attempt {
		return nil, errors.New("the function's answer is not the manifest of this attempt: is it spillway-runner?")
	}
	return m, nil
}
