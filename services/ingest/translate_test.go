package ingest

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sluicehq/sluice/pkg/event"
)

// arrival is when every message of these tests comes in.
var arrival = time.Date(2026, 3, 2, 9, 15, 5, 0, time.UTC)

// translated parses a body of the tracking API, a batch where kind is empty, and translates it.
func translated(t *testing.T, kind, body string) []item {
	t.Helper()
	items, err := tryTranslate(kind, []byte(body))
	if err != nil {
		t.Fatalf("parsing: %v", err)
	}
	return items
}

func tryTranslate(kind string, body []byte) ([]item, error) {
	var s, inner scanner
	var env envelope
	s.reset(body)
	err := parseBatch(&s, &env)
	if kind != "" {
		env = envelope{}
		s.reset(body)
		err = parseMessage(&s, &env, kind)
	}
	if err != nil {
		return nil, err
	}
	var items []item
	for i := range env.messages {
		items = append(items, translate(&env.messages[i], &env, arrival, &inner))
	}
	return items, nil
}

func TestTranslateMakesEvents(t *testing.T) {
	ext, anon := event.User{ExternalID: "u"}, event.User{AliasLabel: "anonymous_id", AliasName: "a"}
	for _, c := range []struct {
		name, kind, body string
		want             event.Event
	}{
		{
			"a track", "track", `{"userId":"u","event":"Order Completed","properties":{"total":84.90},"messageId":"m"}`,
			event.Event{ID: "m", User: ext, Name: "Order Completed", Kind: "track", Properties: []byte(`{"total":84.90}`)},
		},
		{
			"the path decides, not the type", "track", `{"type":"page","userId":"u","event":"Seen"}`,
			event.Event{User: ext, Name: "Seen", Kind: "track"},
		},
		{
			"an anonymous one", "track", `{"anonymousId":"a","event":"Seen"}`,
			event.Event{User: anon, Name: "Seen", Kind: "track"},
		},
		{
			"who has said who they are is not anonymous", "track", `{"anonymousId":"a","userId":"u","event":"Seen"}`,
			event.Event{User: ext, Name: "Seen", Kind: "track"},
		},
		{
			"ids that are numbers keep every digit", "track", `{"userId":820982911946154508,"messageId":1.50,"event":"Seen"}`,
			event.Event{ID: "1.50", User: event.User{ExternalID: "820982911946154508"}, Name: "Seen", Kind: "track"},
		},
		{
			"a null for a userId", "track", `{"userId":null,"anonymousId":"a","event":"Seen"}`,
			event.Event{User: anon, Name: "Seen", Kind: "track"},
		},
		{
			"a page", "page", `{"userId":"u","name":"Home","properties":{"path":"/"}}`,
			event.Event{User: ext, Name: "Viewed Home Page", Kind: "page", Properties: []byte(`{"path":"/"}`)},
		},
		{
			"a page without a name", "page", `{"userId":"u"}`,
			event.Event{User: ext, Name: "Viewed Page", Kind: "page"},
		},
		{
			"a screen in a category", "screen", `{"userId":"u","name":"Cart","category":"Shop \"A\"","properties":{ "a" : 1.0 }}`,
			event.Event{User: ext, Name: "Viewed Cart Screen", Kind: "screen", Properties: []byte(`{"a":1.0,"category":"Shop \"A\""}`)},
		},
		{
			"a screen that has only a category", "screen", `{"userId":"u","category":"Shop"}`,
			event.Event{User: ext, Name: "Viewed Shop Screen", Kind: "screen", Properties: []byte(`{"category":"Shop"}`)},
		},
		{
			"a category that the properties repeat", "page", `{"userId":"u","category":"Docs","properties":{"category":"docs"}}`,
			event.Event{User: ext, Name: "Viewed Docs Page", Kind: "page", Properties: []byte(`{"category":"docs"}`)},
		},
		{
			"Braze is not wanted", "track", `{"userId":"u","event":"Seen","integrations":{"All":true,"Braze":false}}`,
			event.Event{User: ext, Name: "Seen", Kind: "track", BrazeDisabled: true},
		},
		{
			"nobody is wanted", "track", `{"userId":"u","event":"Seen","integrations":{"All":false}}`,
			event.Event{User: ext, Name: "Seen", Kind: "track", BrazeDisabled: true},
		},
		{
			"nobody but Braze is wanted", "track", `{"userId":"u","event":"Seen","integrations":{"All":false,"Braze":{"x":1}}}`,
			event.Event{User: ext, Name: "Seen", Kind: "track"},
		},
		{
			"properties that are no object count as left out", "track", `{"userId":"u","event":"Seen","properties":[1]}`,
			event.Event{User: ext, Name: "Seen", Kind: "track"},
		},
		{
			"a message id that is too long is known by its hash", "track", `{"userId":"u","event":"Seen","messageId":"` + strings.Repeat("x", 256) + `"}`,
			event.Event{ID: fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(strings.Repeat("x", 256)))), User: ext, Name: "Seen", Kind: "track"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := translated(t, c.kind, c.body)[0]
			if got.fate != toTopic || got.problem.why != fine || got.profile != nil {
				t.Fatalf("got fate %d, problem %s %s", got.fate, got.problem.field, got.problem.reason())
			}
			if diff := cmp.Diff(c.want, got.event, cmpopts.IgnoreFields(event.Event{}, "OccurredAt")); diff != "" {
				t.Errorf("the event (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTranslateMakesProfileChanges(t *testing.T) {
	ext, anon := event.User{ExternalID: "u"}, event.User{AliasLabel: "anonymous_id", AliasName: "a"}
	for _, c := range []struct {
		name, kind, body string
		want             event.Profile
	}{
		{
			"an identify with every reserved trait", "identify",
			`{"userId":"u","messageId":"m","traits":{"email":"a@b.at","phone":"+4312345","firstName":"Mira","lastName":"Osei","birthday":"1990-04-03T00:00:00Z",` +
				`"gender":"Female","avatar":"https://x/y.png","address":{"city":"Graz","country":"AT"},"createdAt":"2024-11-05T10:00:00Z","plan":"gold","score":1.50}}`,
			event.Profile{ID: "m", User: ext, Set: []byte(`{"email":"a@b.at","phone":"+4312345","first_name":"Mira","last_name":"Osei","dob":"1990-04-03",` +
				`"home_city":"Graz","country":"AT","gender":"F","image_url":"https://x/y.png","createdAt":"2024-11-05T10:00:00Z","plan":"gold","score":1.50}`)},
		},
		{
			"an identify that links an anonymous user", "identify", `{"userId":"u","anonymousId":"a"}`,
			event.Profile{User: ext, PreviousKey: "alias:anonymous_id:a"},
		},
		{
			"traits of somebody anonymous", "identify", `{"anonymousId":"a","traits":{"plan":"gold"}}`,
			event.Profile{User: anon, Set: []byte(`{"plan":"gold"}`)},
		},
		{
			"traits that come in the context", "identify", `{"userId":"u","context":{"traits":{"plan":"gold"},"ip":"1.2.3.4"}}`,
			event.Profile{User: ext, Set: []byte(`{"plan":"gold"}`)},
		},
		{
			"null takes an attribute away", "identify", `{"userId":"u","traits":{"plan":null,"firstName":null,"vip":true}}`,
			event.Profile{User: ext, Set: []byte(`{"vip":true}`), Unset: []string{"plan", "first_name"}},
		},
		{
			"numbers become the text that a standard attribute wants", "identify", `{"userId":"u","traits":{"firstName":431234567000000000001}}`,
			event.Profile{User: ext, Set: []byte(`{"first_name":"431234567000000000001"}`)},
		},
		{
			"what cannot be a standard attribute stays a custom one, unless their names are the same", "identify",
			`{"userId":"u","traits":{"birthday":"in spring","avatar":{"a":1},"gender":"unknown","email":{"a":1}}}`,
			event.Profile{User: ext, Set: []byte(`{"birthday":"in spring","avatar":{"a":1}}`)},
		},
		{
			"the tracking client's spelling goes before Braze's", "identify", `{"userId":"u","traits":{"first_name":"B","firstName":"A"}}`,
			event.Profile{User: ext, Set: []byte(`{"first_name":"A"}`)},
		},
		{
			"an address with a street is kept whole as well", "identify", `{"userId":"u","traits":{"address":{"city":"Graz","street":"Am Damm 1"}}}`,
			event.Profile{User: ext, Set: []byte(`{"home_city":"Graz","address":{"city":"Graz","street":"Am Damm 1"}}`)},
		},
		{
			"an address that is no more", "identify", `{"userId":"u","traits":{"address":null,"city":"x"}}`,
			event.Profile{User: ext, Set: []byte(`{"city":"x"}`), Unset: []string{"address"}},
		},
		{
			"a part of an address that is no more", "identify", `{"userId":"u","traits":{"address":{"city":null}}}`,
			event.Profile{User: ext, Unset: []string{"home_city"}},
		},
		{
			"nobody poses as somebody else by a trait", "identify", `{"userId":"u","traits":{"external_id":"x","user_alias":{},"push_tokens":[],"_merge_objects":true,"vip":1}}`,
			event.Profile{User: ext, Set: []byte(`{"vip":1}`)},
		},
		{
			"a group", "group", `{"userId":"u","groupId":"g\"1","traits":{"name":"Acme","employees":12,"id":"other"}}`,
			event.Profile{User: ext, Set: []byte(`{"company":{"id":"g\"1","name":"Acme","employees":12}}`)},
		},
		{
			"a group without traits", "group", `{"anonymousId":"a","groupId":77}`,
			event.Profile{User: anon, Set: []byte(`{"company":{"id":"77"}}`)},
		},
		{
			"an alias", "alias", `{"previousId":"a","userId":"u"}`,
			event.Profile{User: ext, PreviousKey: "alias:anonymous_id:a"},
		},
		{
			"an alias of the anonymous id", "alias", `{"anonymousId":"a","userId":"u"}`,
			event.Profile{User: ext, PreviousKey: "alias:anonymous_id:a"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := translated(t, c.kind, c.body)[0]
			if got.fate != toTopic || got.problem.why != fine || got.profile == nil {
				t.Fatalf("got fate %d, problem %s %s", got.fate, got.problem.field, got.problem.reason())
			}
			if got.profile.Set != nil && !json.Valid(got.profile.Set) {
				t.Errorf("set is not JSON: %s", got.profile.Set)
			}
			if diff := cmp.Diff(c.want, *got.profile, cmpopts.IgnoreFields(event.Profile{}, "OccurredAt")); diff != "" {
				t.Errorf("the change (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTranslateSkipsWhatChangesNothing(t *testing.T) {
	for _, c := range []struct{ name, kind, body, why string }{
		{"an identify that Braze should not see", "identify", `{"userId":"u","traits":{"a":1},"integrations":{"Braze":false}}`, "integration_disabled"},
		{"an alias of oneself", "alias", `{"userId":"u","previousId":"u"}`, "same_user"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := translated(t, c.kind, c.body)[0]; got.fate != skip || got.why != c.why {
				t.Errorf("got fate %d, why %q", got.fate, got.why)
			}
		})
	}
}

func TestTranslateBuriesWhatCannotBecomeARecord(t *testing.T) {
	for _, c := range []struct{ name, kind, body, reason, field string }{
		{"a track without event", "track", `{"userId":"u"}`, "missing_field", "event"},
		{"a track of nobody", "track", `{"event":"Seen"}`, "missing_identifier", "userId"},
		{"a page of nobody", "page", `{"userId":{},"anonymousId":[]}`, "missing_identifier", "userId"},
		{"an identify of nobody", "identify", `{"traits":{}}`, "missing_identifier", "userId"},
		{"a group without groupId", "group", `{"userId":"u"}`, "missing_field", "groupId"},
		{"an alias without userId", "alias", `{"previousId":"a"}`, "missing_field", "userId"},
		{"an alias without previousId", "alias", `{"userId":"u"}`, "missing_field", "previousId"},
		{"a userId of 988 bytes", "track", `{"event":"Seen","userId":"` + strings.Repeat("x", 988) + `"}`, "too_long", "userId"},
		{"an anonymousId of 256 characters", "track", `{"event":"Seen","anonymousId":"` + strings.Repeat("x", 256) + `"}`, "too_long", "anonymousId"},
		{"a userId with a zero byte", "track", `{"event":"Seen","userId":"\u0000"}`, "unprintable", "userId"},
		{"an event of 256 characters", "track", `{"userId":"u","event":"` + strings.Repeat("x", 256) + `"}`, "too_long", "event"},
		{"a page name that is too long with what goes around it", "page", `{"userId":"u","name":"` + strings.Repeat("x", 250) + `"}`, "too_long", "name"},
		{"properties of more than 100 KiB", "track", `{"userId":"u","event":"Seen","properties":{"a":"` + strings.Repeat("x", 102_400) + `"}}`, "too_large", "properties"},
		{"traits of 33 levels", "identify", `{"userId":"u","traits":` + strings.Repeat(`{"a":`, 33) + "1" + strings.Repeat("}", 33) + `}`, "too_deep", "traits"},
		{"half a character", "track", `{"userId":"u","event":"Seen","properties":{"a":"\ud83d"}}`, "not_utf8", "properties"},
		{"a name twice", "identify", `{"userId":"u","traits":{"a":1,"a":2}}`, "duplicate_name", "traits"},
		{"no type in a batch", "", `{"batch":[{"userId":"u","event":"Seen"}]}`, "unknown_type", "type"},
		{"a type that nobody knows", "", `{"batch":[{"type":"delete","userId":"u"}]}`, "unknown_type", "type"},
		{"a message that is no object", "", `{"batch":["x"]}`, "not_an_object", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := translated(t, c.kind, c.body)[0]
			if got.fate != deadLetter || got.problem.why.String() != c.reason || got.problem.field != c.field {
				t.Errorf("got fate %d, %s %s", got.fate, got.problem.field, got.problem.why)
			}
			bytes := c.body[got.start:got.end]
			if c.kind != "" && bytes != c.body || c.kind == "" && bytes != c.body[len(`{"batch":[`):len(c.body)-len(`]}`)] {
				t.Errorf("the bytes that are kept: %s", bytes)
			}
		})
	}
}

func TestBatchSharesItsEnvelope(t *testing.T) {
	got := translated(t, "", `{"sentAt":"2026-03-02T09:15:04Z","integrations":{"Braze":false,"All":true},"messageId":"not-an-event",`+
		`"batch":[{"type":"track","userId":"u","event":"A","timestamp":"2026-03-02T09:15:01Z"},`+
		`{"type":"track","userId":"u","event":"B","integrations":{"Braze":true}}]}`)
	if e := got[0].event; !e.BrazeDisabled || e.ID != "" || !e.OccurredAt.Equal(arrival.Add(-3*time.Second)) {
		t.Errorf("the first: %+v", e)
	}
	if e := got[1].event; e.BrazeDisabled || !e.OccurredAt.Equal(arrival) {
		t.Errorf("the second: %+v", e)
	}
}

func TestBatchWithTooManyMessagesKeepsTheRest(t *testing.T) {
	one := `{"type":"track","userId":"u","event":"A"},`
	got := translated(t, "", `{"batch":[`+strings.Repeat(one, MaxItems)+one[:len(one)-1]+`]}`)
	if len(got) != MaxItems+1 || got[MaxItems-1].fate != toTopic || got[MaxItems].fate != deadLetter || got[MaxItems].problem.why != tooMany {
		t.Errorf("%d items, the last with fate %d for %s", len(got), got[MaxItems].fate, got[MaxItems].problem.why)
	}
}

func TestBatchIsRefusedWhole(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{"no batch", `{}`, "batch must be an array of messages"},
		{"a batch that is no array", `{"batch":{}}`, "batch must be an array of messages"},
		{"an array instead of an envelope", `[]`, "expected an object at byte 0"},
		{"two batches", `{"batch":[],"batch":[]}`, "the batch has a name twice at byte 12"},
		{"JSON that breaks off", `{"batch":[{"type":"track"`, "expected a comma or } at byte 25"},
		{"far too many messages", `{"batch":[` + strings.Repeat("{},", maxMessages) + `{}]}`, "the batch has far too many messages"},
		{"a message that no record can hold", `{"batch":[{"x":"` + strings.Repeat("x", maxMessageBytes) + `"}]}`, "a message is larger than a record can be"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := tryTranslate("", []byte(c.body)); err == nil || err.Error() != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestMessageTimeIsCorrectedForTheSendersClock(t *testing.T) {
	for _, c := range []struct {
		name, times string
		want        time.Duration // before arrival
	}{
		{"nothing is known", ``, 0},
		{"a true clock", `"timestamp":"2026-03-02T09:15:00Z","sentAt":"2026-03-02T09:15:05Z"`, 5 * time.Second},
		{"a clock a year ahead", `"timestamp":"2027-03-02T09:15:00Z","sentAt":"2027-03-02T09:15:02Z"`, 2 * time.Second},
		{"a clock in 1970", `"timestamp":"1970-01-01T00:00:01Z","sentAt":"1970-01-01T00:00:08Z"`, 7 * time.Second},
		{"originalTimestamp goes before timestamp", `"originalTimestamp":"2026-03-02T09:15:01Z","timestamp":"2020-01-01T00:00:00Z","sentAt":"2026-03-02T09:15:05Z"`, 4 * time.Second},
		{"without sentAt the time is taken as it is", `"timestamp":"2026-03-02T09:14:05Z"`, time.Minute},
		{"never later than arrival", `"timestamp":"2026-03-03T00:00:00Z"`, 0},
		{"sent before it happened", `"timestamp":"2026-03-02T09:15:09Z","sentAt":"2026-03-02T09:15:05Z"`, 0},
		{"only sentAt", `"sentAt":"2026-03-02T09:15:00Z"`, 0},
		{"a time that cannot be read", `"timestamp":"yesterday","sentAt":"2026-03-02T09:15:05Z"`, 0},
		{"microseconds and an offset", `"timestamp":"2026-03-02T10:15:00.500000+01:00","sentAt":"2026-03-02T09:15:05.250000+00:00"`, 4750 * time.Millisecond},
		{"nanoseconds", `"timestamp":"2026-03-02T09:15:04.999999999Z"`, 1},
		{"a number of milliseconds", `"timestamp":1772442904000,"sentAt":1772442905000`, time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			body := `{"userId":"u","event":"A"`
			if c.times != "" {
				body += "," + c.times
			}
			got := translated(t, "track", body+"}")[0].event.OccurredAt
			if want := arrival.Add(-c.want); !got.Equal(want) {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func TestParseMomentReadsWhatClientsWrite(t *testing.T) {
	day := time.Date(2015, 2, 2, 0, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"2015-02-02T03:04:05.678Z":        day.Add(3*time.Hour + 4*time.Minute + 5678*time.Millisecond),
		"2015-2-2T3:04:05.678Z":           day.Add(3*time.Hour + 4*time.Minute + 5678*time.Millisecond),
		"2015-02-02 03:04:05":             day.Add(3*time.Hour + 4*time.Minute + 5*time.Second),
		"2015-02-02T03:04Z":               day.Add(3*time.Hour + 4*time.Minute),
		"2015-02-02T03:04:05,5+0100":      day.Add(2*time.Hour + 4*time.Minute + 5500*time.Millisecond),
		"2015-02-02T03:04:05-03":          day.Add(6*time.Hour + 4*time.Minute + 5*time.Second),
		"2015-02-02T03:04:05.1234567891Z": day.Add(3*time.Hour + 4*time.Minute + 5*time.Second + 123456789),
		" 2015-02-02 ":                    day,
		"2015-13-02":                      {},
		"2015-02-02T25:00Z":               {},
		"2015-02-02T03:04:05+1":           {},
		"2015-02-02T03:04:05Zulu":         {},
		"02.02.2015":                      {},
		"":                                {},
	} {
		if got := parseMoment(text); !got.Equal(want) {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

// FuzzTranslate throws any bytes at the tracking API's parsers. What comes out must be JSON where it
// says so, within the limits, and have a key; what is kept as a dead letter must be bytes of the body.
func FuzzTranslate(f *testing.F) {
	f.Add([]byte(`{"batch":[{"type":"identify","userId":1,"anonymousId":"a","traits":{"firstName":"\u00e9","address":{"city":"x"},"gender":"m"}}]}`))
	f.Add([]byte(`{"batch":[{"type":"track","event":"x","anonymousId":"a","integrations":{"All":false}},{"type":"group","groupId":"\"","userId":"u"}],"sentAt":"2015-2-2"}`))
	f.Add([]byte(`{"batch":[{"type":"page","userId":"u","category":"c","properties":{"a":1}},{"type":"alias","userId":"u","previousId":"a"},1]}`))
	f.Add([]byte(`{"userId":"u","event":"e","messageId":"\n","timestamp":1e99}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, kind := range []string{"", "track", "identify", "page", "group", "alias"} {
			items, err := tryTranslate(kind, body)
			if fault := (fault{}); errors.As(err, &fault) && json.Valid(body) && kind != "" && len(body) > 0 && body[0] == '{' && fault.what != "values are nested too deeply" {
				t.Fatalf("%v, though it is JSON", err)
			}
			for i := range items {
				checkTranslated(t, &items[i], body)
			}
		}
	})
}

func checkTranslated(t *testing.T, it *item, body []byte) {
	t.Helper()
	if it.start < 0 || it.end < it.start || it.end > len(body) {
		t.Fatalf("bytes %d to %d of %d", it.start, it.end, len(body))
	}
	if it.fate == deadLetter {
		if it.problem.why == fine || it.profile != nil {
			t.Fatalf("a dead letter without a reason: %+v", it)
		}
		return
	}
	if it.problem.why != fine || len(it.id()) > MaxID || !printable(it.id()) {
		t.Fatalf("problem %s, id %q", it.problem.why, it.id())
	}
	object := func(b []byte) {
		if b != nil && (!json.Valid(b) || b[0] != '{') {
			t.Fatalf("not a JSON object: %s", b)
		}
	}
	if p := it.profile; p != nil {
		object(p.Set)
		if it.fate == toTopic && p.User.Key() == "" || p.OccurredAt.After(arrival) {
			t.Fatalf("profile %+v", p)
		}
		var s scanner
		if s.reset(p.Set); p.Set != nil && (!s.value() || s.flaw.why != fine) {
			t.Fatalf("set %s: %+v", p.Set, s.flaw)
		}
		return
	}
	object(it.event.Properties)
	if it.event.User.Key() == "" || it.event.Name == "" || it.event.OccurredAt.After(arrival) {
		t.Fatalf("event %+v", it.event)
	}
}
