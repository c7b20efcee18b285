package awslambda

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// activeWithin bounds the wait for a new function to become active.
const activeWithin = 2 * time.Minute

// Deploy makes sure that the site has a function of every size, each with the program as its bootstrap: spillway-
// runner, or another one that serves as it when Lambda starts it. What is deployed already stays. role is the ARN
// of the functions' execution role; a sandbox takes any.
func (s *Site) Deploy(ctx context.Context, program, role string) error {
	binary, err := os.ReadFile(program)
	if err != nil {
		return fmt.Errorf("deploy: %w", err)
	}
	d := deployment{site: s, binary: binary, role: role, timeout: aws.Int32(int32(s.cfg.Timeout.Seconds()))}
	sum := sha256.Sum256(binary)
	d.mark = "spillway-runner " + hex.EncodeToString(sum[:])
	for _, size := range s.cfg.Sizes {
		if err := d.ensure(ctx, s.function(size), int32(size)); err != nil {
			return fmt.Errorf("deploy %s: %w", s.function(size), err)
		}
	}
	return nil
}

type deployment struct {
	site    *Site
	binary  []byte
	archive []byte // the binary as a zip, once it is needed
	mark    string // description of functions that run this binary
	role    string
	timeout *int32
}

// ensure creates the function, or brings one that is there up to date.
func (d *deployment) ensure(ctx context.Context, name string, size int32) error {
	client := d.site.client
	have, err := client.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: &name})
	var missing *types.ResourceNotFoundException
	switch {
	case errors.As(err, &missing):
		return d.create(ctx, name, size)
	case err != nil:
		return err
	}
	if strings.HasPrefix(aws.ToString(have.Description), d.mark) && aws.ToInt32(have.MemorySize) == size &&
		aws.ToInt32(have.Timeout) == *d.timeout {
		return nil
	}
	archive, err := d.zip()
	if err != nil {
		return err
	}
	if _, err := client.UpdateFunctionCode(ctx, &lambda.UpdateFunctionCodeInput{FunctionName: &name,
		ZipFile: archive, Architectures: d.architectures()}); err != nil {
		return err
	}
	if err := d.updated(ctx, name); err != nil {
		return err
	}
	// The description comes last: it says that the code is there.
	if _, err := client.UpdateFunctionConfiguration(ctx, &lambda.UpdateFunctionConfigurationInput{FunctionName: &name,
		MemorySize: aws.Int32(size), Timeout: d.timeout, Description: aws.String(d.mark)}); err != nil {
		return err
	}
	return d.updated(ctx, name)
}

func (d *deployment) updated(ctx context.Context, name string) error {
	waiter := lambda.NewFunctionUpdatedV2Waiter(d.site.client)
	return waiter.Wait(ctx, &lambda.GetFunctionInput{FunctionName: &name}, activeWithin)
}

func (d *deployment) create(ctx context.Context, name string, size int32) error {
	archive, err := d.zip()
	if err != nil {
		return err
	}
	_, err = d.site.client.CreateFunction(ctx, &lambda.CreateFunctionInput{
		FunctionName: &name, Role: &d.role, Runtime: types.RuntimeProvidedal2023, Handler: aws.String("bootstrap"),
		Architectures: d.architectures(), MemorySize: aws.Int32(size), Timeout: d.timeout,
		Description: aws.String(d.mark), Code: &types.FunctionCode{ZipFile: archive},
	})
	var exists *types.ResourceConflictException
	if err != nil && !errors.As(err, &exists) { // one that exists now was made by another engine a moment ago
		return err
	}
	waiter := lambda.NewFunctionActiveV2Waiter(d.site.client)
	return waiter.Wait(ctx, &lambda.GetFunctionInput{FunctionName: &name}, activeWithin)
}

// zip packs the binary as `bootstrap`, executable.
func (d *deployment) zip() ([]byte, error) {
	if d.archive != nil {
		return d.archive, nil
	}
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	w.RegisterCompressor(zip.Deflate, func(to io.Writer) (io.WriteCloser, error) {
		return flate.NewWriter(to, flate.BestSpeed) // a first run waits for this; it is uploaded once
	})
	h := &zip.FileHeader{Name: "bootstrap", Method: zip.Deflate}
	h.SetMode(0o755)
	f, err := w.CreateHeader(h)
	if err != nil {
		return nil, err
	}
	if _, err := f.Write(d.binary); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	d.archive = buf.Bytes()
	return d.archive, nil
}

// architectures is what the binary was built for; nil where it does not say so.
func (d *deployment) architectures() []types.Architecture {
	f, err := elf.NewFile(bytes.NewReader(d.binary))
	if err != nil {
		return nil
	}
	switch f.Machine {
	case elf.EM_X86_64:
		return []types.Architecture{types.ArchitectureX8664}
	case elf.EM_AARCH64:
		return []types.Architecture{types.ArchitectureArm64}
	}
	return nil
}
