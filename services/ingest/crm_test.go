package ingest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/schemas"
)

const aCRMChange = `{"id":"chg-7","system":"loyalty","object":"members","object_id":820982911946154508,"user":{"external_id":"cus-48213"},` +
	`"changes":{"points":9007199254740993,"tier":"gold", "email_opt_in":null},"version":12,"time":"2026-03-02T10:15:03.48+01:00","actor":"api"}`

// saidOf parses a body of one change, which must be fine.
func saidOf(t *testing.T, body string) event.Change {
	t.Helper()
	var s scanner
	s.reset([]byte(body))
	items, err := parseChanges(&s, nil)
	if err != nil || len(items) != 1 {
		t.Fatalf("got %d items, %v", len(items), err)
	}
	if p := items[0].problem; p.why != fine {
		t.Fatalf("refused: %s %s", p.field, p.reason())
	}
	return *items[0].change
}

func TestParseChangesTakesWhatTheContractSays(t *testing.T) {
	version := int64(12)
	for _, c := range []struct {
		name, body string
		want       event.Change
	}{
		{
			name: "everything there can be", body: aCRMChange,
			want: event.Change{
				ID: "chg-7", User: event.User{ExternalID: "cus-48213"}, Kind: event.Changed, System: "loyalty", Object: "members", ObjectID: "820982911946154508",
				Changes: []byte(`{"points":9007199254740993,"tier":"gold", "email_opt_in":null}`), Version: &version, Actor: "api",
				OccurredAt: time.Date(2026, 3, 2, 9, 15, 3, 480_000_000, time.UTC),
			},
		},
		{
			name: "a change that names nobody", body: `{"system":"crm","object":"Contact","object_id":"0035e00000Demo9AAF","changes":{"Title":null}}`,
			want: event.Change{Kind: event.Changed, System: "crm", Object: "Contact", ObjectID: "0035e00000Demo9AAF", Changes: []byte(`{"Title":null}`)},
		},
		{
			name: "null stands for what is left out", body: `{"id":null,"system":"crm","object":"a","object_id":"b","user":null,"changes":{"a":{}},"version":null,"time":null,"actor":null}`,
			want: event.Change{Kind: event.Changed, System: "crm", Object: "a", ObjectID: "b", Changes: []byte(`{"a":{}}`)},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, saidOf(t, c.body)); diff != "" {
				t.Errorf("the change (-want +got):\n%s", diff)
			}
		})
	}
}

// said is a change of a member.
func said(id, more string) string {
	if id != "" {
		more += fmt.Sprintf(`,"id":%q`, id)
	}
	return `{"system":"loyalty","object":"members","object_id":"m-1","changes":{"tier":"gold"}` + more + `}`
}

func TestParseChangesNamesTheFieldAtFault(t *testing.T) {
	of := func(system, object, id, changes string) string {
		return `{"system":` + system + `,"object":` + object + `,"object_id":` + id + `,"changes":` + changes + `}`
	}
	for _, c := range []struct{ name, body, field, reason string }{
		{"an item that is a text", `"changed"`, "", "must be an object"},
		{"no system", `{"object":"a","object_id":"b","changes":{"a":1}}`, "system", "is required"},
		{"a system with blanks", of(`"my crm"`, `"a"`, `"b"`, `{"a":1}`), "system", whys[notSystem].sentence},
		{"a system that is Braze", of(`"braze"`, `"a"`, `"b"`, `{"a":1}`), "system", whys[notSystem].sentence},
		{"a system of 64 letters", of(`"`+strings.Repeat("x", 64)+`"`, `"a"`, `"b"`, `{"a":1}`), "system", whys[notSystem].sentence},
		{"no object", `{"system":"crm","object_id":"b","changes":{"a":1}}`, "object", "is required"},
		{"an object that is a number", of(`"crm"`, `1`, `"b"`, `{"a":1}`), "object", "must be a string"},
		{"no id of the object", `{"system":"crm","object":"a","changes":{"a":1}}`, "object_id", "is required"},
		{"an id with a line's end", of(`"crm"`, `"a"`, `"b\n"`, `{"a":1}`), "object_id", "must not hold control characters"},
		{"no changes", `{"system":"crm","object":"a","object_id":"b"}`, "changes", "is required"},
		{"changes of nothing", of(`"crm"`, `"a"`, `"b"`, `{ }`), "changes", "is required"},
		{"changes that are a list", of(`"crm"`, `"a"`, `"b"`, `[1]`), "changes", "must be an object"},
		{"changes of more than 100 KiB", of(`"crm"`, `"a"`, `"b"`, `{"a":"`+strings.Repeat("x", 102_400)+`"}`), "changes", "is too large: at most 102400 bytes"},
		{"a field twice", of(`"crm"`, `"a"`, `"b"`, `{"a":1,"a":2}`), "changes", "has a name twice, at byte 62"},
		{"a user without identifier", said("", `,"user":{}`), "user", "needs one of external_id, braze_id, alias, email, phone"},
		{"a version that is not whole", said("", `,"version":1.5`), "version", "must be a whole number"},
		{"a time without zone", said("", `,"time":"2026-03-02T09:15:04"`), "time", "must be a time such as 2026-03-02T09:15:04Z (RFC 3339)"},
		{"an actor that is a list", said("", `,"actor":[]`), "actor", "must be a string"},
		{"a kind, which is not for everybody", said("", `,"kind":"deleted"`), "kind", "is not a known field"},
		{"a source", said("", `,"source":"x"`), "source", "is not a known field"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := problemBetween(t, parseChanges, c.body, said("", ""))
			if diff := cmp.Diff([2]string{c.field, c.reason}, [2]string{p.field, p.reason()}); diff != "" {
				t.Errorf("field and reason (-want +got):\n%s", diff)
			}
		})
	}
}

