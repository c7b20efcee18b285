package awslambda

import (
	"bytes"
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/spillway/spillway/artifact"
	"github.com/spillway/spillway/providers"
	"github.com/spillway/spillway/providers/providertest"
	"github.com/spillway/spillway/providers/sandbox"
)

// remote is the sandbox's object store as the suite sees it.
type remote struct{ artifact.Remote }

func (r *remote) Put(ctx context.Context, key string, data []byte) error {
	_, err := r.Remote.Put(ctx, key, bytes.NewReader(data), artifact.PutOptions{})
	return err
}

func (r *remote) Get(ctx context.Context, key string) ([]byte, error) {
	body, err := r.Remote.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}

// TestConformance: the production adapter passes the suite on a real function service in a process of its own.
func TestConformance(t *testing.T) {
	const quota = 4
	box := startSandbox(t, sandbox.Config{Quota: quota})
	deploy(t, connect(t, box, box.URL, nil))
	providertest.Run(t, providertest.Target{
		Address: box.URL[len("http://"):],
		Connect: func(t *testing.T, address string) providers.Executor {
			return connect(t, box, "http://"+address, nil)
		},
		Intruder: func(t *testing.T) providers.Executor {
			return connect(t, box, box.URL, func(c *Config) {
				c.Credentials = credentials.NewStaticCredentialsProvider(box.AccessKeyID, "guessed", "")
			})
		},
		Store:     &remote{artifact.Remote{BaseURL: box.URL, Secret: box.Objects}},
		MemoryMiB: 512,
		Limit:     4 * time.Second,
		Quota:     quota,
		Ledger: func(ctx context.Context, run string) ([]providertest.Bill, error) {
			entries, err := box.Ledger(ctx, run)
			var bills []providertest.Bill
			for _, e := range entries {
				bills = append(bills, providertest.Bill{Attempt: e.Attempt, RequestID: e.RequestID,
					Billed: time.Duration(e.Billed) * time.Microsecond, Running: e.Status == sandbox.StatusStarted})
			}
			return bills, err
		},
	})
}

func TestDeployTwiceChangesNothing(t *testing.T) {
	box := startSandbox(t, sandbox.Config{})
	site := connect(t, box, box.URL, func(c *Config) { c.Sizes = []int{256, 1024} })
	deploy(t, site)
	begin := time.Now()
	deploy(t, site)
	t.Logf("deployed again in %v", time.Since(begin))
	longer := connect(t, box, box.URL, func(c *Config) { c.Sizes, c.Timeout = []int{256}, 9*time.Second })
	deploy(t, longer)
	got, err := longer.client.GetFunctionConfiguration(context.Background(), functionOf(longer, 256))
	require.NoError(t, err)
	require.EqualValues(t, 9, *got.Timeout)
}

func functionOf(s *Site, memoryMiB int) *lambda.GetFunctionConfigurationInput {
	return &lambda.GetFunctionConfigurationInput{FunctionName: aws.String(s.function(memoryMiB))}
}
