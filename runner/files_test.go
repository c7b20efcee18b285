//go:build linux || darwin

package runner

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spillway/spillway/internal/envelope"
)

func TestFilesComeAndGo(t *testing.T) {
	b := newBed(t, `./in/tool.sh <a.txt >out/b.txt && cp out/b.txt value.json`)
	b.input("a.txt", `"hello"`)
	b.input("in/tool.sh", "#!/bin/sh\ncat").Executable = true
	b.input("out/.keep", "")
	b.output("out/b.txt").Name = "b"
	value := b.output("value.json")
	value.Value, value.Object.Put = true, "" // nobody reads it as a file
	m := b.run(context.Background())
	require.Nil(t, m.Failure)
	sum := digest([]byte(`"hello"`))
	require.Equal(t, []envelope.Stored{
		{Name: "b", Path: "out/b.txt", Key: "out/out/b.txt", SHA256: sum, Size: 7},
		{Path: "value.json", Key: "out/value.json", SHA256: sum, Size: 7, Value: json.RawMessage(`"hello"`)},
	}, m.Outputs)
	require.Equal(t, `"hello"`, string(b.objects.objects["out/out/b.txt"]))
	require.NotContains(t, b.objects.objects, "out/value.json")
	require.Equal(t, m, b.stored())
	require.Positive(t, m.FetchUs)
	require.Positive(t, m.CommandUs)
	require.Positive(t, m.StoreUs)
}

func TestManyFilesKeepTheirOrder(t *testing.T) {
	b := newBed(t, `for f in in/*; do cp $f $(basename $f); done`)
	for i := range 30 {
		name := strconv.Itoa(i)
		b.input("in/"+name, "content of "+name)
		b.output(name)
	}
	m := b.run(context.Background())
	require.Nil(t, m.Failure)
	for i, out := range m.Outputs {
		require.Equal(t, strconv.Itoa(i), out.Path)
		require.Equal(t, digest([]byte("content of "+out.Path)), out.SHA256)
	}
}

func TestInputsThatAreRefused(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	for _, c := range []struct {
		name   string
		change func(b *bed, in *envelope.Input)
		class  envelope.FailureClass
		text   string
	}{
		{"wrong digest", func(b *bed, in *envelope.Input) { b.objects.objects["in/a"] = []byte("hellO") },
			envelope.FailInput, "expected 5 bytes with SHA-256 " + digest([]byte("hello")) + ", got 5"},
		{"cut short", func(b *bed, in *envelope.Input) { b.objects.objects["in/a"] = []byte("hell") },
			envelope.FailInput, "got 4"},
		{"missing", func(b *bed, in *envelope.Input) { delete(b.objects.objects, "in/a") },
			envelope.FailInput, "input a: fetch in/a"},
		{"parent", func(b *bed, in *envelope.Input) { in.Path = "../outside" }, envelope.FailInput, "outside"},
		{"parent within", func(b *bed, in *envelope.Input) { in.Path = "x/../../outside" }, envelope.FailInput, "outside"},
		{"absolute", func(b *bed, in *envelope.Input) { in.Path = outside }, envelope.FailInput, "outside"},
		{"no name", func(b *bed, in *envelope.Input) { in.Path = "" }, envelope.FailInput, "outside"},
		{"the folder itself", func(b *bed, in *envelope.Input) { in.Path = "." }, envelope.FailInput, "input ."},
		{"twice", func(b *bed, in *envelope.Input) { b.inv.Inputs = append(b.inv.Inputs, *in) },
			envelope.FailInput, "file exists"},
		{"below a file", func(b *bed, in *envelope.Input) { b.input("a/b", "x") }, envelope.FailInput, "input a"},
		{"disk full", func(b *bed, in *envelope.Input) { b.objects.failing["in/a"] = syscall.ENOSPC },
			envelope.FailInternal, "no space left"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t, `touch `+outside)
			c.change(b, b.input("a", "hello"))
			m := b.run(context.Background())
			requireFailure(t, m, c.class, c.text)
			require.Equal(t, m, b.stored())
			require.NoFileExists(t, outside, "the command ran, or the file got out")
		})
	}
}

func TestOutputsThatAreRefused(t *testing.T) {
	for _, c := range []struct{ name, script, path, text string }{
		{"missing", `true`, "a", "the command left no such file"},
		{"in a missing folder", `true`, "d/a", "no such file"},
		{"folder", `mkdir a`, "a", "not a regular file"},
		{"pipe", `mkfifo a`, "a", "not a regular file"},
		{"link to a file outside", `ln -s /etc/passwd a`, "a", "escapes"},
		{"link to a device", `ln -s /dev/zero a`, "a", "escapes"},
		{"link up and out", `ln -s ../secret a`, "a", "escapes"},
		{"folder that leads out", `ln -s /etc d`, "d/passwd", "escapes"},
		{"link in a ring", `ln -s b a; ln -s a b`, "a", "output a"},
		{"dangling link", `ln -s b a`, "a", "no such file"},
		{"parent", `true`, "../secret", "outside"},
		{"absolute", `true`, "/etc/passwd", "outside"},
		{"no name", `true`, "", "outside"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t, c.script)
			require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(b.opt.WorkDir), "secret"), []byte("s"), 0o600))
			b.output(c.path)
			m := b.run(context.Background())
			requireFailure(t, m, envelope.FailOutput, c.text)
			require.Zero(t, m.ExitCode)
			require.Len(t, b.objects.objects, 1, "only the manifest is stored")
		})
	}
}

