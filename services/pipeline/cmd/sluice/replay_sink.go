package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/services/pipeline/replay"
	"github.com/sluicehq/sluice/services/pipeline/sinks"
)

// replaySink lets one sink have a stretch of its topics once more.
func (a *app) replaySink(c *cobra.Command, topic string, r replaying) error {
	if err := r.ofSink(); err != nil {
		return err
	}
	from, err := replay.ParseEdge(r.from, time.Now())
	if err != nil {
		return usageError{fmt.Errorf("--from: %w", err)}
	}
	return a.withSite(c, func(ctx context.Context, s *site) error {
		sink, err := s.sink(r.sink)
		if err != nil {
			return err
		}
		plan, err := sinks.Make(ctx, s.Cluster, sinks.Order{Sink: sink, From: from, Only: topic, By: (&speaking{}).who()})
		if err != nil {
			return err
		}
		plan.Tell = func(step sinks.Step) { a.say("%s", step) }
		report := struct {
			DryRun bool `json:"dry_run"`
			*sinks.Plan
			Moved bool `json:"moved"`
		}{DryRun: !r.yes, Plan: plan}
		if !r.json {
			if err := a.sinkMoves(plan); err != nil {
				return err
			}
		}
		if todo := plan.Records > 0 || plan.Ours(); r.yes && todo {
			err = plan.Do(ctx)
			report.Moved = err == nil
		}
		if r.json {
			return errors.Join(a.json(report), err)
		}
		a.sinkReplayReport(plan, r.yes, report.Moved)
		return err
	})
}

// ofSink holds the flags to what makes sense for a sink.
func (r replaying) ofSink() error {
	switch {
	case r.to != "":
		return usageError{errors.New("--sink: --to names somebody else; give one of them")}
	case r.from == "":
		return usageError{errors.New("--from: where does the range begin?")}
	case r.until != "" || r.copies || r.skipGiven || len(r.partitions) > 0:
		return usageError{errors.New("--sink: a sink is set back to a time in every partition, and gets everything from there on; --until, --copy, --skip-delivered and --partition are for services")}
	case r.yes && r.dry:
		return usageError{errors.New("--yes: --dry-run says otherwise; give one of them")}
	}
	return nil
}

func (a *app) sinkMoves(p *sinks.Plan) error {
	if len(p.Parts) == 0 {
		return nil
	}
	rows := make([][]string, 0, len(p.Parts))
	for _, m := range p.Parts {
		rows = append(rows, []string{
			m.Topic, strconv.Itoa(int(m.Partition)), strconv.FormatInt(m.Committed, 10), strconv.FormatInt(m.From, 10),
			strconv.FormatInt(m.Committed-m.From, 10),
		})
	}
	return a.table([]string{"TOPIC", "PARTITION", "COMMITTED", "BACK TO", "RECORDS"}, rows)
}

func (a *app) sinkReplayReport(p *sinks.Plan, yes, moved bool) {
	switch {
	case p.Ours() && !yes:
		a.say("note: %s is paused by a replay that did not come to its end; --yes finishes it, and sluice sinks resume %s gives it up", p.Sink, p.Sink)
	case p.Pause != nil && !p.Ours():
		a.say("note: %s is paused by %s: %s; it stays so", p.Sink, p.Pause.By, p.Pause.Why)
	}
	switch {
	case p.Records == 0 && !moved:
		a.say("there is nothing in this range that %s has come past", p.Sink)
	case !yes:
		a.say("%s would get %d records again, less what its filter leaves out and what are doubles; it tells what it has by its own means (id, upsert, name of a file), and else has it twice", p.Sink, p.Records)
		a.say("dry run: %s would pause, be set back and go on; --yes does it", p.Sink)
	case moved:
		a.say("%s was set back by %d records", p.Sink, p.Records)
	}
}
