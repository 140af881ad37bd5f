package pgsink

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/pgtest"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

func TestDoubledAndShuffledEventsStandOnceEach(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		layout func(*Options)
		stored func(d db) []string // the ids
	}{
		{"in one table", func(*Options) {}, func(d db) []string { return d.texts("SELECT event_id FROM braze.engagements ORDER BY event_id") }},
		{"in a table per type", perType, func(d db) (ids []string) {
			for _, table := range d.texts("SELECT quote_ident(table_name) FROM information_schema.tables WHERE table_schema = 'braze'") {
				ids = append(ids, d.texts("SELECT event_id FROM braze."+table)...)
			}
			slices.Sort(ids)
			return ids
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dsn := pgtest.Open(t)
			s := openSink(t, dsn, c.layout)
			events := sampled(t, 2000)
			var want []string
			for _, e := range events {
				want = append(want, e.ID)
			}
			slices.Sort(want)
			rng := rand.New(rand.NewPCG(3, 4))
			all := slices.Concat(events, events)
			rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })

			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
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
			for batch := range slices.Chunk(all, 300) {
				batches <- batch
			}
			close(batches)
			lanes.Wait()
			if diff := cmp.Diff(want, c.stored(openDB(t, dsn))); diff != "" {
				t.Errorf("ids (-want +got):\n%s", diff)
			}
			if n := testutil.ToFloat64(s.rows.WithLabelValues("inserted")); n != 2000 {
				t.Errorf("%v rows counted as inserted", n)
			}
		})
	}
}

func TestActionsStandOncePerNameAndId(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Open(t)
	s, d := openSink(t, dsn), openDB(t, dsn)
	batch := []*sink.Event{
		action("survey", "1", `{"score":9,"score":8}`), action("survey", "1", `{}`), action("refund", "1", `{"a":"\u0000"}`),
		action("refund", "2", "form=1"), written(t, "e1", click, `{}`),
	}
	wantDelivered(t, s, batch...)
	wantDelivered(t, s, batch...)
	got := d.texts(`SELECT concat_ws('|', action_name, event_id, user_id, source, payload, payload_text, convert_from(payload_bytes, 'UTF8')) FROM braze.actions ORDER BY action_name, event_id`)
	want := []string{`refund|1|u1|braze|{"a": "�"}|{"a":"\u0000"}`, `refund|2|u1|braze|form=1`, `survey|1|u1|braze|{"score": 8}`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("actions (-want +got):\n%s", diff)
	}
	if n := d.one("SELECT count(*)::text FROM braze.engagements"); n != "1" {
		t.Errorf("%s engagements", n)
	}
}

// Some rows only PostgreSQL knows to be bad. The fan-out halves the batch until one is left, and that one is refused.
func TestOneBadRowCostsOnlyItself(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Open(t)
	s, d := openSink(t, dsn), openDB(t, dsn)
	wantDelivered(t, s, sampled(t, 1)...)
	d.exec("ALTER TABLE braze.engagements ADD CONSTRAINT no_thirteen CHECK (event_id <> '13')")
	var batch []*sink.Event
	for i := range 20 {
		batch = append(batch, written(t, fmt.Sprint(i), click, `{}`))
	}
	if a := s.Write(t.Context(), batch); !a.Split || a.All.Kind != outcome.Deferred {
		t.Fatalf("the batch: %+v", a)
	}
	got, err := deliver(t.Context(), s, batch)
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range got {
		want := outcome.Outcome{Kind: outcome.Delivered}
		if i == 13 {
			want = outcome.Outcome{
				Kind: outcome.Refused, Reason: "bad_row",
				Detail: `new row for relation "engagements" violates check constraint "no_thirteen" (constraint no_thirteen) (SQLSTATE 23514)`,
			}
		}
		if diff := cmp.Diff(want, o); diff != "" {
			t.Errorf("event %d (-want +got):\n%s", i, diff)
		}
	}
	if n := d.one("SELECT count(*)::text FROM braze.engagements WHERE length(event_id) < 3"); n != "19" {
		t.Errorf("%s rows", n)
	}
}

