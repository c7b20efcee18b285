package main

import (
	_ "github.com/spillway/spillway/artifact"
	_ "github.com/spillway/spillway/providers/sandbox"
)

func main() {}
