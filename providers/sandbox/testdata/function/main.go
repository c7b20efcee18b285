// Command function is what the tests deploy: a handler on the real aws-lambda-go that does as it is told.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

type order struct {
	Do    string `json:"do"`
	Text  string `json:"text"`
	Count int    `json:"count"`
}

type report struct {
	Text    string   `json:"text"`
	PID     int      `json:"pid"`
	Calls   int      `json:"calls"`
	ID      string   `json:"id"`
	Env     []string `json:"env,omitempty"`
	Seconds float64  `json:"seconds"`
}

type typedError struct{}

func (typedError) Error() string { return "typed failure" }

var calls int

func handle(ctx context.Context, o order) (report, error) {
	calls++
	begun := time.Now()
	r := report{Text: o.Text, PID: os.Getpid(), Calls: calls}
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		r.ID = lc.AwsRequestID
	}
	switch o.Do {
	case "", "echo":
	case "error":
		return r, errors.New(o.Text)
	case "typed":
		return r, typedError{}
	case "panic":
		panic(o.Text)
	case "exit":
		os.Exit(o.Count)
	case "sleep":
		time.Sleep(time.Duration(o.Count) * time.Millisecond)
	case "print":
		fmt.Println(strings.Repeat(o.Text, o.Count))
	case "grow":
		block := make([]byte, o.Count<<20)
		for i := 0; i < len(block); i += 4096 {
			block[i] = 1
		}
		r.Text = fmt.Sprint(len(block))
	case "answer":
		r.Text = strings.Repeat("x", o.Count)
	case "burn":
		for x := 1; time.Since(begun) < time.Hour && x < o.Count*1_000_000; x++ {
			_ = x * x
		}
	case "sh":
		out, err := exec.Command("sh", "-c", o.Text).CombinedOutput()
		r.Text = string(out)
		if err != nil {
			r.Text += err.Error()
		}
	case "env":
		r.Env = os.Environ()
	}
	r.Seconds = time.Since(begun).Seconds()
	return r, nil
}

func main() {
	if os.Getenv("FAIL_INIT") != "" {
		fmt.Println("refusing to start")
		os.Exit(9)
	}
	lambda.Start(handle)
}
