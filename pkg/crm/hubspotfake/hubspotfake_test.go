package hubspotfake

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// ask makes a call without a network.
func ask(s *Sandbox, path, body string, token ...string) (int, string, http.Header) {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+strings.Join(append(token, DefaultToken)[:1], ""))
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	text, _ := io.ReadAll(w.Result().Body)
	return w.Code, string(text), w.Header()
}

const (
	upsertPath = "/crm/v3/objects/contacts/batch/upsert"
	updatePath = "/crm/v3/objects/contacts/batch/update"
	readPath   = "/crm/v3/objects/contacts/batch/read"
)

func TestItIsStrict(t *testing.T) {
	input := func(id, properties string) string {
		return `{"id":"` + id + `","idProperty":"braze_external_id","objectWriteTraceId":"t-` + id + `","properties":{` + properties + `}}`
	}
	batch := func(inputs ...string) string { return `{"inputs":[` + strings.Join(inputs, ",") + `]}` }
	for _, test := range []struct {
		name, path, body string
		status           int
		says             string
	}{
		{"a row", upsertPath, batch(input("a", `"city":"Graz"`)), 200, `"new":true`},
		{"no row", upsertPath, batch(), 400, "maximum number"},
		{"too many", upsertPath, batch(strings.Split(strings.Repeat(input("a", "")+"|", 100)+input("a", ""), "|")...), 400, "maximum number"},
		{"not JSON", upsertPath, `{`, 400, "Invalid input JSON"},
		{"an unknown member", upsertPath, `{"input":[]}`, 400, "Invalid input JSON"},
		{"a number for a value", upsertPath, batch(input("a", `"city":1`)), 400, "Invalid input JSON"},
		{"an unknown property", upsertPath, batch(input("a", ""), input("b", `"colour":"red"`)), 400, "does not exist"},
		{"a read-only property", upsertPath, batch(input("a", `"createdate":"x"`)), 400, "read only"},
		{"a bad address", upsertPath, batch(input("a", `"email":"nobody"`)), 400, "Email address is invalid"},
		{"a key twice", upsertPath, batch(input("a", ""), input("A", "")), 400, "Duplicate IDs"},
		{"two id properties", upsertPath, batch(input("a", ""), `{"id":"x@y.zz","idProperty":"email","properties":{}}`), 400, "same idProperty"},
		{"a property that is not unique", upsertPath, batch(`{"id":"Graz","idProperty":"city","properties":{}}`), 400, "not a unique property"},
		{"no id property", upsertPath, batch(`{"id":"1","properties":{}}`), 400, "idProperty is needed"},
		{"a kind that is not there", "/crm/v3/objects/pets/batch/upsert", batch(input("a", "")), 400, "object type"},
		{"a bad value beside a good one", upsertPath, batch(input("a", ""), input("b", `"loyalty_points":"many"`)), 207, `"objectWriteTraceId":["t-b"]`},
		{"an address that another has", upsertPath, batch(input("a", `"email":"m@x.example"`), input("b", `"email":"M@x.example"`)), 207, "CONFLICT"},
		{"a stage that goes back", upsertPath, batch(input("customer", `"lifecyclestage":"lead"`)), 207, "backwards"},
		{"an update of nobody", updatePath, batch(`{"id":"1","properties":{}}`), 207, "OBJECT_NOT_FOUND"},
		{"a read of nobody", readPath, `{"idProperty":"email","properties":["email"],"inputs":[{"id":"x@y.zz"}]}`, 207, `"ids":["x@y.zz"]`},
		{"a note without a time", "/crm/v3/objects/notes/batch/upsert", batch(`{"id":"w","idProperty":"sluice_write_id","properties":{}}`), 207, "hs_timestamp"},
		{"a link to nobody", "/crm/v4/associations/notes/contacts/batch/associate/default", batch(`{"from":{"id":"1"},"to":{"id":"2"}}`), 207, "OBJECT_NOT_FOUND"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := New(Options{})
			if _, err := s.Edit(Edit{Key: "customer", Properties: map[string]string{"lifecyclestage": "customer"}}); err != nil {
				t.Fatal(err)
			}
			status, text, _ := ask(s, test.path, test.body)
			if status != test.status || !strings.Contains(text, test.says) {
				t.Errorf("%d %s", status, text)
			}
			if n := len(s.Writes()); status == 400 && n != 1 {
				t.Errorf("%d writes of a call that was refused", n)
			}
		})
	}
}

