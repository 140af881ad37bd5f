package pgsink

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/pgtest"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// The server goes away under four lanes again and again: connections are cut, it is killed, and it is stopped. What was cut off
// is deferred and comes again, and at the end each event stands once.
func TestConnectionsThatBreakAndAServerThatDiesCostNothing(t *testing.T) {
	t.Parallel()
	server := pgtest.StartFor(t)
	s := openSink(t, server.DSN(), perType)
	events := sampled(t, 6000, click, purchase, "users.messages.email.Send")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()

	var lanes sync.WaitGroup
	batches := make(chan []*sink.Event)
	for range 4 {
		lanes.Go(func() {
			for batch := range batches {
				if _, err := deliver(ctx, s, batch); err != nil {
					t.Error(err)
				}
			}
		})
	}
	cut := 0
	for i, batch := range slices.Collect(slices.Chunk(slices.Concat(events, events), 50)) {
		switch {
		case i == 80: // killed: the processes of its connections may finish what they are at
			if err := errors.Join(server.Kill(), server.Restart(ctx)); err != nil {
				t.Fatal(err)
			}
		case i == 160: // stopped at once, with all that belongs to it
			if err := server.Stop(); err != nil {
				t.Fatal(err)
			}
			if a := s.Write(ctx, batch); a.All.Kind != outcome.Deferred || a.All.Reason != "unreachable" || a.Halt || a.Split {
				t.Errorf("while the server is down: %+v", a)
			}
			if err := server.Restart(ctx); err != nil {
				t.Fatal(err)
			}
		case i%10 == 5:
			cut += len(openDB(t, server.DSN()).texts(`SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity WHERE application_name = 'sluice warehouse'`))
		}
		batches <- batch
	}
	close(batches)
	lanes.Wait()
	d := openDB(t, server.DSN())
	var got []string
	for _, table := range []string{"users_messages_email_click", "users_behaviors_purchase", "users_messages_email_send"} {
		got = append(got, d.texts("SELECT event_id FROM braze."+table)...)
	}
	var want []string
	for _, e := range events {
		want = append(want, e.ID)
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
	if cut < 10 {
		t.Errorf("only %d connections were cut", cut)
	}
}

func TestAConnectionCutWithinATransactionLeavesNothingOfIt(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Open(t)
	s, d := openSink(t, dsn), openDB(t, dsn)
	wantDelivered(t, s, written(t, "first", click, `{}`))
	// Another holds the id that the batch ends with, so that it waits in the middle of its insertion.
	other, err := d.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Exec(t.Context(), "INSERT INTO braze.engagements (event_id) VALUES ('z')"); err != nil {
		t.Fatal(err)
	}
	answer := make(chan sink.Answer)
	batch := []*sink.Event{written(t, "a", click, `{}`), written(t, "z", click, `{}`)}
	go func() { answer <- s.Write(t.Context(), batch) }()
	const waiting = `SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity WHERE application_name = 'sluice warehouse' AND wait_event_type = 'Lock' AND datname = current_database()`
	for len(d.texts(waiting)) == 0 && t.Context().Err() == nil {
	}
	if a := <-answer; a.All.Kind != outcome.Deferred || a.All.Reason != "unreachable" {
		t.Errorf("when it was cut: %+v", a)
	}
	if err := other.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"first"}, d.texts("SELECT event_id FROM braze.engagements")); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
	wantDelivered(t, s, batch...)
	if diff := cmp.Diff([]string{"a", "first", "z"}, d.texts("SELECT event_id FROM braze.engagements ORDER BY event_id")); diff != "" {
		t.Errorf("ids after the second try (-want +got):\n%s", diff)
	}
}

func TestAStatementThatTakesTooLongIsDeferred(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Open(t)
	s, d := openSink(t, dsn, func(o *Options) { o.StatementTimeout = time.Second }), openDB(t, dsn)
	wantDelivered(t, s, written(t, "first", click, `{}`))
	other, err := d.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Exec(t.Context(), "INSERT INTO braze.engagements (event_id) VALUES ('z')"); err != nil {
		t.Fatal(err)
	}
	if a := s.Write(t.Context(), []*sink.Event{written(t, "z", click, `{}`)}); a.All.Kind != outcome.Deferred || a.All.Reason != "timeout" {
		t.Errorf("it answered %+v", a)
	}
	if err := other.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantDelivered(t, s, written(t, "z", click, `{}`))
}

func TestWhatAPersonHasToPutRightHaltsTheSink(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Open(t)
	d := openDB(t, dsn)
	wantDelivered(t, openSink(t, dsn), written(t, "first", click, `{}`))
	role := pgtest.Name(t)
	d.exec("CREATE ROLE " + role + " LOGIN")
	t.Cleanup(func() {
		_, err := d.pool.Exec(context.Background(), "DROP OWNED BY "+role+"; DROP ROLE "+role)
		if err != nil {
			t.Error(err)
		}
	})
	for _, c := range []struct {
		name, dsn string
		grant     string
		reason    string // empty: it is delivered
	}{
		{"no such role", pgtest.With(dsn, "nobody_at_all", ""), "", "credentials"},
		{"no such database", pgtest.With(dsn, "", "no_such_database"), "", "no_database"},
		{"no right to the schema", pgtest.With(dsn, role, ""), "", "permission"},
		{"no right to the table", pgtest.With(dsn, role, ""), "GRANT USAGE ON SCHEMA braze TO " + role, "permission"},
		{"no right to look for doubles", pgtest.With(dsn, role, ""), "GRANT INSERT ON braze.engagements TO " + role, "permission"},
		{"all that is needed", pgtest.With(dsn, role, ""), "GRANT SELECT (event_id) ON braze.engagements TO " + role, ""},
	} {
		if c.grant != "" {
			d.exec(c.grant)
		}
		a := openSink(t, c.dsn).Write(t.Context(), []*sink.Event{written(t, "e", click, `{}`)})
		if c.reason == "" {
			if a.Of(0).Kind != outcome.Delivered {
				t.Errorf("%s: %+v", c.name, a)
			}
			continue
		}
		if !a.Halt || a.All.Kind != outcome.Deferred || a.All.Reason != c.reason {
			t.Errorf("%s: %+v", c.name, a)
		}
	}
}

func TestAServerThatIsNotThereIsDeferredAndItsPasswordKept(t *testing.T) {
	t.Parallel()
	s := openSink(t, "postgres://sluice:s3cr3t@127.0.0.1:1/x?connect_timeout=1")
	a := s.Write(t.Context(), []*sink.Event{written(t, "e", click, `{}`)})
	if a.All.Kind != outcome.Deferred || a.All.Reason != "unreachable" || a.Halt || strings.Contains(fmt.Sprint(a), "s3cr3t") {
		t.Errorf("it answered %+v", a)
	}
}

func TestABatchThatIsGivenUpIsDeferred(t *testing.T) {
	t.Parallel()
	s := openSink(t, pgtest.Open(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if a := s.Write(ctx, []*sink.Event{written(t, "e", click, `{}`)}); a.All.Kind != outcome.Deferred {
		t.Errorf("it answered %+v", a)
	}
	wantDelivered(t, s, written(t, "e", click, `{}`))
}
