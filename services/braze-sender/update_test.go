package brazesender_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/braze/brazefake"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/stream"
)

// differs is an update of attributes.
func differs(id string, u event.User, attributes string) event.Update {
	return event.Update{ID: id, User: u, OccurredAt: longAgo, DecidedAt: longAgo, Attributes: []byte(attributes), DataPoints: 1}
}

// triggers is an update that something follows from.
func triggers(id string, u event.User, name, properties string) event.Update {
	t := event.Update{
		ID: id, User: u, OccurredAt: longAgo, DecidedAt: longAgo, Trigger: name,
		Causes: []event.Cause{{ID: "z-1", Source: "zendesk", Topic: "support.cases", Partition: 1, Offset: 7}},
	}
	if properties != "" {
		t.Properties = []byte(properties)
	}
	return t
}

// surveyRoute sends a campaign for a trigger, and skips another.
const surveyRoute = `
routes:
  - name: survey
    match: {topic: braze.attributes, event: support_survey_due, source: zendesk}
    send:
      - campaign: {id: c-survey, properties: {case: .properties.case_id, what: .trigger_name, was: ".causes[0].event_id"}}
  - name: win-back
    match: {topic: braze.attributes, event: support_win_back_due}
    send:
      - skip: nobody is won back yet
`

// TestUpdatesAreTheRequestsThatWereReviewed compares what goes over the wire, one record at a time, with a
// file that was reviewed once, and has the sandbox take all of it. GOLDEN=write rewrites the file.
func TestUpdatesAreTheRequestsThatWereReviewed(t *testing.T) {
	t.Parallel()
	s := newSandboxScene(t, brazefake.Options{})
	s.route(t, surveyRoute)
	s.config.Sender.UserSpacing = 0
	known := event.User{ExternalID: "crm-1"}
	cases := []struct {
		title  string
		update event.Update
		what   outcome.Outcome // without the words
	}{
		{"attributes by external id, null among them", differs("u-1", known, `{"plan":"gold","city":null,"since":"2026-03-04T05:06:07Z"}`), outcome.Outcome{Kind: outcome.Delivered}},
		{"by an alias, which has a profile made for it", differs("u-2", event.User{AliasLabel: "shop", AliasName: "a-1"}, `{"plan":"free"}`), outcome.Outcome{Kind: outcome.Delivered}},
		{"by email", differs("u-3", event.User{Email: "Mira@example.com"}, `{"plan":"free"}`), outcome.Outcome{Kind: outcome.Delivered}},
		{"operators", differs("u-4", known, `{"visits":{"inc":820982911946154508},"tags":{"add":["a"],"remove":["b"]},"cars":{"$add":[{"id":1}]}}`), outcome.Outcome{Kind: outcome.Delivered}},
		{"objects that are merged", differs("u-5", known, `{"_merge_objects":true,"cars":{"$update":[{"$identifier_key":"id","$identifier_value":1,"$new_object":{"color":"red"}}]}}`), outcome.Outcome{Kind: outcome.Delivered}},
		{"subscription groups", differs("u-6", known, `{"subscription_groups":[{"subscription_group_id":"`+newsletter+`","subscription_state":"subscribed"}]}`), outcome.Outcome{Kind: outcome.Delivered}},
		{"a trigger without a route is an event", triggers("u-7", known, "case_opened", `{"case_id":"c-1"}`), outcome.Outcome{Kind: outcome.Delivered}},
		{"a trigger with a route is what the route says", triggers("u-8", known, "support_survey_due", `{"case_id":"c-1"}`), outcome.Outcome{Kind: outcome.Delivered}},
		{"attributes come before what they trigger", both(differs("u-9", known, `{"at_risk":true}`), "case_escalated"), outcome.Outcome{Kind: outcome.Delivered}},
		{"attributes go though their trigger is skipped", both(differs("u-10", known, `{"at_risk":false}`), "support_win_back_due"), outcome.Outcome{Kind: outcome.Delivered}},
		{"a trigger that is skipped", triggers("u-11", known, "support_win_back_due", ""), outcome.Outcome{Kind: outcome.Skipped, Reason: "routed"}},
		{"an update that tells only what came to nothing", event.Update{
			ID: "u-12", User: known, OccurredAt: longAgo, DecidedAt: longAgo,
			Declined: []event.Declined{{ID: "p-1", Source: "crm", Field: "plan", Reason: "stale"}},
		}, outcome.Outcome{Kind: outcome.Skipped, Reason: "nothing_to_send"}},
		{"an update of no attributes", differs("u-13", known, `{}`), outcome.Outcome{Kind: outcome.Skipped, Reason: "nothing_to_send"}},
		{"attributes that name somebody else", differs("u-14", known, `{"external_id":"crm-2"}`), outcome.Outcome{Kind: outcome.Refused, Reason: "invalid"}},
		{"attributes that are no object", differs("u-15", known, `["plan"]`), outcome.Outcome{Kind: outcome.Refused, Reason: "invalid"}},
		{"attributes that leave their object", differs("u-16", known, `{"a":1}},"x":{"b":2}`), outcome.Outcome{Kind: outcome.Refused, Reason: "invalid"}},
		{"a merge that is neither true nor false", differs("u-17", known, `{"_merge_objects":"yes","a":{"b":1}}`), outcome.Outcome{Kind: outcome.Refused, Reason: "invalid"}},
		{"a trigger with properties that Braze reserves", triggers("u-18", known, "case_opened", `{"time":1}`), outcome.Outcome{Kind: outcome.Refused, Reason: "invalid"}},
	}
	r := s.start(t)
	var got bytes.Buffer
	counts := map[outcome.Kind]int{}
	for _, c := range cases {
		s.produceUpdates(t, c.update)
		slip := byID(s.awaitSettled(t))[c.update.ID]
		if slip.Outcome.Kind != c.what.Kind || slip.Outcome.Reason != c.what.Reason {
			t.Errorf("%s: %+v, want %+v", c.title, slip.Outcome, c.what)
		}
		if want := map[bool]string{true: "attribute-sync"}[c.update.Trigger != ""]; slip.Source != want {
			t.Errorf("%s: its receipt has the source %q, want %q", c.title, slip.Source, want)
		}
		counts[c.what.Kind]++
		fmt.Fprintf(&got, "# %s\n", c.title)
		for _, w := range s.front.seen() {
			if w.Status < 200 || w.Status > 299 {
				t.Errorf("%s: %s was answered %d", c.title, w.Path, w.Status)
			}
			fmt.Fprintf(&got, "POST %s\n", w.Path)
			if err := json.Indent(&got, []byte(w.Body), "", "  "); err != nil {
				t.Fatalf("%s: %v in %s", c.title, err, w.Body)
			}
			got.WriteString("\n")
		}
		got.WriteString("\n")
	}
	r.assertBooks(t, 0)
	r.drain(t)
	s.assertManners(t)
	s.assertLaw(t, counts)
	golden(t, "testdata/updates.golden", got.String())
}

