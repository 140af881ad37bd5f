package pgsink

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/pkg/currents"
	"github.com/sluicehq/sluice/pkg/currents/sample"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

const (
	click    = "users.messages.email.Click"
	purchase = "users.behaviors.Purchase"
)

var noon = time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)

// openSink opens a sink as sinks.yaml would, with create.
func openSink(t testing.TB, dsn string, change ...func(*Options)) *postgres {
	t.Helper()
	o := Options{DSN: config.Secret(dsn), Create: true}
	for _, c := range change {
		c(&o)
	}
	s, err := Open(t.Context(), o, sink.Deps{Name: "warehouse", Metrics: prometheus.NewRegistry(), Log: zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.WarnLevel)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s.(*postgres)
}

func perType(o *Options) { o.Layout = PerType }
func given(o *Options)   { o.Create = false }

// db is a second way into the database.
type db struct {
	testing.TB
	pool *pgxpool.Pool
}

func openDB(t testing.TB, dsn string) db {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return db{t, pool}
}

func (d db) exec(sql string, args ...any) {
	d.Helper()
	if _, err := d.pool.Exec(d.Context(), sql, args...); err != nil {
		d.Fatalf("%s: %v", sql, err)
	}
}

// texts are the rows of a query with one column.
func (d db) texts(sql string, args ...any) []string {
	d.Helper()
	rows, err := d.pool.Query(d.Context(), sql, args...)
	if err != nil {
		d.Fatalf("%s: %v", sql, err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[*string])
	if err != nil {
		d.Fatalf("%s: %v", sql, err)
	}
	texts := make([]string, len(all))
	for i, s := range all {
		texts[i] = "NULL"
		if s != nil {
			texts[i] = *s
		}
	}
	return texts
}

// one is the only row of a query with one column.
func (d db) one(sql string, args ...any) string {
	d.Helper()
	all := d.texts(sql, args...)
	if len(all) != 1 {
		d.Fatalf("%s: %d rows", sql, len(all))
	}
	return all[0]
}

// engagement is an event as the fan-out hands it over.
func engagement(t testing.TB, raw []byte) *sink.Event {
	t.Helper()
	e, err := currents.Read(raw, "eu", noon)
	if err != nil {
		t.Fatal(err)
	}
	return &sink.Event{
		ID: e.ID, Type: e.Type, Key: e.Key(), OccurredAt: e.OccurredAt, ReceivedAt: e.ReceivedAt,
		Engagement: &e, JSON: raw, Topic: "braze.engagements",
	}
}

// sampled is n events over all types.
func sampled(t testing.TB, n int, types ...string) []*sink.Event {
	t.Helper()
	if types == nil {
		for _, typ := range currents.Types() {
			types = append(types, typ.Name)
		}
	}
	rng := rand.New(rand.NewPCG(7, uint64(n)))
	events := make([]*sink.Event, n)
	for i := range events {
		events[i] = engagement(t, sample.Event(rng, types[i%len(types)], i))
	}
	return events
}

// written is an event with these members of properties, as Braze would write them.
func written(t testing.TB, id, typeName, properties string) *sink.Event {
	t.Helper()
	return engagement(t, fmt.Appendf(nil, `{"event_type":%q,"id":%q,"time":1788264000,"user":{"user_id":"b1","external_user_id":"u1"},"properties":%s}`, typeName, id, properties))
}

// action is a webhook's event.
func action(name, id, payload string) *sink.Event {
	a := &event.Action{
		ID: id, Name: name, User: event.User{ExternalID: "u1"}, OccurredAt: noon, ReceivedAt: noon.Add(time.Second),
		Source: "braze", ContentType: "application/json",
	}
	if jsontext.Value(payload).IsValid(jsontext.AllowDuplicateNames(true)) {
		a.JSON = []byte(payload)
	} else {
		a.Body = []byte(payload)
	}
	return &sink.Event{ID: id, Type: "action." + name, Key: "u1", OccurredAt: a.OccurredAt, ReceivedAt: a.ReceivedAt, Action: a, JSON: []byte(`{}`)}
}

// wantDelivered hands a batch over and fails where it is not taken.
func wantDelivered(t testing.TB, s sink.Sink, batch ...*sink.Event) {
	t.Helper()
	a := s.Write(t.Context(), batch)
	for i := range batch {
		if o := a.Of(i); o.Kind != outcome.Delivered {
			t.Fatalf("event %d of %d: %v %s: %s", i, len(batch), o.Kind, o.Reason, o.Detail)
		}
	}
}

// deliver hands events over until each is final, as the fan-out would: what is deferred comes again, what is to be split
// comes in halves. It returns what became of each.
func deliver(ctx context.Context, s sink.Sink, batch []*sink.Event) ([]outcome.Outcome, error) {
	a := s.Write(ctx, batch)
	switch {
	case a.Split:
		left, err := deliver(ctx, s, batch[:len(batch)/2])
		if err != nil {
			return nil, err
		}
		right, err := deliver(ctx, s, batch[len(batch)/2:])
		return slices.Concat(left, right), err
	case a.Halt:
		return nil, fmt.Errorf("halted: %s: %s", a.All.Reason, a.All.Detail)
	case !a.Of(0).Kind.Final():
		pause := time.NewTimer(10 * time.Millisecond)
		defer pause.Stop()
		select {
		case <-pause.C:
			return deliver(ctx, s, batch)
		case <-ctx.Done():
			return nil, fmt.Errorf("deferred for ever: %s: %s", a.All.Reason, a.All.Detail)
		}
	}
	all := make([]outcome.Outcome, len(batch))
	for i := range all {
		all[i] = a.Of(i)
	}
	return all, nil
}
