//go:build never

package workflow

import (
	"io/fs"         // want "workflow is pure: it cannot import io/fs"
	"path/filepath" // want "workflow is pure: it cannot import path/filepath"

	"golang.org/x/sys/unix" // want "workflow is pure: it cannot import golang.org/x/sys/unix"
	"gopkg.in/anything"
)
