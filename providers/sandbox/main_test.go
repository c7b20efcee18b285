package sandbox

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/spillway/spillway/pricing"
)

// testRates bill as AWS did when these tests were written: by the millisecond, the cold start included.
var testRates = pricing.Rates{PerGiBSecond: 0.0000166667, PerRequest: 0.0000002, GranularityUs: 1000,
	BillColdStart: true}

func TestMain(m *testing.M) {
	Init()
	if len(os.Args) == 3 && os.Args[1] == "serve" {
		serveForTest(os.Args[2])
		return
	}
	goleak.VerifyTestMain(m)
}

func noObjects(string, []byte) (http.Handler, error) { return http.NotFoundHandler(), nil }

// serveForTest is a sandbox in a process of its own, for tests that kill it.
func serveForTest(dir string) {
	if err := Serve(context.Background(), dir, noObjects); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

var buildFunction = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "sandbox-function-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "bootstrap")
	cmd := exec.Command("go", "build", "-tags", "lambda.norpc", "-trimpath", "-ldflags=-s -w", "-o", file,
		"./testdata/function")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	binary, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return zipOf(map[string]string{"bootstrap": string(binary)})
})

func zipOf(files map[string]string) ([]byte, error) {
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for name, content := range files {
		h := &zip.FileHeader{Name: name, Method: zip.Deflate}
		h.SetMode(0o755)
		f, err := w.CreateHeader(h)
		if err != nil {
			return nil, err
		}
		if _, err := f.Write([]byte(content)); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil { // before its bytes are taken: it writes the directory
		return nil, err
	}
	return buf.Bytes(), nil
}

func functionZip(t testing.TB) []byte {
	t.Helper()
	archive, err := buildFunction()
	if err != nil {
		t.Fatal(err)
	}
	return archive
}

// box is a sandbox in this process with the real SDK's client.
type box struct {
	t      testing.TB
	client *lambda.Client
	dir    string
	end    Endpoint
	stop   func() error
}

func startBox(t testing.TB, edit func(*Config)) *box {
	t.Helper()
	cfg := Config{Dir: t.TempDir(), Rates: testRates, Book: "test", IdleExit: -1}
	if edit != nil {
		edit(&cfg)
	}
	if err := saveJSON(configPath(cfg.Dir), cfg); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, cfg.Dir, noObjects) }()
	stop := sync.OnceValue(func() error { cancel(); return <-done })
	b := &box{t: t, dir: cfg.Dir, stop: stop}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	eventually(t, "it serves", func() (ok bool) {
		var err error
		b.end, err = attach(context.Background(), cfg.Dir)
		return err == nil
	})
	b.client = sdkClient(t, b.end)
	return b
}

func sdkClient(t testing.TB, e Endpoint) *lambda.Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 128}
	t.Cleanup(transport.CloseIdleConnections)
	return lambda.New(lambda.Options{
		Region: e.Region, BaseEndpoint: aws.String(e.URL), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(e.AccessKeyID, e.SecretKey, ""),
		HTTPClient:  &http.Client{Transport: transport},
	})
}

// deploy creates a function of the test binary.
func (b *box) deploy(name string, memoryMiB, timeoutSec int, env map[string]string) {
	b.t.Helper()
	_, err := b.client.CreateFunction(context.Background(), &lambda.CreateFunctionInput{
		FunctionName: &name, Role: aws.String("arn:aws:iam::000000000000:role/none"), Runtime: types.RuntimeProvidedal2023,
		Handler: aws.String("bootstrap"), Code: &types.FunctionCode{ZipFile: functionZip(b.t)},
		MemorySize: aws.Int32(int32(memoryMiB)), Timeout: aws.Int32(int32(timeoutSec)),
		Environment: &types.Environment{Variables: env},
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

type functionReport struct {
	Text    string
	PID     int
	Calls   int
	ID      string
	Env     []string
	Seconds float64
	// of a function error
	ErrorType    string
	ErrorMessage string
}

func (b *box) call(name, do, text string, count int) (*lambda.InvokeOutput, functionReport, error) {
	payload, _ := json.Marshal(map[string]any{"do": do, "text": text, "count": count})
	out, err := b.client.Invoke(context.Background(), &lambda.InvokeInput{FunctionName: &name, Payload: payload,
		LogType: types.LogTypeTail})
	var r functionReport
	if err == nil {
		err = json.Unmarshal(out.Payload, &r)
	}
	return out, r, err
}

// must is call for what has to succeed.
func (b *box) must(name, do, text string, count int) functionReport {
	b.t.Helper()
	out, r, err := b.call(name, do, text, count)
	if err != nil {
		b.t.Fatal(err)
	}
	if out.FunctionError != nil {
		b.t.Fatalf("function error: %s", out.Payload)
	}
	return r
}

// eventually polls for a condition that another process brings about.
func eventually(t testing.TB, what string, met func() bool) {
	t.Helper()
	require.Eventually(t, met, 20*time.Second, 5*time.Millisecond, what)
}

// instancesOf counts the instances' own folders, which are removed when all of an instance's processes are gone.
func instancesOf(dir string) int {
	found, _ := filepath.Glob(filepath.Join(dir, "instances", "i-*"))
	return len(found)
}

func pricingUsage(e Entry) pricing.Usage {
	return pricing.Usage{Requests: 1, HandlerUs: e.Duration, ColdStartUs: e.Init, MemMiB: e.MemoryMiB, VCPU: e.VCPU}
}
