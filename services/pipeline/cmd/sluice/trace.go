package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/services/pipeline/tap"
	"github.com/sluicehq/sluice/services/pipeline/trace"
)

// tracing is what the command line says about what to tell.
type tracing struct {
	key, event bool
	since      string
	limit      int
	values     bool
	everywhere bool
	json       bool
}

func (a *app) traceCommand() *cobra.Command {
	var t tracing
	c := &cobra.Command{
		Use:   "trace KEY|EVENT_ID",
		Short: "Show one customer's or one event's way through every topic, with Braze's words",
		Example: `  sluice trace cus-48213                        a customer, by the canonical id
  sluice trace email:zoe@example.com --since 2h
  sluice trace ord-2093-paid --values           an event by its id, with what it says
  sluice trace cus-48213 --json | jq '.entries[].receipts[].outcome'`,
		Long: `Each record stands with its receipts (what Braze answered, request, latency, attempts) and dead
letters, in the order of time; at the end the law: accepted = delivered + skipped + refused + held.
Held is what has no receipt and lies beyond what the service has committed. Changes of profiles and
cases are told with the updates that they have led to, and with the writes that lost and to which.

By key only the partition is read where the key belongs. What is no key is looked for as an event's
id, in every partition, until its records are found; --key and --event say which it is. Without
--values only names are shown, besides the key and Braze's own words. Exit code 1 when nothing is
found; where was looked is said either way.

` + where,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			q, err := t.query(args[0], time.Now())
			if err != nil {
				return err
			}
			return a.withSite(c, func(ctx context.Context, s *site) error { return a.trace(ctx, s, q, t.json) })
		},
	}
	f := c.Flags()
	f.BoolVar(&t.key, "key", false, "it is a key")
	f.BoolVar(&t.event, "event", false, "it is an event's id")
	f.StringVar(&t.since, "since", "", "only what was written at this `time` or later")
	f.IntVar(&t.limit, "limit", 200, "at most so `many` records, the newest; 0 for all")
	f.BoolVar(&t.values, "values", false, "show what the records say, personal data included")
	f.BoolVar(&t.everywhere, "everywhere", false, "read every partition, for records that stand where their key does not belong")
	f.BoolVar(&t.json, "json", false, "print JSON")
	return c
}

func (t tracing) query(text string, now time.Time) (trace.Query, error) {
	q := trace.Query{Text: text, Limit: t.limit, Values: t.values, Everywhere: t.everywhere}
	switch {
	case text == "":
		return q, usageError{errors.New("want a key or an event's id")}
	case t.key && t.event:
		return q, usageError{errors.New("--key: --event says otherwise; give one of them")}
	case t.limit < 0:
		return q, usageError{errors.New("--limit: nothing less than 0")}
	case t.key:
		q.As = trace.Key
	case t.event:
		q.As = trace.Event
	}
	if t.since != "" {
		var err error
		if q.Since, err = tap.Moment(t.since, now); err != nil {
			return q, usageError{fmt.Errorf("--since: %w", err)}
		}
	}
	return q, nil
}

func (a *app) trace(ctx context.Context, s *site, q trace.Query, asJSON bool) error {
	story, err := trace.Tell(ctx, s.Cluster, q)
	if err != nil {
		return err
	}
	if asJSON {
		err = a.json(story)
	} else {
		err = story.Write(a.stdout, a.outcomeColour)
	}
	if err == nil && story.As == "" {
		return errFindings
	}
	return err
}
