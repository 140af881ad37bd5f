package brazefake_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/braze/brazefake"
	"github.com/sluicehq/sluice/pkg/braze/brazefake/outgoing"
	"github.com/sluicehq/sluice/pkg/currents"
)

// listener is what Currents and webhooks are sent to, without a network.
type listener struct {
	mu     sync.Mutex
	events []heard
	hooks  []string // paths and bodies
	broken bool     // webhooks are answered 500
}

// heard is an event as it came.
type heard struct {
	Type       string         `json:"event_type"`
	ID         string         `json:"id"`
	Time       int64          `json:"time"`
	User       map[string]any `json:"user"`
	Properties map[string]any `json:"properties"`
	raw        map[string]json.RawMessage
	whole      json.RawMessage
}

func (l *listener) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	status := http.StatusOK
	if strings.HasPrefix(r.URL.Path, "/hooks/") {
		l.hooks = append(l.hooks, r.URL.Path+" "+string(body))
		if l.broken {
			status = http.StatusInternalServerError
		}
	} else if len(body) > 0 {
		var batch struct {
			Events []json.RawMessage `json:"events"`
		}
		if err := json.Unmarshal(body, &batch); err != nil {
			return nil, err
		}
		for _, raw := range batch.Events {
			var e heard
			if err := errors.Join(json.Unmarshal(raw, &e), json.Unmarshal(raw, &e.raw)); err != nil {
				return nil, err
			}
			e.whole = raw
			l.events = append(l.events, e)
		}
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(nil)), Request: r}, nil
}

// of are the events of a type about a user; of any when that is empty.
func (l *listener) of(typ, user string) (found []heard) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		if e.Type == typ && (user == "" || e.User["external_user_id"] == user) {
			found = append(found, e)
		}
	}
	return found
}

// reporting runs a sandbox that reports to a listener, in a bubble.
func reporting(t *testing.T, o brazefake.Currents, test func(*testing.T, *brazefake.Sandbox, *listener)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := &listener{}
		s := brazefake.New(brazefake.Options{})
		o.URL, o.Client = "http://door.test/v1/braze/currents", &http.Client{Transport: l}
		o.Webhooks = "http://door.test/hooks/"
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); s.SendCurrents(ctx, o) }()
		defer func() { stop(); <-ended }()
		synctest.Wait()
		test(t, s, l)
	})
}

// pass lets time go by in the bubble.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func tracked(t *testing.T, s *brazefake.Sandbox, body string) {
	t.Helper()
	if status, answer := call(s, http.MethodPost, "/users/track", body); status != http.StatusCreated {
		t.Fatalf("answered %d %s", status, answer)
	}
}

func TestWhatCustomersDoIsReportedAsBrazeReportsIt(t *testing.T) {
	reporting(t, brazefake.Currents{AppGroup: "group-1"}, func(t *testing.T, s *brazefake.Sandbox, l *listener) {
		tracked(t, s, `{"attributes":[{"external_id":"a","email":"a@example.org","time_zone":"Europe/Vienna"}],
			"events":[{"external_id":"a","name":"Visit Booked","time":"1999-03-02T09:15:03Z","app_id":"app-1","properties":{"ref":820982911946154508,"total":84.90}}],
			"purchases":[{"external_id":"a","product_id":"P-1","currency":"EUR","price":12.50,"time":"1999-03-02T09:15:03Z"}]}`)
		pass(time.Minute)
		events := l.of("users.behaviors.CustomEvent", "a")
		if len(events) != 1 {
			t.Fatalf("%d custom events", len(events))
		}
		e := events[0]
		if got := slices.Sorted(maps.Keys(e.raw)); !cmp.Equal(got, []string{"event_type", "id", "properties", "time", "user"}) {
			t.Errorf("the event has the members %v", got)
		}
		if e.ID == "" || e.Time != 920366103 || e.User["timezone"] != "Europe/Vienna" || e.User["user_id"] == "" {
			t.Errorf("%+v", e)
		}
		if !bytes.Contains(e.raw["properties"], []byte(`"custom_properties":{"ref":820982911946154508,"total":84.90}`)) || e.Properties["name"] != "Visit Booked" ||
			e.Properties["app_id"] != "app-1" || e.Properties["app_group_id"] != "group-1" {
			t.Errorf("properties %s", e.raw["properties"])
		}
		bought := l.of("users.behaviors.Purchase", "a")
		if len(bought) != 1 || bought[0].Properties["product_id"] != "P-1" || bought[0].Properties["currency"] != "EUR" || !bytes.Contains(bought[0].raw["properties"], []byte(`"price":12.50`)) {
			t.Errorf("purchases %+v", bought)
		}
	})
}