func both(u event.Update, trigger string) event.Update {
	u.Trigger = trigger
	return u
}

// told is what a profile ought to be after all updates, by a model that applies one after the other.
type told struct {
	set    map[string]string
	visits int
	tags   []string
	groups map[string]string
}

// chance makes the nth update of a user, and tells the model.
func (m *told) chance(r *rand.Rand, n int) string {
	switch r.IntN(12) {
	case 0:
		m.visits++
		return `{"visits":{"inc":1}}`
	case 1:
		tag := fmt.Sprint("t", r.IntN(4))
		m.tags = append(slices.DeleteFunc(m.tags, func(x string) bool { return x == tag }), tag)
		return `{"tags":{"add":["` + tag + `"]}}`
	case 2:
		tag := fmt.Sprint("t", r.IntN(4))
		m.tags = slices.DeleteFunc(m.tags, func(x string) bool { return x == tag })
		return `{"tags":{"remove":["` + tag + `"]}}`
	case 3:
		group, state := fmt.Sprintf("9e2f6a44-71b8-4c55-9a0b-2f1d8c3e5a1%d", r.IntN(2)), []string{"subscribed", "unsubscribed"}[r.IntN(2)]
		m.groups[group] = state
		return `{"subscription_groups":[{"subscription_group_id":"` + group + `","subscription_state":"` + state + `"}]}`
	case 4:
		m.set["city"] = fmt.Sprint(n)
		return fmt.Sprintf(`{"city":%d}`, n)
	}
	m.set["plan"], m.set["city"] = fmt.Sprint(n), fmt.Sprint(-n)
	return fmt.Sprintf(`{"plan":%d,"city":%d}`, n, -n)
}

