//go:build linux || darwin

package main

import (
	"github.com/spf13/cobra"

	"github.com/spillway/spillway/workflow"
)

func (a *app) schemaCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of a format",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "workflow",
		Short: "Print the JSON Schema (2020-12) of workflow files, for an editor",
		Example: "  spillway schema workflow > workflow.schema.json\n" +
			"  # first line of a workflow: yaml-language-server: $schema=workflow.schema.json",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := a.out.Write(workflow.Schema())
			return err
		},
	})
	return cmd
}
