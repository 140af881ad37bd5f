package ingest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/schemas"
)

const aChange = `{"id":"crm-4711-v9","user":{"external_id":"cus-48213","email":"Mira.Osei@example.com"},"set":{ "plan":"gold","n":9007199254740993,"address":{"city":"Graz"},"old":null },` +
	`"unset":["trial","größe"],"add":{"tags":["a",1,true]},"remove":{"tags":["b"]},"increment":{"visits":9223372036854775807,"credit":-5},` +
	`"subscriptions":[{"group_id":"c1b6","state":"subscribed"},{"group_id":"d2","state":"unsubscribed"}],"source":"salesforce","version":9007199254740993,"time":"2026-03-02T10:00:00.5+01:00"}`

// changeOf parses a body of one change, which must be fine.
func changeOf(t *testing.T, body string) event.Profile {
	t.Helper()
	var s scanner
	s.reset([]byte(body))
	items, err := parseProfiles(&s, nil)
	if err != nil || len(items) != 1 {
		t.Fatalf("got %d items, %v", len(items), err)
	}
	if p := items[0].problem; p.why != fine {
		t.Fatalf("refused: %s %s", p.field, p.reason())
	}
	return *items[0].profile
}

func TestParseProfilesTakesWhatTheContractSays(t *testing.T) {
	version, user := int64(9007199254740993), event.User{ExternalID: "c"}
	for _, c := range []struct {
		name, body string
		want       event.Profile
	}{
		{
			name: "everything there can be", body: aChange,
			want: event.Profile{
				ID: "crm-4711-v9", User: event.User{ExternalID: "cus-48213", Email: "Mira.Osei@example.com"},
				Set:   []byte(`{ "plan":"gold","n":9007199254740993,"address":{"city":"Graz"},"old":null }`),
				Unset: []string{"trial", "größe"}, Add: []byte(`{"tags":["a",1,true]}`), Remove: []byte(`{"tags":["b"]}`),
				Increment:     []byte(`{"visits":9223372036854775807,"credit":-5}`),
				Subscriptions: []event.Subscription{{GroupID: "c1b6", State: "subscribed"}, {GroupID: "d2", State: "unsubscribed"}},
				Source:        "salesforce", Version: &version, OccurredAt: time.Date(2026, 3, 2, 9, 0, 0, 500_000_000, time.UTC),
			},
		},
		{
			name: "null stands for what is left out",
			body: `{"id":null,"user":{"external_id":"c"},"set":{"a":1},"unset":null,"add":null,"remove":null,"increment":null,"subscriptions":null,"source":null,"version":null,"time":null}`,
			want: event.Profile{User: user, Set: []byte(`{"a":1}`)},
		},
		{
			name: "only something that counts", body: `{"user":{"external_id":"c"},"increment":{"visits":-1}}`,
			want: event.Profile{User: user, Increment: []byte(`{"visits":-1}`)},
		},
		{
			name: "an operator of Braze's own", body: `{"user":{"external_id":"c"},"set":{"tags":{"$add":[{"id":1}]}}}`,
			want: event.Profile{User: user, Set: []byte(`{"tags":{"$add":[{"id":1}]}}`)},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, changeOf(t, c.body)); diff != "" {
				t.Errorf("the change (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseProfilesNamesTheFieldAtFault(t *testing.T) {
	const whole, user = "must be a whole number", "names a user, which belongs in user"
	of := func(members string) string { return `{"user":{"external_id":"c"},` + members + `}` }
	for _, c := range []struct{ name, body, field, reason string }{
		{"no user", `{"set":{"a":1}}`, "user", "is required"},
		{"a user without identifier", `{"user":{},"set":{"a":1}}`, "user", "needs one of external_id, braze_id, alias, email, phone"},
		{"nothing to change", of(`"version":1`), "set", "is required"},
		{"a field nobody knows", of(`"sett":{}`), "sett", "is not a known field"},
		{"attributes that are an array", of(`"set":[]`), "set", "must be an object"},
		{"attributes of 33 levels", of(`"set":` + strings.Repeat(`{"a":`, 33) + "1" + strings.Repeat("}", 33)), "set", "is nested too deeply, at byte 194"},
		{"attributes of more than 100 KiB", of(`"set":{"a":"` + strings.Repeat("x", 102_400) + `"}`), "set", "is too large: at most 102400 bytes"},
		{"an attribute that is somebody else", of(`"set":{"external_id":"d"}`), "set.external_id", user},
		{"an addition to somebody else", of(`"add":{"user_alias":["d"]}`), "add.user_alias", user},
		{"an attribute to unset that is an instruction", of(`"unset":["a","_merge_objects"]`), "unset[1]", user},
		{"an attribute to unset without name", of(`"unset":[""]`), "unset[0]", "must not be empty"},
		{"an attribute to unset that is nothing", of(`"unset":[null]`), "unset[0]", "must be a string"},
		{"an attribute to unset that is a number", of(`"unset":[1]`), "unset[0]", "must be a string"},
		{"attributes to unset in one text", of(`"unset":"a"`), "unset", "must be an array"},
		{"more to unset than there may be", of(`"unset":["a"` + strings.Repeat(`,"a"`, 250) + `]`), "unset", "holds too many: at most 250 entries"},
		{"an addition that is no array", of(`"add":{"tags":"a"}`), "add.tags", "must be an array"},
		{"an addition that is null", of(`"add":{"tags":null}`), "add.tags", "must be an array"},
		{"an object among what is added", of(`"add":{"a":[],"tags":["a",{"id":1}]}`), "add.tags[1]", "must be a text, a number, true or false"},
		{"an array among what is removed", of(`"remove":{"tags":[[1]]}`), "remove.tags[0]", "must be a text, a number, true or false"},
		{"null among what is removed", of(`"remove":{"tags":["a",null]}`), "remove.tags[1]", "must be a text, a number, true or false"},
		{"a step that is not whole", of(`"increment":{"n":1.5}`), "increment.n", whole},
		{"a step that is written as a fraction", of(`"increment":{"n":1.0}`), "increment.n", whole},
		{"a step with an exponent", of(`"increment":{"n":1e3}`), "increment.n", whole},
		{"a step in words", of(`"increment":{"a":1,"n":"1"}`), "increment.n", whole},
		{"a step beyond all measure", of(`"increment":{"n":9223372036854775808}`), "increment.n", whole},
		{"a version that is not whole", of(`"set":{},"version":1.5`), "version", whole},
		{"a version that is a text", of(`"set":{},"version":"9"`), "version", whole},
		{"a source with blanks", of(`"set":{},"source":"my crm"`), "source", "must be 1 to 100 letters, digits, dots, dashes or underscores"},
		{"a time without zone", of(`"set":{},"time":"2026-03-02T09:15:04"`), "time", "must be a time such as 2026-03-02T09:15:04Z (RFC 3339)"},
		{"a subscription in a word", of(`"subscriptions":["g"]`), "subscriptions[0]", "must be an object"},
		{"a subscription to nothing", of(`"subscriptions":[{"group_id":"g","state":"subscribed"},{"state":"subscribed"}]`), "subscriptions[1].group_id", "is required"},
		{"a subscription that is neither", of(`"subscriptions":[{"group_id":"g","state":"opted_in"}]`), "subscriptions[0].state", "must be subscribed or unsubscribed"},
		{"a subscription with something else", of(`"subscriptions":[{"group_id":"g","state":"subscribed","email":"a"}]`), "subscriptions[0].email", "is not a known field"},
		{"a name twice", of(`"set":{"a":1,"a":2}`), "set", "has a name twice, at byte 41"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := problemBetween(t, parseProfiles, c.body, `{"user":{"external_id":"c"},"set":{}}`)
			if diff := cmp.Diff([2]string{c.field, c.reason}, [2]string{p.field, p.reason()}); diff != "" {
				t.Errorf("field and reason (-want +got):\n%s", diff)
			}
		})
	}
}

// problemBetween is what is wrong with an item, alone; it makes sure that between two that are good it
// spoils neither.
func problemBetween(t *testing.T, parse func(*scanner, []item) ([]item, error), body, good string) problem {
	t.Helper()
	var alone problem
	for i, text := range []string{body, good + "," + body + "," + good} {
		var s scanner
		s.reset([]byte("[" + text + "]"))
		items, err := parse(&s, nil)
		if err != nil || len(items) != 1+2*i {
			t.Fatalf("%d items, %v", len(items), err)
		}
		if i == 0 {
			alone = items[0].problem
			alone.at = max(alone.at-1, 0) // counted from the item's own beginning
		} else if items[0].problem.why != fine || items[1].problem.why != alone.why || items[2].problem.why != fine {
			t.Errorf("among others: %v, %v, %v", items[0].problem, items[1].problem, items[2].problem)
		}
	}
	return alone
}

func change(id, more string) string {
	return fmt.Sprintf(`{"id":%q,"user":{"external_id":"c"},"set":{"plan":"gold"}%s}`, id, more)
}

func TestPostProfilesAnswersExactly(t *testing.T) {
	d := newDoor(func(o *Options) {
		o.Keys = append(o.Keys, Key{Name: "erp", Key: "k3", Sources: []string{"erp", "billing"}})
	})
	post := func(key, body string) (int, string) {
		w := d.ask("POST", "/v1/profiles", body, "X-Api-Key", key, "Content-Type", "application/json")
		return w.Code, w.Body.String()
	}
	code, answer := post("k1", `[`+change("a", "")+`,`+change("a", "")+`,`+change("b", `,"increment":{"n":0.5}`)+`,{"oops":1}]`)
	want := `{"accepted":2,"rejected":2,"results":[` +
		`{"index":0,"id":"a","status":"accepted"},` +
		`{"index":1,"id":"a","status":"duplicate"},` +
		`{"index":2,"id":"b","status":"rejected","field":"increment.n","reason":"must be a whole number"},` +
		`{"index":3,"id":"","status":"rejected","field":"oops","reason":"is not a known field"}]}`
	if diff := cmp.Diff(want, answer); code != 202 || diff != "" {
		t.Errorf("%d, the answer (-want +got):\n%s", code, diff)
	}
	for _, c := range []struct {
		name, key, body string
		code            int
		status          string
	}{
		{"an event's id is no change's", "k1", change("e", ""), 202, "accepted"},
		{"an id of another source", "k1", change("a", `,"source":"billing"`), 202, "accepted"},
		{"the same, by another key", "k3", change("a", `,"source":"billing"`), 202, "duplicate"},
		{"a source that the key may not speak for", "k3", change("z", `,"source":"crm"`), 422, "rejected"},
	} {
		if c.name == "an event's id is no change's" {
			d.post(withID("e"))
		}
		if code, answer := post(c.key, c.body); code != c.code || readAnswer(t, strings.NewReader(answer)).statuses() != c.status {
			t.Errorf("%s: %d %s", c.name, code, answer)
		}
	}
	checkLaw(t, d.metrics, 9, len(d.shelf.records))
	d.shelf.fail = func(int) error { return errors.New("no broker") }
	if w := d.ask("POST", "/v1/profiles", change("y", ""), "X-Api-Key", "k1"); w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("no broker: %d", w.Code)
	}
	for _, c := range []struct {
		key, kind, body string
		want            int
	}{{"", "application/json", change("y", ""), 401}, {"k1", "text/plain", change("y", ""), 415}, {"k1", "application/json", `{"user"`, 400}} {
		if w := d.ask("POST", "/v1/profiles", c.body, "X-Api-Key", c.key, "Content-Type", c.kind); w.Code != c.want {
			t.Errorf("%q: %d, want %d", c.body, w.Code, c.want)
		}
	}
}

func TestPostProfilesWritesTheRecord(t *testing.T) {
	d := newDoor(nil)
	if w := d.ask("POST", "/v1/profiles", aChange, "X-Api-Key", "k1"); w.Code != 202 {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	r := d.shelf.records[0]
	headers := map[string]string{"event-id": "crm-4711-v9", "source": "salesforce", "origin": "ingest", "hops": "0"}
	if diff := cmp.Diff(headers, r.headers); diff != "" || r.topic != "eu.customer.profiles" || r.key != "cus-48213" {
		t.Errorf("topic %q, key %q, headers (-want +got):\n%s", r.topic, r.key, diff)
	}
	var got event.Profile
	if _, err := avro.NewProfileDecoder(fixed(schemas.Latest(schema.CustomerProfiles))).Decode(t.Context(), r.value, &got); err != nil {
		t.Fatal(err)
	}
	want := changeOf(t, aChange)
	want.ReceivedAt = got.ReceivedAt
	if diff := cmp.Diff(want, got); diff != "" || time.Since(got.ReceivedAt) > time.Minute {
		t.Errorf("received at %s; the change (-want +got):\n%s", got.ReceivedAt, diff)
	}
}

// FuzzParseProfiles holds what is taken to what encoding/json reads from the same bytes.
func FuzzParseProfiles(f *testing.F) {
	for _, body := range []string{aChange, `[` + change("a", `,"add":{"t":[1e2,"\u00e9"]}`) + `,1,{}]`, `{"user":{"phone":"+431"},"unset":["a","b"],"increment":{"\u0061":-0}}`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		eachTaken(t, body, parseProfiles, func(raw []byte, it *item) {
			var want struct {
				ID, Source    string
				User          json.RawMessage
				Set           json.RawMessage
				Unset         []string
				Add, Remove   map[string][]any
				Increment     map[string]int64
				Subscriptions []struct {
					GroupID string `json:"group_id"`
					State   string
				}
				Version *int64
				Time    time.Time
			}
			readStrictly(t, raw, &want)
			p := it.profile
			if want.ID != p.ID || want.Source != p.Source || !want.Time.UTC().Equal(p.OccurredAt) || len(want.Subscriptions) != len(p.Subscriptions) || len(want.Unset) != len(p.Unset) {
				t.Fatalf("got %+v of %s", p, raw)
			}
			if (want.Version == nil) != (p.Version == nil) || want.Version != nil && *want.Version != *p.Version {
				t.Fatalf("version: got %v, want %v", p.Version, want.Version)
			}
			for i, name := range want.Unset {
				if name != p.Unset[i] {
					t.Fatalf("unset: got %q, want %q", p.Unset[i], name)
				}
			}
			for i, s := range want.Subscriptions {
				if event.Subscription(s) != p.Subscriptions[i] {
					t.Fatalf("subscriptions: got %+v, want %+v", p.Subscriptions[i], s)
				}
			}
			if set := string(want.Set); set != "null" && set != string(p.Set) {
				t.Fatalf("set: got %s, want %s", p.Set, set)
			}
		})
	})
}

// eachTaken calls what compares with each item that a parser takes.
func eachTaken(t *testing.T, body []byte, parse func(*scanner, []item) ([]item, error), compare func(raw []byte, it *item)) {
	t.Helper()
	var s scanner
	s.reset(body)
	items, err := parse(&s, nil)
	if err != nil {
		return
	}
	var raw []json.RawMessage
	if bytes.HasPrefix(bytes.TrimLeft(body, " \n\r\t"), []byte("{")) {
		raw = []json.RawMessage{body}
	} else if err := json.Unmarshal(body, &raw); err != nil {
		t.Fatalf("encoding/json: %v", err)
	}
	if len(raw) != len(items) {
		t.Fatalf("%d items of %d", len(items), len(raw))
	}
	for i := range items {
		if items[i].problem.why == fine {
			compare(raw[i], &items[i])
		}
	}
}

// readStrictly reads an item with encoding/json, which must not refuse what we take.
func readStrictly(t *testing.T, raw []byte, want any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	d.DisallowUnknownFields()
	if err := d.Decode(want); err != nil {
		t.Fatalf("encoding/json refuses what we take: %v", err)
	}
}