func TestASourceSaysMoreOfAnObjectThanAnybodyElse(t *testing.T) {
	const object = `{"system":"crm","object":"Contact","object_id":"003"`
	for _, c := range []struct {
		body, field string
		want        event.Change
	}{
		{object + `,"kind":"deleted"}`, "", event.Change{Kind: event.Deleted}},
		{object + `,"kind":"deleted","changes":{"a":1}}`, "", event.Change{Kind: event.Deleted}},
		{object + `,"kind":"linked","user":{"external_id":"u"}}`, "", event.Change{Kind: event.Linked, User: event.User{ExternalID: "u"}}},
		{object + `,"kind":"linked"}`, "user", event.Change{Kind: event.Linked}},
		{object + `,"kind":"merged"}`, "kind", event.Change{Kind: "merged"}},
		{object + `,"kind":null,"changes":{"a":1}}`, "", event.Change{Kind: event.Changed, Changes: []byte(`{"a":1}`)}},
	} {
		var s scanner
		s.reset([]byte(c.body))
		items, err := parseChangeOutput(&s, nil)
		if err != nil {
			t.Fatal(err)
		}
		c.want.System, c.want.Object, c.want.ObjectID = "crm", "Contact", "003"
		if diff := cmp.Diff(c.want, *items[0].change); diff != "" || items[0].problem.field != c.field {
			t.Errorf("%s: refused for %q, want %q; the change (-want +got):\n%s", c.body, items[0].problem.field, c.field, diff)
		}
	}
}

