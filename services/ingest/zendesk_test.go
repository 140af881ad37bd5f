package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/schemas"
)

// zendeskHook is a webhook of Zendesk's, signed.
func zendeskHook(body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/v1/hooks/zendesk", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	r.Header.Set("X-Zendesk-Account-Id", "22129848")
	return signHook(r, []byte(body))
}

// casesOn are what stands on the topic of cases, as "user event case".
func (d *door) casesOn(t *testing.T) (all []string) {
	t.Helper()
	decoder := avro.NewCaseDecoder(fixed(schemas.Latest(schema.SupportCases)))
	for _, r := range d.shelf.records {
		if r.topic != schema.SupportCases {
			continue
		}
		var c event.Case
		if _, err := decoder.Decode(t.Context(), r.value, &c); err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprintf("%s %s %s", r.key, c.Event, c.CaseID))
	}
	return all
}

func TestATicketsLifeIsToldUnderOneKey(t *testing.T) {
	d := newHookDoor(t, hookEnv)
	d.shelf.inline = true
	for range 2 { // everything comes twice
		for _, name := range []string{"created", "priority_urgent", "comment_by_customer", "solved", "reopened", "solved", "csat_bad", "closed"} {
			if w := d.hook(hookSample(t, "zendesk/"+name)); w.Code != 200 {
				t.Errorf("%s: answered %d %s", name, w.Code, w.Body)
			}
		}
	}
	const user = "alias:zendesk:8447388090494 "
	want := []string{user + "opened 35436", user + "escalated 35436", user + "updated 35436", user + "resolved 35436", user + "reopened 35436", user + "rated 35436"}
	if diff := cmp.Diff(want, d.casesOn(t)); diff != "" {
		t.Errorf("cases (-want +got):\n%s", diff)
	}
	checkLaw(t, d.metrics, 16, 6)
}

func TestAnEndUserWithAnExternalIdIsLinkedAndKnown(t *testing.T) {
	d := newHookDoor(t, hookEnv)
	d.shelf.inline = true
	for _, name := range []string{"user_created", "user_external_id_changed", "user_agent", "user_without_external_id", "user_deleted"} {
		if w := d.hook(hookSample(t, "zendesk/"+name)); w.Code != 200 {
			t.Errorf("%s: answered %d", name, w.Code)
		}
	}
	var got []string
	for _, r := range d.shelf.records {
		value := decode(t, r.topic, r.value)
		got = append(got, fmt.Sprint(r.topic, " ", r.key, " ", value["event_kind"], " ", value["identified_as"], " ", value["set_json"]))
	}
	want := []string{
		"customer.events alias:zendesk:8447388090494 identify cus-48213 <nil>",
		`customer.profiles cus-48213 <nil> <nil> {"email":"mira.osei@example.com"}`,
	}
	if diff := cmp.Diff(want, got); diff != "" || len(d.shelf.letters) > 0 {
		t.Errorf("%d letters; records (-want +got):\n%s", len(d.shelf.letters), diff)
	}
	checkLaw(t, d.metrics, 6, 2) // the second link is the first's repeat
}

