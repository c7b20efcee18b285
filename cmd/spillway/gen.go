//go:build linux || darwin

package main

import (
	"encoding/json"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spillway/spillway/bench/gen"
)

func (a *app) genCommand() *cobra.Command {
	var tasks int
	var seed int64
	cmd := &cobra.Command{
		Use:       "gen FAMILY",
		Short:     "Print a synthetic workflow (WfFormat 1.5)",
		Long:      "Prints a synthetic workflow as a WfFormat 1.5 instance. Equal family, size and\nseed give equal bytes.\n\nFamilies: " + strings.Join(gen.Families(), ", ") + ".",
		Example:   "  spillway gen montage --tasks 500 --seed 7 > montage-500.json",
		ValidArgs: gen.Families(),
		Args:      exactly("FAMILY"),
		RunE: func(_ *cobra.Command, args []string) error {
			instance, err := gen.Generate(args[0], tasks, seed)
			if err != nil {
				return &exitError{exitUsage, err}
			}
			return json.NewEncoder(a.out).Encode(instance)
		},
	}
	cmd.Flags().IntVar(&tasks, "tasks", 100, "number of tasks")
	cmd.Flags().Int64Var(&seed, "seed", 1, "seed of the random numbers")
	return cmd
}