func TestPostChangesWritesTheRecord(t *testing.T) {
	d := newDoor(nil)
	if w := d.ask("POST", "/v1/crm/changes", aCRMChange, "X-Api-Key", "k1"); w.Code != 202 {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	r := d.shelf.records[0]
	headers := map[string]string{"event-id": "chg-7", "source": "shop", "origin": "ingest", "hops": "0"}
	if diff := cmp.Diff(headers, r.headers); diff != "" || r.topic != "eu.crm.changes" || r.key != "cus-48213" {
		t.Errorf("topic %q, key %q, headers (-want +got):\n%s", r.topic, r.key, diff)
	}
	var got event.Change
	if _, err := avro.NewChangeDecoder(fixed(schemas.Latest(schema.CRMChanges))).Decode(t.Context(), r.value, &got); err != nil {
		t.Fatal(err)
	}
	want := saidOf(t, aCRMChange)
	want.ReceivedAt, want.Source = got.ReceivedAt, "shop"
	if diff := cmp.Diff(want, got); diff != "" || time.Since(got.ReceivedAt) > time.Minute {
		t.Errorf("received at %s; the change (-want +got):\n%s", got.ReceivedAt, diff)
	}
	d.ask("POST", "/v1/crm/changes", said("x", ""), "X-Api-Key", "k1")
	if key := d.shelf.records[1].key; key != "crm:loyalty:members:m-1" {
		t.Errorf("the key of a change that names nobody is %q", key)
	}
}

func TestPostChangesAnswersAsTheOthersDo(t *testing.T) {
	d := newDoor(nil)
	post := func(key, body string) (int, itemsAnswer) {
		w := d.ask("POST", "/v1/crm/changes", body, "X-Api-Key", key)
		return w.Code, readAnswer(t, w.Body)
	}
	code, a := post("k1", `[`+said("a", "")+`,`+said("", `,"colour":1`)+`,`+said("a", "")+`]`)
	if code != 202 || a.statuses() != "accepted rejected duplicate" || a.Results[1].Field != "colour" {
		t.Errorf("%d %+v", code, a)
	}
	// The same change by another key is the same change; the same id of another system is another.
	if code, a := post("k2", said("a", "")); code != 202 || a.statuses() != "duplicate" {
		t.Errorf("by another key: %d %+v", code, a)
	}
	if code, a := post("k1", strings.Replace(said("a", ""), "loyalty", "crm", 1)); code != 202 || a.statuses() != "accepted" {
		t.Errorf("of another system: %d %+v", code, a)
	}
	if code, a := post("k1", said("", `,"version":"x"`)); code != 422 || a.statuses() != "rejected" {
		t.Errorf("one that is wrong: %d %+v", code, a)
	}
	for _, c := range []struct {
		key, kind, body string
		want            int
	}{{"", "application/json", said("y", ""), 401}, {"k1", "text/plain", said("y", ""), 415}, {"k1", "application/json", `{"system"`, 400}} {
		if w := d.ask("POST", "/v1/crm/changes", c.body, "X-Api-Key", c.key, "Content-Type", c.kind); w.Code != c.want {
			t.Errorf("%q: %d, want %d", c.body, w.Code, c.want)
		}
	}
	d.shelf.fail = func(int) error { return errors.New("no broker") }
	if w := d.ask("POST", "/v1/crm/changes", said("z", ""), "X-Api-Key", "k1"); w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("with Kafka away: %d", w.Code)
	}
}

const crmSecret = "crm-secret"

// newCRMDoor is a front door that HubSpot and Salesforce may call.
func newCRMDoor(t *testing.T) *door {
	d := newHookDoor(t, map[string]string{
		"HUBSPOT_WEBHOOK_SECRETS": crmSecret, "HUBSPOT_WEBHOOK_PUBLIC_URL": "https://door.example.com", "SALESFORCE_WEBHOOK_SECRETS": crmSecret,
		"SALESFORCE_EVENTS_WEBHOOK_SECRETS": crmSecret, "SALESFORCE_ORGANIZATIONS": "00D5e000000DemoEAG",
	})
	d.shelf.inline = true // for the records to stand in the order in which they were offered
	return d
}

