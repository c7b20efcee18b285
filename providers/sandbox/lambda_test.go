package sandbox

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

func TestInvoke(t *testing.T) {
	b := startBox(t, nil)
	b.deploy("f", 512, 2, nil)
	out, r, err := b.call("f", "echo", "hello", 0)
	if err != nil {
		t.Fatal(err)
	}
	if r.Text != "hello" || out.StatusCode != http.StatusOK || aws.ToString(out.ExecutedVersion) != "$LATEST" ||
		out.FunctionError != nil {
		t.Fatalf("%+v %+v", r, out)
	}
	if again := b.must("f", "echo", "", 0); again.Calls != 2 {
		t.Errorf("a second call met a new instance: %+v", again)
	}
	for _, test := range []struct {
		do, text       string
		count          int
		kind, has      string
		instanceGoesOn bool
	}{
		{"error", "no luck", 0, "errorString", "no luck", true},
		{"typed", "", 0, "typedError", "typed failure", true},
		{"panic", "oh", 0, "string", "oh", false},
		{"exit", "", 3, "Runtime.ExitError", "exit status 3", false},
		{"sleep", "", 10_000, "Sandbox.Timedout", "Task timed out after 2.00 seconds", false},
		{"answer", "", 6_400_000, "Function.ResponseSizeTooLarge", "Response payload size exceeded", false},
	} {
		t.Run(test.do, func(t *testing.T) {
			before := b.must("f", "echo", "", 0)
			out, r, err := b.call("f", test.do, test.text, test.count)
			if err != nil {
				t.Fatal(err)
			}
			if aws.ToString(out.FunctionError) != "Unhandled" || r.ErrorType != test.kind ||
				!strings.Contains(r.ErrorMessage, test.has) {
				t.Fatalf("FunctionError %q, payload %.300s", aws.ToString(out.FunctionError), out.Payload)
			}
			after := b.must("f", "echo", "", 0)
			if kept := after.Calls == before.Calls+2; kept != test.instanceGoesOn {
				t.Errorf("instance goes on: %v, want %v", kept, test.instanceGoesOn)
			}
		})
	}
}

func TestInvokeModesAndErrors(t *testing.T) {
	b := startBox(t, nil)
	b.deploy("f", 512, 5, nil)
	ctx := context.Background()
	invoke := func(in lambda.InvokeInput) (*lambda.InvokeOutput, error) {
		if in.FunctionName == nil {
			in.FunctionName = aws.String("f")
		}
		return b.client.Invoke(ctx, &in)
	}
	if out, err := invoke(lambda.InvokeInput{InvocationType: types.InvocationTypeDryRun}); err != nil ||
		out.StatusCode != http.StatusNoContent {
		t.Errorf("DryRun: %v %v", out, err)
	}
	if out, err := invoke(lambda.InvokeInput{InvocationType: types.InvocationTypeEvent,
		Payload: []byte(`{}`)}); err != nil || out.StatusCode != http.StatusAccepted {
		t.Errorf("Event: %v %v", out, err)
	}
	eventually(t, "the event is in the ledger", func() bool {
		entries, err := ReadLedger(b.dir)
		return err == nil && len(entries) == 1 && entries[0].Status == StatusOK
	})
	arn := aws.String("arn:aws:lambda:local:000000000000:function:f")
	if _, err := invoke(lambda.InvokeInput{FunctionName: arn}); err != nil {
		t.Errorf("by ARN: %v", err)
	}
	var bad *types.InvalidRequestContentException
	if _, err := invoke(lambda.InvokeInput{Payload: []byte(`{`)}); !errors.As(err, &bad) {
		t.Errorf("bad JSON: %v", err)
	}
	var missing *types.ResourceNotFoundException
	if _, err := invoke(lambda.InvokeInput{FunctionName: aws.String("nobody")}); !errors.As(err, &missing) {
		t.Errorf("missing function: %v", err)
	}
	text := func(n int) []byte { return []byte(`"` + strings.Repeat("x", n-2) + `"`) }
	out, err := invoke(lambda.InvokeInput{Payload: text(MaxPayload)})
	if err != nil || aws.ToString(out.FunctionError) != "Unhandled" { // a string is no order; but it got there
		t.Errorf("largest request: %v", err)
	}
	var large *types.RequestTooLargeException
	if _, err := invoke(lambda.InvokeInput{Payload: text(MaxPayload + 1)}); !errors.As(err, &large) {
		t.Errorf("a byte more: %v", err)
	}
}

