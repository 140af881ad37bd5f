package hubspotfake

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A signature that was computed elsewhere: method, URI, body and timestamp without anything between them.
func TestSignaturesAreHubSpots(t *testing.T) {
	got := Sign("hs-demo-client-secret", "POST", "https://door.example.com/in/hubspot?tenant=acme/eu&x=a%20b",
		[]byte(`[{"eventId":100,"subscriptionType":"contact.propertyChange","objectId":501}]`), "1767225605123")
	if want := "minw+oxqeMfS11QB8tXjuUlrKfVzY/g+Yo+be+vzv2M="; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// listener takes webhooks without a network.
type listener struct {
	mu     sync.Mutex
	status []int // of the next answers; 200 afterwards
	got    [][]Event
	bad    []string
}

func (l *listener) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if want := Sign("secret", "POST", "https://front.example/v1/hooks/hubspot", body, r.Header.Get("X-HubSpot-Request-Timestamp")); r.Header.Get("X-HubSpot-Signature-v3") != want {
		l.bad = append(l.bad, "the signature is wrong")
	}
	var events []Event
	if err := json.Unmarshal(body, &events); err != nil {
		l.bad = append(l.bad, err.Error())
	}
	l.got = append(l.got, events)
	w := httptest.NewRecorder()
	if len(l.status) > 0 {
		w.Code, l.status = l.status[0], l.status[1:]
	}
	return w.Result(), nil
}

func TestOnlyWhatReallyChangesIsTold(t *testing.T) {
	l := &listener{}
	s := New(Options{Webhook: Webhook{
		URL: "http://door.internal/v1/hooks/hubspot", SignedURL: "https://front.example/v1/hooks/hubspot", Secret: "secret", HTTP: &http.Client{Transport: l},
		Properties: []string{"city", "hs_email_optout"},
	}})
	edit := func(e Edit) Object {
		t.Helper()
		o, err := s.Edit(e)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	edit(Edit{Key: "crm-1", Properties: map[string]string{"city": "Graz", "firstname": "Mira"}})
	edit(Edit{Key: "crm-1", Properties: map[string]string{"city": "Graz"}})
	edit(Edit{Key: "crm-1", Properties: map[string]string{"city": ""}, UserID: "7"})
	ask(s, upsertPath, `{"inputs":[{"id":"crm-1","idProperty":"braze_external_id","properties":{"hs_email_optout":"true","city":""}}]}`)
	if !s.Delete("contacts", "braze_external_id", "CRM-1") || s.Delete("contacts", "braze_external_id", "crm-1") || len(s.Objects("contacts")) != 0 {
		t.Error("it is not deleted once")
	}
	if n, err := s.Notify(t.Context(), 0); n != 5 || err != nil {
		t.Fatal(n, err)
	}
	var got [][3]string
	for _, e := range l.got[0] {
		value := "-"
		if e.PropertyValue != nil {
			value = e.PropertyName + "=" + *e.PropertyValue
		}
		got = append(got, [3]string{e.SubscriptionType, value, e.ChangeSource + " " + e.SourceID})
	}
	want := [][3]string{
		{"contact.creation", "-", "CRM_UI userId:48213"},
		{"contact.propertyChange", "city=Graz", "CRM_UI userId:48213"},
		{"contact.propertyChange", "city=", "CRM_UI userId:7"},
		{"contact.propertyChange", "hs_email_optout=true", "INTEGRATION 25681700"},
		{"contact.deletion", "-", "CRM_UI userId:48213"},
	}
	if diff := cmp.Diff(want, got); diff != "" || l.bad != nil {
		t.Error(diff, l.bad)
	}
	if n, err := s.Notify(t.Context(), 0); n != 0 || err != nil || len(s.Waiting()) != 0 {
		t.Error(n, err, s.Waiting())
	}
}

func TestWebhooksComeInBatchesAndAgainUntilTheyAreTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &listener{status: []int{503, 500}}
		s := New(Options{Webhook: Webhook{
			URL: "http://door.internal/", SignedURL: "https://front.example/v1/hooks/hubspot", Secret: "secret", HTTP: &http.Client{Transport: l},
		}})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { s.Run(ctx) })
		for i := range 125 {
			if _, err := s.Edit(Edit{Key: "crm-1", Properties: map[string]string{"city": string(rune('a' + i))}}); err != nil {
				t.Fatal(err)
			}
		}
		until := time.NewTimer(time.Minute)
		<-until.C
		cancel()
		running.Wait()
		var sizes, attempts []int
		for _, batch := range l.got {
			sizes, attempts = append(sizes, len(batch)), append(attempts, batch[0].AttemptNumber)
		}
		// 125 changes, a creation and the external id.
		if diff := cmp.Diff([]int{100, 100, 100, 27}, sizes); diff != "" || len(s.Waiting()) != 0 || l.bad != nil {
			t.Error(diff, l.bad)
		}
		if diff := cmp.Diff([]int{0, 1, 2, 0}, attempts); diff != "" {
			t.Error(diff)
		}
	})
}