// TestWhateverFoldsTheProfileIsThatOfAllUpdatesInTurn: bursts fold, operators keep their order, and events of
// the customer among them change nothing.
func TestWhateverFoldsTheProfileIsThatOfAllUpdatesInTurn(t *testing.T) {
	t.Parallel()
	s := newSandboxScene(t, brazefake.Options{Knobs: brazefake.Knobs{LatencyMax: 3 * time.Millisecond}})
	s.config.Sender.UserSpacing = 2 * time.Millisecond
	dice := rand.New(rand.NewPCG(4, 2))
	const users, each = 40, 30
	want := map[string]*told{}
	for n := range each {
		for u := range users {
			user := fmt.Sprint("user-", u)
			if want[user] == nil {
				want[user] = &told{set: map[string]string{}, groups: map[string]string{}}
			}
			s.produceUpdates(t, differs(fmt.Sprintf("%s-u%d", user, n), event.User{ExternalID: user}, want[user].chance(dice, n)))
			if dice.IntN(5) == 0 {
				s.produce(t, newEvent(user, n))
			}
		}
	}
	r := s.start(t)
	s.awaitSettled(t)
	r.assertBooks(t, 0)
	r.drain(t)
	s.assertManners(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: s.produced})
	objects := 0
	for _, w := range s.front.seen() {
		objects += strings.Count(w.Body, `"external_id"`)
	}
	if objects > s.produced*9/10 {
		t.Errorf("%d objects for %d records: hardly anything has folded", objects, s.produced)
	}
	for user, m := range want {
		p, _ := s.front.sandbox.Profile(user)
		got := told{set: map[string]string{}, groups: p.Subscriptions}
		for name, value := range p.Custom {
			switch name {
			case "visits":
				_ = json.Unmarshal(value, &got.visits)
			case "tags":
				_ = json.Unmarshal(value, &got.tags)
			default:
				got.set[name] = string(value)
			}
		}
		if got.groups == nil {
			got.groups = map[string]string{}
		}
		if len(got.tags) == 0 && len(m.tags) == 0 {
			got.tags, m.tags = nil, nil
		}
		if !maps.Equal(got.set, m.set) || got.visits != m.visits || !slices.Equal(got.tags, m.tags) || !maps.Equal(got.groups, m.groups) {
			t.Errorf("%s: the profile is %+v, want %+v", user, got, *m)
		}
	}
}

// TestARefusedUpdateSaysSoInBrazesWords: who keeps the difference has to learn of it. Of what has folded
// only the record at fault is refused.
func TestARefusedUpdateSaysSoInBrazesWords(t *testing.T) {
	t.Parallel()
	s := newSandboxScene(t, brazefake.Options{})
	s.config.Sender.UserSpacing = 5 * time.Millisecond
	s.front.script(func(w wire) reply {
		if strings.Contains(w.Body, `"bad"`) {
			return reply{status: http.StatusCreated, body: `{"message":"success","errors":[{"index":0,"input_array":"attributes","type":"plan is not a text"}]}`}
		}
		return reply{}
	})
	u := event.User{ExternalID: "u"}
	s.produceUpdates(t, differs("1", u, `{"city":"Wien"}`), differs("2", u, `{"plan":"bad"}`), differs("3", u, `{"city":"Graz"}`))
	r := s.start(t)
	slips := byID(s.awaitSettled(t))
	r.assertBooks(t, 0)
	r.drain(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 2, outcome.Refused: 1})
	if o := slips["2"].Outcome; o != (outcome.Outcome{Kind: outcome.Refused, Reason: "item_error", Detail: "attributes: plan is not a text"}) {
		t.Errorf("the receipt says %+v", o)
	}
	if l := s.letters(t); len(l) != 1 || l[0].EventID != "2" || !strings.HasSuffix(l[0].OriginTopic, "braze.attributes") {
		t.Errorf("%d dead letters: %s", len(l), summary(l))
	}
	if p, _ := s.front.sandbox.Profile("u"); string(p.Custom["city"]) != `"Graz"` && string(p.Attributes["city"]) != `"Graz"` {
		t.Errorf("the city is %s %s", p.Custom["city"], p.Attributes["city"])
	}
}

