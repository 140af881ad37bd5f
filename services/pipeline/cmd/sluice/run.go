package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/services/pipeline"
)

func (a *app) runCommand() *cobra.Command {
	var o pipeline.Options
	c := &cobra.Command{
		Use:   "run",
		Short: "Run every service in one process, with stand-ins for whatever is not configured",
		Example: `  sluice run --simulate
  sluice run --target=ingest,braze-sender
  SLUICE_DATA_DIR=./data sluice run
  BRAZE_REST_ENDPOINT=https://rest.fra-01.braze.eu BRAZE_API_KEY_FILE=key.txt sluice run`,
		Long: `What is not configured is local: an embedded Kafka (KAFKA_BROKERS; EMBEDDED_KAFKA_ADDR,
default :9092), an embedded schema registry (SCHEMA_REGISTRY_URL; EMBEDDED_REGISTRY_ADDR, :8085)
and a Braze sandbox (BRAZE_REST_ENDPOINT and BRAZE_API_KEY; SANDBOX_BRAZE_ADDR, :8090). The front
door is at INGEST_ADDR (127.0.0.1:8080) and takes the API key dev, and webhooks signed with dev,
until INGEST_KEYS is set; ROUTES_FILE and SOURCES_FILE name routes and sources of webhooks;
operators are answered at OPS_ADDR (127.0.0.1:9090). Addresses without a host are on loopback, and
port 0 picks a free port. Data lives in a temporary folder unless SLUICE_DATA_DIR names one.

What customers do with messages comes back from the sandbox through Currents (SANDBOX_CURRENTS,
SANDBOX_MARKETING; BRAZE_CURRENTS_TOKENS, dev until it is set), and goes to the sandbox's collector and
into Parquet files, both where it prints, until SINKS_FILE names other sinks.

Ctrl-C drains: the front door shuts, what was accepted goes on, and the process exits with 0.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.run(c.Context(), o) },
	}
	c.Flags().StringSliceVar(&o.Targets, "target", nil, "`services` to run, a comma list; all when not given")
	c.Flags().BoolVar(&o.Simulate, "simulate", false, "let invented customers come in (SIMULATE_RATE, SIMULATE_CUSTOMERS, SIMULATE_SEED)")
	_ = c.RegisterFlagCompletionFunc("target", cobra.FixedCompletions(append(pipeline.Targets(), "all"), cobra.ShellCompDirectiveNoFileComp))
	return c
}

func (a *app) run(ctx context.Context, o pipeline.Options) error {
	if err := pipeline.CheckTargets(o.Targets); err != nil {
		return err
	}
	cfg, _, err := a.load()
	if err != nil {
		return err
	}
	ctx = daemon.UntilSignal(ctx, func(_ zerolog.Level, message string) { a.say("\n%s", message) })
	p, err := daemon.NewProcess(ctx, "sluice", cfg.DaemonConfig(), a.stderr)
	if err != nil {
		return pipeline.Taken(err, "OPS_ADDR")
	}
	defer p.Close()
	o.Terminal = a.stderr
	l, err := pipeline.Open(p.Log.WithContext(ctx), cfg, o, p)
	switch {
	case err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return nil // told to stop before there was anything to drain
	case err != nil:
		return fmt.Errorf("starting: %w", err)
	}
	return daemon.Run(ctx, p, l)
}
