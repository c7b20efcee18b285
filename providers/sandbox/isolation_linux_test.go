package sandbox

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/stretchr/testify/require"
)

// isolatedBox starts a sandbox that isolates, or skips.
func isolatedBox(t *testing.T) *box {
	b := startBox(t, nil)
	if !b.end.Isolated {
		t.Skipf("this machine does not permit isolation: %v", b.end.Notes)
	}
	b.deploy("f", 512, 20, nil)
	return b
}

func (b *box) sh(line string) string { return b.must("f", "sh", line, 0).Text }

func TestInstanceSeesItsClassOnly(t *testing.T) {
	b := isolatedBox(t)
	for _, tool := range []string{"python3", "perl", "git", "go", "gcc", "ssh", "curl", "mount"} {
		require.Equal(t, "none\n", b.sh("command -v "+tool+" || echo none"), tool)
	}
	for _, tool := range strings.Fields("sh cat grep sed awk find tar gzip sort head seq sha256sum") {
		require.Equal(t, "/usr/bin/"+tool+"\n", b.sh("command -v "+tool), tool)
	}
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("host only"), 0o644))
	for _, path := range []string{secret, statePath(b.dir), "/root", "/home", "/etc/shadow", "/sys", "/usr/share"} {
		require.Equal(t, "hidden\n", b.sh("test -e "+path+" && echo seen || echo hidden"), path)
	}
}

func TestInstanceIsNobodyAndCannotWrite(t *testing.T) {
	b := isolatedBox(t)
	require.Equal(t, "65534\n", b.sh("id -u"))
	for _, path := range []string{"/x", "/var/task/x", "/usr/bin/x", "/etc/x"} {
		require.Contains(t, b.sh("echo hello > "+path), "Read-only file system", path)
	}
	require.Equal(t, "hello\n", b.sh("echo hello > /tmp/x && cat /tmp/x"))
	out := b.sh("env")
	require.NotContains(t, out, "HOME=/root")
	require.NotContains(t, out, "GOPATH")
}

func TestInstanceSeesItsOwnProcessesOnly(t *testing.T) {
	b := isolatedBox(t)
	out := b.sh("ls /proc | grep -c '^[0-9]' || true")
	if out == "0\n" {
		t.Skip("no /proc in instances here")
	}
	require.LessOrEqual(t, len(strings.TrimSpace(out)), 1, "processes: %s", out)
}

// What a command leaves running ends with its instance.
func TestNothingOutlivesAnInstance(t *testing.T) {
	b := isolatedBox(t)
	b.sh("sleep 1234567 >/dev/null 2>&1 &")
	eventually(t, "it runs", func() bool { return processRuns(t, "sleep\x001234567") })
	b.call("f", "exit", "", 1)
	eventually(t, "the stray process ends", func() bool { return !processRuns(t, "sleep\x001234567") })
}

func processRuns(t *testing.T, commandLine string) bool {
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	for _, p := range paths {
		if data, err := os.ReadFile(p); err == nil && strings.HasPrefix(string(data), commandLine) {
			return true
		}
	}
	return false
}

func TestMemoryLimit(t *testing.T) {
	b := startBox(t, nil)
	b.deploy("f", 128, 20, nil)
	out, r, err := b.call("f", "grow", "", 400)
	require.NoError(t, err)
	require.NotNil(t, out.FunctionError)
	require.Equal(t, "Runtime.OutOfMemory", r.ErrorType, r.ErrorMessage)
	require.Equal(t, "0", b.must("f", "grow", "", 0).Text, "the next one meets a new instance")
}

// The share of an instance is its memory size over 1769 MiB, as the kernel is told.
func TestCPUShareIsSet(t *testing.T) {
	b := startBox(t, nil)
	b.deploy("f", 884, 20, nil) // half of 1769, rounded
	b.must("f", "echo", "", 0)
	g := findCgroups(b.dir)
	p, ok := g.parents["cpu"]
	if !ok {
		t.Skip("no cpu cgroup here: the governor is tested by itself")
	}
	file := "cpu.cfs_quota_us"
	if p.v2 {
		file = "cpu.max"
	}
	paths, err := filepath.Glob(filepath.Join(p.dir, g.prefix+"i-*", file))
	require.NoError(t, err)
	require.Len(t, paths, 1)
	data, err := os.ReadFile(paths[0])
	require.NoError(t, err)
	require.Equal(t, "9994", strings.Fields(string(data))[0], "of a period of 20,000 µs")
}

// Where isolation is not permitted the sandbox says so loudly, wherever somebody could look, and goes on.
func TestWithoutIsolation(t *testing.T) {
	defer func(dirs []string) { toolDirs = dirs }(toolDirs)
	toolDirs = nil // as on a machine that has none of the tools
	b := startBox(t, nil)
	require.False(t, b.end.Isolated)
	require.Contains(t, strings.Join(b.end.Notes, "\n"), "NOT ISOLATED")
	b.deploy("f", 512, 20, nil)
	require.Equal(t, "hello", b.must("f", "echo", "hello", 0).Text)
	b.sh("sleep 7654321 >/dev/null 2>&1 &")
	eventually(t, "it runs", func() bool { return processRuns(t, "sleep\x007654321") })
	b.call("f", "exit", "", 1)
	eventually(t, "what it left running ends", func() bool { return !processRuns(t, "sleep\x007654321") })
	f := &lambda.GetFunctionConfigurationInput{FunctionName: aws.String("f")}
	got, err := b.client.GetFunctionConfiguration(t.Context(), f)
	require.NoError(t, err)
	require.Contains(t, *got.Description, "NOT ISOLATED")
	entries, err := ReadLedger(b.dir)
	require.NoError(t, err)
	require.False(t, entries[0].Isolated)
}
