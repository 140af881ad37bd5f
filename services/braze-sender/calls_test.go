package brazesender_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/braze/brazefake"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
)

// everyKind is a file of routes with everything that a route may send.
const everyKind = `
routes:
  - name: cart
    match: {topic: customer.events, event: Cart Abandoned}
    send:
      - event: {pick: [total, seq], rename: {total: cart_value}, existing_only: true}
      - campaign: {id: c-cart, properties: {seq: .properties.seq, total: .properties.total}}
  - name: welcome
    match: {topic: customer.events, event: Signed Up}
    continue: true
    send:
      - canvas: {id: x-welcome, properties: {seq: .properties.seq}}
  - name: reset
    match: {topic: customer.events, event: Password Forgotten}
    send:
      - transactional: {id: t-reset, properties: {seq: .properties.seq}}
  - name: consent
    match: {topic: customer.events, event: Consent Given}
    send:
      - subscription: {group: 9e2f6a44-71b8-4c55-9a0b-2f1d8c3e5a10, state: subscribed}
  - name: internal
    match: {topic: customer.events, event: Internal}
    send:
      - skip: of no interest to Braze
  - name: payment
    match: {topic: commerce.events, event: payment_failed}
    send:
      - campaign: {id: c-pay, properties: {amount: .total, order: .order_id}}
      - canvas: {id: x-pay}
  - name: sold
    match: {topic: commerce.events, event: order_placed}
    continue: true
    send:
      - purchase: {each: ".lines[]"}
`

// newsletter is the subscription group of everyKind.
const newsletter = "9e2f6a44-71b8-4c55-9a0b-2f1d8c3e5a10"

// longAgo is when things happen whose requests are compared byte by byte.
var longAgo = time.Date(2026, 3, 4, 5, 6, 7, 89_000_000, time.UTC)

// said is an event with a name and properties.
func said(id string, u event.User, name, properties string) event.Event {
	e := event.Event{ID: id, User: u, Name: name, Kind: event.KindTrack, OccurredAt: longAgo, ReceivedAt: longAgo, Source: "shop"}
	if properties != "" {
		e.Properties = []byte(properties)
	}
	return e
}

