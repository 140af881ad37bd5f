package currents

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/currents-fanout/watch"
	"github.com/sluicehq/sluice/services/pipeline/replay"
)

// View is how Currents is doing.
type View struct {
	watch.Snapshot
	// Hours is how many hours Events of connectors and types, and the campaigns, are about.
	Hours float64 `json:"hours"`
	// Unreadable are records of the topic that are no engagements.
	Unreadable int `json:"unreadable"`
}

// What the command may remember: it runs once and for one person.
const (
	mostTypes = 20_000
	mostSteps = 5_000     // campaigns and steps of Canvases, each with a tally of every hour
	remember  = 2_000_000 // ids, twice that at most
)

// Look reads what came since a moment, and judges it by the day before now, which is read in any case.
func Look(ctx context.Context, c *replay.Cluster, since, now time.Time) (View, error) {
	r, err := open(ctx, c)
	if err != nil {
		return View{}, err
	}
	from := since
	if day := now.Add(-watch.Back); from.After(day) {
		from = day
	}
	book := watch.NewBook(watch.Rules{
		Types: mostTypes, Steps: mostSteps, Window: (now.Sub(since) + time.Hour - 1).Truncate(time.Hour), Remember: remember,
		From: since, Hold: -1, // there is no second look
	}, from)
	until, err := c.Admin.OffsetsAt(ctx, r.topic, from)
	if err != nil {
		return View{}, err
	}
	err = watch.LookBack(ctx, book, watch.Past{Kafka: c.Kafka, Admin: c.Admin, Topic: r.topic, Decode: r.decode, Now: now, Until: until})
	if err != nil {
		return View{}, fmt.Errorf("looking for connectors that fell silent earlier: %w", err)
	}
	err = c.Read(ctx, stream.Range{Topic: r.topic, Since: from}, func(rec *stream.Record) error {
		e, ok, err := r.decode(ctx, rec)
		if ok {
			book.Add(e, now)
		}
		return err
	})
	if err != nil {
		return View{}, err
	}
	book.Check(now)
	return View{Snapshot: book.Snapshot(now), Hours: now.Sub(since).Hours(), Unreadable: r.unreadable}, nil
}