func TestLogTail(t *testing.T) {
	b := startBox(t, nil)
	b.deploy("f", 512, 5, nil)
	for i := range 20 { // what a handler printed last is in the tail, however late the pipe is read
		out, _, err := b.call("f", "print", "word ", 200)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := base64.StdEncoding.DecodeString(aws.ToString(out.LogResult))
		if err != nil {
			t.Fatal(err)
		}
		log := string(raw)
		if strings.Count(log, "word ") != 200 || !strings.HasPrefix(log, "START RequestId: ") ||
			!strings.Contains(log, "Billed Duration: ") {
			t.Fatalf("call %d: %s", i, log)
		}
		if cold := strings.Contains(log, "Init Duration: "); cold != (i == 0) {
			t.Fatalf("call %d: cold is %v", i, cold)
		}
	}
	out, _, _ := b.call("f", "print", "long ", 5000)
	raw, _ := base64.StdEncoding.DecodeString(aws.ToString(out.LogResult))
	if len(raw) != 4096 || !strings.Contains(string(raw), "REPORT RequestId") {
		t.Errorf("%d bytes of a long log", len(raw))
	}
}

func TestConcurrency(t *testing.T) {
	b := startBox(t, func(c *Config) { c.Quota = 10 })
	b.deploy("f", 128, 10, nil)
	b.deploy("g", 128, 10, nil)
	ctx := context.Background()
	reserve := &lambda.PutFunctionConcurrencyInput{FunctionName: aws.String("f"),
		ReservedConcurrentExecutions: aws.Int32(2)}
	if _, err := b.client.PutFunctionConcurrency(ctx, reserve); err != nil {
		t.Fatal(err)
	}
	// Invocations that hold their place until they are told: a file in a folder both sides see is not to be had
	// in an isolated instance, so they sleep for longer than 16 requests take to arrive.
	run := func(name string, n int) map[types.ThrottleReason]int {
		got := make(map[types.ThrottleReason]int)
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range n {
			wg.Go(func() {
				_, _, err := b.call(name, "sleep", "", 1500)
				var throttle *types.TooManyRequestsException
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					got["ok"]++
				case errors.As(err, &throttle):
					got[throttle.Reason]++
					if aws.ToString(throttle.RetryAfterSeconds) == "" {
						t.Error("a throttle without Retry-After")
					}
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		return got
	}
	if got := run("f", 8); got["ok"] != 2 ||
		got[types.ThrottleReasonReservedFunctionConcurrentInvocationLimitExceeded] != 6 {
		t.Errorf("reserved 2 of 8: %v", got)
	}
	if got := run("g", 12); got["ok"] != 8 || got[types.ThrottleReasonConcurrentInvocationLimitExceeded] != 4 {
		t.Errorf("account quota 10, 2 of them reserved, 12 calls: %v", got)
	}
	account, err := b.client.GetAccountSettings(ctx, &lambda.GetAccountSettingsInput{})
	if err != nil || account.AccountLimit.ConcurrentExecutions != 10 ||
		aws.ToInt32(account.AccountLimit.UnreservedConcurrentExecutions) != 8 {
		t.Errorf("%+v %v", account, err)
	}
	if _, err := b.client.DeleteFunctionConcurrency(ctx,
		&lambda.DeleteFunctionConcurrencyInput{FunctionName: aws.String("f")}); err != nil {
		t.Error(err)
	}
	got, err := b.client.GetFunctionConcurrency(ctx, &lambda.GetFunctionConcurrencyInput{FunctionName: aws.String("f")})
	if err != nil || got.ReservedConcurrentExecutions != nil {
		t.Errorf("%+v %v", got, err)
	}
}

// Sixty-four callers at once on a small CPU budget: nobody is refused, nobody gets another's answer, no instance
// more than the budget allows is made.
func TestManyCallersShareTheBudget(t *testing.T) {
	b := startBox(t, func(c *Config) { c.VCPU = 2 * VCPU(512) })
	b.deploy("f", 512, 20, nil)
	var wg sync.WaitGroup
	var mu sync.Mutex
	pids := make(map[int]bool)
	ids := make(map[string]bool)
	for i := range 64 {
		wg.Go(func() {
			for j := range 4 {
				text := strings.Repeat("x", i) + "/" + strings.Repeat("y", j)
				_, r, err := b.call("f", "sleep", text, 1)
				mu.Lock()
				pids[r.PID], ids[r.ID] = true, true
				mu.Unlock()
				if err != nil || r.Text != text {
					t.Errorf("%q answered with %q, %v", text, r.Text, err)
				}
			}
		})
	}
	wg.Wait()
	if len(ids) != 256 {
		t.Errorf("%d request ids for 256 calls", len(ids))
	}
	entries, err := ReadLedger(b.dir)
	cold := 0
	for _, e := range entries {
		if e.Cold {
			cold++
		}
	}
	if err != nil || len(entries) != 256 || cold > 4 {
		t.Errorf("%d entries, %d cold starts, %v: want 256 and few", len(entries), cold, err)
	}
	big := &lambda.UpdateFunctionConfigurationInput{FunctionName: aws.String("f"), MemorySize: aws.Int32(2048)}
	var refused *types.InvalidParameterValueException
	if _, err := b.client.UpdateFunctionConfiguration(context.Background(), big); !errors.As(err, &refused) {
		t.Errorf("a memory size above the whole budget: %v", err)
	}
}

func TestControlPlane(t *testing.T) {
	b := startBox(t, nil)
	ctx := context.Background()
	for _, name := range []string{"c", "a", "b"} {
		b.deploy(name, 256, 3, map[string]string{"NAME": name})
	}
	pages := lambda.NewListFunctionsPaginator(b.client, &lambda.ListFunctionsInput{MaxItems: aws.Int32(2)})
	var names []string
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range page.Functions {
			names = append(names, *f.FunctionName)
		}
	}
	if strings.Join(names, " ") != "a b c" {
		t.Errorf("listed %v", names)
	}
	first := b.must("a", "env", "", 0)
	changed, err := b.client.UpdateFunctionConfiguration(ctx, &lambda.UpdateFunctionConfigurationInput{
		FunctionName: aws.String("a"), MemorySize: aws.Int32(512), Timeout: aws.Int32(7)})
	if err != nil || *changed.MemorySize != 512 || *changed.Timeout != 7 {
		t.Fatalf("%+v %v", changed, err)
	}
	second := b.must("a", "env", "", 0)
	if second.Calls != 1 || !strings.Contains(strings.Join(second.Env, "\n"), "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=512") {
		t.Errorf("an instance of the old size served: %v then %v", first, second)
	}
	got, err := b.client.GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: aws.String("a")})
	if err != nil || got.Configuration.State != types.StateActive ||
		got.Configuration.Environment.Variables["NAME"] != "a" {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := b.client.DeleteFunction(ctx, &lambda.DeleteFunctionInput{FunctionName: aws.String("a")}); err != nil {
		t.Fatal(err)
	}
	var missing *types.ResourceNotFoundException
	if _, _, err := b.call("a", "echo", "", 0); !errors.As(err, &missing) {
		t.Errorf("a deleted function: %v", err)
	}
	var exists *types.ResourceConflictException
	_, err = b.client.CreateFunction(ctx, &lambda.CreateFunctionInput{FunctionName: aws.String("b"), Role: aws.String("r"),
		Code: &types.FunctionCode{ZipFile: functionZip(t)}})
	if !errors.As(err, &exists) {
		t.Errorf("created twice: %v", err)
	}
}

func TestKeepAliveAndPrewarm(t *testing.T) {
	b := startBox(t, func(c *Config) { c.KeepAlive = 100 * time.Millisecond })
	b.deploy("f", 512, 5, nil)
	b.must("f", "echo", "", 0)
	eventually(t, "the instance expires and its folder goes", func() bool { return instancesOf(b.dir) == 0 })
	if r := b.must("f", "echo", "", 0); r.Calls != 1 {
		t.Errorf("the expired instance served: %+v", r)
	}
	ctx := context.Background()
	provision := &lambda.PutProvisionedConcurrencyConfigInput{FunctionName: aws.String("f"),
		Qualifier:                       aws.String("$LATEST"),
		ProvisionedConcurrentExecutions: aws.Int32(3)}
	if _, err := b.client.PutProvisionedConcurrencyConfig(ctx, provision); err != nil {
		t.Fatal(err)
	}
	eventually(t, "three instances are ready", func() bool {
		got, err := b.client.GetProvisionedConcurrencyConfig(ctx, &lambda.GetProvisionedConcurrencyConfigInput{
			FunctionName: aws.String("f"), Qualifier: aws.String("$LATEST")})
		return err == nil && got.Status == types.ProvisionedConcurrencyStatusEnumReady &&
			*got.AvailableProvisionedConcurrentExecutions == 3
	})
	if r := b.must("f", "echo", "", 0); r.Calls == 0 {
		t.Error(r)
	}
	entries, _ := ReadLedger(b.dir)
	if last := entries[len(entries)-1]; last.Cold {
		t.Errorf("cold in spite of provisioned instances: %+v", last)
	}
}

func TestColdStartIsMetered(t *testing.T) {
	b := startBox(t, func(c *Config) { c.ColdStart = 150 * time.Millisecond })
	b.deploy("f", 1769, 5, nil)
	b.must("f", "echo", "", 0)
	b.must("f", "echo", "", 0)
	entries, err := ReadLedger(b.dir)
	if err != nil || len(entries) != 2 {
		t.Fatal(entries, err)
	}
	if e := entries[0]; !e.Cold || e.Init < 150_000 || e.Billed < 150_000 || e.Billed%1000 != 0 || e.Cost <= 0 {
		t.Errorf("cold: %+v", e)
	}
	if e := entries[1]; e.Cold || e.Init != 0 {
		t.Errorf("warm: %+v", e)
	}
}

func TestFailedInit(t *testing.T) {
	b := startBox(t, nil)
	b.deploy("f", 512, 5, map[string]string{"FAIL_INIT": "1"})
	out, r, err := b.call("f", "echo", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	log, _ := base64.StdEncoding.DecodeString(aws.ToString(out.LogResult))
	if aws.ToString(out.FunctionError) != "Unhandled" || r.ErrorType != "Runtime.ExitError" ||
		!strings.Contains(r.ErrorMessage, "exit status 9") ||
		!strings.Contains(string(log), "refusing to start") {
		t.Errorf("%s, log %s", out.Payload, log)
	}
	entries, _ := ReadLedger(b.dir)
	if len(entries) != 1 || entries[0].Status != StatusInit {
		t.Errorf("%+v", entries)
	}
}

func TestBadArchives(t *testing.T) {
	b := startBox(t, nil)
	for name, files := range map[string]map[string]string{
		"no bootstrap": {"main": ""},
		"slip":         {"bootstrap": "", "../out": ""},
		"absolute":     {"bootstrap": "", "/etc/out": ""},
	} {
		archive, err := zipOf(files)
		if err != nil {
			t.Fatal(err)
		}
		_, err = b.client.CreateFunction(context.Background(), &lambda.CreateFunctionInput{
			FunctionName: aws.String("f"), Role: aws.String("r"), Code: &types.FunctionCode{ZipFile: archive}})
		var refused *types.InvalidParameterValueException
		if !errors.As(err, &refused) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLedgerTellsTheReport(t *testing.T) {
	b := startBox(t, nil)
	b.deploy("f", 512, 5, nil)
	b.must("f", "echo", "", 0)
	entries, err := ReadLedger(b.dir)
	if err != nil || len(entries) != 1 {
		t.Fatal(entries, err)
	}
	e := entries[0]
	u := testRates
	want, err := u.Total(pricingUsage(e))
	if err != nil || e.Cost != want || e.Status != StatusOK || e.MemoryMiB != 512 || e.PriceBook != "test" {
		text, _ := json.Marshal(e)
		t.Errorf("%s, want cost %d, %v", text, want, err)
	}
}