// TestEveryKindOfSendIsTheRequestThatWasReviewed compares what goes over the wire, one record at a time,
// with a file that was reviewed once, and has the sandbox take all of it. GOLDEN=write rewrites the file.
func TestEveryKindOfSendIsTheRequestThatWasReviewed(t *testing.T) {
	t.Parallel()
	s := newSandboxScene(t, brazefake.Options{})
	s.route(t, everyKind)
	known := event.User{ExternalID: "crm-1"}
	alias := event.User{AliasLabel: "shop", AliasName: "a-1"}
	email := event.User{Email: "Mira@example.com"}
	phone := event.User{Phone: "+4312345678"}
	bought := order("crm-1", "so-1", event.OrderPlaced)
	failed := order("crm-1", "so-1", event.PaymentFailed)
	failed.ID = "evt-1"
	r := s.start(t)
	s.produce(t, said("hello-1", known, "Hello", ""), said("hello-2", alias, "Hello", ""))
	s.awaitSettled(t)
	s.front.seen()

	var got bytes.Buffer
	show := func(title string) {
		t.Helper()
		s.awaitSettled(t)
		fmt.Fprintf(&got, "# %s\n", title)
		for _, w := range s.front.seen() {
			if w.Status < 200 || w.Status > 299 {
				t.Errorf("%s: %s was answered %d", title, w.Path, w.Status)
			}
			fmt.Fprintf(&got, "POST %s\n", w.Path)
			if err := json.Indent(&got, []byte(w.Body), "", "  "); err != nil {
				t.Fatalf("%s: %v in %s", title, err, w.Body)
			}
			got.WriteString("\n")
		}
		got.WriteString("\n")
	}
	s.produce(t, said("e-1", known, "Cart Abandoned", `{"total":84.90,"seq":820982911946154508,"other":1}`))
	show("an event for existing users, with picked properties, and a campaign")
	s.produce(t, said("e-2", known, "Signed Up", `{"seq":2}`))
	show("a Canvas, and the event as it is")
	s.produce(t, said("e 3/ü", known, "Password Forgotten", `{"seq":3}`))
	show("a transactional send")
	for _, u := range []struct {
		name string
		user event.User
	}{{"external id", known}, {"email", email}, {"phone", phone}, {"alias: as an attribute", alias}} {
		s.produce(t, said("consent-"+u.name, u.user, "Consent Given", ""))
		show("a subscription by " + u.name)
	}
	s.produce(t, said("e-4", known, "Internal", ""))
	show("a record that is skipped")
	s.produceCommerce(t, bought)
	show("purchases, one of each line, and the recommended event")
	s.produceCommerce(t, failed)
	show("a campaign and a Canvas for a commerce event")

	r.assertBooks(t, 0)
	r.drain(t)
	s.assertManners(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 11, outcome.Skipped: 1})
	slips := byID(s.receipts(t))
	if got, want := slips["e-4"].Outcome, (outcome.Outcome{Kind: outcome.Skipped, Reason: "routed", Detail: "of no interest to Braze"}); got != want {
		t.Errorf("the skipped record: %+v, want %+v", got, want)
	}
	for id, endpoint := range map[string]string{
		"e-1": "/campaigns/trigger/send", "e-2": "/users/track", "e 3/ü": "/transactional/v1/campaigns/{campaign_id}/send",
		"consent-email": "/subscription/status/set", "evt-1": "/canvas/trigger/send",
	} {
		if slips[id].Endpoint != endpoint {
			t.Errorf("the last request of %s was to %q, want %q", id, slips[id].Endpoint, endpoint)
		}
	}
	if p, _ := s.front.sandbox.Profile("crm-1"); p.Subscriptions[newsletter] != "subscribed" || len(p.Purchases) != 2 {
		t.Errorf("crm-1 has subscriptions %v and %d purchases", p.Subscriptions, len(p.Purchases))
	}
	if p, _ := s.front.sandbox.Profile("alias:shop:a-1"); p.Subscriptions[newsletter] != "subscribed" {
		t.Errorf("the alias has subscriptions %v", p.Subscriptions)
	}
	golden(t, "testdata/calls.golden", got.String())
}

// golden compares with a reviewed file.
func golden(t *testing.T, path, got string) {
	t.Helper()
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
		t.Errorf("(-reviewed +now)\n%s", diff)
	}
}

func TestRecipientsOfManyUsersShareARequestAndNobodyIsInItTwice(t *testing.T) {
	t.Parallel()
	s := newSandboxScene(t, brazefake.Options{Knobs: brazefake.Knobs{LatencyMin: time.Millisecond, LatencyMax: 5 * time.Millisecond}})
	s.route(t, `routes: [{name: r, match: {topic: customer.events}, continue: true, send: [{campaign: {id: c-1, properties: {seq: .properties.seq}}}]}]`)
	s.config.Sender.Linger = 50 * time.Millisecond
	const users, each = 120, 4
	s.produce(t, crowd(users, 1)...) // so that the users exist
	r := s.start(t)
	s.awaitSettled(t)
	s.front.seen()
	s.produce(t, crowd(users, 1+each)[users:]...)
	s.awaitSettled(t)
	r.assertBooks(t, 0)
	r.drain(t)
	s.assertManners(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: users * (1 + each)})
	campaigns, recipients := 0, 0
	for _, w := range s.front.seen() {
		if w.Path != "/campaigns/trigger/send" {
			continue
		}
		campaigns++
		inIt := map[string]bool{}
		things := w.things(t)
		recipients += len(things)
		for _, th := range things {
			if inIt[th.User] {
				t.Errorf("%s is twice in one request", th.User)
			}
			inIt[th.User] = true
		}
		if len(things) > 50 {
			t.Errorf("a request with %d recipients", len(things))
		}
	}
	if recipients != users*each {
		t.Errorf("%d recipients, want %d", recipients, users*each)
	}
	if most := users * each / 10; campaigns > most {
		t.Errorf("%d requests for %d recipients, want at most %d", campaigns, recipients, most)
	}
}

