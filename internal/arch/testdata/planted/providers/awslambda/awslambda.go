package awslambda

import (
	_ "github.com/spillway/spillway/cmd/spillway"      // want "providers/awslambda (level 50) cannot import cmd/spillway (level 70)"
	_ "github.com/spillway/spillway/providers/sandbox" // want "providers/awslambda (level 50) cannot import providers/sandbox (level 50)"
)
