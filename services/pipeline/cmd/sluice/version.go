package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/pkg/daemon"
)

func (a *app) versionCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "version", Short: "Print what this binary was built from", Example: "  sluice version",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			b := daemon.ReadBuild()
			if asJSON {
				return a.json(map[string]string{"version": b.Version, "revision": b.Revision, "go": b.Go})
			}
			_, err := fmt.Fprintln(a.stdout, "sluice", b)
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