// TestWhatComesApartInTheHalvesOfARefusedRequestKeepsItsDistance: two values that folded are written by two
// requests once the whole was refused, and Braze may apply those in either order.
func TestWhatComesApartInTheHalvesOfARefusedRequestKeepsItsDistance(t *testing.T) {
	t.Parallel()
	for place := range 4 {
		t.Run(fmt.Sprint("the culprit is in place ", place), func(t *testing.T) {
			t.Parallel()
			s := newSceneOf(t, 1)
			s.sandbox(t, brazefake.Options{})
			s.config.Sender.Linger, s.config.Sender.UserSpacing = 300*time.Millisecond, 400*time.Millisecond
			s.front.script(func(w wire) reply {
				if strings.Contains(w.Body, `"bad"`) {
					return reply{status: http.StatusBadRequest, body: `{"message":"bad"}`}
				}
				return reply{}
			})
			u := event.User{ExternalID: "u"}
			plans := []string{`"a"`, `"b"`, `"c"`, `"d"`}
			for i, plan := range plans {
				more := ""
				if i == place {
					more = `,"x":"bad"`
				}
				s.produceUpdates(t, differs(fmt.Sprint(i), u, `{"plan":`+plan+more+`}`))
			}
			r := s.start(t)
			s.awaitSettled(t)
			r.assertBooks(t, 0)
			r.drain(t)
			s.assertManners(t)
			s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 3, outcome.Refused: 1})
			var last string
			var at time.Time
			for _, w := range s.front.seen() {
				if w.Status != http.StatusCreated {
					continue
				}
				if gap := w.At.Sub(at); last != "" && last != w.Body && gap < s.config.Sender.UserSpacing {
					t.Errorf("%s came %v after %s", w.Body, gap, last)
				}
				last, at = w.Body, w.At
			}
			final := plans[3]
			if place == 3 {
				final = plans[2]
			}
			if p, _ := s.front.sandbox.Profile("u"); string(p.Custom["plan"]) != final {
				t.Errorf("the plan is %s, want %s", p.Custom["plan"], final)
			}
		})
	}
}

// TestAttributesOfOthersAreNotHeldUpByAHalvedFold: of a batch whose middle would cut a fold in two, the cut goes
// beside it, and nobody has to come again.
func TestAttributesOfOthersAreNotHeldUpByAHalvedFold(t *testing.T) {
	t.Parallel()
	s := newSceneOf(t, 1)
	s.sandbox(t, brazefake.Options{})
	s.config.Sender.Linger, s.config.Sender.UserSpacing = 500*time.Millisecond, 300*time.Millisecond
	s.front.script(func(w wire) reply {
		if strings.Contains(w.Body, `"bad"`) {
			return reply{status: http.StatusBadRequest, body: `{"message":"bad"}`}
		}
		return reply{}
	})
	var updates []event.Update
	for i := range 7 {
		user := event.User{ExternalID: fmt.Sprint("user-", i)}
		if i == 3 {
			for n := range 3 {
				updates = append(updates, differs(fmt.Sprintf("%d-%d", i, n), user, fmt.Sprintf(`{"plan":%d}`, n)))
			}
			continue
		}
		value := "1"
		if i == 6 {
			value = `"bad"`
		}
		updates = append(updates, differs(fmt.Sprint(i), user, `{"plan":`+value+`}`))
	}
	s.produceUpdates(t, updates...)
	r := s.start(t)
	slips := byID(s.awaitSettled(t))
	r.drain(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 8, outcome.Refused: 1})
	if o := slips["6"].Outcome; o.Kind != outcome.Refused {
		t.Errorf("the culprit: %+v", o)
	}
	if n := len(s.front.seen()); n > 5 {
		t.Errorf("%d calls, want 5 at most", n)
	}
}

// TestAttributesGoAfterWhatHappensAndBeforeThePast: each of the four priorities in turn.
func TestAttributesGoAfterWhatHappensAndBeforeThePast(t *testing.T) {
	t.Parallel()
	s := newSandboxScene(t, brazefake.Options{})
	s.route(t, urgentRoute)
	s.config.Sender.InFlight, s.config.Sender.UserSpacing = 1, 0
	underWay, release := make(chan struct{}), make(chan struct{})
	s.front.script(func(w wire) reply {
		if w.Place == 0 {
			close(underWay)
			<-release
		}
		return reply{}
	})
	s.produce(t, newEvent("first", 0))
	r := s.start(t)
	<-underWay
	var records []*stream.Record
	for i := range 100 {
		past := differs(fmt.Sprint("past-", i), event.User{ExternalID: fmt.Sprint("past-", i)}, `{"a":1}`)
		now := differs(fmt.Sprint("profile-", i), event.User{ExternalID: fmt.Sprint("profile-", i)}, `{"a":1}`)
		records = append(records, s.updateRecord(&past, "priority", "backfill"), s.updateRecord(&now), s.record(fmt.Sprint("live-", i), "happened", 0))
	}
	s.produceRaw(t, append(records, s.record("urgent", "urgent", 0))...)
	s.awaitGauge(t, r, 302)
	<-time.After(50 * time.Millisecond) // what is taken has reached its lane
	close(release)
	s.awaitSettled(t)
	r.assertBooks(t, 0)
	r.drain(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 302})
	var order []string
	for _, w := range s.front.seen() {
		_, rest, _ := strings.Cut(w.Body, `"external_id":"`)
		kind, _, _ := strings.Cut(rest, "-")
		if kind, _, _ = strings.Cut(kind, `"`); len(order) == 0 || order[len(order)-1] != kind {
			order = append(order, kind)
		}
	}
	if diff := cmp.Diff([]string{"first", "urgent", "live", "profile", "past"}, order); diff != "" {
		t.Errorf("requests by whose they were (-want +got)\n%s", diff)
	}
}

