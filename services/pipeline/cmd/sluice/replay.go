package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/services/pipeline"
	"github.com/sluicehq/sluice/services/pipeline/replay"

	attributesync "github.com/sluicehq/sluice/services/attribute-sync"
)

// replaying is what the command line says about a replay.
type replaying struct {
	to, from, until string
	sink            string
	partitions      []int32
	copies, skip    bool
	yes, dry, json  bool
	skipGiven       bool
}

func (a *app) replayCommand() *cobra.Command {
	var r replaying
	c := &cobra.Command{
		Use:   "replay TOPIC --to SERVICE --from TIME|OFFSET | replay --sink SINK --from TIME [TOPIC]",
		Short: "Let a service, or a sink of engagement, have a range of a topic once more; a dry run first",
		Example: `  sluice replay customer.events --to braze-sender --from 2h
  sluice replay customer.events --to braze-sender --from 2026-03-02T09:00:00Z --until 2026-03-02T10:00:00Z --copy --yes
  sluice replay customer.events --to braze-sender --from 4711 --partition 3 --yes
  sluice replay customer.profiles --to attribute-sync --from start --dry-run      what would it cost?
  sluice replay --sink warehouse --from 2026-03-02T09:00:00Z --yes`,
		Long: `Without --yes it only says what the range holds, what of it has been delivered already, and what
would be sent at what cost.

The service's group is set back to where the range begins, and sends everything from there on again,
delivered or not. Kafka allows that only while no replica of the service is at work. With --copy the
records are produced to the topic once more instead, with the header replayed-from: only those that
have no receipt saying delivered (nor another with the same id), and none twice; the service goes on
meanwhile, and every other reader of the topic sees the copies, too.

Of customer.profiles it says what Braze would be told: the records are held to what attribute-sync
knows of their customers now, batch by batch, and the data points are counted exactly.

With --sink it is one sink of currents-fanout that gets everything from --from (or --since) on again, of
TOPIC or of all that it reads. Nothing has to be stopped: the sink is paused, set back once none of its
replicas is at work, and goes on; the others do not notice. Interrupted, it leaves the sink paused, and the
same command finishes it.

--from and --until take an offset, a time (RFC 3339), a date, how long ago, or start. TOPIC is a name
without TOPIC_PREFIX.

` + where,
		Args: func(c *cobra.Command, args []string) error {
			if r.sink != "" {
				return cobra.MaximumNArgs(1)(c, args)
			}
			return cobra.ExactArgs(1)(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			r.skipGiven = c.Flags().Changed("skip-delivered")
			if r.sink != "" {
				return a.replaySink(c, append(args, "")[0], r)
			}
			o, err := r.order(args[0], time.Now())
			if err != nil {
				return err
			}
			return a.withSite(c, func(ctx context.Context, s *site) error {
				o.MaxObjects, o.Rate = s.config.Sender.Braze.MaxObjects, s.config.Sender.Braze.Rate
				if o.Profiles, err = s.profiles(); err != nil {
					return err
				}
				return a.replay(ctx, s, o, r)
			})
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return topicNames(), cobra.ShellCompDirectiveNoFileComp
		},
	}
	f := c.Flags()
	f.StringVar(&r.to, "to", "", "the `service` that is to have the records, such as braze-sender")
	f.StringVar(&r.sink, "sink", "", "the `sink` of currents-fanout that is to have the records")
	f.StringVar(&r.from, "from", "", "where the range begins: `time`, offset, or start")
	f.StringVar(&r.from, "since", "", "the same as --from")
	f.StringVar(&r.until, "until", "", "where it ends, without it: `time` or offset; only with --copy")
	f.Int32SliceVar(&r.partitions, "partition", nil, "only these `partitions`, a comma list")
	f.BoolVar(&r.copies, "copy", false, "produce the records once more instead of setting the service back")
	f.BoolVar(&r.skip, "skip-delivered", true, "with --copy, leave out what was delivered or copied already")
	f.BoolVar(&r.yes, "yes", false, "do it")
	f.BoolVar(&r.dry, "dry-run", false, "only say what would happen, as without --yes")
	f.BoolVar(&r.json, "json", false, "print JSON")
	c.MarkFlagsMutuallyExclusive("from", "since")
	c.MarkFlagsMutuallyExclusive("to", "sink")
	_ = c.RegisterFlagCompletionFunc("sink", a.sinkNames)
	_ = c.RegisterFlagCompletionFunc("to", cobra.FixedCompletions(pipeline.Targets(), cobra.ShellCompDirectiveNoFileComp))
	return c
}

func (r replaying) order(topic string, now time.Time) (replay.Order, error) {
	o := replay.Order{Topic: topic, Service: r.to, Only: r.partitions, Copy: r.copies, Everything: !r.skip}
	switch {
	case r.to == "":
		return o, usageError{errors.New("--to: which service is to have the records?")}
	case r.from == "":
		return o, usageError{errors.New("--from: where does the range begin?")}
	case r.until != "" && !r.copies:
		return o, usageError{errors.New("--until: a service that is set back sends everything from there on; a range that ends needs --copy")}
	case r.yes && r.dry:
		return o, usageError{errors.New("--yes: --dry-run says otherwise; give one of them")}
	case r.skipGiven && !r.copies:
		return o, usageError{errors.New("--skip-delivered: a service that is set back sends everything again; only --copy can leave something out")}
	}
	var err error
	if o.From, err = replay.ParseEdge(r.from, now); err != nil {
		return o, usageError{fmt.Errorf("--from: %w", err)}
	}
	if r.until != "" {
		if o.Until, err = replay.ParseEdge(r.until, now); err != nil {
			return o, usageError{fmt.Errorf("--until: %w", err)}
		}
	}
	return o, nil
}

// replayed is what --json prints.
type replayed struct {
	DryRun bool `json:"dry_run"`
	*replay.Plan
	Seconds float64        `json:"seconds"` // that the requests take at BRAZE_RATE
	Moved   bool           `json:"moved"`
	Copies  *replay.Copied `json:"copies,omitempty"`
}

func (a *app) replay(ctx context.Context, s *site, o replay.Order, r replaying) error {
	plan, err := replay.Make(ctx, s.Cluster, o)
	if err != nil {
		return err
	}
	if !r.json {
		if err := a.replayPlan(plan); err != nil {
			return err
		}
	}
	report := replayed{DryRun: !r.yes, Plan: plan, Seconds: plan.Duration().Seconds()}
	switch {
	case len(plan.Stretches) == 0 || !r.yes:
	case o.Copy:
		copies, failed := plan.Copy(ctx)
		report.Copies, err = &copies, failed
	default:
		err = plan.Move(ctx)
		report.Moved = err == nil
	}
	if r.json {
		return errors.Join(a.json(report), err)
	}
	a.replayReport(ctx, report)
	return err
}

// profiles is what attribute-sync is set to.
func (s *site) profiles() (*replay.Profiles, error) {
	sync := s.config.Sync.Sync
	fields, err := attributesync.LoadFields(sync.FieldsFile)
	if err != nil {
		return nil, err
	}
	return &replay.Profiles{Fields: fields, Batch: sync.Batch, Repeats: sync.Repeats}, nil
}

// backfillPlan prints what a range of changes of profiles holds, and what Braze would be told of it. There
// are no receipts of what became of it.
func (a *app) backfillPlan(p *replay.Plan) error {
	e, b := p.Estimate, p.Estimate.Backfill
	verb := "would be read again"
	if p.Order.Copy {
		verb = "would be copied"
	}
	rows := [][]string{{"bytes", strconv.FormatInt(e.Bytes, 10)}}
	for _, r := range []struct {
		what string
		n    int
	}{
		{"records", e.Records},
		{"customers", e.Users},
		{verb, e.Again},
		{"kept back, copied before", e.Twice},
		{"not read yet", e.Anyway},
		{"lead to something", b.Told},
		{"unchanged", b.Unchanged},
		{"declined", b.Declined},
		{"refused", b.Refused},
		{"customers of whom Braze is told", b.Users},
		{"updates", b.Updates},
		{"data points", int(b.DataPoints)},
		{"data points saved", int(b.Saved)},
	} {
		rows = append(rows, []string{r.what, strconv.Itoa(r.n)})
	}
	return a.table([]string{"WHAT", "NUMBER"}, rows)
}

// replayPlan prints what a range holds, and what would be sent.
func (a *app) replayPlan(p *replay.Plan) error {
	e := p.Estimate
	if e.Backfill != nil {
		return a.backfillPlan(p)
	}
	users := strconv.Itoa(e.Users)
	if e.More {
		users = "more than " + users
	}
	row := func(what string, n int) []string { return []string{what, strconv.Itoa(n)} }
	rows := [][]string{
		row("records", e.Records),
		{"customers", users},
		{"bytes", strconv.FormatInt(e.Bytes, 10)},
		row("delivered already", e.Delivered), row("skipped already", e.Skipped), row("refused already", e.Refused),
		row("held, not settled yet", e.Held), row("without a receipt", e.Unknown),
	}
	if p.Order.Copy {
		rows = append(rows,
			row("kept back, delivered", e.Arrived), row("kept back, copied before", e.Twice), row("kept back, held", e.Anyway),
			row("would be copied", e.Again))
	} else {
		rows = append(rows, row("would be sent again", e.Again), row("would be delivered twice", e.Doubled))
	}
	rows = append(rows, row("objects in requests", e.Objects), row("requests, at least", e.Requests))
	if e.DataPoints != nil {
		rows = append(rows, row("data points, at most", *e.DataPoints))
	}
	return a.table([]string{"WHAT", "NUMBER"}, rows)
}

// replayReport says in words what was done, or what would have to be.
func (a *app) replayReport(ctx context.Context, r replayed) {
	p := r.Plan
	if len(p.Stretches) == 0 {
		a.say("there is nothing in this range that %s has come past", p.Order.Service)
		return
	}
	if d := p.Duration(); d > 0 {
		a.say("note: the requests take about %s at BRAZE_RATE %s", max(d.Round(time.Second), time.Second), p.Order.Rate)
	}
	if n := p.Estimate.Attributes; n > 0 {
		a.say("note: %d of the records set attributes: values that were set since are overwritten", n)
	}
	if r.DryRun && !p.Order.Copy {
		var active *replay.ActiveError
		if errors.As(p.Idle(ctx), &active) {
			a.say("note: %s", active)
		}
	}
	if b := p.Estimate.Backfill; b != nil {
		a.say("this range would cost %d data points: %d updates for %d customers; %d data points are saved, since Braze has the values or newer ones come at once",
			b.DataPoints, b.Updates, b.Users, b.Saved)
	}
	switch {
	case r.DryRun && p.Estimate.Backfill != nil:
		a.say("dry run: %s would read %d records again; --yes does it", p.Order.Service, p.Estimate.Again)
	case r.DryRun && p.Order.Copy:
		a.say("dry run: %d records would be copied to %s; --yes does it", p.Estimate.Again, p.Topic)
	case r.DryRun:
		a.say("dry run: %s would send %d records again, %d of them delivered already; --yes does it", p.Order.Service, p.Estimate.Again, p.Estimate.Doubled)
	case r.Copies != nil:
		a.say("%d records were copied to %s", r.Copies.Records, p.Topic)
		if r.Copies.Unfit > 0 {
			a.say("%d records were not taken by Kafka: they have no room for one header more", r.Copies.Unfit)
		}
	case r.Moved:
		for _, s := range p.Stretches {
			a.say("the group %s was set back on %s/%d from %d to %d", p.Group, p.Topic, s.Partition, s.Committed, s.From)
		}
		a.say("%s sends them again as soon as it is started", p.Order.Service)
	}
}
