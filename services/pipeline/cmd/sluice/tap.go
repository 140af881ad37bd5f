package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/registry"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/pipeline/tap"
)

// tapping is what the command line says about what to show.
type tapping struct {
	key, since, until string
	fields            []string
	fromStart, follow bool
	count             int
	expand            bool
	format            string
}

func (a *app) tapCommand() *cobra.Command {
	var t tapping
	c := &cobra.Command{
		Use:   "tap TOPIC",
		Short: "Show a topic's records as lines of JSON",
		Example: `  sluice tap customer.events                               what comes from now on
  sluice tap customer.events --from-start --key cus-7-0001
  sluice tap customer.events --since 10m --field event_name="Product Viewed" --field properties.product_id=P-77
  sluice tap commerce.events --since 10m --field event_type=order_placed --expand
  sluice tap braze.deliveries --from-start --field outcome=refused -n 5
  sluice tap braze-sender.deadletters --from-start | jq .value.reason`,
		Long: `A value is shown as its own writer's schema has it, every digit of a number included; what cannot
be read is shown in base64 with the reason. Without --from-start or --since it shows what comes
from now on, until Ctrl-C; with them it ends where the topic ends, unless --follow is given.

TOPIC is a name without TOPIC_PREFIX. --field looks into JSON that stands in a field called
*_json, and properties means properties_json. --since and --until take a time (RFC 3339), a date,
or how long ago.

` + where,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return a.tap(c, args[0], t) },
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return topicNames(), cobra.ShellCompDirectiveNoFileComp
		},
	}
	f := c.Flags()
	f.StringVar(&t.key, "key", "", "only records with this `key`: a customer's canonical id")
	f.StringVar(&t.since, "since", "", "only records stamped at this `time` or later")
	f.StringVar(&t.until, "until", "", "only records stamped before this `time`")
	f.StringArrayVar(&t.fields, "field", nil, "only records with this `name=value` in them; dots lead inward; may be repeated")
	f.BoolVar(&t.fromStart, "from-start", false, "begin with the oldest record there is")
	f.BoolVar(&t.follow, "follow", false, "go on with what comes")
	f.IntVarP(&t.count, "count", "n", 0, "end after so `many` records")
	f.BoolVar(&t.expand, "expand", false, "show JSON that stands in fields called *_json as JSON")
	f.StringVar(&t.format, "format", "json", "`form` of the output: json")
	return c
}

func topicNames() []string {
	var names []string
	for _, t := range schema.Tables() {
		names = append(names, t.Name)
	}
	return names
}

// plan makes a range and a filter of what the command line says.
func (t tapping) plan(c *cobra.Command, now time.Time) (stream.Range, tap.Filter, error) {
	var f tap.Filter
	var err error
	usage := func(flag string, err error) (stream.Range, tap.Filter, error) {
		return stream.Range{}, f, usageError{fmt.Errorf("--%s: %w", flag, err)}
	}
	if c.Flags().Changed("key") {
		f.Key = &t.key
	}
	if t.since != "" {
		if f.Since, err = tap.Moment(t.since, now); err != nil {
			return usage("since", err)
		}
	}
	if t.until != "" {
		if f.Until, err = tap.Moment(t.until, now); err != nil {
			return usage("until", err)
		}
	}
	for _, text := range t.fields {
		field, err := tap.ParseField(text)
		if err != nil {
			return usage("field", err)
		}
		f.Fields = append(f.Fields, field)
	}
	switch {
	case t.format != "json":
		return usage("format", errors.New("there is only json"))
	case t.count < 0:
		return usage("count", errors.New("want a number from 1"))
	case t.fromStart && t.since != "":
		return usage("from-start", errors.New("--since says where to begin, too; give one of them"))
	}
	r := stream.Range{Since: f.Since, Follow: t.follow}
	if !t.fromStart && t.since == "" {
		r.Since, r.Follow = now, true
	}
	return r, f, nil
}

func (a *app) tap(c *cobra.Command, topic string, t tapping) error {
	r, filter, err := t.plan(c, time.Now())
	if err != nil {
		return err
	}
	cfg, _, err := a.load()
	if err != nil {
		return err
	}
	ctx, stop := untilInterrupted(c.Context())
	defer stop()
	client, err := registry.New(cfg.Sender.Registry)
	if err != nil {
		return err
	}
	kafka := cfg.Sender.Kafka
	r.Topic = kafka.Topic(topic)
	if err := known(ctx, kafka, topic); err != nil {
		return err
	}
	out := bufio.NewWriter(a.stdout)
	lines := &lines{
		render: tap.NewRenderer(avro.FromRegistry(client)), filter: filter, left: t.count, out: out,
		// Somebody who follows wants each line at once; somebody who reads a topic wants speed.
		flush: r.Follow,
	}
	lines.render.Expand = t.expand
	err = stream.Read(ctx, kafka, r, func(rec *stream.Record) error { return lines.show(ctx, rec) })
	if ctx.Err() != nil {
		err = nil // Ctrl-C is how one ends this
	}
	return errors.Join(err, out.Flush())
}

// known fails for a topic that the cluster does not have, and for a cluster that is not there.
func known(ctx context.Context, kafka stream.Config, topic string) error {
	admin, err := stream.NewAdmin(kafka)
	if err != nil {
		return err
	}
	defer admin.Close()
	ask, cancel := context.WithTimeoutCause(ctx, 15*time.Second, errors.New("no answer within 15s"))
	defer cancel()
	if err := admin.Ping(ask); err != nil {
		return fmt.Errorf("reaching Kafka at %s (KAFKA_BROKERS): %w", strings.Join(kafka.Brokers, ","), err)
	}
	states, err := admin.Topics(ask, nil, kafka.Topic(topic))
	if err != nil {
		return err
	}
	if len(states) == 0 || !states[0].Exists {
		return fmt.Errorf("there is no topic %s; ours are %s", kafka.Topic(topic), strings.Join(topicNames(), ", "))
	}
	return nil
}

// lines shows records.
type lines struct {
	render *tap.Renderer
	filter tap.Filter
	left   int // to be shown; 0 is any number
	out    *bufio.Writer
	flush  bool
}

func (l *lines) show(ctx context.Context, rec *stream.Record) error {
	if !l.filter.Record(rec) {
		return nil
	}
	line, err := l.render.Render(ctx, rec)
	if err != nil {
		return err
	}
	if !l.filter.Line(line) {
		return nil
	}
	e := json.NewEncoder(l.out)
	e.SetEscapeHTML(false)
	if err := e.Encode(line); err != nil {
		return err
	}
	if l.flush {
		if err := l.out.Flush(); err != nil {
			return err
		}
	}
	if l.left--; l.left == 0 {
		return stream.ErrStop
	}
	return nil
}