// TestUpdatesAndEventsOfACustomerKeepTheirOrder holds requests to the order in which the records were taken.
func TestUpdatesAndEventsOfACustomerKeepTheirOrder(t *testing.T) {
	t.Parallel()
	s := newSandboxScene(t, brazefake.Options{})
	s.config.Sender.UserSpacing = 0
	r := s.start(t)
	u := event.User{ExternalID: "u"}
	var first []string
	for i := range 6 { // one topic after the other, each before the next is taken
		if i%2 == 0 {
			s.produceUpdates(t, differs(fmt.Sprint("u-", i), u, fmt.Sprintf(`{"step":%d}`, i)))
		} else {
			s.produce(t, newEvent("u", i))
		}
		s.awaitSettled(t)
	}
	r.drain(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 6})
	for _, w := range s.front.seen() {
		kind, _, _ := strings.Cut(strings.TrimPrefix(w.Body, `{"`), `"`)
		first = append(first, kind)
	}
	if diff := cmp.Diff([]string{"attributes", "events", "attributes", "events", "attributes", "events"}, first); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestASupportCaseIsSentOnlyWhereARouteWantsIt: what follows from it is attribute-sync's affair.
func TestASupportCaseIsSentOnlyWhereARouteWantsIt(t *testing.T) {
	t.Parallel()
	s := newSandboxScene(t, brazefake.Options{})
	s.config.Sender.DedupWindow = time.Hour
	s.route(t, `
routes:
  - name: escalated
    match: {topic: support.cases, event: escalated}
    when: .severity == "urgent"
    send:
      - campaign: {id: c-sorry, properties: {case: .case_id}}
      - event: {name: Case Escalated, properties: {case: .case_id, more: .metadata}}
`)
	say := func(id string, what event.CaseEvent, severity event.Severity) event.Case {
		return event.Case{
			ID: id, User: event.User{ExternalID: "u"}, CaseID: "4711", Event: what, Severity: severity, Source: "zendesk",
			OccurredAt: longAgo, ReceivedAt: longAgo, Metadata: []byte(`{"group":"billing"}`),
		}
	}
	nobody := say("c-5", event.CaseEscalated, event.SeverityUrgent)
	nobody.User = event.User{Phone: "+4312345"}
	r := s.start(t)
	s.produce(t, newEvent("u", 0)) // so that the user exists: nothing is promised of the order between topics
	s.awaitSettled(t)
	s.produceCases(t,
		say("c-1", event.CaseOpened, event.SeverityUrgent), say("c-2", event.CaseEscalated, event.SeverityHigh),
		say("c-3", event.CaseEscalated, event.SeverityUrgent), say("c-3", event.CaseEscalated, event.SeverityUrgent), nobody,
	)
	slips := outcomes(s.awaitSettled(t))
	r.assertBooks(t, 0)
	r.drain(t)
	s.assertManners(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 2, outcome.Skipped: 3, outcome.Refused: 1})
	if diff := cmp.Diff(map[string]int{"unrouted": 2, "duplicate": 1}, s.skippedAs(t)); diff != "" {
		t.Errorf("skipped (-want +got)\n%s", diff)
	}
	if o := slips["c-5"]; o.Reason != "route_failed" {
		t.Errorf("somebody without an address: %+v", o)
	}
	if diff := cmp.Diff([]string{"happened", "Case Escalated"}, s.names("u")); diff != "" {
		t.Errorf("events (-want +got)\n%s", diff)
	}
	if n := len(s.front.sandbox.Sends()); n != 1 {
		t.Errorf("%d messages, want 1", n)
	}
}