// mixture is a crowd of which every record asks for something else than the one before it.
func mixture(users, each int) (events []event.Event, want map[string][]thing) {
	want = map[string][]thing{}
	for seq := range each {
		for u := range users {
			user := fmt.Sprintf("user-%d", u)
			e := newEvent(user, seq)
			n := fmt.Sprint(seq)
			add := func(what, seq string) { want[user] = append(want[user], thing{user, what, seq}) }
			switch (seq + u) % 5 {
			case 0:
				add("happened", n)
			case 1:
				e.Name = "Cart Abandoned"
				add("Cart Abandoned", n)
				add("campaign c-cart", n)
			case 2:
				e.Name = "Signed Up"
				add("campaign x-welcome", n)
				add("Signed Up", n)
			case 3:
				e.Name = "Password Forgotten"
				add("transactional", n)
			case 4:
				e.Name = "Consent Given"
				add("subscribed "+newsletter, "")
			}
			events = append(events, e)
		}
	}
	return events, want
}

func TestAUserIsInOneRequestAtATimeOverAllEndpoints(t *testing.T) {
	t.Parallel()
	for name, knobs := range map[string]brazefake.Knobs{
		"while all goes well":                 {LatencyMax: 8 * time.Millisecond},
		"while requests fail and are unheard": {LatencyMax: 4 * time.Millisecond, P5xxBefore: 0.03, PDropBefore: 0.03},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSandboxScene(t, brazefake.Options{Knobs: knobs, Seed: 7})
			s.route(t, everyKind)
			const users, each = 25, 10
			events, want := mixture(users, each)
			s.produce(t, events...)
			r := s.start(t)
			s.awaitSettled(t)
			r.assertBooks(t, 0)
			r.drain(t)
			s.assertManners(t)
			s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: users * each})
			got := accepted(t, s.front.seen())
			for user, list := range want {
				if diff := cmp.Diff(list, got[user]); diff != "" {
					t.Errorf("%s (-asked for +done)\n%s", user, diff)
				}
			}
		})
	}
}

func TestASendWithAnIDIsRepeatedAfterALostAnswerEvenWhereOthersAreParked(t *testing.T) {
	t.Parallel()
	s := newSandboxScene(t, brazefake.Options{})
	s.route(t, everyKind)
	s.config.Sender.InDoubt = "park"
	var once sync.Once
	s.front.script(func(w wire) (answer reply) {
		if strings.HasPrefix(w.Path, "/transactional/") {
			once.Do(func() { answer = reply{status: dropConnection, passOn: true} })
		}
		return answer
	})
	e := newEvent("u", 1)
	e.Name = "Password Forgotten"
	s.produce(t, newEvent("u", 0), e, newEvent("u", 2))
	r := s.start(t)
	slips := byID(s.awaitSettled(t))
	r.assertBooks(t, 0)
	r.drain(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 3})
	if n := slips["u-1"].Attempts; n != 2 {
		t.Errorf("%d attempts, want 2", n)
	}
	var bodies []string
	for _, w := range s.front.seen() {
		if strings.HasPrefix(w.Path, "/transactional/") {
			bodies = append(bodies, w.Body)
		}
	}
	if len(bodies) != 2 || bodies[0] != bodies[1] || !strings.Contains(bodies[0], `"external_send_id"`) {
		t.Errorf("the requests were %q, want the same twice, with an id", bodies)
	}
	if sends := s.front.sandbox.Sends(); len(sends) != 1 {
		t.Errorf("Braze has sent %d messages, want 1", len(sends))
	}
}

