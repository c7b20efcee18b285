package sandbox

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const maxUnzipped = 250 << 20 // bytes; AWS's limit for a function's code

// installCode unpacks a function's zip under dir, in a folder named after its content, and returns that name.
// Functions of several memory sizes share one copy. Errors are the caller's fault unless they are *fs.PathError.
func installCode(dir string, archive []byte) (string, error) {
	sum := sha256.Sum256(archive)
	name := hex.EncodeToString(sum[:])
	target := filepath.Join(dir, name)
	if _, err := os.Stat(target); err == nil {
		return name, nil
	}
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return "", fmt.Errorf("could not unzip uploaded file: %w", err)
	}
	if err := checkArchive(r); err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	scratch, err := os.MkdirTemp(dir, "unpack-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(scratch)
	for _, f := range r.File {
		if err := extract(scratch, f); err != nil {
			return "", err
		}
	}
	if err := os.Chmod(scratch, 0o755); err != nil {
		return "", err
	}
	if err := os.Rename(scratch, target); err != nil {
		if _, stat := os.Stat(target); stat != nil { // not merely another upload of the same code that was first
			return "", err
		}
	}
	return name, nil
}

// checkArchive refuses what cannot be a custom runtime's code before a byte of it is written.
func checkArchive(r *zip.Reader) error {
	var total uint64
	found := false
	for _, f := range r.File {
		clean := strings.TrimSuffix(f.Name, "/")
		if !filepath.IsLocal(clean) || strings.Contains(f.Name, `\`) {
			return fmt.Errorf("the zip holds a path outside of the function: %q", f.Name)
		}
		if mode := f.Mode(); !mode.IsRegular() && !mode.IsDir() {
			return fmt.Errorf("the zip holds %q, neither file nor folder", f.Name)
		}
		if f.UncompressedSize64 > maxUnzipped || total+f.UncompressedSize64 > maxUnzipped {
			return fmt.Errorf("unzipped size must be smaller than %d bytes", maxUnzipped)
		}
		total += f.UncompressedSize64
		found = found || f.Name == "bootstrap" && f.Mode()&0o111 != 0
	}
	if !found {
		return fmt.Errorf("the zip holds no executable file named bootstrap at its top")
	}
	return nil
}

func extract(dir string, f *zip.File) error {
	path := filepath.Join(dir, filepath.FromSlash(f.Name))
	if f.Mode().IsDir() {
		return os.MkdirAll(path, 0o755)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	in, err := f.Open()
	if err != nil {
		return fmt.Errorf("could not unzip %q: %w", f.Name, err)
	}
	defer in.Close()
	mode := fs.FileMode(0o644) | f.Mode().Perm()&0o111
	out, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	// The declared size bounds the copy: an archive that lies about it is torn, not swallowed.
	_, err = io.Copy(out, io.LimitReader(in, int64(f.UncompressedSize64)))
	if closeErr := out.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("could not unzip %q: %w", f.Name, err)
	}
	return nil
}
