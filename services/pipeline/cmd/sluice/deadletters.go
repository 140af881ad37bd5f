package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/services/pipeline/deadletters"
	"github.com/sluicehq/sluice/services/pipeline/tap"
)

func (a *app) deadlettersCommand() *cobra.Command {
	return group("deadletters", "List records that could not go on, show one, and send them back",
		`  sluice deadletters list
  sluice deadletters show braze-sender.deadletters/3/17
  sluice deadletters replay --service braze-sender --reason item_error`,
		a.deadlettersListCommand(), a.deadlettersShowCommand(), a.deadlettersReplayCommand())
}

// choosing is what the command line says about which letters are meant.
type choosing struct {
	service, sink, reason, match, since, until string
}

func (ch *choosing) flags(c *cobra.Command, service bool) {
	f := c.Flags()
	if service {
		f.StringVar(&ch.service, "service", "", "only those of this `service`")
		_ = c.RegisterFlagCompletionFunc("service", cobra.FixedCompletions(deadletters.Services(), cobra.ShellCompDirectiveNoFileComp))
	}
	f.StringVar(&ch.sink, "sink", "", "only those of this `sink` of currents-fanout, or target of crm-writeback")
	f.StringVar(&ch.reason, "reason", "", "only with this `reason`, such as item_error")
	f.StringVar(&ch.match, "match", "", "only with this `text` in their detail or id, or with this key")
	f.StringVar(&ch.since, "since", "", "only those written at this `time` or later")
	f.StringVar(&ch.until, "until", "", "only those written before this `time`")
}

func (ch *choosing) filter(now time.Time) (deadletters.Filter, error) {
	f := deadletters.Filter{Service: ch.service, Sink: ch.sink, Reason: ch.reason, Match: ch.match}
	if ch.service != "" && !slices.Contains(deadletters.Services(), ch.service) {
		return f, usageError{fmt.Errorf("%s has no dead letters; there are those of %s", ch.service, strings.Join(deadletters.Services(), ", "))}
	}
	var err error
	if ch.since != "" {
		if f.Since, err = tap.Moment(ch.since, now); err != nil {
			return f, usageError{fmt.Errorf("--since: %w", err)}
		}
	}
	if ch.until != "" {
		if f.Until, err = tap.Moment(ch.until, now); err != nil {
			return f, usageError{fmt.Errorf("--until: %w", err)}
		}
	}
	return f, nil
}

func (a *app) deadlettersListCommand() *cobra.Command {
	var ch choosing
	var asJSON bool
	c := &cobra.Command{
		Use: "list [SERVICE]", Short: "Show the dead letters there are, grouped by cause",
		Example: `  sluice deadletters list
  sluice deadletters list braze-sender --since 24h
  sluice deadletters list --json | jq '.causes[] | select(.open > 0)'`,
		Long: `A cause is a service, a reason, and the detail less what differs from letter to letter. OPEN are those
that have not been replayed. The example is one to look at with sluice deadletters show.

` + where,
		Args:      cobra.MaximumNArgs(1),
		ValidArgs: deadletters.Services(),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				ch.service = args[0]
			}
			f, err := ch.filter(time.Now())
			if err != nil {
				return err
			}
			return a.withSite(c, func(ctx context.Context, s *site) error {
				list, err := deadletters.Group(ctx, s.Cluster, f)
				if err != nil {
					return err
				}
				if asJSON {
					return a.json(list)
				}
				return a.causes(list)
			})
		},
	}
	ch.flags(c, false)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// serviceAndSink is who gave a record up.
func serviceAndSink(c deadletters.Cause) string {
	if c.Sink == "" {
		return c.Service
	}
	return c.Service + "." + c.Sink
}

func (a *app) causes(l deadletters.List) error {
	if l.Unreadable > 0 {
		a.say("%d records on the topics of dead letters are none, such as %s; sluice tap shows them", l.Unreadable, l.Unreadables[0])
	}
	if len(l.Causes) == 0 {
		a.say("there are no dead letters that fit")
		return nil
	}
	var rows [][]string
	for _, c := range l.Causes {
		rows = append(rows, []string{
			strconv.Itoa(c.Letters), strconv.Itoa(c.Open), serviceAndSink(c), c.Reason, orDash(c.Detail),
			c.First.UTC().Format(tap.Millis), c.Last.UTC().Format(tap.Millis), c.Example.String(),
		})
	}
	return a.table([]string{"LETTERS", "OPEN", "SERVICE", "REASON", "DETAIL", "FIRST", "LAST", "EXAMPLE"}, rows)
}
