package awslambda

import _ "github.com/spillway/spillway/providers/sandbox"