func TestDevicesAreNoOutputs(t *testing.T) {
	b := newBed(t, "")
	require.NoError(t, os.Mkdir(b.opt.WorkDir, 0o700))
	if err := syscall.Mknod(b.opt.WorkDir+"/a", syscall.S_IFCHR|0o600, 1<<8|5); err != nil { // as /dev/zero
		t.Skipf("a device needs privileges: %v", err)
	}
	a := &attempt{opt: b.opt}
	require.NoError(t, a.open())
	defer a.root.Close()
	_, err := a.openOutput("a")
	require.Error(t, err)
}

func TestLinksWithinTheFolderAreOutputs(t *testing.T) {
	b := newBed(t, `mkdir d; echo x >d/real; ln -s d/real a`)
	b.output("a")
	m := b.run(context.Background())
	require.Nil(t, m.Failure)
	require.Equal(t, "x\n", string(b.objects.objects["out/a"]))
}

func TestValues(t *testing.T) {
	exact := `"` + strings.Repeat("x", envelope.MaxValueBytes-2) + `"`
	for _, c := range []struct{ name, content, text string }{
		{"number", "42", ""},
		{"exactly the bound", exact, ""},
		{"one byte too many", exact + "\n", "at most 65536 bytes"},
		{"no JSON", "hello", "must be JSON"},
		{"empty", "", "must be JSON"},
		{"two values", "1 2", "must be JSON"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t, "cp in v")
			b.input("in", c.content)
			b.output("v").Value = true
			m := b.run(context.Background())
			if c.text != "" {
				requireFailure(t, m, envelope.FailOutput, c.text)
				return
			}
			require.Nil(t, m.Failure)
			require.Equal(t, c.content, string(m.Outputs[0].Value))
			require.Equal(t, c.content, string(b.objects.objects["out/v"]))
		})
	}
}

func TestOutputsOfAFailedCommandAreNotStored(t *testing.T) {
	b := newBed(t, "echo x >a; exit 1")
	b.output("a")
	requireFailure(t, b.run(context.Background()), envelope.FailExit, "exit code 1")
	require.NotContains(t, b.objects.objects, "out/a")
}

func TestStoreThatFails(t *testing.T) {
	b := newBed(t, "echo x >a")
	b.output("a")
	b.objects.failing["out/a"] = errors.New("the store said no")
	requireFailure(t, b.run(context.Background()), envelope.FailOutput, "the store said no")
}

func TestUnreadableFoldersAreRemoved(t *testing.T) {
	b := newBed(t, "mkdir -p d/e; echo x >d/e/f; chmod 0 d/e d .")
	require.Nil(t, b.run(context.Background()).Failure) // run checks that nothing is left
}

func TestWorkDirIsKeptWhileItIsAsNew(t *testing.T) {
	inode := func(dir string) uint64 {
		var st syscall.Stat_t
		if syscall.Lstat(dir, &st) != nil {
			return 0
		}
		return st.Ino
	}
	secret := t.TempDir()
	for _, c := range []struct {
		name, script string
		kept         bool
	}{
		{"nothing done", "true", true},
		{"all removed", "echo x >f; rm f", true},
		{"permissions changed", "chmod 755 .", true},
		{"a file left", "echo x >f", false},
		{"a hidden file left", "echo x >.f", false},
		{"replaced by a link", `rmdir "$PWD" && ln -s ` + secret + ` "$PWD"`, false},
		{"replaced by a file", `rmdir "$PWD" && echo x >"$PWD"`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t, c.script)
			b.opt.KeepWorkDir = true
			require.NoError(t, os.Mkdir(b.opt.WorkDir, 0o700))
			before := inode(b.opt.WorkDir)
			require.Nil(t, b.run(context.Background()).Failure)
			if !c.kept {
				require.Zero(t, inode(b.opt.WorkDir), "it is not as new")
				require.DirExists(t, secret)
				return
			}
			require.Equal(t, before, inode(b.opt.WorkDir))
			info, err := os.Lstat(b.opt.WorkDir)
			require.NoError(t, err)
			require.Equal(t, os.ModeDir|0o700, info.Mode())
		})
	}
}

func TestWorkDirBeginsEmpty(t *testing.T) {
	for name, prepare := range map[string]func(dir string) error{
		"left by a dead runner": func(dir string) error {
			return errors.Join(os.MkdirAll(dir+"/d", 0o755), os.WriteFile(dir+"/d/f", nil, 0o644), os.Chmod(dir+"/d", 0))
		},
		"a file":                        func(dir string) error { return os.WriteFile(dir, nil, 0o644) },
		"a link":                        func(dir string) error { return os.Symlink(filepath.Dir(dir), dir) },
		"unreadable":                    func(dir string) error { return os.Mkdir(dir, 0) },
		"none, nor is the folder above": func(dir string) error { return os.RemoveAll(filepath.Dir(dir)) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, "pwd -P; ls -A")
			require.NoError(t, prepare(b.opt.WorkDir))
			want, err := filepath.EvalSymlinks(filepath.Dir(filepath.Dir(b.opt.WorkDir)))
			require.NoError(t, err)
			want = filepath.Join(want, filepath.Base(filepath.Dir(b.opt.WorkDir)), "work")
			require.Equal(t, want+"\n", b.run(context.Background()).LogTail)
		})
	}
}

func TestTemporaryWorkDir(t *testing.T) {
	b := newBed(t, "pwd")
	b.opt.WorkDir = ""
	m := Run(context.Background(), b.inv, b.opt)
	require.Nil(t, m.Failure)
	require.Contains(t, m.LogTail, "spillway-")
	require.NoDirExists(t, strings.TrimSpace(m.LogTail))
}

func TestNoWorkDirIsTheRunnersFailure(t *testing.T) {
	b := newBed(t, "true")
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	b.opt.WorkDir = file + "/work"
	requireFailure(t, b.run(context.Background()), envelope.FailInternal, "working directory")
}
