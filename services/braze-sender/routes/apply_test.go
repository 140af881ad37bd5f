package routes

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/event"
)

// update says to rewrite golden files.
var update = os.Getenv("GOLDEN") == "write"

func parse(t testing.TB, text string) *Table {
	t.Helper()
	table, err := Parse("routes.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// cart is a customer's event, and failedPayment a commerce event, that most tests are about.
func cart() Record {
	return Record{Event: &event.Event{
		ID: "e-1", User: event.User{ExternalID: "crm-1"}, Name: "Cart Abandoned", Kind: "track", Source: "shop",
		OccurredAt: time.UnixMilli(1772442903480), ReceivedAt: time.UnixMilli(1772442904210),
		Properties: []byte(`{"total":84.90,"ref":820982911946154508,"items":[{"sku":"A","price":1.10,"quantity":250},{"sku":"B","price":"0.3"}],"note":null}`),
	}}
}

func failedPayment() Record {
	return Record{Commerce: &event.Commerce{
		ID: "evt_1", User: event.User{ExternalID: "crm-1"}, Type: event.PaymentFailed, Source: "stripe",
		OccurredAt: time.UnixMilli(1772442903480), ReceivedAt: time.UnixMilli(1772442904210), DueAt: time.UnixMilli(1772542903000),
		OrderID: "SO-9", Currency: "EUR", Total: "84.9",
		Lines: []event.Line{
			{ProductID: "P1", Quantity: 2, Price: "40", Metadata: []byte(`{"row":1}`)},
			{ProductID: "P2", Quantity: 1, Price: "4.9"},
		},
		Metadata: []byte(`{"attempt_count":2}`),
	}}
}

// survey is an update that something follows from, with attributes beside it.
func survey() Record {
	return OfUpdate(&event.Update{
		ID: "u-1", User: event.User{ExternalID: "crm-1"}, Trigger: "support_survey_due",
		OccurredAt: time.UnixMilli(1772442903480), DecidedAt: time.UnixMilli(1772442904210),
		Properties: []byte(`{"case_id":820982911946154508}`), Attributes: []byte(`{"open_cases":0,"tags":{"remove":["vip"]}}`), DataPoints: 2,
		Causes: []event.Cause{{ID: "o-9", Source: "shop", Topic: "commerce.events"}, {ID: "z-1", Source: "zendesk", Topic: "support.cases", Partition: 3, Offset: 17}},
	})
}

// escalated is what happened to a support case.
func escalated() Record {
	rating := int64(2)
	return Record{Case: &event.Case{
		ID: "z-1", User: event.User{ExternalID: "crm-1"}, CaseID: "4711", Event: event.CaseEscalated, Severity: event.SeverityHigh, Rating: &rating,
		OccurredAt: time.UnixMilli(1772442903480), ReceivedAt: time.UnixMilli(1772442904210), Source: "zendesk", Channel: "email",
		Metadata: []byte(`{"group":"billing"}`),
	}}
}

// differs is an update of attributes alone.
func differs() Record {
	u := *survey().Update
	u.Trigger, u.Properties = "", nil
	return OfUpdate(&u)
}

func (r Record) with(change func(e *event.Event)) Record { change(r.Event); return r }

// late is the record as one that tells of the past.
func (r Record) late() Record { r.Backfill = true; return r }

// on is a file with one route for the topic, of which the rest is given in YAML's flow style.
func on(topic, rest string) string {
	return "routes: [{name: r, match: {topic: " + topic + "}, " + rest + "}]"
}

func TestApply(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		file   string
		record Record
		want   string // actions as JSON, or the error
	}{
		{"without routes an event is sent as it is", `routes: []`, cart(), `[{"event":"as is"}]`},
		{"without routes a commerce event is the recommended one", ``, failedPayment(), `[{"commerce":"as is"}]`},
		{"a route for another event leaves the default", `routes: [{name: r, match: {topic: customer.events, event: Signed Up}, send: [{skip: no}]}]`, cart(), `[{"event":"as is"}]`},
		{"a route for another source leaves the default", `routes: [{name: r, match: {topic: customer.events, source: [crm, erp-*]}, send: [{skip: no}]}]`, cart(), `[{"event":"as is"}]`},
		{"a route for the other topic leaves the default", on("commerce.events", `send: [{skip: no}]`), cart(), `[{"event":"as is"}]`},
		{"patterns match names and sources", `routes: [{name: r, match: {topic: customer.events, event: [X, "Cart *"], source: "s?op"}, send: [{skip: internal}]}]`, cart(), `[{"skip":"internal","route":"r"}]`},
		{"a condition that holds", on("commerce.events", `when: .metadata.attempt_count >= 2, send: [{skip: yes}]`), failedPayment(), `[{"skip":"yes","route":"r"}]`},
		{"a condition that does not", on("commerce.events", `when: .metadata.attempt_count > 2, send: [{skip: yes}]`), failedPayment(), `[{"commerce":"as is"}]`},
		{"a condition may try a regular expression", on("customer.events", `when: '.source | test("^SH[OP]+$"; "i") and (split("h") | length) == 2', send: [{skip: yes}]`), cart(), `[{"skip":"yes","route":"r"}]`},
		{"a condition that answers nothing does not hold", on("commerce.events", `when: empty, send: [{skip: yes}]`), failedPayment(), `[{"commerce":"as is"}]`},
		{"a condition that answers twice is a mistake", on("commerce.events", `when: "true, true", send: [{skip: yes}]`), failedPayment(), `route r: when: it answers more than 1 value`},
		{"without a route nothing is sent of a support case", ``, escalated(), `[{"skip":"no route wants it"}]`},
		{
			"a route may want a support case at once", `routes: [{name: r, match: {topic: support.cases, event: [escalated, rated], source: zendesk}, when: .metadata.group == "billing", send: [{campaign: {id: c, properties: {case: .case_id, how: .severity, stars: .rating}}}]}]`,
			escalated(), `[{"campaign":{"id":"c","properties":{"case":"4711","how":"high","stars":2},"priority":"live"},"route":"r"}]`,
		},
		{
			"or make an event of it", on("support.cases", `continue: true, send: [{event: {name: Case, pick: [case_id, metadata], rename: {metadata: more}}}]`),
			escalated(), `[{"event":{"name":"Case","properties":{"case_id":"4711","more":{"group":"billing"}},"priority":"live"},"route":"r"}]`,
		},
		{"without routes a trigger is an event", ``, survey(), `[{"event":"as is"}]`},
		{"attributes alone are set, after what happens", ``, differs(), `[{"attributes":"as is"}]`},
		{"no route is about attributes alone", on("braze.attributes", `send: [{skip: no}]`), differs(), `[{"attributes":"as is"}]`},
		{"a route for events leaves triggers alone", on("customer.events", `send: [{skip: no}]`), survey(), `[{"event":"as is"}]`},
		{
			"a trigger is found by its name and the source of its newest cause", `routes: [{name: r, match: {topic: braze.attributes, event: support_*, source: zendesk}, when: .properties.case_id == 820982911946154508, send: [{event: {name: Survey, pick: [case_id]}}]}]`,
			survey(), `[{"event":{"name":"Survey","properties":{"case_id":820982911946154508},"attributes":true,"priority":"live"},"route":"r"}]`,
		},
		{
			"where a trigger becomes no event its attributes are set all the same", on("braze.attributes", `send: [{campaign: {id: c, properties: {case: .properties.case_id, before: ".causes[0].event_id"}}}]`),
			survey(), `[{"attributes":"as is","route":"r"},{"campaign":{"id":"c","properties":{"case":820982911946154508,"before":"o-9"},"priority":"live"},"route":"r"}]`,
		},
		{"a trigger that is skipped leaves its attributes", on("braze.attributes", `send: [{skip: no}]`), survey(), `[{"attributes":"as is","route":"r"}]`},
		{
			"the first route that wants the record wins",
			`routes: [{name: a, match: {topic: customer.events}, when: "false", send: [{skip: a}]}, {name: b, match: {topic: customer.events, event: Cart Abandoned}, send: [{skip: b}]}, {name: c, match: {topic: customer.events}, send: [{skip: c}]}]`,
			cart(), `[{"skip":"b","route":"b"}]`,
		},
		{
			"a route that continues leaves the default, too",
			on("customer.events", `continue: true, send: [{campaign: {id: c-1}}]`), cart(),
			`[{"campaign":{"id":"c-1","priority":"live"},"route":"r"},{"event":"as is"}]`,
		},
		{
			"a skip behind a route that continues only takes the default away",
			`routes: [{name: a, match: {topic: customer.events}, continue: true, send: [{campaign: {id: c-1}}]}, {name: b, match: {topic: customer.events}, send: [{skip: no event}]}]`,
			cart(), `[{"campaign":{"id":"c-1","priority":"live"},"route":"a"}]`,
		},
		{
			"properties as one expression keep the digits of what they pass on",
			on("customer.events", `send: [{campaign: {id: c-1, properties: "{amount: .properties.total, ref: .properties.ref}"}}]`), cart(),
			`[{"campaign":{"id":"c-1","properties":{"amount":84.90,"ref":820982911946154508},"priority":"live"},"route":"r"}]`,
		},
		{
			"properties as a mapping keep its order and leave out null",
			on("commerce.events", `send: [{canvas: {id: x, properties: {z: .total, gone: .metadata.nothing, none: empty, a: '"\(.total) \(.currency)" # a comment'}}}]`), failedPayment(),
			`[{"canvas":{"id":"x","properties":{"z":84.9,"a":"84.9 EUR"},"priority":"live"},"route":"r"}]`,
		},
		{
			"the property that fails is named, and nothing is sent",
			on("commerce.events", `send: [{event: {name: ok, pick: order_id}}, {campaign: {id: x, properties: {good: .total, bad: .currency + 1}}}]`), failedPayment(),
			`route r: send[1].campaign: properties.bad: cannot add: string ("EUR") and number (1)`,
		},
		{"properties must be an object", on("commerce.events", `send: [{campaign: {id: x, properties: .lines}}]`), failedPayment(), `route r: send[0].campaign: properties: want an object`},
		{"properties that are null are none", on("commerce.events", `send: [{campaign: {id: x, properties: .reason}}]`), failedPayment(), `[{"campaign":{"id":"x","priority":"live"},"route":"r"}]`},
		{"a property that answers twice is a mistake", on("commerce.events", `send: [{campaign: {id: x, properties: {a: ".lines[].price"}}}]`), failedPayment(), `route r: send[0].campaign: properties.a: it answers more than 1 value`},
		{
			"an event keeps its name and its own bytes", on("customer.events", `send: [{event: {existing_only: true}}]`), cart(),
			`[{"event":{"name":"Cart Abandoned","properties":` + string(cart().Event.Properties) + `,"existing_only":true,"priority":"live"},"route":"r"}]`,
		},
		{
			"pick and rename pass on bytes as they are, in their order",
			on("customer.events", `send: [{event: {name: N, pick: [ref, total], rename: {total: amount}}}]`), cart(),
			`[{"event":{"name":"N","properties":{"amount":84.90,"ref":820982911946154508},"priority":"live"},"route":"r"}]`,
		},
		{
			"a renamed property takes the place of one that had the name",
			on("customer.events", `send: [{event: {pick: [ref, total], rename: {ref: total}}}]`), cart(),
			`[{"event":{"name":"Cart Abandoned","properties":{"total":820982911946154508},"priority":"live"},"route":"r"}]`,
		},
		{
			"what is picked of a commerce event are its fields",
			on("commerce.events", `send: [{event: {name: Payment failed, pick: [order_id, total, carrier, due_at], rename: {due_at: next_try}}}]`), failedPayment(),
			`[{"event":{"name":"Payment failed","properties":{"order_id":"SO-9","total":84.9,"next_try":"2026-03-03T13:01:43.000Z"},"priority":"live"},"route":"r"}]`,
		},
		{
			"an event that Braze would refuse is refused here, with the field",
			on("customer.events", `send: [{event: {properties: '{time: 1}'}}]`), cart(), `route r: send[0].event: properties.time has a name that is reserved`,
		},
		{
			"attributes go with the first event",
			on("customer.events", `send: [{campaign: {id: c}}, {event: {name: A, properties: '{}'}}, {event: {name: B, properties: '{}'}}]`),
			cart().with(func(e *event.Event) { e.Attributes = []byte(`{"a":1}`) }),
			`[{"campaign":{"id":"c","priority":"live"},"route":"r"},{"event":{"name":"A","properties":{},"attributes":true,"priority":"live"},"route":"r"},{"event":{"name":"B","properties":{},"priority":"live"},"route":"r"}]`,
		},
		{
			"attributes are set even where no event is sent",
			on("customer.events", `send: [{campaign: {id: c}}]`), cart().with(func(e *event.Event) { e.Attributes = []byte(`{"a":1}`) }),
			`[{"attributes":"as is","route":"r"},{"campaign":{"id":"c","priority":"live"},"route":"r"}]`,
		},
		{
			"but not where the record is skipped",
			on("customer.events", `send: [{skip: test}]`), cart().with(func(e *event.Event) { e.Attributes = []byte(`{"a":1}`) }), `[{"skip":"test","route":"r"}]`,
		},
		{
			"a transactional send is urgent and has an id that is always the same",
			on("commerce.events", `in_doubt: park, send: [{transactional: {id: t}}, {transactional: {id: t}}]`), failedPayment(),
			`[{"transactional":{"id":"t","external_send_id":"evt_1-ID","priority":"transactional","in_doubt":"park"},"route":"r"},{"transactional":{"id":"t","external_send_id":"evt_1-ID2","priority":"transactional","in_doubt":"park"},"route":"r"}]`,
		},
		{"the id may be an expression", on("commerce.events", `send: [{transactional: {id: t, external_send_id: '"\(.order_id)/\(.metadata.attempt_count)"'}}]`), failedPayment(), `[{"transactional":{"id":"t","external_send_id":"SO-9/2","priority":"transactional"},"route":"r"}]`},
		{"an id that Braze does not take is refused", on("commerce.events", `send: [{transactional: {id: t, external_send_id: .reason}}]`), failedPayment(), `route r: send[0].transactional: external_send_id: want 1 to 255 letters, digits or any of - _ + / =`},
		{
			"the nearest priority and policy count",
			on("commerce.events", `priority: backfill, in_doubt: park, send: [{campaign: {id: a}}, {campaign: {id: b, priority: transactional, in_doubt: resend}}, {transactional: {id: t, external_send_id: .order_id}}]`), failedPayment(),
			`[{"campaign":{"id":"a","priority":"backfill","in_doubt":"park"},"route":"r"},{"campaign":{"id":"b","priority":"transactional","in_doubt":"resend"},"route":"r"},{"transactional":{"id":"t","external_send_id":"SO-9","priority":"backfill","in_doubt":"park"},"route":"r"}]`,
		},
		{"a record of the past waits, whatever its route says", on("commerce.events", `send: [{campaign: {id: a, priority: transactional}}]`), failedPayment().late(), `[{"campaign":{"id":"a","priority":"backfill"},"route":"r"}]`},
		{"a subscription", on("customer.events", `send: [{subscription: {group: g-1, state: unsubscribed}}]`), cart(), `[{"subscription":{"group":"g-1","state":"unsubscribed","priority":"live"},"route":"r"}]`},
		{
			"a purchase for each line of an order",
			on("commerce.events", `send: [{purchase: {each: ".lines[]", properties: {order: $record.order_id, row: .metadata.row}}}]`), failedPayment(),
			`[{"purchase":{"product_id":"P1","price":40,"currency":"EUR","quantity":2,"properties":{"order":"SO-9","row":1},"priority":"live"},"route":"r"},{"purchase":{"product_id":"P2","price":4.9,"currency":"EUR","quantity":1,"properties":{"order":"SO-9"},"priority":"live"},"route":"r"}]`,
		},
		{
			"more pieces than Braze counts are several purchases, and a price may be a text",
			on("customer.events", `send: [{purchase: {each: ".properties.items[]", product_id: .sku, currency: '"EUR"'}}]`), cart(),
			`[{"purchase":{"product_id":"A","price":1.10,"currency":"EUR","quantity":100,"priority":"live"},"route":"r"},{"purchase":{"product_id":"A","price":1.10,"currency":"EUR","quantity":100,"priority":"live"},"route":"r"},{"purchase":{"product_id":"A","price":1.10,"currency":"EUR","quantity":50,"priority":"live"},"route":"r"},{"purchase":{"product_id":"B","price":0.3,"currency":"EUR","quantity":1,"priority":"live"},"route":"r"}]`,
		},
		{"a purchase without a price is refused", on("customer.events", `send: [{purchase: {product_id: '"x"', currency: '"EUR"'}}]`), cart(), `route r: send[0].purchase: price: want a number`},
		{"the purchase that is wrong is counted", on("commerce.events", `send: [{purchase: {each: ".lines[]", price: if .product_id == "P2" then "x" else .price end}}]`), failedPayment(), `route r: send[0].purchase: purchase 2: price: want a number`},
		{"no more is sent for one record than a request holds", on("customer.events", `send: [{purchase: {each: "range(76)", product_id: '"x"', price: "1", quantity: "1", currency: '"EUR"'}}]`), cart(), `route r: send[0].purchase: each: it answers more than 75 values`},
		{
			"a campaign needs an identifier that a recipient may have", on("customer.events", `send: [{campaign: {id: a}}]`),
			cart().with(func(e *event.Event) { e.User = event.User{Phone: "+431"} }),
			`route r: send[0].campaign: a campaign needs external_id, an alias, braze_id or email, and the record has none of them`,
		},
		{
			"properties that are no JSON are told from a route that is wrong", on("customer.events", `when: .properties.a, send: [{skip: x}]`),
			cart().with(func(e *event.Event) { e.Properties = []byte(`{"a":`) }), "route r: reading properties: unexpected EOF within \"/a\" after offset 5",
		},
		{"an answer may not be too large", on("customer.events", `send: [{campaign: {id: a, properties: '{a: ("x" * 60000)}'}}]`), cart(), `route r: send[0].campaign: properties: larger than the 51200 bytes that Braze takes`},
		{"an answer may not be infinite", on("customer.events", `send: [{campaign: {id: a, properties: '{a: infinite}'}}]`), cart(), `route r: send[0].campaign: properties: a number is infinite or none at all`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			actions, err := parse(t, c.file).Apply(c.record)
			got := string(AppendActions(nil, actions))
			if err != nil {
				got = err.Error()
			} else if !json.Valid([]byte(got)) {
				t.Errorf("not JSON: %s", got)
			}
			for i, a := range actions {
				if a.Kind == Transactional && strings.HasPrefix(a.ExternalSendID, "evt_1-") {
					got = strings.ReplaceAll(got, a.ExternalSendID, "evt_1-ID"+strings.Repeat("2", min(i, 1)))
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnExternalSendIDTellsSourcesCampaignsAndSendsApart(t *testing.T) {
	t.Parallel()
	table := parse(t, on("commerce.events", `send: [{transactional: {id: a}}, {transactional: {id: b}}, {transactional: {id: b}}]`))
	seen := map[string]bool{}
	ids := func(r Record) (list []string) {
		actions, err := table.Apply(r)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range actions {
			list = append(list, a.ExternalSendID)
		}
		return list
	}
	for _, source := range []string{"stripe", "shop"} {
		for _, id := range []string{"1001", "gid://shopify/Order/ü 1", strings.Repeat("x", 500)} {
			r := failedPayment()
			r.Commerce.Source, r.Commerce.ID = source, id
			first := ids(r)
			if diff := cmp.Diff(first, ids(r)); diff != "" {
				t.Errorf("the same record has other ids:\n%s", diff)
			}
			for _, id := range first {
				if seen[id] || !sendIDs.MatchString(id) || len(id) > 80 {
					t.Errorf("%q is known already, or is no id", id)
				}
				seen[id] = true
			}
		}
	}
}

func TestALoopEndsAtTheDeadline(t *testing.T) {
	t.Parallel()
	table := parse(t, on("customer.events", `when: '[repeat(.)]', send: [{skip: x}]`))
	began := time.Now()
	_, err := table.Apply(cart())
	if err == nil || err.Error() != "route r: when: it takes longer than 2s" {
		t.Errorf("got %v", err)
	}
	if took := time.Since(began); took > deadline+10*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestTheViewIsWhatTheTopicsSchemasName(t *testing.T) {
	t.Parallel()
	var got []byte
	for _, r := range []Record{cart(), failedPayment(), survey(), escalated()} {
		v, err := r.view()
		if err != nil {
			t.Fatal(err)
		}
		text := appendValue(nil, v)
		got = append(append(got, text...), '\n')
		back, err := ParseRecord(r.Topic(), text)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := back.view(); err != nil || string(appendValue(nil, again)) != string(text) {
			t.Errorf("read back it is %s, %v", appendValue(nil, again), err)
		}
	}
	golden(t, "view.golden", got)
}

func TestAttributesThatComeByThemselvesMayWait(t *testing.T) {
	t.Parallel()
	table := parse(t, on("braze.attributes", `send: [{skip: no}]`))
	for want, r := range map[Priority]Record{Profile: differs(), Backfill: differs().late()} {
		for _, r := range []Record{r, {Event: survey().Event, Update: survey().Update, Backfill: r.Backfill}} { // of a skipped trigger too
			actions, err := table.Apply(r)
			if err != nil || len(actions) != 1 || actions[0].Kind != Attributes || actions[0].Priority != want {
				t.Errorf("%+v, %v; want attributes of priority %s", actions, err, want)
			}
		}
	}
	if actions, err := Default().Apply(survey()); err != nil || actions[0].Priority != Live {
		t.Errorf("a trigger: %+v, %v; want it live", actions, err)
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}