func TestACampaignIsSentDeliveredAndSometimesOpened(t *testing.T) {
	reporting(t, brazefake.Currents{Options: outgoing.Options{Seed: 3}}, func(t *testing.T, s *brazefake.Sandbox, l *listener) {
		const users = 200
		for i := range users {
			tracked(t, s, `{"attributes":[{"external_id":"u`+string(rune('a'+i%26))+string(rune('a'+i/26))+`","email":"u@example.org"}]}`)
		}
		for i := range users {
			id := "u" + string(rune('a'+i%26)) + string(rune('a'+i/26))
			if status, answer := call(s, http.MethodPost, "/campaigns/trigger/send", `{"campaign_id":"camp","send_id":"s1","recipients":[{"external_user_id":"`+id+`"}]}`); status != http.StatusCreated {
				t.Fatal(status, answer)
			}
		}
		pass(time.Minute)
		n := func(typ string) int { return len(l.of("users.messages.email."+typ, "")) }
		if n("Send") != users || n("Delivery")+n("Bounce") != users || n("Bounce") == 0 {
			t.Errorf("%d sent = %d delivered + %d bounced", n("Send"), n("Delivery"), n("Bounce"))
		}
		if n("Open") < users/3 || n("Open") > users*4/5 || n("Click") == 0 || n("Click") > n("Open") || n("Unsubscribe") == 0 {
			t.Errorf("%d opens, %d clicks, %d unsubscribes", n("Open"), n("Click"), n("Unsubscribe"))
		}
		gone := l.of("users.messages.email.Unsubscribe", "")[0].User["external_user_id"].(string)
		profile, _ := s.Profile(gone)
		if got := string(profile.Attributes["email_subscribe"]); got != `"unsubscribed"` {
			t.Errorf("who unsubscribed is %s", got)
		}
		if changes := l.of("users.behaviors.subscription.GlobalStateChange", gone); len(changes) != 1 || changes[0].Properties["state_change_source"] != "Subscription Page" {
			t.Errorf("changes of state %+v", changes)
		}
		send := l.of("users.messages.email.Send", gone)[0]
		open := l.of("users.messages.email.Open", gone)[0]
		for _, column := range []string{"campaign_id", "dispatch_id", "send_id", "email_address", "message_variation_id"} {
			if send.Properties[column] == nil || send.Properties[column] != open.Properties[column] {
				t.Errorf("%s is %v when sent and %v when opened", column, send.Properties[column], open.Properties[column])
			}
		}
	})
}

func TestACanvasIsEnteredAndWhoHasNoAddressGetsAPush(t *testing.T) {
	reporting(t, brazefake.Currents{}, func(t *testing.T, s *brazefake.Sandbox, l *listener) {
		tracked(t, s, `{"attributes":[{"external_id":"a","first_name":"Ada"}]}`)
		call(s, http.MethodPost, "/canvas/trigger/send", `{"canvas_id":"canvas","recipients":[{"external_user_id":"a"},{"external_user_id":"nobody"}]}`)
		pass(time.Minute)
		if e := l.of("users.canvas.Entry", "a"); len(e) != 1 || e[0].Properties["canvas_id"] != "canvas" || e[0].Properties["campaign_id"] != nil {
			t.Errorf("%+v", e)
		}
		if e := l.of("users.messages.pushnotification.Send", "a"); len(e) != 1 || e[0].Properties["platform"] != "ios" {
			t.Errorf("%+v", e)
		}
		if e := l.of("users.messages.email.Send", ""); len(e) > 0 {
			t.Errorf("email to %+v", e)
		}
	})
}

