package pgsink

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/currents"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/pgtest"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// What jsonb or a column cannot hold costs neither the event nor its batch. The answer is the same with and without a
// column for the property.
func TestWhatPostgreSQLCannotHoldIsMended(t *testing.T) {
	t.Parallel()
	deep := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	cases := []struct {
		name   string
		url    string // a property that has a column in the layout per_type
		stored string // the property in the layout single; "" where the document is not there
		mended bool
	}{
		{"NUL as an escape", `"a\u0000b"`, `"a` + "�" + `b"`, true},
		{"an escaped backslash before u0000", `"a\\u0000b"`, `"a\\u0000b"`, false},
		{"half a surrogate pair", `"\ud83d"`, `"�"`, true},
		{"the halves in the wrong order", `"\ude00\ud83d"`, `"��"`, true},
		{"half a pair and an escape", `"\ud83d\n"`, `"�\n"`, true},
		{"half a pair before a whole one", `"\ud83d\ud83d\ude00"`, `"�😀"`, true},
		{"a whole pair", `"\ud83d\ude00"`, `"😀"`, false},
		{"a number out of reach", `1e400000`, `"1e400000"`, true},
		{"one that nobody could write out", `1e99999999999999999999`, `"1e99999999999999999999"`, true},
		{"a very small one", `1E-200000`, `"1E-200000"`, true},
		{"a number of a hundred digits", strings.Repeat("7", 100), strings.Repeat("7", 100), false},
		{"a number of two hundred thousand digits", strings.Repeat("7", 200_000), `"` + strings.Repeat("7", 200_000) + `"`, true},
		{"a number with an exponent", `1.25e3`, "1250", false},
		{"an object not too deep", deep(900), deep(900), false},
		{"a deep object", deep(5000), "", true},
		{"a long text", `"` + strings.Repeat("x", 200_000) + `"`, `"` + strings.Repeat("x", 200_000) + `"`, false},
	}
	for name, layout := range map[string]func(*Options){"in one table": func(*Options) {}, "in a table per type": perType} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := pgtest.Open(t)
			s, d := openSink(t, dsn, layout), openDB(t, dsn)
			table, url := "braze.engagements", "event->'properties'->'url'"
			if s.single == nil {
				table, url = "braze.users_messages_email_click", "coalesce(to_jsonb(url), properties->'url')"
			}
			var batch []*sink.Event
			for i, c := range cases {
				batch = append(batch, written(t, fmt.Sprint(i), click, `{"url":`+c.url+`}`))
			}
			wantDelivered(t, s, batch...)
			for i, c := range cases {
				got := d.one("SELECT "+url+" FROM "+table+" WHERE event_id = $1", fmt.Sprint(i))
				if c.stored == "" {
					if got != "NULL" {
						t.Errorf("%s: %.100s", c.name, got)
					}
				} else if got != c.stored && canonical(t, got) != canonical(t, c.stored) {
					t.Errorf("%s: %.100s, want %.100s", c.name, got, c.stored)
				}
				exact := "NULL"
				if c.mended {
					exact = string(batch[i].JSON)
				}
				if got := d.one("SELECT event_text FROM "+table+" WHERE event_id = $1", fmt.Sprint(i)); got != exact {
					t.Errorf("%s: the exact text is %.100s, want %.100s", c.name, got, exact)
				}
			}
		})
	}
}

