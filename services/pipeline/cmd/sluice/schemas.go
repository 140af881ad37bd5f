package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/pkg/registry"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/schemas"
)

func (a *app) schemasCommand() *cobra.Command {
	return group("schemas", "Check and register the schemas of the topics",
		`  sluice schemas check --offline
  sluice schemas register`,
		a.schemasCheckCommand(), a.schemasRegisterCommand())
}

// complaint is one thing wrong with a schema.
type complaint struct {
	Subject string `json:"subject"`
	Version int    `json:"version"` // of our files; 0 for what the registry says
	Check   string `json:"check"`   // dialect, change or registry
	Problem string `json:"problem"`
	Advice  bool   `json:"advice"` // worth a thought, and no failure
}

func (a *app) schemasCheckCommand() *cobra.Command {
	var offline, asJSON bool
	c := &cobra.Command{
		Use:   "check",
		Short: "Hold every schema to the dialect, to its predecessors and to the registry",
		Example: `  sluice schemas check
  sluice schemas check --offline --json`,
		Long: `Each version is held to the dialect of Avro that every reader of a topic understands; each change
to what is safe for readers and writers nobody here knows; and the newest, unless --offline is
given, to what the registry would accept. Exit code 1 when something is wrong.

` + where,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, _, err := a.load()
			if err != nil {
				return err
			}
			complaints, err := checkSchemas(cfg.Sender.Kafka)
			if err != nil {
				return err
			}
			if !offline {
				more, err := askRegistry(c.Context(), cfg.Sender.Registry, cfg.Sender.Kafka)
				if err != nil {
					return err
				}
				complaints = append(complaints, more...)
			}
			return a.complain(complaints, asJSON)
		},
	}
	c.Flags().BoolVar(&offline, "offline", false, "do not ask the registry")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// checkSchemas looks at the files alone.
func checkSchemas(kafka stream.Config) ([]complaint, error) {
	complaints := []complaint{}
	for _, t := range schema.Tables() {
		subject := schema.Subject(kafka.Topic(t.Name))
		texts, err := schemas.Versions(t.RecordType)
		if err != nil {
			return nil, err
		}
		for i, text := range texts {
			for _, f := range registry.Lint(schema.Subject(t.Name), text) {
				complaints = append(complaints, complaint{subject, i + 1, "dialect", f.String(), f.Advice})
			}
			for j, earlier := range texts[:i] {
				for _, reason := range registry.CheckChange(earlier, text) {
					complaints = append(complaints, complaint{subject, i + 1, "change", fmt.Sprintf("against version %d: %s", j+1, reason), false})
				}
			}
		}
	}
	return complaints, nil
}

// askRegistry asks whether it would take each schema.
func askRegistry(ctx context.Context, c registry.Config, kafka stream.Config) ([]complaint, error) {
	client, err := registry.New(c)
	if err != nil {
		return nil, err
	}
	var complaints []complaint
	for _, t := range schema.Tables() {
		subject := schema.Subject(kafka.Topic(t.Name))
		fits, reasons, err := client.Check(ctx, subject, t.Text())
		if err != nil {
			return nil, fmt.Errorf("asking the registry at %s (SCHEMA_REGISTRY_URL): %w", c.URL, err)
		}
		if !fits && len(reasons) == 0 {
			reasons = []string{"the registry would refuse it and does not say why"}
		}
		for _, reason := range reasons {
			complaints = append(complaints, complaint{subject, 0, "registry", strings.TrimSpace(reason), false})
		}
	}
	return complaints, nil
}

func (a *app) complain(complaints []complaint, asJSON bool) error {
	wrong := 0
	var rows [][]string
	for _, c := range complaints {
		kind := c.Check
		if c.Advice {
			kind += " (advice)"
		} else {
			wrong++
		}
		version := "-"
		if c.Version > 0 {
			version = strconv.Itoa(c.Version)
		}
		rows = append(rows, []string{c.Subject, version, kind, c.Problem})
	}
	switch {
	case asJSON:
		if err := a.json(complaints); err != nil {
			return err
		}
	case len(rows) > 0:
		if err := a.table([]string{"SUBJECT", "VERSION", "CHECK", "PROBLEM"}, rows); err != nil {
			return err
		}
	}
	if wrong > 0 {
		a.say("%d problems", wrong)
		return errFindings
	}
	a.say("the schemas of %d topics are in order", len(schema.Tables()))
	return nil
}

func (a *app) schemasRegisterCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "register",
		Short:   "Register the newest schema of every topic",
		Example: "  SCHEMA_REGISTRY_URL=https://registry.example.com sluice schemas register",
		Long:    "What is registered already stays as it is and keeps its id.\n\n" + where,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, _, err := a.load()
			if err != nil {
				return err
			}
			client, err := registry.New(cfg.Sender.Registry)
			if err != nil {
				return err
			}
			type registered struct {
				Subject string `json:"subject"`
				ID      int    `json:"id"`
			}
			var all []registered
			var rows [][]string
			for _, t := range schema.Tables() {
				subject := schema.Subject(cfg.Sender.Kafka.Topic(t.Name))
				id, err := client.Register(c.Context(), subject, t.Text())
				if err != nil {
					return fmt.Errorf("at %s (SCHEMA_REGISTRY_URL): %w", cfg.Sender.Registry.URL, err)
				}
				all = append(all, registered{subject, id})
				rows = append(rows, []string{subject, strconv.Itoa(id)})
			}
			if asJSON {
				return a.json(all)
			}
			return a.table([]string{"SUBJECT", "ID"}, rows)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
