//go:build linux || darwin

// Package lambdafn runs attempts as invocations of an AWS Lambda function, through Lambda's Runtime API.
package lambdafn

import (
	"context"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/spillway/spillway/internal/envelope"
	"github.com/spillway/spillway/runner"
)

// grace is what is kept of a function's time limit to kill the command and to write the manifest.
const grace = 500 * time.Millisecond

// Inside tells whether this process was started by Lambda.
func Inside() bool { return os.Getenv("AWS_LAMBDA_RUNTIME_API") != "" }

// Start serves invocations and does not return. A command that failed is a manifest with a Failure, not
// an error of the function. Commands' output also goes to standard error, where Lambda takes its logs.
func Start(opt runner.Options) {
	opt.Log = func() (io.WriteCloser, error) { return stderr{os.Stderr}, nil }
	lambda.Start(handler(opt))
}

// stderr stays open.
type stderr struct{ io.Writer }

func (stderr) Close() error { return nil }

// handler takes one invocation after the other; the first one is the cold one.
func handler(opt runner.Options) func(context.Context, envelope.Invocation) (envelope.Manifest, error) {
	var warm atomic.Bool
	return func(ctx context.Context, inv envelope.Invocation) (envelope.Manifest, error) {
		opt := opt
		opt.Cold = !warm.Swap(true)
		if limit, ok := ctx.Deadline(); ok {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, limit.Add(-grace))
			defer cancel()
		}
		return runner.Run(ctx, inv, opt), nil
	}
}
