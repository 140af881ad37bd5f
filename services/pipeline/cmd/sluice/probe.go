package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/services/pipeline/probe"
)

func (a *app) probeCommand() *cobra.Command {
	var user string
	var timeout time.Duration
	var asJSON bool
	c := &cobra.Command{
		Use:   "probe",
		Short: "Send one marked event in and wait for it at the far end",
		Example: `  sluice probe
  sluice probe --timeout 10s --json`,
		Long: `It goes in through the front door (SLUICE_URL, else INGEST_ADDR on this machine; SLUICE_KEY, else
the first of INGEST_KEYS), is seen on customer.events, in the Braze sandbox (unless
BRAZE_REST_ENDPOINT is set), and at last on braze.deliveries with what Braze answered. Each hop is
printed with the time since the start. Exit code 1 when it got stuck, with the hop.

` + where,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, _, err := a.load()
			if err != nil {
				return err
			}
			ctx, stop := untilInterrupted(c.Context())
			defer stop()
			pc := probe.Config{Door: cfg.DoorURL(), Key: cfg.DoorKey(), Kafka: cfg.Sender.Kafka, User: user, Timeout: timeout}
			if cfg.Local.Braze {
				pc.Sandbox = cfg.Sender.Braze.Endpoint
			}
			r, err := probe.Run(ctx, pc, func(h probe.Hop) {
				if !asJSON {
					a.hop(h)
				}
			})
			if err != nil {
				return err
			}
			if asJSON {
				if err := a.json(r); err != nil {
					return err
				}
			}
			if !r.OK {
				a.say("stuck at: %s", r.Stuck)
				return errFindings
			}
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&user, "user", "sluice-probe", "external `id` of the customer whom the event concerns")
	f.DurationVar(&timeout, "timeout", 30*time.Second, "how `long` to wait for the event")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// hop prints one line.
func (a *app) hop(h probe.Hop) {
	state := a.paint(a.stdout, green, "ok   ")
	if !h.OK {
		state = a.paint(a.stdout, red, "stuck")
	}
	_, _ = fmt.Fprintf(a.stdout, "%s  %-17s %9.1f ms  %s\n", state, h.Name, h.After, h.Detail)
}