func TestOnlyAChangedSubscriptionIsReported(t *testing.T) {
	reporting(t, brazefake.Currents{}, func(t *testing.T, s *brazefake.Sandbox, l *listener) {
		knows(t, s, "a")
		for range 2 {
			call(s, http.MethodPost, "/subscription/status/set", `{"subscription_group_id":"9e2f6a44-71b8-4c55-9a0b-2f1d8c3e5a10","subscription_state":"unsubscribed","external_id":"a"}`)
		}
		call(s, http.MethodPost, "/email/status", `{"email":"a@example.org","subscription_state":"opted_in"}`)
		tracked(t, s, `{"attributes":[{"external_id":"a","email_subscribe":"opted_in","subscription_groups":[{"subscription_group_id":"9e2f6a44-71b8-4c55-9a0b-2f1d8c3e5a10","subscription_state":"subscribed"}]}]}`)
		pass(time.Minute)
		var got []string
		for _, e := range l.of("users.behaviors.subscriptiongroup.StateChange", "a") {
			got = append(got, e.Properties["subscription_group_id"].(string)+" "+e.Properties["subscription_status"].(string)+" "+e.Properties["state_change_source"].(string))
		}
		for _, e := range l.of("users.behaviors.subscription.GlobalStateChange", "a") {
			got = append(got, e.Properties["channel_identifier"].(string)+" "+e.Properties["subscription_status"].(string))
		}
		want := []string{"9e2f6a44-71b8-4c55-9a0b-2f1d8c3e5a10 Unsubscribed REST API", "9e2f6a44-71b8-4c55-9a0b-2f1d8c3e5a10 Subscribed REST API", "a@example.org Opted In"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestMarketingAnswersWhatCustomersDo(t *testing.T) {
	reporting(t, brazefake.Currents{Marketing: 1}, func(t *testing.T, s *brazefake.Sandbox, l *listener) {
		tracked(t, s, `{"events":[{"external_id":"a","name":"Cart Updated","time":"1999-03-02T09:15:03Z"}]}`)
		pass(time.Minute)
		if e := l.of("users.messages.pushnotification.Send", "a"); len(e) != 1 || e[0].Properties["campaign_name"] != "After Cart Updated" {
			t.Errorf("%+v", e)
		}
	})
}

func TestAWebhookIsTriedAndItsFailuresAreReported(t *testing.T) {
	reporting(t, brazefake.Currents{}, func(t *testing.T, s *brazefake.Sandbox, l *listener) {
		knows(t, s, "a")
		l.broken = true
		status, answer := call(s, http.MethodPost, "/_sandbox/webhooks", `{"name":"form","user":"a","body":{"external_id":"a","shoe_size":42}}`)
		if status != http.StatusAccepted {
			t.Fatalf("answered %d %s", status, answer)
		}
		pass(time.Hour)
		if len(l.hooks) != 6 || l.hooks[0] != `/hooks/form {"external_id":"a","shoe_size":42}` {
			t.Errorf("%q came", l.hooks)
		}
		failures := l.of("users.messages.webhook.Failure", "a")
		if len(failures) != 6 || failures[5].Properties["is_terminal"] != true || failures[0].Properties["http_status_code"] != 500.0 {
			t.Errorf("%d failures, %+v", len(failures), failures)
		}
		if sent := l.of("users.messages.webhook.Send", "a"); len(sent) != 1 {
			t.Errorf("sent %d times", len(sent))
		}
	})
}

func TestAWebhookThatCannotBeIsRefused(t *testing.T) {
	reporting(t, brazefake.Currents{}, func(t *testing.T, s *brazefake.Sandbox, _ *listener) {
		for _, body := range []string{`{"name":"../x","body":{}}`, `{"name":"form","body":"text"}`, `{"name":"form"}`, `{"body":{}}`, `{`} {
			if status, _ := call(s, http.MethodPost, "/_sandbox/webhooks", body); status != http.StatusBadRequest {
				t.Errorf("%s is answered %d", body, status)
			}
		}
	})
	if status, _ := call(brazefake.New(brazefake.Options{}), http.MethodPost, "/_sandbox/webhooks", `{"name":"form","body":{}}`); status != http.StatusConflict {
		t.Errorf("without a receiver: %d", status)
	}
}

func TestTheBooksOfCurrentsAreShown(t *testing.T) {
	reporting(t, brazefake.Currents{}, func(t *testing.T, s *brazefake.Sandbox, _ *listener) {
		tracked(t, s, `{"events":[{"external_id":"a","name":"Visit <b>","time":"1999-03-02T09:15:03Z"}]}`)
		pass(time.Minute)
		_, body := call(s, http.MethodGet, "/_sandbox/currents?fate=sent", "")
		var report outgoing.Report
		if err := json.Unmarshal([]byte(body), &report); err != nil {
			t.Fatal(err)
		}
		if report.State != outgoing.Running || report.Sent != 1 || len(report.Events) != 1 {
			t.Errorf("%s", body)
		}
		if _, page := call(s, http.MethodGet, "/_sandbox/", ""); !strings.Contains(page, "users.behaviors.CustomEvent") || strings.Contains(page, "Visit <b>") {
			t.Error("the page does not show the event, or not safely")
		}
	})
}

func TestTheCollectorTellsDoublesByTheirIDs(t *testing.T) {
	s := brazefake.New(brazefake.Options{})
	for _, body := range []string{
		`[{"id":"1","event_type":"t.A"},{"id":"2","event_type":"t.B"}]`,
		`{"id":"3","event_type":"t.A"}`,
		"{\"id\":\"4\",\"event_type\":\"t.A\"}\n{\"id\":\"1\",\"event_type\":\"t.A\"}\n",
		`{"events":[{"id":"2","event_type":"t.B"},{"event_type":"t.B"}]}`,
		``,
	} {
		if status, answer := call(s, http.MethodPost, "/_sandbox/collector", body); status != http.StatusOK {
			t.Errorf("%s is answered %d %s", body, status, answer)
		}
	}
	got := s.Collected(0)
	want := brazefake.Collection{Requests: 5, Events: 7, Distinct: 4, Doubled: 2, NoID: 1, Types: map[string]int{"t.A": 3, "t.B": 2}, Last: []brazefake.Collected{}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, body := range []string{`{"id":`, `"text"`, `[1,`, `42`} {
		if status, _ := call(s, http.MethodPost, "/_sandbox/collector", body); status != http.StatusBadRequest {
			t.Errorf("%s is answered %d", body, status)
		}
	}
	s.Reset()
	if got := s.Collected(0); got.Events != 0 {
		t.Errorf("after a reset there are %+v", got)
	}
}

// TestWhatIsReportedIsInTheCatalogue holds every type that the sandbox reports to what Braze documents of it.
func TestWhatIsReportedIsInTheCatalogue(t *testing.T) {
	reporting(t, brazefake.Currents{Marketing: 1, Options: outgoing.Options{Seed: 5}}, func(t *testing.T, s *brazefake.Sandbox, l *listener) {
		l.broken = true
		for i := range 60 {
			id := fmt.Sprintf("u-%d", i)
			email := `,"email":"` + id + `@example.org"`
			if i%4 == 0 {
				email = `,"phone":"+447700900123"`
			}
			tracked(t, s, `{"attributes":[{"external_id":"`+id+`","time_zone":"Europe/Vienna"`+email+`}],
				"events":[{"external_id":"`+id+`","name":"Visit Booked","app_id":"app","time":"1999-03-02T09:15:03Z","properties":{"a":1}}],
				"purchases":[{"external_id":"`+id+`","product_id":"P","currency":"EUR","price":1.5,"time":"1999-03-02T09:15:03Z"}]}`)
			call(s, http.MethodPost, "/canvas/trigger/send", `{"canvas_id":"canvas","recipients":[{"external_user_id":"`+id+`"}]}`)
			call(s, http.MethodPost, "/campaigns/trigger/send", `{"campaign_id":"camp","send_id":"s","recipients":[{"external_user_id":"`+id+`"}]}`)
			call(s, http.MethodPost, "/subscription/status/set", `{"subscription_group_id":"g","subscription_state":"subscribed","external_id":"`+id+`"}`)
			call(s, http.MethodPost, "/_sandbox/webhooks", `{"name":"form","user":"`+id+`","body":{}}`)
		}
		pass(time.Hour)
		types := map[string]int{}
		for _, e := range l.events {
			types[e.Type]++
			typ, known := currents.Lookup(e.Type)
			if !known {
				t.Fatalf("there is no type %s", e.Type)
			}
			for _, f := range typ.Fields {
				from := e.Properties
				if f.In == currents.InUser {
					from = e.User
				}
				if f.Required && f.Only != currents.Avro && from[f.Name] == nil {
					t.Fatalf("%s lacks %s in %s", e.Type, f.Name, f.In)
				}
			}
			read, err := currents.Read(e.whole, "", time.Now())
			if err != nil {
				t.Fatal(err)
			}
			if drifts := currents.Drifts(&read); len(drifts) > 0 {
				t.Fatalf("%s differs from the catalogue: %+v", e.Type, drifts)
			}
		}
		if len(types) < 14 {
			t.Errorf("only these types were reported: %v", types)
		}
	})
}

func TestATestEventOfEachTypeIsSent(t *testing.T) {
	reporting(t, brazefake.Currents{}, func(t *testing.T, s *brazefake.Sandbox, l *listener) {
		for range 2 {
			if status, answer := call(s, http.MethodPost, "/_sandbox/currents/test", ""); status != http.StatusAccepted {
				t.Fatal(status, answer)
			}
		}
		pass(time.Minute)
		ids, types := map[string]bool{}, map[string]bool{}
		for _, e := range l.events {
			ids[e.ID], types[e.Type] = true, true
		}
		if n := len(currents.Types()); len(types) != n || len(ids) != 2*n {
			t.Errorf("%d events of %d types came, want %d types twice", len(ids), len(types), n)
		}
	})
}