func crmSample(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("webhook/testdata/crm/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func hubSpotHook(body string) *http.Request {
	at := strconv.FormatInt(time.Now().UnixMilli(), 10)
	mac := hmac.New(sha256.New, []byte(crmSecret))
	mac.Write([]byte("POSThttps://door.example.com/v1/hooks/hubspot" + body + at))
	r := httptest.NewRequest(http.MethodPost, "/v1/hooks/hubspot", strings.NewReader(body))
	r.Host = "inner:8080"
	r.Header.Set("X-Hubspot-Signature-V3", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	r.Header.Set("X-Hubspot-Request-Timestamp", at)
	r.Header.Set("Content-Type", "application/json")
	return r
}

func salesforceHook(body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/v1/hooks/salesforce?key="+crmSecret, strings.NewReader(body))
	r.Header.Set("Content-Type", "text/xml; charset=UTF-8")
	return r
}

// changesOf are the records on crm.changes in short.
func changesOf(t *testing.T, d *door) (all []string) {
	t.Helper()
	for _, r := range d.shelf.records {
		var c event.Change
		if _, err := avro.NewChangeDecoder(fixed(schemas.Latest(schema.CRMChanges))).Decode(t.Context(), r.value, &c); err != nil || r.topic != schema.CRMChanges {
			t.Fatalf("on %s: %v", r.topic, err)
		}
		all = append(all, fmt.Sprintf("%s %s %s %q %s", r.key, c.Kind, c.Changes, c.Actor, c.OccurredAt.Format("15:04:05.000")))
	}
	return all
}

func TestHubSpotsBatchStandsOnTheTopicInItsOrder(t *testing.T) {
	d := newCRMDoor(t)
	for range 2 { // what is repeated is answered and not written again
		if w := d.hook(hubSpotHook(crmSample(t, "hubspot.json"))); w.Code != 204 {
			t.Fatalf("got %d %s", w.Code, w.Body)
		}
	}
	want := []string{
		`crm:hubspot:contacts:173595202426 changed {"lifecyclestage":"customer"} "CRM_UI userId:48213" 09:15:01.476`,
		`crm:hubspot:contacts:173595202426 changed {"hs_email_optout":""} "INTEGRATION 25681700" 09:15:01.476`,
		`crm:hubspot:contacts:173595202427 deleted  "CRM_UI" 09:15:02.000`,
		`crm:hubspot:contacts:1 deleted  "CRM_UI" 09:15:03.000`,
		`crm:hubspot:contacts:2 deleted  "CRM_UI" 09:15:03.000`,
		`crm:hubspot:companies:9 changed {"name":null} "IMPORT" 09:15:04.000`,
	}
	if diff := cmp.Diff(want, changesOf(t, d)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(d.shelf.letters) != 1 || d.shelf.letters[0].Reason != "privacy_request" || !json.Valid(d.shelf.letters[0].Value) {
		t.Errorf("letters: %+v", d.shelf.letters)
	}
	bad := hubSpotHook("[]")
	bad.Header.Set("X-Hubspot-Request-Timestamp", "1772442901476")
	if w := d.hook(bad); w.Code != 401 {
		t.Errorf("with another time: %d", w.Code)
	}
}

func TestSalesforceIsAcknowledgedWhenAllOfItIsDurable(t *testing.T) {
	d := newCRMDoor(t)
	body := crmSample(t, "outbound.xml")
	d.shelf.fail = func(n int) error {
		if n == 1 {
			return errors.New("away")
		}
		return nil
	}
	if w := d.hook(salesforceHook(body)); w.Code != 503 || strings.Contains(w.Body.String(), "Ack") {
		t.Errorf("with half of it durable: %d %s", w.Code, w.Body)
	}
	for range 2 {
		w := d.hook(salesforceHook(body))
		if w.Code != 200 || w.Header().Get("Content-Type") != "text/xml; charset=utf-8" || !strings.Contains(w.Body.String(), "<Ack>true</Ack>") {
			t.Errorf("got %d %s", w.Code, w.Body)
		}
	}
	want := []string{
		`crm:crm:Contact:0035e00000Demo9AAF changed {"Email":"mira.osei@example.com","HasOptedOutOfEmail":"true","LastModifiedById":"0055e00000Demo3AAC",` +
			`"LastModifiedDate":"2026-03-02T09:15:04.000Z","Title":null} "0055e00000Demo3AAC" 09:15:04.000`,
	}
	got := changesOf(t, d)
	if diff := cmp.Diff(want, got[:1]); diff != "" || len(got) != 2 || !strings.HasPrefix(got[1], "crm:crm:Contact:0017000000Lg8WhAAJ changed") {
		t.Errorf("%d records; the first (-want +got):\n%s", len(got), diff)
	}
	for name, r := range map[string]*http.Request{
		"another key": httptest.NewRequest(http.MethodPost, "/v1/hooks/salesforce?key=x", strings.NewReader(body)),
		"no key":      httptest.NewRequest(http.MethodPost, "/v1/hooks/salesforce", strings.NewReader(body)),
	} {
		r.Header.Set("Content-Type", "text/xml")
		if w := d.hook(r); w.Code != 401 || strings.Contains(w.Body.String(), "Ack") {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

func TestADeadLetterOfSalesforceHoldsNoToken(t *testing.T) {
	d := newCRMDoor(t)
	const token = "00D!AQ-live-token"
	body := strings.NewReplacer("00D5e000000DemoEAG</Org", "00D000000000001AAA</Org", `<SessionId xsi:nil="true"/>`, "<SessionId>"+token+"</SessionId>").Replace(crmSample(t, "outbound.xml"))
	if w := d.hook(salesforceHook(body)); w.Code != 200 || !strings.Contains(w.Body.String(), "<Ack>true</Ack>") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if len(d.shelf.letters) != 1 || len(d.shelf.records) != 0 {
		t.Fatalf("%d letters, %d records", len(d.shelf.letters), len(d.shelf.records))
	}
	l := d.shelf.letters[0]
	if l.Reason != "wrong_mode" || strings.Contains(fmt.Sprintf("%s %+v", l.Value, l), token) || !strings.Contains(string(l.Value), "<Notification>") {
		t.Errorf("the letter is %s: %s", l.Reason, l.Value)
	}
	for _, h := range l.Headers {
		if strings.Contains(string(h.Value), crmSecret) {
			t.Errorf("%s holds the secret of the URL", h.Key)
		}
	}
}

func TestChangeEventsStandOnTheTopicAndGapsAreKept(t *testing.T) {
	d := newCRMDoor(t)
	r := httptest.NewRequest(http.MethodPost, "/v1/hooks/salesforce-events", strings.NewReader(crmSample(t, "changes.json")))
	r.Header.Set("Authorization", "Bearer "+crmSecret)
	r.Header.Set("Content-Type", "application/json")
	if w := d.hook(r); w.Code != 200 {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	got := changesOf(t, d)
	const fields = `{"FirstName":"Mira","HasOptedOutOfEmail":true,"LastName":"Osei","MailingCity":"Graz","Points__c":9007199254740993,"Title":null}`
	want := []string{
		`crm:crm:Contact:0035e00000Demo7AAF deleted  "0055e00000Demo3AAC" 09:15:03.000`,
		`crm:crm:Contact:0035e00000Demo9AAF changed ` + fields + ` "0055e00000Demo3AAC client=astro" 09:15:04.000`,
		`crm:crm:Contact:0035e00000Demo8AAF changed ` + fields + ` "0055e00000Demo3AAC client=astro" 09:15:04.000`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var reasons []string
	for _, l := range d.shelf.letters {
		reasons = append(reasons, l.Reason)
	}
	if diff := cmp.Diff([]string{"gap", "gap", "unmappable"}, reasons); diff != "" {
		t.Errorf("letters (-want +got):\n%s", diff)
	}
}

func TestTheSandboxesOnThisMachineNeedNoSecretsOfTheirOwn(t *testing.T) {
	sources, err := LoadSources("", func(string) (string, bool) { return "", false }, "dev")
	if err != nil {
		t.Fatal(err)
	}
	d := newHookDoor(t, nil)
	d.newHooks(sources)
	hubspot := hubSpotHook("[]")
	at := hubspot.Header.Get("X-Hubspot-Request-Timestamp")
	mac := hmac.New(sha256.New, []byte("dev"))
	mac.Write([]byte("POSThttp://inner:8080/v1/hooks/hubspot[]" + at))
	hubspot.Header.Set("X-Hubspot-Signature-V3", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	salesforce := salesforceHook(crmSample(t, "outbound.xml"))
	salesforce.URL.RawQuery = ""
	salesforce.Header.Set("Authorization", "Bearer dev")
	for _, r := range []*http.Request{hubspot, salesforce} {
		if w := d.hook(r); w.Code/100 != 2 {
			t.Errorf("%s: %d %s", r.URL.Path, w.Code, w.Body)
		}
	}
	if len(d.shelf.records) != 2 || len(d.shelf.letters) != 0 {
		t.Errorf("%d records, %d letters", len(d.shelf.records), len(d.shelf.letters))
	}
	legacy := hubSpotHook("[]")
	legacy.Header = http.Header{"X-Hubspot-Signature": {fmt.Sprintf("%x", sha256.Sum256([]byte("dev[]")))}}
	if w := d.hook(legacy); w.Code != 401 {
		t.Errorf("the older signature is taken without its switch: %d", w.Code)
	}
}

// FuzzParseChanges holds what is taken to what encoding/json reads from the same bytes.
func FuzzParseChanges(f *testing.F) {
	for _, body := range []string{aCRMChange, `[` + said("a", "") + `,1,{}]`, `{"system":"crm","object":"a","object_id":7,"changes":{"\u0061":[1e2,"\u00e9"]},"actor":5}`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		eachTaken(t, body, parseChanges, func(raw []byte, it *item) {
			var want struct {
				ID, System, Object string
				User               json.RawMessage
				ObjectID           any `json:"object_id"`
				Changes            json.RawMessage
				Version            *int64
				Time               time.Time
				Actor              any
			}
			readStrictly(t, raw, &want)
			c := it.change
			if want.ID != c.ID || want.System != c.System || want.Object != c.Object || fmt.Sprint(want.ObjectID) != c.ObjectID || !want.Time.UTC().Equal(c.OccurredAt) {
				t.Fatalf("got %+v of %s", c, raw)
			}
			if string(want.Changes) != string(c.Changes) || (want.Version == nil) != (c.Version == nil) || c.Version != nil && *want.Version != *c.Version || c.Key() == "" {
				t.Fatalf("got %+v of %s", c, raw)
			}
		})
	})
}
