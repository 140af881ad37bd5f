package rules_test

import (
	"encoding/json"
	"errors"
	"testing"
	"unicode/utf8"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/services/crm-writeback/rules"
)

// Any bytes are rules or an error, never both and never a panic, and the options of their targets likewise.
func FuzzParse(f *testing.F) {
	f.Add(rules.Shipped())
	f.Add([]byte(both))
	f.Add([]byte(crm(`set: '{a: .payload.b}'`)))
	f.Add([]byte("targets:\n  - &a {name: x}\n  - *a\n"))
	f.Add([]byte("? [a]\n: |\n  b"))
	f.Add([]byte("targets: [{name: a, kind: http, http: {a: [1, {b: ${X}}]}}]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 16<<10 {
			return // the YAML library takes its time
		}
		set, err := rules.Parse(text, func(string) (string, bool) { return "x", true })
		if (set == nil) == (err == nil) {
			t.Fatalf("rules %v and error %v", set, err)
		}
		if err != nil {
			if err.Error() == "" {
				t.Fatal("an error without words")
			}
			return
		}
		for _, target := range set.Targets() {
			var o kindOptions
			_ = target.Options(&o)
		}
	})
}

// hostile has every way in which a record's JSON meets a program.
const hostile = `
targets:
  - name: crm
    kind: http
    objects: [{object: O, key: {field: k, from: '.payload.k // .user.external_id'}}]
rules:
  - {name: all, on: actions, if: .payload.if != false, target: crm, object: O, set: .payload}
  - {name: one, on: actions, target: crm, object: O, mode: update, set: '{a: .payload.a, b: (.payload.b | tostring)}'}
  - {name: note, on: actions, names: ["*n*"], target: crm, object: N, mode: note, set: '{text: (.payload | tojson)}'}
`

// Whatever an action holds, it becomes drafts that can be written, or it is refused with the rule's name.
func FuzzAction(f *testing.F) {
	set, err := rules.Parse([]byte(hostile), nobody)
	if err != nil {
		f.Fatal(err)
	}
	for _, payload := range []string{
		``, `{}`, `{"a":1,"k":7}`, `{"a":1e999999999}`, `{"a":"x","a":2}`, "{\"a\":\"\xff\"}", `{"\ud800":1}`, `[1]`, `{"a":`, `{"":1}`, `{"a":[[[[[[]]]]]]}`,
		`{"a":123456789012345678901234567890}`, `"text"`, `{"k":{}}`, `{"if":false}`,
	} {
		f.Add("form", "u1", []byte(payload))
		f.Add("other", "é", []byte(payload))
	}
	f.Fuzz(func(t *testing.T, name, id string, payload []byte) {
		before := string(payload)
		drafts, err := set.Action(&event.Action{Name: name, User: event.User{ExternalID: id}, JSON: payload})
		if string(payload) != before {
			t.Fatal("the record was written to")
		}
		if err != nil {
			if _, ok := errors.AsType[*rules.Failed](err); !ok || drafts != nil {
				t.Fatalf("got %v beside %v", drafts, err)
			}
			return
		}
		for _, d := range drafts {
			switch {
			case d.Skip == "" && (!json.Valid(d.Fields) || d.Fields[0] != '{' || !utf8.Valid(d.Fields)):
				t.Fatalf("%s is no object", d.Fields)
			case d.Skip != "" && d.Fields != nil:
				t.Fatalf("skipped, and %s", d.Fields)
			case d.Mode != "note" && d.Key == "" && d.Skip != rules.NoKey:
				t.Fatalf("%+v", d)
			}
			set.Comparable(nil, d.Target, d.Object, "a", d.Fields)
		}
	})
}

// Whatever a system says, it is something for Braze or an error.
func FuzzBack(f *testing.F) {
	set, err := rules.Parse([]byte(both), nobody)
	if err != nil {
		f.Fatal(err)
	}
	for _, changes := range []string{
		``, `{}`, `{"Out":"true","News":null,"Tier":{"a":1},"Points":"1e5","Born":"1980-05-01","Seen":"x","Topics":"a;b","Code":1,"Only":"x"}`,
		`{"Seen":-62135596800001}`, `{"Seen":253402300799999}`, `{"Points":"-"}`, `{"Ext__c":"` + string(make([]byte, 300)) + `"}`, `[]`, `{"Topics":[{"a":1}]}`,
	} {
		f.Add("Contact", []byte(changes))
		f.Add("Case", []byte(changes))
	}
	f.Fuzz(func(t *testing.T, object string, changes []byte) {
		b, err := set.Back(&event.Change{System: "crm", Object: object, Changes: changes})
		if err != nil {
			return
		}
		for _, field := range b.Fields {
			if !json.Valid(field.Raw) || field.Subscription == nil && !json.Valid(field.Value) {
				t.Fatalf("%s: %s, %s", field.Name, field.Raw, field.Value)
			}
			form := set.Comparable(nil, "crm", object, field.Name, field.Raw)
			if again := set.Comparable(nil, "crm", object, field.Name, form); string(again) != string(form) {
				t.Fatalf("%s: %s is compared as %s, and that as %s", field.Name, field.Raw, form, again)
			}
		}
	})
}
