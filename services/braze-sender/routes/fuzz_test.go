package routes

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/event"
)

// Any bytes are a table or an error, never both and never a panic.
func FuzzParse(f *testing.F) {
	f.Add(shipped)
	f.Add([]byte(on("customer.events", `when: .properties.a, send: [{event: {pick: [a], rename: {a: b}}}, {campaign: {id: c, properties: {a: .event_name}}}]`)))
	f.Add([]byte(on("commerce.events", `send: [{purchase: {each: ".lines[]"}}]`)))
	f.Add([]byte(on("braze.attributes", `send: [{campaign: {id: c, properties: {a: ".causes[0].source"}}}]`)))
	f.Add([]byte("routes:\n  - &a {name: x}\n  - *a\n"))
	f.Add([]byte("? [a]\n: |\n  b"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 4<<10 {
			return // a loop inside a large expression takes until its deadline
		}
		table, err := Parse("f.yaml", text)
		if (table == nil) == (err == nil) {
			t.Fatalf("table %v and error %v", table, err)
		}
	})
}

// hostile has every way in which a record's JSON meets an expression or is picked from.
const hostile = `
routes:
  - name: jq
    match: {topic: customer.events, event: A*}
    when: .properties.a != null
    continue: true
    send:
      - event: {name: N, properties: .properties}
      - campaign: {id: c, properties: {all: .properties, one: .properties.a, more: ".attributes[]?"}}
      - canvas: {id: c, properties: '{n: (.properties.a + 1)}'}
  - name: picks
    match: {topic: customer.events}
    send:
      - event: {pick: [a, b], rename: {a: c}}
      - transactional: {id: t}
      - purchase: {each: ".properties.a[]?", currency: '"EUR"'}
`

// Whatever a record holds, it becomes actions whose JSON is valid and within Braze's limits, or it is
// refused with the route's name.
func FuzzApply(f *testing.F) {
	table, err := Parse("hostile.yaml", []byte(hostile))
	if err != nil {
		f.Fatal(err)
	}
	for _, properties := range []string{
		``, `{}`, `{"a":1}`, `{"a":1e999999999}`, `{"a":{"a":[1,"x",null]}}`, `{"a":"x","a":2,"c":3}`, `{"a":[{"product_id":"p","price":-0.10,"quantity":7600}]}`,
		`{"a":123456789012345678901234567890}`, "{\"a\":\"\xff\"}", `{"\ud800":1}`, `[1]`, `{"a":`, `{"time":1,"$b":2}`, `{"a":[[[[[[]]]]]]}`,
	} {
		f.Add("Abc", "id 1", []byte(properties), []byte(`{"x":1}`))
		f.Add("other", "é", []byte(properties), []byte(nil))
	}
	f.Fuzz(func(t *testing.T, name, id string, properties, attributes []byte) {
		e := &event.Event{Name: name, ID: id, User: event.User{ExternalID: "u"}, Properties: properties, Attributes: attributes}
		before := string(properties)
		actions, err := table.Apply(Record{Event: e})
		if string(properties) != before {
			t.Fatal("the record was written to")
		}
		if err != nil {
			if failed := (*Failed)(nil); !errors.As(err, &failed) || len(actions) > 0 {
				t.Fatalf("got %v beside %v", actions, err)
			}
			return
		}
		if len(actions) == 0 {
			t.Fatal("no actions and no error")
		}
		for _, a := range actions {
			if text := a.AppendJSON(nil); !json.Valid(text) {
				t.Fatalf("%s is no JSON", text)
			}
			if v := braze.CheckProperties(a.Properties); v != nil && a.Kind == Event {
				t.Fatalf("%s: %v", a.Properties, v)
			}
			if a.Kind == Transactional && !sendIDs.MatchString(a.ExternalSendID) {
				t.Fatalf("%q is no external_send_id", a.ExternalSendID)
			}
			if a.Kind == Purchase && (a.Quantity < 1 || a.Quantity > braze.MaxQuantity || !isNumber(a.Price)) {
				t.Fatalf("%+v", a)
			}
		}
	})
}