func TestOddColumnsAreMended(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Open(t)
	s, d := openSink(t, dsn), openDB(t, dsn)
	odd := written(t, "odd", click, `{}`)
	odd.Engagement.CampaignName = "a\x00b\xff"
	odd.OccurredAt = time.Date(300_000, 1, 1, 0, 0, 0, 0, time.UTC)
	early := written(t, "early", click, `{}`)
	early.OccurredAt = time.Date(-4712, 1, 1, 0, 0, 0, 0, time.UTC)
	last := written(t, "last", click, `{}`)
	last.OccurredAt = time.Date(294_276, 12, 31, 23, 59, 59, 999_999_000, time.UTC)
	wantDelivered(t, s, odd, early, last)
	got := d.texts("SELECT concat_ws('|', event_id, campaign_name, occurred_at AT TIME ZONE 'UTC', event_text IS NOT NULL) FROM braze.engagements ORDER BY event_id")
	want := []string{"early|4713-01-01 00:00:00 BC|f", "last|294276-12-31 23:59:59.999999|f", "odd|a�b�|t"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

// hostileTypes are names that a table cannot simply have, or that look alike.
var hostileTypes = []string{
	"", "a", "A", "a.b", "a_b", "a b", `a"b`, "a'b", `a\'b`, "a\x00b", "\xff", "ä", `x"; DROP SCHEMA braze CASCADE; --`,
	"users.messages.email.click", "users.messages.email.Click ", "users_messages_email_Click", "actions", "engagements", "pg_class",
	strings.Repeat("long.", 1000) + "A", strings.Repeat("long.", 1000) + "B",
}

func TestEveryTypeHasATableNameOfItsOwn(t *testing.T) {
	for _, prefix := range []string{"", "warehouse_of_braze__"} {
		types := map[string]string{}
		all := hostileTypes
		for _, typ := range currents.Types() {
			all = append(all, typ.Name)
		}
		for _, typ := range all {
			name := tableName(prefix, typ)
			if other, taken := types[name]; taken {
				t.Errorf("%.60q and %.60q both have the table %s", typ, other, name)
			}
			types[name] = typ
			if len(name) > maxName || !strings.HasPrefix(name, prefix) || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
				t.Errorf("%.60q has the table %q", typ, name)
			}
		}
	}
	if got := tableName("", click); got != "users_messages_email_click" {
		t.Errorf("the table of a known type is %s", got)
	}
}

func TestTypesWithHostileNamesAreStored(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Open(t)
	s, d := openSink(t, dsn, perType), openDB(t, dsn)
	var batch []*sink.Event
	for i, typ := range hostileTypes {
		e := written(t, fmt.Sprint(i), click, `{"url":"/x"}`)
		e.Engagement.Type = typ
		batch = append(batch, e)
	}
	wantDelivered(t, s, batch...)
	for i, typ := range hostileTypes {
		want, _ := storable(typ)
		if want == "" {
			want = "NULL"
		}
		if got := d.one("SELECT event_type FROM "+quoted("braze", tableName("", typ))+" WHERE event_id = $1", fmt.Sprint(i)); got != want {
			t.Errorf("%q is stored as %.60q", typ, got)
		}
	}
}

func TestTypesWithoutEndDoNotFillTheDatabase(t *testing.T) {
	t.Parallel()
	s := openSink(t, "postgres://127.0.0.1:1/x", perType)
	for i := range mostStrangers + 2 {
		e := written(t, "e", fmt.Sprint("made.up.", i), `{}`)
		target, why := s.target(e)
		if full := i >= mostStrangers; full != (target == nil) || full && (why.Kind != outcome.Refused || why.Reason != "too_many_types") {
			t.Fatalf("type %d: %+v", i, why)
		}
	}
	if target, _ := s.target(written(t, "e", click, `{}`)); target == nil {
		t.Error("a known type has no table any more")
	}
	if target, _ := s.target(written(t, "e", "made.up.7", `{}`)); target == nil {
		t.Error("nor has one that had a table before")
	}
}

func TestColumnNamesAreShortAndDifferent(t *testing.T) {
	for _, typ := range currents.Types() {
		seen := map[string]bool{}
		for _, c := range newTarget("", typ.Name).columns {
			if seen[c.name] || len(c.name) > maxName || c.name == "" {
				t.Errorf("%s has a column %q", typ.Name, c.name)
			}
			seen[c.name] = true
		}
	}
}
