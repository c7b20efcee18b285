package sandbox

import (
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// The class `base` is a POSIX shell with the tools below, as the public cloud images have them. They are copies
// of this machine's own, with the shared libraries they need, so that nothing has to be downloaded.
const baseTools = `sh cat grep sed awk find tar gzip ` + // these eight must be there
	`arch b2sum base32 base64 basename chgrp chmod chown cksum comm cp csplit cut date dd df dir dirname du echo
	env expand expr factor false fmt fold head id install join link ln ls md5sum mkdir mkfifo mktemp mv nice nl
	nohup nproc numfmt od paste pathchk pr printenv printf ptx pwd readlink realpath rm rmdir seq sha1sum
	sha224sum sha256sum sha384sum sha512sum shred shuf sleep sort split stat stdbuf stty sum sync tac tail tee
	test timeout touch tr true truncate tsort tty uname unexpand uniq unlink users vdir wc who whoami yes [
	egrep fgrep xargs gunzip zcat`

const requiredTools = 8

var (
	toolDirs   = []string{"/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin"}
	libDirs    = []string{"/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib"}
	rootDirs   = []string{"usr/bin", "usr/lib", "etc", "tmp", "proc", "dev", "opt", "var/task", "var/runtime"}
	devices    = []string{"null", "zero", "full", "random", "urandom"}
	plainFiles = []string{ // copied where they are: names resolve and TLS works as outside
		"/etc/ld.so.cache", "/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf",
		"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
	}
)

// buildRoot returns a folder under dir that holds the class `base`. It is built once for each state of the
// machine's tools; two builders do not disturb each other.
func buildRoot(dir string) (string, error) {
	tools, missing := findTools()
	if len(missing) > 0 {
		return "", fmt.Errorf("this machine has no %s", strings.Join(missing, ", "))
	}
	target := filepath.Join(dir, "base-"+fingerprint(tools))
	if _, err := os.Stat(target); err == nil {
		return target, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	scratch, err := os.MkdirTemp(dir, "build-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(scratch)
	b := rootBuilder{root: scratch, copied: make(map[string]string), libDirs: librarySearchPath()}
	if err := b.build(tools); err != nil {
		return "", err
	}
	if err := os.Rename(scratch, target); err != nil {
		if _, stat := os.Stat(target); stat != nil {
			return "", err
		}
	}
	return target, nil
}

// tool is a program of the class: its name and the file that it is in the end.
type tool struct{ name, file string }

func findTools() (tools []tool, missing []string) {
	for i, name := range strings.Fields(baseTools) {
		if file := findIn(toolDirs, name); file != "" {
			tools = append(tools, tool{name, file})
		} else if i < requiredTools {
			missing = append(missing, name)
		}
	}
	return tools, missing
}

// findIn returns the file that name is in the first folder that has it, symbolic links followed.
func findIn(dirs []string, name string) string {
	for _, dir := range dirs {
		if file, err := filepath.EvalSymlinks(filepath.Join(dir, name)); err == nil {
			return file
		}
	}
	return ""
}

// fingerprint names a state of the tools: rebuilt when one is upgraded or this list changes.
func fingerprint(tools []tool) string {
	h := sha256.New()
	for _, t := range tools {
		if info, err := os.Stat(t.file); err == nil {
			fmt.Fprintln(h, t.name, t.file, info.Size(), info.ModTime().UnixNano())
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

type rootBuilder struct {
	root    string
	copied  map[string]string // file outside -> its copy, so that a multi-call program is one file
	libDirs []string
}

func (b *rootBuilder) build(tools []tool) error {
	if err := b.skeleton(); err != nil {
		return err
	}
	for _, t := range tools {
		if err := b.add(t.file, "/usr/bin/"+t.name); err != nil {
			return err
		}
	}
	for _, path := range plainFiles {
		if err := b.place(path, path, 0o644); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return os.Chmod(b.root, 0o755)
}

// skeleton lays out folders, with the links that this machine has where /usr is merged.
func (b *rootBuilder) skeleton() error {
	for _, dir := range rootDirs {
		if err := os.MkdirAll(filepath.Join(b.root, dir), 0o755); err != nil {
			return err
		}
	}
	links := map[string]string{"bin": "usr/bin", "sbin": "usr/bin", "usr/sbin": "bin"}
	for _, name := range []string{"lib", "lib32", "lib64", "libx32"} {
		if to, err := os.Readlink("/" + name); err == nil {
			links[name] = strings.TrimPrefix(to, "/")
		}
	}
	for name, to := range links {
		if err := os.Symlink(to, filepath.Join(b.root, name)); err != nil {
			return err
		}
		if strings.HasPrefix(name, "lib") {
			if err := os.MkdirAll(filepath.Join(b.root, to), 0o755); err != nil {
				return err
			}
		}
	}
	for _, name := range devices { // device nodes of this machine are mounted over these
		if err := os.WriteFile(filepath.Join(b.root, "dev", name), nil, 0o644); err != nil {
			return err
		}
	}
	for name, to := range map[string]string{"fd": "", "stdin": "/0", "stdout": "/1", "stderr": "/2"} {
		if err := os.Symlink("/proc/self/fd"+to, filepath.Join(b.root, "dev", name)); err != nil {
			return err
		}
	}
	if err := os.Chmod(filepath.Join(b.root, "tmp"), 0o1777); err != nil {
		return err
	}
	passwd := fmt.Sprintf("root:x:0:0::/:/bin/sh\nsandbox:x:%d:%d::/tmp:/bin/sh\n", instanceUID, instanceUID)
	if err := os.WriteFile(filepath.Join(b.root, "etc/passwd"), []byte(passwd), 0o644); err != nil {
		return err
	}
	group := fmt.Sprintf("root:x:0:\nsandbox:x:%d:\n", instanceUID)
	return os.WriteFile(filepath.Join(b.root, "etc/group"), []byte(group), 0o644)
}

// add copies an executable or library to path inside, and all it is linked to.
func (b *rootBuilder) add(file, path string) error {
	if err := b.place(file, path, 0o755); err != nil {
		return err
	}
	binary, err := elf.Open(file)
	if err != nil {
		return nil // a script: its interpreter is the shell, which is a tool itself
	}
	defer binary.Close()
	if interpreter := interpreterOf(binary); interpreter != "" {
		if err := b.place(interpreter, interpreter, 0o755); err != nil {
			return err
		}
	}
	needed, err := binary.ImportedLibraries()
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for _, name := range needed {
		at := b.library(name, binary)
		if at == "" {
			return fmt.Errorf("%s needs %s, which is in none of %v", file, name, b.libDirs)
		}
		if _, done := b.copied[at]; done {
			continue
		}
		b.copied[at] = ""
		if err := b.add(at, at); err != nil {
			return err
		}
	}
	return nil
}

// library finds name as the dynamic loader would, for the machine of the binary that needs it.
func (b *rootBuilder) library(name string, by *elf.File) string {
	for _, dir := range b.libDirs {
		path := filepath.Join(dir, name)
		lib, err := elf.Open(path)
		if err != nil {
			continue
		}
		match := lib.Machine == by.Machine && lib.Class == by.Class
		lib.Close()
		if match {
			return path
		}
	}
	return ""
}

func interpreterOf(binary *elf.File) string {
	section := binary.Section(".interp")
	if section == nil {
		return ""
	}
	data, err := section.Data()
	if err != nil {
		return ""
	}
	return strings.TrimRight(string(data), "\x00")
}

// place puts a copy of file at path inside; a file that is inside already is linked.
func (b *rootBuilder) place(file, path string, mode fs.FileMode) error {
	to := filepath.Join(b.root, path)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	if _, err := os.Lstat(to); err == nil {
		return nil
	}
	if copied := b.copied[file]; copied != "" {
		return os.Link(copied, to)
	}
	b.copied[file] = to
	return copyFile(file, to, mode)
}

func copyFile(from, to string, mode fs.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		return errors.Join(err, out.Close())
	}
	return out.Close()
}

// librarySearchPath is the loader's: what ld.so.conf names, then the usual folders.
func librarySearchPath() []string {
	return append(loaderConfig("/etc/ld.so.conf"), libDirs...)
}

func loaderConfig(path string) []string {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	var dirs []string
	for line := range strings.Lines(string(data)) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		switch {
		case len(fields) == 2 && fields[0] == "include":
			more, _ := filepath.Glob(fields[1]) // a bad pattern matches nothing
			for _, m := range more {
				dirs = append(dirs, loaderConfig(m)...)
			}
		case len(fields) == 1:
			dirs = append(dirs, fields[0])
		}
	}
	return dirs
}
