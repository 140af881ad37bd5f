package pgsink

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/pgtest"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

const columnsOf = `SELECT attname || ' ' || format_type(atttypid, atttypmod) FROM pg_attribute
	WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum`

func TestATableIsMadeWithKeyAndIndexes(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Open(t)
	s, d := openSink(t, dsn, perType, func(o *Options) { o.Schema, o.Prefix = `odd "schema"`, "b_" }), openDB(t, dsn)
	wantDelivered(t, s, written(t, "e", "users.messages.email.Deferral", `{"attempt_count":3}`))
	got := d.texts(columnsOf, `"odd ""schema""".b_users_messages_email_deferral`)
	want := strings.Split(strings.TrimSpace(`
event_id text
user_id text
external_id text
braze_id text
event_type text
channel text
occurred_at timestamp with time zone
received_at timestamp with time zone
workspace text
app_id text
campaign_id text
campaign_name text
message_variation_id text
canvas_id text
canvas_name text
canvas_variation_id text
canvas_step_id text
canvas_step_message_variation_id text
send_id text
dispatch_id text
device_id text
app_group_id text
message_variation_name text
canvas_variation_name text
canvas_step_name text
timezone text
email_address text
recipient_domain text
esp text
from_domain text
ip_pool text
sending_ip text
deferral_reason text
attempt_count bigint
properties jsonb
others jsonb
event_text text`), "\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
	indexes := d.texts(`SELECT substring(indexdef from '\(.*') FROM pg_indexes WHERE tablename = 'b_users_messages_email_deferral' ORDER BY 1`)
	if diff := cmp.Diff([]string{"(event_id)", "(occurred_at)", "(user_id)"}, indexes); diff != "" {
		t.Errorf("indexes (-want +got):\n%s", diff)
	}
}

// The first batches of several processes come at the same moment, and none has to wait for another try.
func TestATableIsMadeOnceForAllWhoNeedIt(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Open(t)
	var writers sync.WaitGroup
	for i := range 8 {
		s, e := openSink(t, dsn, perType), written(t, fmt.Sprint(i), click, `{}`)
		writers.Go(func() {
			if a := s.Write(t.Context(), []*sink.Event{e}); a.Of(0).Kind != outcome.Delivered {
				t.Errorf("it answered %+v", a)
			}
		})
	}
	writers.Wait()
}

// An older version made the table; its owner has widened it, and narrowed a column.
func TestATableGetsTheColumnsItLacksAndLosesNone(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Open(t)
	d := openDB(t, dsn)
	d.exec("CREATE SCHEMA braze")
	d.exec(`CREATE TABLE braze.users_messages_email_click (team text DEFAULT 'crm', event_id varchar(40) PRIMARY KEY, link_id varchar(8))`)
	d.exec("INSERT INTO braze.users_messages_email_click (event_id) VALUES ('old')")

	// Several processes find that out at once.
	var writers sync.WaitGroup
	for range 4 {
		s, e := openSink(t, dsn, perType), written(t, "new", click, `{"url":"/x","link_id":"l1"}`)
		writers.Go(func() {
			if a := s.Write(t.Context(), []*sink.Event{e}); a.Of(0).Kind != outcome.Delivered {
				t.Errorf("it answered %+v", a)
			}
		})
	}
	writers.Wait()
	got := d.texts("SELECT concat_ws('|', team, event_id, url, link_id, external_id) FROM braze.users_messages_email_click ORDER BY event_id DESC")
	if diff := cmp.Diff([]string{"crm|old", "crm|new|/x|l1|u1"}, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if all := d.texts(columnsOf, "braze.users_messages_email_click"); len(all) != 1+len(newTarget("", click).columns) || all[2] != "link_id character varying(8)" {
		t.Errorf("%d columns, of which %s", len(all), all[2])
	}
	a := openSink(t, dsn, perType).Write(t.Context(), []*sink.Event{written(t, "wide", click, `{"link_id":"far too long"}`)})
	if want := "value too long for type character varying(8) (SQLSTATE 22001)"; a.All.Kind != outcome.Refused || a.All.Detail != want {
		t.Errorf("what does not fit the narrow column: %+v", a)
	}
}

// A type that this version learned of had a table under another name.
func TestATypeThatBecameKnownKeepsItsTable(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Open(t)
	s, d := openSink(t, dsn, perType), openDB(t, dsn)
	old := strangersName("", click)
	d.exec("CREATE SCHEMA braze")
	d.exec("CREATE TABLE braze." + old + " (event_id text PRIMARY KEY, properties jsonb)")
	d.exec("INSERT INTO braze." + old + ` VALUES ('old', '{"url":"/old"}')`)
	d.exec("CREATE VIEW braze.clicks AS SELECT event_id FROM braze." + old)
	wantDelivered(t, s, written(t, "new", click, `{"url":"/new"}`), written(t, "old", click, `{"url":"/old"}`))
	got := d.texts("SELECT concat_ws('|', event_id, url, properties) FROM braze.users_messages_email_click ORDER BY event_id")
	if diff := cmp.Diff([]string{"new|/new", `old|{"url": "/old"}`}, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if n := len(d.texts("SELECT event_id FROM braze.clicks")); n != 2 {
		t.Errorf("the view shows %d rows", n)
	}
}

func TestATableThatIsDroppedIsMadeAgain(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Open(t)
	s, d := openSink(t, dsn), openDB(t, dsn)
	wantDelivered(t, s, written(t, "e", click, `{}`))
	d.exec("DROP SCHEMA braze CASCADE")
	a := s.Write(t.Context(), []*sink.Event{written(t, "e", click, `{}`)})
	if a.All.Kind != outcome.Deferred || a.All.Reason != "table_changed" || a.Halt {
		t.Errorf("at first: %+v", a)
	}
	wantDelivered(t, s, written(t, "e", click, `{}`))
	d.exec("ALTER TABLE braze.engagements DROP COLUMN send_id")
	if a := s.Write(t.Context(), []*sink.Event{written(t, "f", click, `{}`)}); a.All.Reason != "table_changed" {
		t.Errorf("without a column: %+v", a)
	}
	wantDelivered(t, s, written(t, "f", click, `{}`))
}

func TestWithoutCreateOnlyWhatIsThereIsWritten(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Open(t)
	s, d := openSink(t, dsn, perType, given), openDB(t, dsn)
	write := func() sink.Answer {
		return s.Write(t.Context(), []*sink.Event{written(t, "e", click, `{"url":"/x","link_id":"l","campaign_id":"c"}`)})
	}
	wantHalt := func(what, detail string) {
		t.Helper()
		if a := write(); !a.Halt || a.All.Kind != outcome.Deferred || !strings.Contains(a.All.Detail, detail) {
			t.Errorf("%s: %+v", what, a)
		}
	}
	wantHalt("no schema", `there is no table "braze"."users_messages_email_click"`)
	d.exec("CREATE SCHEMA braze")
	wantHalt("no table", `there is no table "braze"."users_messages_email_click"`)
	d.exec("CREATE TABLE braze.users_messages_email_click (url text)")
	wantHalt("no column for the id", `has no column event_id`)
	d.exec("ALTER TABLE braze.users_messages_email_click ADD event_id text, ADD properties jsonb, ADD others jsonb")
	wantHalt("no unique index", "event_id must be unique")
	d.exec("CREATE UNIQUE INDEX ON braze.users_messages_email_click (event_id)")
	if a := write(); a.Of(0).Kind != outcome.Delivered {
		t.Fatalf("a narrow table: %+v", a)
	}
	// What has no column of its own stands with the rest.
	got := d.one("SELECT concat_ws('|', event_id, url, properties, others) FROM braze.users_messages_email_click")
	want := `e|/x|{"link_id": "l", "campaign_id": "c"}|{"time": 1788264000, "user": {"user_id": "b1", "external_user_id": "u1"}, "event_type": "users.messages.email.Click"}`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("row (-want +got):\n%s", diff)
	}
	d.exec("DROP TABLE braze.users_messages_email_click")
	wantHalt("dropped", `relation "braze.users_messages_email_click" does not exist`)
}

// A column that is added waits for the table's readers, and new readers wait behind it: not for long.
func TestAReaderIsNotHeldUpByANewColumn(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Open(t)
	d := openDB(t, dsn)
	d.exec("CREATE SCHEMA braze")
	d.exec("CREATE TABLE braze.engagements (event_id text PRIMARY KEY)")
	reader, err := d.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Exec(t.Context(), "SELECT FROM braze.engagements"); err != nil {
		t.Fatal(err)
	}
	s := openSink(t, dsn, func(o *Options) { o.LockTimeout = 50 * time.Millisecond })
	if a := s.Write(t.Context(), []*sink.Event{written(t, "e", click, `{}`)}); a.All.Kind != outcome.Deferred || a.All.Reason != "locked" {
		t.Errorf("while the table is read: %+v", a)
	}
	if err := reader.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantDelivered(t, s, written(t, "e", click, `{}`))
}
