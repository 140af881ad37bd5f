package salesforcefake_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/crm/salesforcefake"
)

const ack = `<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body><notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound"><Ack>true</Ack></notificationsResponse></soapenv:Body></soapenv:Envelope>`

// listener is told of changes, and answers as it is told to, the last answer for ever.
type listener struct {
	mu      sync.Mutex
	bodies  []string
	auth    string
	answers []func(http.ResponseWriter)
}

func (l *listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bodies = append(l.bodies, string(body))
	l.auth = r.Header.Get("Authorization")
	answer := l.answers[0]
	if len(l.answers) > 1 {
		l.answers = l.answers[1:]
	}
	answer(w)
}

func (l *listener) told() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.bodies)
}

func says(status int, kind, body string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func listen(t *testing.T, answers ...func(http.ResponseWriter)) (*listener, string) {
	l := &listener{answers: answers}
	server := httptest.NewServer(l)
	t.Cleanup(server.Close)
	return l, server.URL
}

func told(t *testing.T, o *org) {
	t.Helper()
	if err := o.Told(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestAnOutboundMessageIsSentUntilItIsAcknowledgedInKind(t *testing.T) {
	l, url := listen(t,
		says(200, "text/xml", ""),                                       // a plain 200
		says(200, "application/json", ack),                              // in another form
		says(200, "text/xml", strings.Replace(ack, "true", "false", 1)), // no
		says(200, "text/xml", strings.Replace(ack, "2005/09", "2006/09", 1)),
		says(503, "text/xml", ack),
		says(200, "text/xml; charset=utf-8", ack),
	)
	at := time.Date(2026, 3, 2, 9, 15, 4, 0, time.UTC)
	o := newOrg(t, salesforcefake.Options{URL: "", Now: func() time.Time { return at }, Outbound: []salesforcefake.Outbound{{
		URL: url, Form: salesforcefake.SOAP, Object: "Contact", Wait: time.Millisecond,
		Fields: []string{"Braze_External_Id__c", "LastName", "Email", "HasOptedOutOfEmail", "Last_Braze_Click__c", "LastModifiedDate", "LastModifiedById"},
	}}})
	if _, err := o.Insert("", "Contact", []byte(`{"LastName":"O & <N>","Braze_External_Id__c":"48213","HasOptedOutOfEmail":true,"Last_Braze_Click__c":"2026-03-02T09:15:04Z"}`)); err != nil {
		t.Fatal(err)
	}
	told(t, o)
	bodies := l.told()
	if len(bodies) != 6 {
		t.Errorf("sent %d times, want 6", len(bodies))
	}
	golden(t, "outbound.xml", bodies[0])
	if slices.ContainsFunc(bodies, func(b string) bool { return b != bodies[0] }) {
		t.Error("it is not the same message every time")
	}
}

func TestOnlyWhatReallyChangesIsTold(t *testing.T) {
	l, url := listen(t, says(202, "application/json", "{}"))
	o := newOrg(t, salesforcefake.Options{Outbound: []salesforcefake.Outbound{{
		URL: url, Form: salesforcefake.JSON, Object: "Contact", System: "crm", Identity: "Braze_External_Id__c", Key: "k3y",
	}}})
	o.upsert(key("48213", `"LastName":"Osei","Title":"x"`))
	told(t, o)
	for range 3 {
		o.upsert(key("48213", `"LastName":"Osei","Title":"x"`))
	}
	o.upsert(key("48213", `"LastName":"Osei","Title":null`))
	told(t, o)
	id := o.Records("Contact")[0].ID
	if err := o.Edit("", "Contact", id, []byte(`{"Title":"y","HasOptedOutOfEmail":false}`)); err != nil {
		t.Fatal(err)
	}
	told(t, o)
	type change struct {
		ObjectID string            `json:"object_id"`
		User     map[string]string `json:"user"`
		Changes  map[string]any    `json:"changes"`
		Version  int               `json:"version"`
		Actor    string            `json:"actor"`
	}
	var all []change
	for _, body := range l.told() {
		var some []change
		if err := json.Unmarshal([]byte(body), &some); err != nil {
			t.Fatal(err)
		}
		all = append(all, some...)
	}
	user := map[string]string{"external_id": "48213"}
	want := []change{
		{id, user, map[string]any{"LastName": "Osei", "Title": "x", "Braze_External_Id__c": "48213"}, 1, salesforcefake.DefaultUser},
		{id, user, map[string]any{"Title": nil}, 2, salesforcefake.DefaultUser},
		{id, user, map[string]any{"Title": "y", "HasOptedOutOfEmail": false}, 3, salesforcefake.Person},
	}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Error(diff)
	}
	if l.auth != "Bearer k3y" {
		t.Errorf("credentials are %q", l.auth)
	}
}

func TestAChangeMayBeToldTwiceAndLate(t *testing.T) {
	l, url := listen(t, says(200, "application/json", "{}"))
	o := newOrg(t, salesforcefake.Options{
		Knobs: salesforcefake.Knobs{PTwice: 0.5, TellAfter: 5 * time.Millisecond}, Seed: 2,
		Outbound: []salesforcefake.Outbound{{URL: url, Form: salesforcefake.JSON, Object: "Contact", System: "crm", Fields: []string{"Title"}, Quiet: []string{salesforcefake.DefaultUser}}},
	})
	o.upsert(key("quiet", `"LastName":"Osei","Title":"x"`)) // by whom nobody is told
	id := o.Records("Contact")[0].ID
	for _, fields := range []string{`{"Title":"1"}`, `{"LastName":"2"}`, `{"Title":"3"}`} {
		if err := o.Edit("", "Contact", id, []byte(fields)); err != nil {
			t.Fatal(err)
		}
		told(t, o)
	}
	text := strings.Join(l.told(), "\n")
	if ones, twos := strings.Count(text, `"Title":"1"`), strings.Count(text, `"LastName"`); ones == 0 || twos != 0 {
		t.Errorf("told: %s", text)
	}
	if n := len(l.told()); n < 3 {
		t.Errorf("told %d times, which is once each", n)
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("GOLDEN") == "write" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Error(diff)
	}
}
