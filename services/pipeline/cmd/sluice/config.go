package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/pkg/registry"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/pipeline"
)

func (a *app) configCommand() *cobra.Command {
	return group("config", "Check, print and describe the configuration",
		`  sluice config check --offline
  sluice config print
  sluice config schema > sluice.schema.json`,
		a.configCheckCommand(), a.configPrintCommand(), a.configSchemaCommand())
}

func (a *app) configPrintCommand() *cobra.Command {
	var form string
	var asJSON bool
	c := &cobra.Command{
		Use: "print", Short: "Print every value and where it came from, without secrets",
		Example: `  sluice config print
  sluice config print --format yaml > sluice.yaml`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, report, err := a.load()
			if asJSON {
				form = "json"
			}
			switch form {
			case "table":
				return errors.Join(report.Table(a.stdout), err)
			case "json":
				out, jsonErr := report.JSON()
				_, writeErr := a.stdout.Write(out)
				return errors.Join(jsonErr, writeErr, err)
			case "yaml":
				_, writeErr := a.stdout.Write(report.YAML())
				return errors.Join(writeErr, err)
			}
			return usageError{fmt.Errorf("--format: %q is none of table, yaml, json", form)}
		},
	}
	c.Flags().StringVar(&form, "format", "table", "`form` of the output: table, yaml or json")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON, as --format json does")
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"table", "yaml", "json"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

func (a *app) configSchemaCommand() *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print a JSON Schema of the file, for editors", Example: "  sluice config schema > sluice.schema.json",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := a.stdout.Write(config.JSONSchema[pipeline.Config]())
			return err
		},
	}
}

// layer is one thing that config check looks at, after those before it are in order.
type layer struct {
	Name   string `json:"layer"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

func (a *app) configCheckCommand() *cobra.Command {
	var offline, asJSON bool
	c := &cobra.Command{
		Use: "check", Short: "Check the configuration: its fields, then whether what it names can be reached",
		Example: `  sluice config check
  sluice config check --offline --config sluice.yaml`,
		Long: `First the fields: exit code 78 when one is wrong. Then, unless --offline is given, whether Kafka,
the schema registry and Braze answer: exit code 1 when one does not. Braze is asked with a request
without content, which changes nothing there and shows whether the key may track users.

` + where,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, _, err := a.load()
			if err != nil {
				return err
			}
			layers := []layer{{"fields", true, "every field is in order"}}
			if !offline {
				ctx, stop := untilInterrupted(c.Context())
				defer stop()
				layers = append(layers, reach(ctx, cfg)...)
			}
			return a.layers(layers, asJSON)
		},
	}
	c.Flags().BoolVar(&offline, "offline", false, "look at the fields only")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// patience is how long each part may take to answer.
const patience = 10 * time.Second

// reach asks everything that the configuration names for a sign of life.
func reach(ctx context.Context, cfg pipeline.Config) []layer {
	ask := func(name, at, variable string, ping func(context.Context) error) layer {
		ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("no answer within %v", patience))
		defer cancel()
		if err := ping(ctx); err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return layer{name, false, fmt.Sprintf("%s (%s): %s", at, variable, strings.ReplaceAll(err.Error(), "\n", "; "))}
		}
		return layer{name, true, at + " answers"}
	}
	kafka, reg, b := cfg.Sender.Kafka, cfg.Sender.Registry, cfg.Sender.Braze
	return []layer{
		ask("kafka", strings.Join(kafka.Brokers, ","), "KAFKA_BROKERS", func(ctx context.Context) error {
			admin, err := stream.NewAdmin(kafka)
			if err != nil {
				return err
			}
			defer admin.Close()
			return admin.Ping(ctx)
		}),
		ask("registry", reg.URL, "SCHEMA_REGISTRY_URL", func(ctx context.Context) error {
			client, err := registry.New(reg)
			if err != nil {
				return err
			}
			return client.Ping(ctx)
		}),
		ask("braze", b.Endpoint, "BRAZE_REST_ENDPOINT", func(ctx context.Context) error { return greet(ctx, b) }),
	}
}

// greet sends Braze a request without objects. That it finds the content wanting, or not, says that it
// knows the key.
func greet(ctx context.Context, c braze.Config) error {
	client, err := braze.New(c, nil)
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	answer := client.Track(ctx, []byte("{}"), [3]int{})
	switch answer.Verdict {
	case braze.Accepted, braze.Malformed, braze.Throttled:
		return nil
	case braze.Stopped, braze.Unavailable, braze.InDoubt, braze.NotSent:
	}
	if answer.Err != nil {
		return answer.Err
	}
	return fmt.Errorf("it answers %d: %s", answer.Status, answer.Message)
}

func (a *app) layers(layers []layer, asJSON bool) error {
	failed := false
	for _, l := range layers {
		failed = failed || !l.OK
		if asJSON {
			continue
		}
		state := a.paint(a.stdout, green, "ok    ")
		if !l.OK {
			state = a.paint(a.stdout, red, "failed")
		}
		if _, err := fmt.Fprintf(a.stdout, "%s  %-8s  %s\n", state, l.Name, l.Detail); err != nil {
			return err
		}
	}
	if asJSON {
		if err := a.json(layers); err != nil {
			return err
		}
	}
	if failed {
		return errFindings
	}
	return nil
}
