package awslambda

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/artifact"
	"github.com/spillway/spillway/providers/sandbox"
)

// TestMain is also the sandbox's server: the tests start their own program for it, as `spillway run` does.
func TestMain(m *testing.M) {
	sandbox.Init()
	if len(os.Args) == 3 && os.Args[1] == "serve" {
		if err := sandbox.Serve(context.Background(), os.Args[2], objectServer); err != nil {
			panic(err)
		}
		return
	}
	os.Exit(m.Run())
}

func objectServer(dir string, secret []byte) (http.Handler, error) {
	store, err := artifact.NewFS(dir)
	return artifact.Handler(store, secret), err
}

// runnerProgram builds spillway-runner as a release has it.
var runnerProgram = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "runner-")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-tags", "lambda.norpc", "-trimpath", "-ldflags=-s -w",
		"-o", dir, "github.com/spillway/spillway/cmd/spillway-runner")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	return filepath.Join(dir, "spillway-runner"), cmd.Run()
})

// startSandbox starts a sandbox in a process of its own, which ends with the test.
func startSandbox(t testing.TB, cfg sandbox.Config) *sandbox.Client {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cfg.Dir = t.TempDir()
	cfg.Command = []string{self, "serve", cfg.Dir}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client, err := sandbox.Ensure(ctx, cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Stop(context.Background())) })
	return client
}

// connect makes the site of a sandbox, reached at endpoint.
func connect(t testing.TB, box *sandbox.Client, endpoint string, edit func(*Config)) *Site {
	t.Helper()
	cfg := Config{
		Site: "sandbox:local", Region: box.Region, Endpoint: endpoint, Sizes: []int{512}, Sandbox: true,
		Credentials: credentials.NewStaticCredentialsProvider(box.AccessKeyID, box.SecretKey, ""),
		Timeout:     4 * time.Second, Quota: 4,
	}
	if edit != nil {
		edit(&cfg)
	}
	site, err := New(context.Background(), cfg)
	require.NoError(t, err)
	t.Cleanup(site.Close)
	return site
}

func deploy(t testing.TB, site *Site) {
	t.Helper()
	program, err := runnerProgram()
	require.NoError(t, err)
	require.NoError(t, site.Deploy(context.Background(), program, "arn:aws:iam::000000000000:role/none"))
}