func TestLimitsAndTokens(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	s := New(Options{PerInterval: 2, Daily: 3, Now: func() time.Time { return now }, OAuth: OAuth{ClientID: "a", ClientSecret: "b", RefreshToken: "c"}})
	read := `{"properties":[],"inputs":[{"id":"1"}]}`
	for _, want := range []struct {
		later           time.Duration
		status          int
		policy          string
		left, leftDaily string
	}{
		{0, 207, "", "1", "2"},
		{time.Second, 207, "", "0", "1"},
		{time.Second, 429, policyRolling, "0", "1"},
		{8 * time.Second, 207, "", "0", "0"},
		{20 * time.Second, 429, policyDaily, "2", "0"},
		{24 * time.Hour, 207, "", "1", "2"},
	} {
		now = now.Add(want.later)
		status, text, h := ask(s, readPath, read)
		if status != want.status || !strings.Contains(text, want.policy) || h.Get("X-HubSpot-RateLimit-Remaining") != want.left || h.Get("X-HubSpot-RateLimit-Daily-Remaining") != want.leftDaily {
			t.Errorf("%+v: %d %s %v", want, status, text, h)
		}
	}

	if status, text, _ := ask(s, readPath, read, "access-1"); status != 401 || !strings.Contains(text, "INVALID_AUTHENTICATION") {
		t.Error(status, text)
	}
	r := httptest.NewRequest(http.MethodPost, "/oauth/v1/token", strings.NewReader("grant_type=refresh_token&client_id=a&client_secret=b&refresh_token=c"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	if s.ServeHTTP(w, r); w.Code != 200 || !strings.Contains(w.Body.String(), `"expires_in":1800`) {
		t.Error(w.Code, w.Body)
	}
	if status, _, h := ask(s, readPath, read, "access-1"); status != 207 || h.Get("X-HubSpot-RateLimit-Daily") != "" {
		t.Error(status, h)
	}
	now = now.Add(30 * time.Minute)
	if status, text, _ := ask(s, readPath, read, "access-1"); status != 401 || !strings.Contains(text, "EXPIRED_AUTHENTICATION") {
		t.Error(status, text)
	}
}

func TestBadDays(t *testing.T) {
	s := New(Options{})
	body := `{"inputs":[{"id":"a","idProperty":"braze_external_id","properties":{"city":"Graz"}}]}`
	s.FailNext(Fault{Status: 503, RetryAfter: 5 * time.Second}, Fault{}, Fault{Status: 502, After: true})
	for i, want := range []struct{ status, writes int }{{503, 0}, {200, 1}, {502, 2}, {200, 3}} {
		if status, _, _ := ask(s, upsertPath, body); status != want.status || len(s.Writes()) != want.writes {
			t.Errorf("call %d: %d, %d writes", i, status, len(s.Writes()))
		}
	}
	s.SetKnobs(Knobs{PRow: 1})
	if status, text, _ := ask(s, upsertPath, body); status != 207 || !strings.Contains(text, "bad day") {
		t.Error(status, text)
	}
	s.SetKnobs(Knobs{Down: true})
	if status, _, _ := ask(s, upsertPath, body); status != 503 {
		t.Error(status)
	}
	if diff := cmp.Diff(map[string]int{"contacts/batch/upsert": 6}, s.Calls()); diff != "" {
		t.Error(diff)
	}
	s.Reset()
	if len(s.Writes())+len(s.Objects("contacts"))+len(s.Calls()) != 0 {
		t.Error("something is left")
	}
}

func TestAPersonEditsAndLooks(t *testing.T) {
	s := New(Options{})
	serve := func(method, path, body string) (int, string) {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
		return w.Code, w.Body.String()
	}
	for _, test := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"POST", "/_sandbox/edit", `{"key":"crm-1","properties":{"city":"Graz"}}`, 200, `"city":"Graz"`},
		{"POST", "/_sandbox/edit", `{"key":"crm-1","properties":{"colour":"red"}}`, 422, "does not exist"},
		{"POST", "/_sandbox/edit", `{"key":"crm-1","properties":{"loyalty_tier":"tin"}}`, 422, "allowed options"},
		{"POST", "/_sandbox/edit", `{"type":"pets","key":"x"}`, 422, "no objects"},
		{"POST", "/_sandbox/edit", `{"key":""}`, 422, "unique property"},
		{"POST", "/_sandbox/edit", `{"colour":1}`, 400, "colour"},
		{"GET", "/_sandbox/objects/contacts", ``, 200, `"braze_external_id":"crm-1"`},
		{"GET", "/_sandbox/writes", ``, 200, `"source":"CRM_UI"`},
	} {
		if status, text := serve(test.method, test.path, test.body); status != test.status || !strings.Contains(text, test.says) {
			t.Errorf("%s %s: %d %s", test.path, test.body, status, text)
		}
	}
}

func TestTheLogOfWritesIsBounded(t *testing.T) {
	s := New(Options{MaxWrites: 3})
	for _, city := range []string{"a", "b", "c", "d", "e"} {
		if _, err := s.Edit(Edit{Key: "crm-1", Properties: map[string]string{"city": city}}); err != nil {
			t.Fatal(err)
		}
	}
	if w := s.Writes(); len(w) != 3 || w[2].Properties["city"] != "e" {
		t.Errorf("%+v", w)
	}
}
