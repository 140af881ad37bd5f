package ingest

import (
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

const aCase = `{"id":"rated-35436","user":{"external_id":"cus-48213","email":"Mira.Osei@example.com"},"case_id":820982911946154508,"event":"rated","severity":"high","rating":10,` +
	`"channel":"chat","time":"2026-03-02T10:15:03.48+01:00","source":"desk.example.com","metadata":{"brand":9007199254740993, "note":"größer"}}`

// caseOf parses a body of one event of a case, which must be fine.
func caseOf(t *testing.T, body string) event.Case {
	t.Helper()
	var s scanner
	s.reset([]byte(body))
	items, err := parseCases(&s, nil)
	if err != nil || len(items) != 1 {
		t.Fatalf("got %d items, %v", len(items), err)
	}
	if p := items[0].problem; p.why != fine {
		t.Fatalf("refused: %s %s", p.field, p.reason())
	}
	return *items[0].support
}

func TestParseCasesTakesWhatTheContractSays(t *testing.T) {
	none, ten := int64(0), int64(10)
	for _, c := range []struct {
		name, body string
		want       event.Case
	}{
		{
			name: "everything there can be", body: aCase,
			want: event.Case{
				ID: "rated-35436", User: event.User{ExternalID: "cus-48213", Email: "Mira.Osei@example.com"}, CaseID: "820982911946154508",
				Event: event.CaseRated, Severity: event.SeverityHigh, Rating: &ten, Channel: "chat",
				OccurredAt: time.Date(2026, 3, 2, 9, 15, 3, 480_000_000, time.UTC), Source: "desk.example.com",
				Metadata: []byte(`{"brand":9007199254740993, "note":"größer"}`),
			},
		},
		{
			name: "null stands for what is left out",
			body: `{"id":null,"user":{"email":"a@b.at"},"case_id":"7","event":"opened","severity":null,"rating":null,"channel":null,"time":null,"source":null,"metadata":null}`,
			want: event.Case{User: event.User{Email: "a@b.at"}, CaseID: "7", Event: event.CaseOpened},
		},
		{
			name: "the lowest rating", body: `{"user":{"phone":"+431234567"},"case_id":"7","event":"rated","rating":0}`,
			want: event.Case{User: event.User{Phone: "+431234567"}, CaseID: "7", Event: event.CaseRated, Rating: &none},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, caseOf(t, c.body)); diff != "" {
				t.Errorf("the event (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEveryWordOfCasesIsTakenAndNamed(t *testing.T) {
	var events, severities []string
	for _, e := range event.CaseEvents() {
		rating := ""
		if e == event.CaseRated {
			rating = `,"rating":5`
		}
		if got := caseOf(t, happened("i", string(e), rating)).Event; got != e {
			t.Errorf("got %q, want %q", got, e)
		}
		events = append(events, string(e))
	}
	for _, s := range event.Severities() {
		if got := caseOf(t, happened("i", "updated", `,"severity":"`+string(s)+`"`)).Severity; got != s {
			t.Errorf("got %q, want %q", got, s)
		}
		severities = append(severities, string(s))
	}
	if want := "must be one of " + strings.Join(events, ", "); whys[notCaseEvent].sentence != want {
		t.Errorf("who sends another is told %q, want %q", whys[notCaseEvent].sentence, want)
	}
	if want := "must be one of " + strings.Join(severities, ", "); whys[notSeverity].sentence != want {
		t.Errorf("who sends another is told %q, want %q", whys[notSeverity].sentence, want)
	}
	if want := fmt.Sprintf("must be a whole number from 0 to %d", event.MaxRating); whys[notRating].sentence != want {
		t.Errorf("who sends another is told %q, want %q", whys[notRating].sentence, want)
	}
}

func TestParseCasesNamesTheFieldAtFault(t *testing.T) {
	const outside = "must be a whole number from 0 to 10"
	of := func(members string) string { return `{"user":{"external_id":"c"},` + members + `}` }
	with := func(members string) string { return of(`"case_id":"7","event":"updated",` + members) }
	rated := func(rating string) string { return of(`"case_id":"7","event":"rated","rating":` + rating) }
	for _, c := range []struct{ name, body, field, reason string }{
		{"an item that is a text", `"opened"`, "", "must be an object"},
		{"no user", `{"case_id":"7","event":"opened"}`, "user", "is required"},
		{"a user without identifier", `{"user":{},"case_id":"7","event":"opened"}`, "user", "needs one of external_id, braze_id, alias, email, phone"},
		{"no case", of(`"event":"opened"`), "case_id", "is required"},
		{"a case that is empty", of(`"case_id":"","event":"opened"`), "case_id", "must not be empty"},
		{"a case that is not whole", of(`"case_id":1.5,"event":"opened"`), "case_id", "must be a string"},
		{"a case's id of 256 characters", of(`"case_id":"` + strings.Repeat("é", 256) + `","event":"opened"`), "case_id", "is too long: at most 255 characters"},
		{"nothing that happened", of(`"case_id":"7"`), "event", "is required"},
		{"something that nobody knows", of(`"case_id":"7","event":"solved"`), "event", whys[notCaseEvent].sentence},
		{"a severity that nobody knows", with(`"severity":"HIGH"`), "severity", whys[notSeverity].sentence},
		{"a severity that is a number", with(`"severity":1`), "severity", "must be a string"},
		{"a rating of nothing", of(`"case_id":"7","event":"rated"`), "rating", "is required"},
		{"a rating of something else", with(`"rating":5`), "rating", "belongs to the event rated, and to no other"},
		{"a rating above all", rated("11"), "rating", outside},
		{"a rating below all", rated("-1"), "rating", outside},
		{"half a point", rated("4.5"), "rating", outside},
		{"a rating with an exponent", rated("1e1"), "rating", outside},
		{"a rating in words", rated(`"5"`), "rating", outside},
		{"a rating that is true", rated("true"), "rating", outside},
		{"a channel of 256 characters", with(`"channel":"` + strings.Repeat("x", 256) + `"`), "channel", "is too long: at most 255 characters"},
		{"a channel with a line's end", with(`"channel":"a\nb"`), "channel", "must not hold control characters"},
		{"a time without zone", with(`"time":"2026-03-02T09:15:04"`), "time", "must be a time such as 2026-03-02T09:15:04Z (RFC 3339)"},
		{"a source with blanks", with(`"source":"my desk"`), "source", "must be 1 to 100 letters, digits, dots, dashes or underscores"},
		{"metadata that is a text", with(`"metadata":"x"`), "metadata", "must be an object"},
		{"metadata of more than 100 KiB", with(`"metadata":{"a":"` + strings.Repeat("x", 102_400) + `"}`), "metadata", "is too large: at most 102400 bytes"},
		{"a field nobody knows", with(`"status":"open"`), "status", "is not a known field"},
		{"a field of the user nobody knows", `{"user":{"id":"c"},"case_id":"7","event":"opened"}`, "user.id", "is not a known field"},
		{"bytes that are not UTF-8", with("\"channel\":\"\xff\""), "channel", "is not valid UTF-8, at byte 71"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := problemBetween(t, parseCases, c.body, happened("", "opened", ""))
			if diff := cmp.Diff([2]string{c.field, c.reason}, [2]string{p.field, p.reason()}); diff != "" {
				t.Errorf("field and reason (-want +got):\n%s", diff)
			}
		})
	}
}

// happened is an event of case 7.
func happened(id, what, more string) string {
	if id != "" {
		more += fmt.Sprintf(`,"id":%q`, id)
	}
	return fmt.Sprintf(`{"user":{"external_id":"c"},"case_id":"7","event":%q%s}`, what, more)
}

func TestPostCasesAnswersExactly(t *testing.T) {
	d := newDoor(func(o *Options) {
		o.Keys = append(o.Keys, Key{Name: "desk", Key: "k3", Sources: []string{"desk", "zendesk"}})
	})
	post := func(key, body string) (int, string) {
		w := d.ask("POST", "/v1/cases", body, "X-Api-Key", key, "Content-Type", "application/json")
		return w.Code, w.Body.String()
	}
	code, answer := post("k1", `[`+happened("a", "opened", "")+`,`+happened("a", "opened", "")+`,`+happened("b", "rated", `,"rating":11`)+`,{"oops":1}]`)
	want := `{"accepted":2,"rejected":2,"results":[` +
		`{"index":0,"id":"a","status":"accepted"},` +
		`{"index":1,"id":"a","status":"duplicate"},` +
		`{"index":2,"id":"b","status":"rejected","field":"rating","reason":"must be a whole number from 0 to 10"},` +
		`{"index":3,"id":"","status":"rejected","field":"oops","reason":"is not a known field"}]}`
	if diff := cmp.Diff(want, answer); code != 202 || diff != "" {
		t.Errorf("%d, the answer (-want +got):\n%s", code, diff)
	}
	for _, c := range []struct {
		name, key, body string
		code            int
		status          string
	}{
		{"an id of another source", "k3", happened("a", "opened", `,"source":"zendesk"`), 202, "accepted"},
		{"the same, by another key", "k1", happened("a", "opened", `,"source":"zendesk"`), 202, "duplicate"},
		{"a source that the key may not speak for", "k3", happened("z", "opened", `,"source":"freshdesk"`), 422, "rejected"},
	} {
		if code, answer := post(c.key, c.body); code != c.code || readAnswer(t, strings.NewReader(answer)).statuses() != c.status {
			t.Errorf("%s: %d %s", c.name, code, answer)
		}
	}
	checkLaw(t, d.metrics, 7, len(d.shelf.records))
	d.shelf.fail = func(int) error { return errors.New("no broker") }
	if w := d.ask("POST", "/v1/cases", happened("y", "opened", ""), "X-Api-Key", "k1"); w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("no broker: %d", w.Code)
	}
	if code, _ := post("", happened("y", "opened", "")); code != 401 {
		t.Errorf("no key: %d", code)
	}
	if code, _ := post("k1", `{"user"`); code != 400 {
		t.Errorf("no JSON: %d", code)
	}
}

func TestPostCasesWritesTheRecord(t *testing.T) {
	d := newDoor(nil)
	if w := d.ask("POST", "/v1/cases", aCase, "X-Api-Key", "k1"); w.Code != 202 {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	r := d.shelf.records[0]
	headers := map[string]string{"event-id": "rated-35436", "source": "desk.example.com", "origin": "ingest", "hops": "0"}
	if diff := cmp.Diff(headers, r.headers); diff != "" || r.topic != "eu.support.cases" || r.key != "cus-48213" {
		t.Errorf("topic %q, key %q, headers (-want +got):\n%s", r.topic, r.key, diff)
	}
	var got event.Case
	if _, err := avro.NewCaseDecoder(fixed(schemas.Latest(schema.SupportCases))).Decode(t.Context(), r.value, &got); err != nil {
		t.Fatal(err)
	}
	want := caseOf(t, aCase)
	want.ReceivedAt = got.ReceivedAt
	if diff := cmp.Diff(want, got); diff != "" || time.Since(got.ReceivedAt) > time.Minute {
		t.Errorf("received at %s; the event (-want +got):\n%s", got.ReceivedAt, diff)
	}
}

// FuzzParseCases holds what is taken to what encoding/json reads from the same bytes.
func FuzzParseCases(f *testing.F) {
	for _, body := range []string{aCase, `[` + happened("a", "opened", "") + `,1,{}]`, `{"user":{"phone":"+431"},"case_id":0,"event":"at_risk","channel":"\ud83d\ude00"}`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		eachTaken(t, body, parseCases, func(raw []byte, it *item) {
			var want struct {
				ID, Event, Severity, Channel, Source string
				User                                 json.RawMessage
				CaseID                               any `json:"case_id"`
				Rating                               *int64
				Time                                 time.Time
				Metadata                             json.RawMessage
			}
			readStrictly(t, raw, &want)
			c := it.support
			if want.ID != c.ID || want.Event != string(c.Event) || want.Severity != string(c.Severity) || want.Channel != c.Channel || want.Source != c.Source ||
				fmt.Sprint(want.CaseID) != c.CaseID || !want.Time.UTC().Equal(c.OccurredAt) {
				t.Fatalf("got %+v of %s", c, raw)
			}
			if (c.Event == event.CaseRated) != (c.Rating != nil) || c.Rating != nil && (*c.Rating != *want.Rating || *c.Rating < 0 || *c.Rating > event.MaxRating) {
				t.Fatalf("rating: got %v of %s", c.Rating, raw)
			}
			if m := string(want.Metadata); m != "" && m != "null" && m != string(c.Metadata) {
				t.Fatalf("metadata: got %s, want %s", c.Metadata, m)
			}
		})
	})
}