func TestAnEventForExistingUsersCreatesNobody(t *testing.T) {
	t.Parallel()
	s := newSandboxScene(t, brazefake.Options{})
	s.route(t, `routes: [{name: r, match: {topic: customer.events, event: Seen}, send: [{event: {existing_only: true}}]}]`)
	s.produce(t, said("1", event.User{ExternalID: "known"}, "Hello", ""), said("2", event.User{ExternalID: "known"}, "Seen", ""), said("3", event.User{ExternalID: "stranger"}, "Seen", ""))
	r := s.start(t)
	s.awaitSettled(t)
	r.drain(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 3})
	if _, exists := s.front.sandbox.Profile("stranger"); exists {
		t.Error("the stranger has a profile now")
	}
	if p, _ := s.front.sandbox.Profile("known"); len(p.Events) != 2 {
		t.Errorf("the known user has %d events, want 2", len(p.Events))
	}
}

func TestARecordThatARouteCannotServeIsRefusedWithTheRouteNamed(t *testing.T) {
	t.Parallel()
	s := newSandboxScene(t, brazefake.Options{})
	s.route(t, everyKind)
	s.produce(t, said("1", event.User{Phone: "+4312345678"}, "Cart Abandoned", `{"total":1}`), said("2", event.User{Phone: "+4312345678"}, "Hello", ""))
	r := s.start(t)
	slips := byID(s.awaitSettled(t))
	r.assertBooks(t, 0)
	r.drain(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 1, outcome.Refused: 1})
	if o := slips["1"].Outcome; o.Reason != "route_failed" || !strings.Contains(o.Detail, "route cart") {
		t.Errorf("%+v, want the route named", o)
	}
	if l := s.letters(t); len(l) != 1 || l[0].EventID != "1" || l[0].Reason != "route_failed" {
		t.Errorf("%d dead letters: %s", len(l), summary(l))
	}
}

func TestTheUrgentGoFirstAndThePastGoesLast(t *testing.T) {
	t.Parallel()
	s := newSandboxScene(t, brazefake.Options{})
	s.route(t, everyKind)
	s.config.Sender.InFlight = 1
	underWay, release := make(chan struct{}), make(chan struct{})
	var first sync.Once
	s.front.script(func(wire) reply {
		first.Do(func() {
			close(underWay)
			<-release
		})
		return reply{}
	})
	s.produce(t, newEvent("first", 0))
	r := s.start(t)
	<-underWay
	var past []*stream.Record
	for i := range 150 {
		e := newEvent(fmt.Sprintf("past-%d", i), 0)
		past = append(past, &stream.Record{
			Key: []byte(e.User.Key()), Value: avro.AppendEvent(nil, s.ids[schema.CustomerEvents], &e),
			Headers: []stream.Header{{Key: "priority", Value: []byte("backfill")}},
		})
	}
	s.produceRaw(t, past...)
	s.produce(t, crowd(150, 1)...)
	e := newEvent("urgent", 0)
	e.Name = "Password Forgotten"
	s.produce(t, e)
	s.awaitGauge(t, r, 302)
	<-time.After(50 * time.Millisecond) // what is taken has reached its lane
	close(release)
	s.awaitSettled(t)
	r.assertBooks(t, 0)
	r.drain(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 302})
	var order []string
	for _, w := range s.front.seen() {
		kind, _, _ := strings.Cut(w.things(t)[0].User, "-")
		if n := len(order); n == 0 || order[n-1] != kind {
			order = append(order, kind)
		}
	}
	if diff := cmp.Diff([]string{"first", "urgent", "user", "past"}, order); diff != "" {
		t.Errorf("requests by whose they were (-want +got)\n%s", diff)
	}
}

// awaitGauge waits until the sender holds n records.
func (s *scene) awaitGauge(t *testing.T, r *running, n float64) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(30 * time.Second)
	for r.sum(t, "sluice_sender_held") != n {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("%v records are held, want %v", r.sum(t, "sluice_sender_held"), n)
		}
	}
}