func TestAnEventWithoutAUsableIdIsRefusedAlone(t *testing.T) {
	t.Parallel()
	s := openSink(t, pgtest.Open(t))
	nul := written(t, "x", click, `{}`)
	nul.Engagement.ID = "a\x00b"
	none := written(t, "x", click, `{}`)
	none.Engagement.ID = ""
	a := s.Write(t.Context(), []*sink.Event{nul, written(t, "good", click, `{}`), none, {ID: "empty"}})
	got := map[int]string{}
	for i := range 4 {
		got[i] = a.Of(i).Kind.String() + " " + a.Of(i).Reason
	}
	want := map[int]string{0: "refused bad_id", 1: "delivered ", 2: "refused bad_id", 3: "refused undecodable"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	if a := s.Write(t.Context(), []*sink.Event{nul}); a.Of(0).Kind != outcome.Refused || !strings.HasPrefix(a.Of(0).Detail, "event_id ") {
		t.Errorf("alone: %+v", a)
	}
}

// Two processes begin on an empty database with the same events at the same moment.
func TestConcurrentWritersOfTheSameEvents(t *testing.T) {
	t.Parallel()
	for name, layout := range map[string]func(*Options){"in one table": func(*Options) {}, "in a table per type": perType} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := pgtest.Open(t)
			d := openDB(t, dsn)
			events := sampled(t, 600, click, purchase, "users.messages.email.Send", "custom.unheard.Of")
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			var writers sync.WaitGroup
			for i := range 4 {
				s := openSink(t, dsn, layout)
				own := slices.Clone(events)
				rng := rand.New(rand.NewPCG(1, uint64(i)))
				rng.Shuffle(len(own), func(i, j int) { own[i], own[j] = own[j], own[i] })
				writers.Go(func() {
					for batch := range slices.Chunk(own, 100) {
						if _, err := deliver(ctx, s, batch); err != nil {
							t.Error(err)
						}
					}
				})
			}
			writers.Wait()
			n := 0
			for _, table := range d.texts("SELECT quote_ident(table_name) FROM information_schema.tables WHERE table_schema = 'braze'") {
				n += len(d.texts("SELECT event_id FROM braze." + table))
			}
			if n != len(events) {
				t.Errorf("%d rows of %d events", n, len(events))
			}
			if n := d.one("SELECT deadlocks::text FROM pg_stat_database WHERE datname = current_database()"); n != "0" {
				t.Errorf("%s deadlocks", n)
			}
		})
	}
}

// An event is acknowledged to Kafka when the transaction is, so that has to be on disk even where the owner lets others
// run ahead of it.
func TestADatabaseThatCommitsLaterIsAskedToWait(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Open(t)
	d := openDB(t, dsn)
	d.exec(`DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || ' SET synchronous_commit = off'; END $$`)
	d.exec("CREATE SCHEMA braze")
	d.exec("CREATE TABLE braze.engagements (event_id text PRIMARY KEY, seen text)")
	d.exec(`CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.seen := current_setting('synchronous_commit'); RETURN NEW; END $$`)
	d.exec("CREATE TRIGGER look BEFORE INSERT ON braze.engagements FOR EACH ROW EXECUTE FUNCTION look()")
	wantDelivered(t, openSink(t, dsn, given), written(t, "e", click, `{}`))
	if got := d.one("SELECT seen FROM braze.engagements"); got != "on" {
		t.Errorf("synchronous_commit was %s", got)
	}
}

func TestAnEventThatIsRedactedHasNoIdsInItsColumns(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Open(t)
	s, d := openSink(t, dsn, perType), openDB(t, dsn)
	e := written(t, "e", click, `{"email_address":"[REDACTED]"}`)
	e.Engagement.User = event.User{}
	e.JSON = []byte(`{"event_type":"users.messages.email.Click","id":"e","time":1788264000,"properties":{"email_address":"[REDACTED]"}}`)
	wantDelivered(t, s, e)
	row := map[string]jsontext.Value{}
	if err := json.Unmarshal([]byte(d.one("SELECT jsonb_strip_nulls(to_jsonb(t))::text FROM braze.users_messages_email_click t")), &row); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(fmt.Sprint(row), "u1") || strings.Contains(fmt.Sprint(row), "b1") {
		t.Errorf("it is there: %s", slices.Sorted(maps.Keys(row)))
	}
}
