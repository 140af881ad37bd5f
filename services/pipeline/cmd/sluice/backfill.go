package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/pkg/quota"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/topics"
	"github.com/sluicehq/sluice/services/pipeline/backfill"
)

func (a *app) backfillCommand() *cobra.Command {
	return group("backfill", "Read in what Braze has put elsewhere",
		`  sluice backfill currents ./currents
  sluice backfill currents ./currents --workspace eu-retail --checkpoint done.jsonl --yes`,
		a.backfillCurrentsCommand())
}

// backfilling is what the command line says about a backfill.
type backfilling struct {
	workspace, checkpoint, rate string
	yes, dry, json              bool
}

func (a *app) backfillCurrentsCommand() *cobra.Command {
	var b backfilling
	c := &cobra.Command{
		Use: "currents PATH", Short: "Read Currents' Avro files, and let their events go to every sink; a dry run first",
		Example: `  sluice backfill currents ./currents                                          what is in there?
  sluice backfill currents './currents/*/event_type=users.messages.email.*' --yes
  sluice backfill currents ./currents --checkpoint done.jsonl --rate 2000/1s --yes`,
		Long: `PATH is a file, a folder with everything below it that ends in .avro, or a pattern of either: what Braze
has put into a bucket, copied here or mounted. Without --yes it only reads, and says how many events of
which types there are.

The events go to braze.engagements with the header source: currents-backfill, at --rate, hour by hour. An
event that came over HTTP, too, or by an earlier backfill, has the same id, and is a double to every sink if
it comes within eight days (CURRENTS_DEDUP_WINDOW). So a backfill that was interrupted can simply be given
again; --checkpoint leaves out the files that are done, however much later. Their times are those of the
events; the topic keeps them for 14 days from now.

A file that cannot be read to its end is named and passed over (exit code 1): Braze leaves such files behind
where a connection broke, and writes another in their place.

` + where,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			o := backfill.Order{Path: args[0], Workspace: b.workspace, Checkpoint: b.checkpoint}
			var err error
			if b.rate != "0" {
				if o.Rate, err = quota.ParseRate(b.rate); err != nil {
					return usageError{fmt.Errorf("--rate: %w", err)}
				}
			}
			if b.yes && b.dry {
				return usageError{errors.New("--yes: --dry-run says otherwise; give one of them")}
			}
			o.Progress = a.backfillProgress()
			if !b.yes {
				ctx, stop := untilInterrupted(c.Context())
				defer stop()
				report, err := backfill.Count(ctx, o)
				return a.backfilled(report, b, err)
			}
			return a.withSite(c, func(ctx context.Context, s *site) error {
				report, err := s.backfill(ctx, o)
				return a.backfilled(report, b, err)
			})
		},
	}
	f := c.Flags()
	f.StringVar(&b.workspace, "workspace", "", "`name` of the workspace, as the URL of its connector has it in ws")
	f.StringVar(&b.checkpoint, "checkpoint", "", "`file` that remembers which files are done")
	f.StringVar(&b.rate, "rate", "2000/1s", "most `events` in a time; 0 for as fast as it goes")
	f.BoolVar(&b.yes, "yes", false, "do it")
	f.BoolVar(&b.dry, "dry-run", false, "only say what would happen, as without --yes")
	f.BoolVar(&b.json, "json", false, "print JSON")
	return c
}

// backfill writes what an order is about.
func (s *site) backfill(ctx context.Context, o backfill.Order) (backfill.Report, error) {
	ids, err := topics.Prepare(ctx, s.Kafka, s.registry, schema.BrazeEngagements)
	if err != nil {
		return backfill.Report{}, err
	}
	producer, err := stream.NewProducer(s.Kafka, stream.ProducerOptions{Linger: 5 * time.Millisecond, MaxBatchBytes: schema.MaxMessageBytes})
	if err != nil {
		return backfill.Report{}, err
	}
	defer producer.Close()
	return backfill.Write(ctx, o, backfill.Target{Producer: producer, Topic: s.Kafka.Topic(schema.BrazeEngagements), SchemaID: ids[schema.BrazeEngagements]})
}

// backfillProgress shows how far it has come, in one line over and over.
func (a *app) backfillProgress() func(backfill.Report) {
	var shown time.Time
	return func(r backfill.Report) {
		last := r.Done == r.Files
		if now := time.Now(); !onTerminal(a.stderr) || now.Sub(shown) < 200*time.Millisecond && !last {
			return
		}
		shown = time.Now()
		_, _ = fmt.Fprintf(a.stderr, "\r\x1b[K%d of %d files, %d events", r.Done, r.Files, r.Events)
		if last {
			_, _ = fmt.Fprint(a.stderr, "\r\x1b[K")
		}
	}
}

// backfilled says what came of it.
func (a *app) backfilled(r backfill.Report, b backfilling, err error) error {
	if r.Types == nil {
		return err // it did not come to anything
	}
	if b.json {
		err = errors.Join(a.json(struct {
			DryRun bool `json:"dry_run"`
			backfill.Report
		}{!b.yes, r}), err)
	} else {
		err = errors.Join(a.backfillTypes(r), err)
		a.backfillReport(r, b, err)
	}
	if err == nil && len(r.Bad) > 0 {
		return errFindings
	}
	return err
}

func (a *app) backfillTypes(r backfill.Report) error {
	if len(r.Types) == 0 {
		return nil
	}
	names := slices.SortedFunc(maps.Keys(r.Types), func(x, y string) int { return cmp.Or(r.Types[y]-r.Types[x], cmp.Compare(x, y)) })
	rows := make([][]string, 0, len(names))
	for _, name := range names {
		rows = append(rows, []string{name, strconv.Itoa(r.Types[name])})
	}
	return a.table([]string{"TYPE", "EVENTS"}, rows)
}

func (a *app) backfillReport(r backfill.Report, b backfilling, err error) {
	for _, bad := range r.Bad {
		a.say("not read to its end: %s", bad.Why)
	}
	if r.Known > 0 {
		a.say("%s were left out: %s has them", counted(r.Known, "file"), b.checkpoint)
	}
	span := ""
	if r.Events > 0 {
		span = fmt.Sprintf(", from %s to %s", r.First.UTC().Format(time.RFC3339), r.Last.UTC().Format(time.RFC3339))
	}
	switch {
	case !b.yes:
		a.say("dry run: %s of %s%s would be written to %s; --yes does it", counted(r.Events, "event"), counted(r.Done, "file"), span, schema.BrazeEngagements)
	default:
		a.say("%s of %s were written to %s%s", counted(r.Sent, "event"), counted(r.Done, "file"), schema.BrazeEngagements, span)
	}
	if r.Unfit > 0 {
		a.say("%s were not taken: they are larger than %d bytes", counted(r.Unfit, "event"), schema.MaxMessageBytes)
	}
	if err != nil && b.yes {
		a.say("it was interrupted: give the same command again, and what was written comes to no sink twice")
	}
}