func TestZendeskIsAskedToComeAgainInTime(t *testing.T) {
	d := newHookDoor(t, hookEnv)
	d.shelf.fail = func(n int) error {
		if n == 0 {
			return errors.New("away")
		}
		return nil
	}
	if w := d.hook(hookSample(t, "zendesk/solved")); w.Code != 503 || w.Header().Get("Retry-After") != "30" {
		t.Errorf("away: answered %d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
	if w := d.hook(hookSample(t, "zendesk/solved")); w.Code != 200 || len(d.casesOn(t)) != 1 {
		t.Errorf("again: answered %d, %d cases", w.Code, len(d.casesOn(t)))
	}
	d.options.MaxHeld = 1
	if w := d.hook(hookSample(t, "zendesk/solved")); w.Code != 503 || w.Header().Get("Retry-After") != "30" {
		t.Errorf("busy: answered %d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
	if w := d.hook(hookSample(t, "shopify/orders_create")); w.Code != 503 || w.Header().Get("Retry-After") != "2" {
		t.Errorf("others: answered %d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
}

func TestAWebhookThatIsSignedWellAndTooOldIsTold(t *testing.T) {
	d := newHookDoor(t, hookEnv)
	var log bytes.Buffer
	d.log = zerolog.New(&log).Level(zerolog.InfoLevel)
	body := `{"sluice":"ticket"}`
	r := zendeskHook(body)
	if w := d.hook(r); w.Code != 200 || log.Len() > 0 {
		t.Fatalf("answered %d %s, said %s", w.Code, w.Body, &log)
	}
	old := time.Now().Add(-6 * time.Minute).UTC().Format(time.RFC3339)
	for _, c := range []struct {
		name, signature string
		want            bool
	}{
		{"its own", signatureOf(hookSecret, old+body), true},
		{"a stranger's", signatureOf("guess", old+body), false},
	} {
		log.Reset()
		r := zendeskHook(body)
		r.Header.Set("X-Zendesk-Webhook-Signature-Timestamp", old)
		r.Header.Set("X-Zendesk-Webhook-Signature", c.signature)
		if w := d.hook(r); w.Code != 401 || strings.Contains(log.String(), "signed well but too old") != c.want {
			t.Errorf("%s: answered %d, said %s", c.name, w.Code, &log)
		}
	}
}

// TestWhatZendeskCannotHaveMeantIsKept sends what the programs let through and the parser does not.
func TestWhatZendeskCannotHaveMeantIsKept(t *testing.T) {
	event := func(id, detail, change string) string {
		return `{"type":"zen:event-type:ticket.csat_received","id":"` + id + `","account_id":1,"time":"2026-03-02T09:15:04Z","detail":` + detail + `,"event":` + change + `}`
	}
	for _, c := range []struct{ name, body, detail string }{
		{"a rating beyond the scale", event("e1", `{"id":"7","requester_id":"8"}`, `{"satisfaction_score":{"score":11}}`), "output 0 (case): rating must be a whole number from 0 to 10"},
		{"half a point", event("e2", `{"id":"7","requester_id":"8"}`, `{"satisfaction_score":{"score":4.5}}`), "output 0 (case): rating must be a whole number from 0 to 10"},
		{"no ticket", event("e3", `{"requester_id":"8"}`, `{"satisfaction_score":{"score":"GOOD"}}`), "output 0 (case): case_id is required"},
		{"a word that a trigger should not have", `{"sluice":"ticket","event":"solved","ticket":{"id":"7"},"requester":{"email":"a@b.at"}}`, "output 0 (case): event must be one of"},
		{"a rating that says nothing", `{"sluice":"ticket","event":"rated","ticket":{"id":"7"},"requester":{"email":"a@b.at"},"rating":""}`, "output 0 (case): rating is required"},
		{"a month that there is not", strings.Replace(event("e4", `{"id":"7","requester_id":"8"}`, `{"satisfaction_score":{"score":"GOOD"}}`), "2026-03", "2026-13", 1), "output 0 (case): time must be a time"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newHookDoor(t, hookEnv)
			if w := d.hook(zendeskHook(c.body)); w.Code != 200 || len(d.shelf.letters) != 1 || len(d.shelf.records) != 0 {
				t.Fatalf("answered %d, %d letters, %d records", w.Code, len(d.shelf.letters), len(d.shelf.records))
			}
			if l := d.shelf.letters[0]; l.Reason != "unmappable" || !strings.HasPrefix(l.Detail, c.detail) || string(l.Value) != c.body {
				t.Errorf("kept as %s: %s", l.Reason, l.Detail)
			}
			checkLaw(t, d.metrics, 1, 0)
		})
	}
}

func TestLinksAreRead(t *testing.T) {
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name, body string
		want       event.Event
		problem    string
	}{
		{
			"an alias that turns out to be somebody", `{"id":"l","user":{"alias":{"label":"zendesk","name":"8"}},"identified_as":"c","time":"2026-03-02T10:00:00+01:00"}`,
			event.Event{ID: "l", User: event.User{AliasLabel: "zendesk", AliasName: "8"}, Name: identified, Kind: event.KindIdentify, OccurredAt: at, IdentifiedAs: "c"},
			"",
		},
		{"nobody", `{"identified_as":"c"}`, event.Event{}, "user missing_field"},
		{"nobody in particular", `{"user":{},"identified_as":"c"}`, event.Event{}, "user missing_identifier"},
		{"somebody who is still nobody", `{"user":{"email":"a@b.at"}}`, event.Event{}, "identified_as missing_field"},
		{"an id that is too long", `{"user":{"email":"a@b.at"},"identified_as":"` + strings.Repeat("x", MaxExternalID+1) + `"}`, event.Event{}, "identified_as too_long"},
		{"an id that is a number", `{"user":{"email":"a@b.at"},"identified_as":7}`, event.Event{}, "identified_as not_a_string"},
		{"a field nobody knows", `{"user":{"email":"a@b.at"},"identified_as":"c","name":"x"}`, event.Event{}, "name unknown_field"},
		{"no object", `[7]`, event.Event{}, " not_an_object"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s scanner
			s.reset([]byte(c.body))
			items, err := parseLinks(&s, nil)
			if err != nil || len(items) != 1 {
				t.Fatalf("%d items, %v", len(items), err)
			}
			if p := items[0].problem; p.why != fine || c.problem != "" {
				if got := p.field + " " + p.why.String(); got != c.problem {
					t.Errorf("got %q, want %q", got, c.problem)
				}
				return
			}
			if diff := cmp.Diff(c.want, items[0].event); diff != "" {
				t.Errorf("the link (-want +got):\n%s", diff)
			}
		})
	}
}
