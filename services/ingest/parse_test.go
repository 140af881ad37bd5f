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

	"github.com/sluicehq/sluice/pkg/event"
)

func TestParseEventsTakesWhatTheContractSays(t *testing.T) {
	const at = "2026-03-02T09:15:04.21Z"
	when := time.Date(2026, 3, 2, 9, 15, 4, 210_000_000, time.UTC)
	base := func(change func(*event.Event)) event.Event {
		e := event.Event{User: event.User{ExternalID: "cus-1"}, Name: "Order Completed", Kind: event.KindTrack}
		change(&e)
		return e
	}
	for _, c := range []struct {
		name, body string
		want       event.Event
	}{
		{
			name: "the least there can be", body: `{"user":{"external_id":"cus-1"},"name":"Order Completed"}`,
			want: base(func(*event.Event) {}),
		},
		{
			name: "everything there can be",
			body: `{"id":"a-1","user":{"external_id":"cus-1","braze_id":"b","alias":{"label":"l","name":"n"},"email":"A@b.at","phone":"+431234567"},` +
				`"name":"Order Completed","time":"` + at + `","properties":{"total":84.90,"id":820982911946154508},"attributes":{"vip":true}}`,
			want: base(func(e *event.Event) {
				e.ID, e.OccurredAt = "a-1", when
				e.User = event.User{ExternalID: "cus-1", BrazeID: "b", AliasLabel: "l", AliasName: "n", Email: "A@b.at", Phone: "+431234567"}
				e.Properties, e.Attributes = []byte(`{"total":84.90,"id":820982911946154508}`), []byte(`{"vip":true}`)
			}),
		},
		{
			name: "null stands for what is left out",
			body: `{"id":null,"user":{"external_id":"cus-1","email":null,"alias":null},"name":"Order Completed","time":null,"properties":null,"attributes":null}`,
			want: base(func(*event.Event) {}),
		},
		{
			name: "a time with an offset", body: `{"user":{"external_id":"cus-1"},"name":"Order Completed","time":"2026-03-02T10:15:04.210+01:00"}`,
			want: base(func(e *event.Event) { e.OccurredAt = when }),
		},
		{
			name: "blanks anywhere", body: " {\n\"user\" : { \"external_id\" : \"cus-1\" } ,\t\"name\": \"Order Completed\", \"properties\": { \"a\" : 1 } } ",
			want: base(func(e *event.Event) { e.Properties = []byte(`{ "a" : 1 }`) }),
		},
		{
			name: "names spelled with escapes", body: `{"\u0075ser":{"external\u005fid":"cus-\u0031"},"name":"Order\u0020Completed"}`,
			want: base(func(*event.Event) {}),
		},
		{
			name: "an anonymous user by alias", body: `{"user":{"alias":{"label":"anonymous_id","name":"x"}},"name":"Seen"}`,
			want: event.Event{User: event.User{AliasLabel: "anonymous_id", AliasName: "x"}, Name: "Seen", Kind: event.KindTrack},
		},
		{
			name: "a name of 255 characters that are not ASCII", body: `{"user":{"email":"a@b.at"},"name":"` + strings.Repeat("é", 255) + `"}`,
			want: event.Event{User: event.User{Email: "a@b.at"}, Name: strings.Repeat("é", 255), Kind: event.KindTrack},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s scanner
			s.reset([]byte(c.body))
			items, err := parseEvents(&s, nil)
			if err != nil || len(items) != 1 {
				t.Fatalf("got %d items, %v", len(items), err)
			}
			if p := items[0].problem; p.why != fine {
				t.Fatalf("refused: %s %s", p.field, p.reason())
			}
			if diff := cmp.Diff(c.want, items[0].event); diff != "" {
				t.Errorf("the event (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseEventsNamesTheFieldAtFault(t *testing.T) {
	item := func(members string) string { return `{"user":{"external_id":"c"},"name":"n",` + members + `}` }
	user := func(members string) string { return `{"user":{` + members + `},"name":"n"}` }
	nested := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	for _, c := range []struct{ name, body, field, reason string }{
		{"an item that is not an object", `[1]`, "", "must be an object"},
		{"a field nobody knows", item(`"app_id":"x"`), "app_id", "is not a known field"},
		{"no user", `{"name":"n"}`, "user", "is required"},
		{"a null for a user", `{"user":null,"name":"n"}`, "user", "is required"},
		{"a text for a user", `{"user":"c","name":"n"}`, "user", "must be an object"},
		{"a user without identifier", user(``), "user", "needs one of external_id, braze_id, alias, email, phone"},
		{"a field of the user nobody knows", user(`"id":"c"`), "user.id", "is not a known field"},
		{"an external id that is a number", user(`"external_id":820982911946154508`), "user.external_id", "must be a string"},
		{"an empty external id", user(`"external_id":""`), "user.external_id", "must not be empty"},
		{"an external id of 988 bytes", user(`"external_id":"` + strings.Repeat("x", 988) + `"`), "user.external_id", "is too long: at most 987 bytes"},
		{"an external id with a zero byte", user(`"external_id":"a\u0000"`), "user.external_id", "must not hold control characters"},
		{"an external id with a C1 control character", user(`"external_id":"a\u0085"`), "user.external_id", "must not hold control characters"},
		{"a braze id of 256 characters", user(`"braze_id":"` + strings.Repeat("x", 256) + `"`), "user.braze_id", "is too long: at most 255 characters"},
		{"an alias that is a text", user(`"alias":"x"`), "user.alias", "must be an object"},
		{"an alias without label", user(`"alias":{"name":"x"}`), "user.alias.label", "is required"},
		{"an alias without name", user(`"alias":{"label":"x"}`), "user.alias.name", "is required"},
		{"an alias with something else", user(`"alias":{"label":"x","name":"y","z":1}`), "user.alias.z", "is not a known field"},
		{"an alias name of 256 characters", user(`"alias":{"label":"x","name":"` + strings.Repeat("x", 256) + `"}`), "user.alias.name", "is too long: at most 255 characters"},
		{"an address without @", user(`"email":"a.b.at"`), "user.email", "must be an e-mail address"},
		{"an address with two @", user(`"email":"a@b@at"`), "user.email", "must be an e-mail address"},
		{"an address with nothing behind the @", user(`"email":"a@"`), "user.email", "must be an e-mail address"},
		{"a phone number as people write it", user(`"phone":"0660 123"`), "user.phone", "must be a phone number such as +431234567 (E.164)"},
		{"no name", `{"user":{"external_id":"c"}}`, "name", "is required"},
		{"an empty name", `{"user":{"external_id":"c"},"name":""}`, "name", "must not be empty"},
		{"a name that is a number", `{"user":{"external_id":"c"},"name":7}`, "name", "must be a string"},
		{"a name of 256 characters", `{"user":{"external_id":"c"},"name":"` + strings.Repeat("é", 256) + `"}`, "name", "is too long: at most 255 characters"},
		{"an id that is a number", item(`"id":7`), "id", "must be a string"},
		{"an empty id", item(`"id":""`), "id", "must not be empty"},
		{"an id of 256 bytes", item(`"id":"` + strings.Repeat("x", 256) + `"`), "id", "is too long: at most 255 bytes"},
		{"an id with a line break", item(`"id":"a\nb"`), "id", "must not hold control characters"},
		{"a time without zone", item(`"time":"2026-03-02T09:15:04"`), "time", "must be a time such as 2026-03-02T09:15:04Z (RFC 3339)"},
		{"a time that is a number", item(`"time":1772442904`), "time", "must be a string"},
		{"a day that does not exist", item(`"time":"2026-02-30T09:15:04Z"`), "time", "must be a time such as 2026-03-02T09:15:04Z (RFC 3339)"},
		{"properties that are an array", item(`"properties":[]`), "properties", "must be an object"},
		{"attributes that are a text", item(`"attributes":"{}"`), "attributes", "must be an object"},
		{"properties of more than 100 KiB", item(`"properties":{"a":"` + strings.Repeat("x", 102_400) + `"}`), "properties", "is too large: at most 102400 bytes"},
		{"properties of 33 levels", item(`"properties":` + nested(33)), "properties", "is nested too deeply, at byte 212"},
		{"attributes that name somebody else", item(`"attributes":{"external_id":"x"}`), "attributes.external_id", "names a user, which belongs in user"},
		{"a name twice in properties", item(`"properties":{"a":1,"a":2}`), "properties", "has a name twice, at byte 60"},
		{"a member twice", item(`"name":"m"`), "name", "has a name twice, at byte 39"},
		{"a name twice in the user", user(`"external_id":"a","external_id":"b"`), "user", "has a name twice, at byte 27"},
		{"bytes that are not UTF-8", item("\"properties\":{\"a\":\"\xff\"}"), "properties", "is not valid UTF-8, at byte 58"},
		{"half a character in an identifier", user(`"external_id":"\ud800"`), "user", "is not valid UTF-8, at byte 24"},
	} {
		t.Run(c.name, func(t *testing.T) {
			// The item at fault stands between two that are fine, which it must not spoil.
			good := `{"user":{"external_id":"c"},"name":"n"}`
			body := c.body
			if body[0] != '[' {
				body = "[" + body + "]"
			}
			alone, err := problems(body)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := alone[0], [2]string{c.field, c.reason}; got != want && !atMoved(got, want) {
				t.Errorf("alone: got %q, want %q", got, want)
			}
			among, err := problems("[" + good + "," + body[1:len(body)-1] + "," + good + "]")
			if err != nil {
				t.Fatal(err)
			}
			if among[0] != [2]string{} || among[2] != [2]string{} || among[1][0] != c.field {
				t.Errorf("among others: got %q", among)
			}
		})
	}
	if got, err := problems(`[` + item(`"properties":`+nested(32)) + `]`); err != nil || got[0] != [2]string{} {
		t.Errorf("32 levels: got %q, %v", got, err)
	}
}

// atMoved allows for the bracket that the test put in front.
func atMoved(got, want [2]string) bool {
	text, at, found := strings.Cut(want[1], ", at byte ")
	if !found {
		return false
	}
	var n int
	_, err := fmt.Sscan(at, &n)
	return err == nil && got[0] == want[0] && got[1] == fmt.Sprintf("%s, at byte %d", text, n+1)
}

// problems parses a body and returns each item's field and reason.
func problems(body string) ([][2]string, error) {
	var s scanner
	s.reset([]byte(body))
	items, err := parseEvents(&s, nil)
	var all [][2]string
	for _, it := range items {
		var p [2]string
		if it.problem.why != fine {
			p = [2]string{it.problem.field, it.problem.reason()}
		}
		all = append(all, p)
	}
	return all, err
}

func TestParseEventsRefusesTheWholeBody(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{"nothing", ``, "expected a value at byte 0"},
		{"a text", `"x"`, "expected an object or an array of objects at byte 0"},
		{"a comma behind the last item", `[{"user":{"external_id":"c"},"name":"n"},]`, "expected a value at byte 41"},
		{"an array that does not end", `[{"user":{"external_id":"c"},"name":"n"}`, "expected a comma or ] at byte 40"},
		{"a second value", `{} {}`, "something follows the JSON value at byte 3"},
		{"an item cut off", `{"user":{"external_id":"c`, "a string does not end at byte 23"},
		{"too many items", "[" + strings.Repeat("{},", MaxItems) + "{}]", errTooMany.Error()},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := problems(c.body); err == nil || err.Error() != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
	if all, err := problems("[" + strings.Repeat("{},", MaxItems-1) + "{}]"); err != nil || len(all) != MaxItems {
		t.Errorf("as many items as there may be: got %d, %v", len(all), err)
	}
}

// FuzzParseEvents holds what is taken to what encoding/json reads from the same bytes.
func FuzzParseEvents(f *testing.F) {
	for _, body := range []string{
		oneEvent(1), `[` + oneEvent(1) + `,{"user":{"phone":"+431"},"name":"\u00e9","attributes":{}}]`,
		`{"user":{"alias":{"label":"a","name":"b"}},"name":"x","time":"2026-03-02T09:15:04+01:00"}`, `[{},1,"x",null]`,
		`{"user":{"external_id":"c"},"name":"n","name":"m"}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var s scanner
		s.reset(body)
		items, err := parseEvents(&s, nil)
		if fault := (fault{}); err != nil {
			if !errors.As(err, &fault) && !errors.Is(err, errTooMany) {
				t.Fatal(err)
			}
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
				compareItem(t, raw[i], &items[i].event)
			}
		}
	})
}

func compareItem(t *testing.T, raw []byte, got *event.Event) {
	t.Helper()
	var want struct {
		ID   string
		User struct {
			ExternalID string `json:"external_id"`
			BrazeID    string `json:"braze_id"`
			Alias      struct{ Label, Name string }
			Email      string
			Phone      string
		}
		Name       string
		Time       time.Time
		Properties json.RawMessage
		Attributes json.RawMessage
	}
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.DisallowUnknownFields()
	if err := d.Decode(&want); err != nil {
		t.Fatalf("encoding/json refuses what we take: %v", err)
	}
	object := func(m json.RawMessage) []byte {
		if m == nil || string(m) == "null" {
			return nil
		}
		return m
	}
	u := want.User
	if diff := cmp.Diff(event.Event{
		ID: want.ID, Name: want.Name, Kind: event.KindTrack, OccurredAt: want.Time.UTC(),
		User:       event.User{ExternalID: u.ExternalID, BrazeID: u.BrazeID, AliasLabel: u.Alias.Label, AliasName: u.Alias.Name, Email: u.Email, Phone: u.Phone},
		Properties: object(want.Properties), Attributes: object(want.Attributes),
	}, *got); diff != "" {
		t.Fatalf("encoding/json reads it differently (-theirs +ours):\n%s", diff)
	}
	if got.User.Key() == "" || got.Name == "" || len(got.Properties) > MaxObjectBytes {
		t.Fatalf("taken against the limits: %+v", got)
	}
}
