package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/topics"
)

func (a *app) topicsCommand() *cobra.Command {
	return group("topics", "Compare the topics with what they ought to be, and put them right",
		`  sluice topics diff
  sluice topics apply --dry-run`,
		a.topicsDiffCommand(), a.topicsApplyCommand())
}

func (a *app) topicsDiffCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "diff", Short: "Show where topics are not as they ought to be",
		Example: `  sluice topics diff
  KAFKA_BROKERS=kafka-1:9092 sluice topics diff --json`,
		Long: "Exit code 1 when there are differences.\n\n" + where,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withTopics(c.Context(), func(ctx context.Context, admin *stream.Admin, kafka stream.Config) error {
				diffs, err := topics.Diff(ctx, admin, kafka)
				if err != nil {
					return err
				}
				if err := a.differences(diffs, asJSON); err != nil {
					return err
				}
				if len(diffs) > 0 {
					return errFindings
				}
				a.say("every topic is as it ought to be")
				return nil
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (a *app) topicsApplyCommand() *cobra.Command {
	var dryRun, asJSON bool
	c := &cobra.Command{
		Use: "apply", Short: "Create topics that are missing, and set configs that differ",
		Example: `  sluice topics apply --dry-run
  sluice topics apply`,
		Long: `It prints what it does, or with --dry-run what it would do. The number of partitions of a topic is
never changed: that would move customers to other partitions and tear their order apart. Exit code
1 when such a difference remains.

` + where,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withTopics(c.Context(), func(ctx context.Context, admin *stream.Admin, kafka stream.Config) error {
				diffs, err := topics.Diff(ctx, admin, kafka)
				if err != nil {
					return err
				}
				if err := a.differences(diffs, asJSON); err != nil {
					return err
				}
				left := 0
				for _, d := range diffs {
					if d.Fix == "" {
						left++
					}
				}
				if dryRun {
					a.say("dry run: %d changes to be made, %d differences would remain", len(diffs)-left, left)
				} else {
					if err := topics.Apply(ctx, admin, kafka, diffs); err != nil {
						return err
					}
					a.say("%d changes made, %d differences remain", len(diffs)-left, left)
				}
				if left > 0 {
					return errFindings
				}
				return nil
			})
		},
	}
	c.Flags().BoolVar(&dryRun, "dry-run", false, "change nothing")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// withTopics connects to the cluster, or says that it is not there.
func (a *app) withTopics(ctx context.Context, do func(context.Context, *stream.Admin, stream.Config) error) error {
	cfg, _, err := a.load()
	if err != nil {
		return err
	}
	kafka := cfg.Sender.Kafka
	admin, err := stream.NewAdmin(kafka)
	if err != nil {
		return err
	}
	defer admin.Close()
	ctx, stop := untilInterrupted(ctx)
	defer stop()
	ping, cancel := context.WithTimeoutCause(ctx, 15*time.Second, errors.New("no answer within 15s"))
	defer cancel()
	if err := admin.Ping(ping); err != nil {
		return fmt.Errorf("reaching Kafka at %s (KAFKA_BROKERS): %w", strings.Join(kafka.Brokers, ","), err)
	}
	return do(ctx, admin, kafka)
}

func (a *app) differences(diffs []topics.Difference, asJSON bool) error {
	if asJSON {
		return a.json(append([]topics.Difference{}, diffs...))
	}
	if len(diffs) == 0 {
		return nil
	}
	var rows [][]string
	for _, d := range diffs {
		fix := d.Fix
		if fix == "" {
			fix = "none: by hand, if at all"
		}
		rows = append(rows, []string{d.Topic, d.What, orDash(d.Have), orDash(d.Want), fix})
	}
	return a.table([]string{"TOPIC", "WHAT", "HAVE", "WANT", "APPLY"}, rows)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
