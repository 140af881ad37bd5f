package pgsink

import (
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/currents"
	"github.com/sluicehq/sluice/pkg/pgtest"
)

// canonical is a JSON document in the form that two equal ones share. Numbers stay as they are written.
func canonical(t testing.TB, doc string) string {
	t.Helper()
	v := jsontext.Value(doc)
	if err := v.Format(jsontext.AllowDuplicateNames(true), jsontext.CanonicalizeRawInts(false), jsontext.CanonicalizeRawFloats(false), jsontext.ReorderRawObjects(true)); err != nil {
		t.Fatalf("%s: %v", doc, err)
	}
	return string(v)
}

func TestTheWholeEventIsInTheSingleTable(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Open(t)
	s, d := openSink(t, dsn), openDB(t, dsn)
	events := sampled(t, 300)
	wantDelivered(t, s, events...)
	for _, e := range events {
		got := d.one("SELECT event::text FROM braze.engagements WHERE event_id = $1 AND event_text IS NULL", e.ID)
		if want := canonical(t, string(e.JSON)); canonical(t, got) != want {
			t.Errorf("%s is stored as %s", want, got)
		}
	}
	e := events[0].Engagement
	got := d.one(`SELECT concat_ws('|', user_id, external_id, braze_id, event_type, channel, occurred_at AT TIME ZONE 'UTC', received_at AT TIME ZONE 'UTC', workspace, app_id, campaign_id)
		FROM braze.engagements WHERE event_id = $1`, e.ID)
	var want []string
	at := func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }
	for _, s := range []string{e.Key(), e.User.ExternalID, e.User.BrazeID, e.Type, e.Channel, at(e.OccurredAt), at(e.ReceivedAt), e.Workspace, e.AppID, e.CampaignID} {
		if s != "" {
			want = append(want, s)
		}
	}
	if diff := cmp.Diff(strings.Join(want, "|"), got); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
}

// What a table per type holds of an event, columns and rest together, is everything.
func TestNothingIsLeftOutOfATablePerType(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Open(t)
	s, d := openSink(t, dsn, perType), openDB(t, dsn)
	events := sampled(t, 4*len(currents.Types()))
	events = append(events,
		written(t, "odd", click, `{"url":7,"is_amp":"yes","campaign_id":["c"],"campaign_name":"n","new":{"a":[1]},"channel":"smoke signal","suspected_bot_click_reason":["a",null,""],"link_id":null}`))
	wantDelivered(t, s, events...)
	for _, e := range events {
		var sent struct {
			User, Properties map[string]jsontext.Value
		}
		if err := json.Unmarshal(e.JSON, &sent); err != nil {
			t.Fatal(err)
		}
		row := map[string]jsontext.Value{}
		table := quoted("braze", tableName("", e.Type))
		if err := json.Unmarshal([]byte(d.one("SELECT to_jsonb(t)::text FROM "+table+" t WHERE event_id = $1", e.ID)), &row); err != nil {
			t.Fatal(err)
		}
		var rest map[string]jsontext.Value
		var others struct {
			User map[string]jsontext.Value `json:"user"`
		}
		for column, into := range map[string]any{"properties": &rest, "others": &others} {
			if err := json.Unmarshal(row[column], into); err != nil {
				t.Fatal(err)
			}
		}
		for in, members := range map[string]map[string]jsontext.Value{"user": sent.User, "properties": sent.Properties} {
			for name, value := range members {
				if value.Kind() == 'n' {
					continue
				}
				held := row[name]
				switch {
				case in == "user" && name == "user_id":
					held = row["braze_id"]
				case in == "user" && name == "external_user_id":
					held = row["external_id"]
				case row[in+"_"+name] != nil:
					held = row[in+"_"+name]
				}
				kept := rest[name]
				if in == "user" {
					kept = others.User[name]
				}
				if !same(t, value, held) && !same(t, value, kept) {
					t.Errorf("%s of %s is %s, and stored as %s and %s", name, e.Type, value, held, kept)
				}
			}
		}
		if row["event_text"].Kind() != 'n' {
			t.Errorf("%s was repaired: %s", e.ID, row["event_text"])
		}
	}
	const odd = `SELECT properties::text FROM braze.users_messages_email_click WHERE event_id = 'odd'`
	if diff := cmp.Diff(`{"new": {"a": [1]}, "url": 7, "is_amp": "yes", "channel": "smoke signal", "campaign_id": ["c"]}`, d.one(odd)); diff != "" {
		t.Errorf("what is in no column (-want +got):\n%s", diff)
	}
	const reasons = `SELECT array_to_string(suspected_bot_click_reason, ',', 'none') FROM braze.users_messages_email_click WHERE event_id = 'odd'`
	if got := d.one(reasons); got != "a,none," {
		t.Errorf("the list is %q", got)
	}
}

// same compares values, numbers as numbers: 1.50 and 1.5 are one.
func same(t *testing.T, a, b jsontext.Value) bool {
	t.Helper()
	if b == nil {
		return false
	}
	if a.Kind() == '0' && b.Kind() == '0' {
		var x, y float64
		return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && x == y
	}
	return canonical(t, string(a)) == canonical(t, string(b))
}

// TestOfDoubledNamesTheLastCounts: in the columns of a type as in the document of the single table.
func TestOfDoubledNamesTheLastCounts(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Open(t)
	s, d := openSink(t, dsn, perType), openDB(t, dsn)
	wantDelivered(t, s,
		written(t, "two", click, `{"url":"first","url":"last","is_amp":true,"is_amp":false}`),
		written(t, "none", click, `{"url":"first","url":null}`),
		written(t, "odd", click, `{"is_amp":true,"is_amp":"perhaps"}`),
		written(t, "unknown", click, `{"new":1,"new":2}`))
	for id, want := range map[string]string{
		"two":     `last|f||`,
		"none":    `|||`,
		"odd":     `||perhaps|`,
		"unknown": `|||2`,
	} {
		got := d.one(`SELECT concat(url, '|', is_amp, '|', properties->>'is_amp', '|', properties->>'new') FROM braze.users_messages_email_click WHERE event_id = $1`, id)
		if got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
	}
}
