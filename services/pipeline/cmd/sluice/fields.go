package main

import (
	"fmt"

	"github.com/spf13/cobra"

	attributesync "github.com/sluicehq/sluice/services/attribute-sync"
)

func (a *app) fieldsCommand() *cobra.Command {
	return group("fields", "Print and check a file of attributes: who may write which, and what cases and orders leave on a profile",
		`  sluice fields default > fields.yaml         a file to begin with
  sluice fields check fields.yaml             is it in order?`,
		a.fieldsCheckCommand(), a.fieldsDefaultCommand())
}

// fieldsFileEnv names the file that attribute-sync runs with.
const fieldsFileEnv = "FIELDS_FILE"

func (a *app) fieldsDefaultCommand() *cobra.Command {
	return &cobra.Command{
		Use: "default", Short: "Print the file that is used where FIELDS_FILE is not set",
		Example: "  sluice fields default > fields.yaml",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := a.stdout.Write(attributesync.ShippedFields())
			return err
		},
	}
}

func (a *app) fieldsCheckCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Read a file of attributes strictly",
		Example: `  sluice fields check fields.yaml
  sluice fields check shipped`,
		Long: `Without FILE it is the one that FIELDS_FILE names, or the shipped one. Everything that is wrong is named
with its field and with what is allowed (exit code 78).`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			file := a.env(fieldsFileEnv)
			if len(args) > 0 {
				file = args[0]
			}
			if file == shippedFile {
				file = ""
			}
			return a.fieldsCheck(file, asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (a *app) fieldsCheck(file string, asJSON bool) error {
	fields, err := attributesync.LoadFields(file)
	if err != nil {
		return err
	}
	found := struct {
		Rules   int      `json:"rules"`
		Support []string `json:"support"`
		Orders  []string `json:"commerce"`
	}{len(fields.Profile.Fields), fields.Support.Kept(), fields.Commerce.Owned()}
	if asJSON {
		return a.json(found)
	}
	_, err = fmt.Fprintf(a.stdout, "in order: %d rules for attributes; %d attributes that only support cases write, %d that only orders do\n",
		found.Rules, len(found.Support), len(found.Orders))
	return err
}
