package rules_test

import (
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/services/crm-writeback/rules"
)

const both = `
targets:
  - name: crm
    kind: salesforce
    objects:
      - object: Contact
        key: {field: Ext__c}
        identity: Ext__c
        fields:
          - {field: Out, attribute: email_subscribe, type: boolean, to_braze: 'if . then "unsubscribed" else "subscribed" end'}
          - {field: News, group: 11111111-2222, owner: newest}
          - {field: Tier, attribute: tier, owner: crm}
          - {field: Points, attribute: points, type: number}
          - {field: Born, attribute: dob, type: date}
          - {field: Seen, attribute: seen, type: time}
          - {field: Topics, attribute: topics, type: list}
          - {field: Code, attribute: code, type: text}
          - {field: Only, attribute: only, to_braze: 'if . == "x" then . else empty end'}
      - object: Case
        key: {field: Case__c}
        user: 'if .changes.Mail then {email: .changes.Mail} else null end'
        fields: [{field: Status, attribute: case_status}]
`

func change(object, changes string) *event.Change {
	return &event.Change{ID: "c", Kind: event.Changed, System: "crm", Object: object, ObjectID: "003", OccurredAt: noon, Changes: []byte(changes)}
}

func TestAChangeIsWhatTheFileMakesOfItsFields(t *testing.T) {
	t.Parallel()
	set := parse(t, both)
	type field struct{ Name, Raw, Value string }
	for name, c := range map[string]struct {
		changes string
		want    []field
	}{
		"fields that nobody maps":     {`{"Other":1}`, nil},
		"sorted by name":              {`{"Tier":"gold","Points":1}`, []field{{"Points", `1`, `1`}, {"Tier", `"gold"`, `"gold"`}}},
		"a value as it came":          {`{"Tier":{"b":1,"a":12.50}}`, []field{{"Tier", `{"a":12.50,"b":1}`, `{"a":12.50,"b":1}`}}},
		"an emptied field":            {`{"Tier":null}`, []field{{"Tier", `null`, `null`}}},
		"an emptied text":             {`{"Code":""}`, []field{{"Code", `""`, `""`}}},
		"an emptied number":           {`{"Points":""}`, []field{{"Points", `""`, `null`}}},
		"a boolean as text":           {`{"Out":"TRUE"}`, []field{{"Out", `"TRUE"`, `"unsubscribed"`}}},
		"a number as text":            {`{"Points":"820982911946154508"}`, []field{{"Points", `"820982911946154508"`, `820982911946154508`}}},
		"a number that is to be text": {`{"Code":12.50}`, []field{{"Code", `12.50`, `"12.50"`}}},
		"a date of a time":            {`{"Born":"1980-05-01T00:00:00.000+0000"}`, []field{{"Born", `"1980-05-01T00:00:00.000+0000"`, `"1980-05-01"`}}},
		"a time in milliseconds":      {`{"Seen":1772442904000}`, []field{{"Seen", `1772442904000`, `"2026-03-02T09:15:04Z"`}}},
		"the same as text":            {`{"Seen":"1772442904500"}`, []field{{"Seen", `"1772442904500"`, `"2026-03-02T09:15:04.5Z"`}}},
		"a list with semicolons":      {`{"Topics":"news; offers;"}`, []field{{"Topics", `"news; offers;"`, `["news","offers"]`}}},
		"to_braze without an answer":  {`{"Only":"y"}`, nil},
		"a group":                     {`{"News":"true"}`, []field{{"News", `"true"`, `subscribed`}}},
		"a group that was left":       {`{"News":false}`, []field{{"News", `false`, `unsubscribed`}}},
		"a group that was emptied":    {`{"News":null}`, []field{{"News", `null`, `unsubscribed`}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, err := set.Back(change("Contact", c.changes))
			if err != nil || !b.Known {
				t.Fatalf("known %v, error %v", b.Known, err)
			}
			var got []field
			for _, f := range b.Fields {
				v := field{f.Name, string(f.Raw), string(f.Value)}
				if f.Subscription != nil {
					if f.Subscription.GroupID != "11111111-2222" || f.Value != nil {
						t.Errorf("%+v", f)
					}
					v.Value = f.Subscription.State
				}
				got = append(got, v)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAChangeIsOfWhoeverItNames(t *testing.T) {
	t.Parallel()
	set := parse(t, both)
	named := change("Contact", `{"Ext__c":"other"}`)
	named.User = event.User{ExternalID: "u1"}
	strange := change("Lead", `{"a":1}`)
	for name, c := range map[string]struct {
		change *event.Change
		want   rules.Back
	}{
		"the sender's word counts first":  {named, rules.Back{User: event.User{ExternalID: "u1"}, Known: true, KeyField: "Ext__c", Key: "other"}},
		"then the identity":               {change("Contact", `{"Ext__c":"u2"}`), rules.Back{User: event.User{ExternalID: "u2"}, Known: true, KeyField: "Ext__c", Key: "u2"}},
		"an identity that is a number":    {change("Contact", `{"Ext__c":820982911946154508}`), rules.Back{User: event.User{ExternalID: "820982911946154508"}, Known: true, KeyField: "Ext__c", Key: "820982911946154508"}},
		"or nobody":                       {change("Contact", `{}`), rules.Back{Known: true, KeyField: "Ext__c"}},
		"or what a program finds":         {change("Case", `{"Mail":"a@b.example"}`), rules.Back{User: event.User{Email: "a@b.example"}, Known: true, KeyField: "Case__c"}},
		"or does not":                     {change("Case", `{}`), rules.Back{Known: true, KeyField: "Case__c"}},
		"an object that the file has not": {strange, rules.Back{}},
		"a deletion":                      {&event.Change{Kind: event.Deleted, System: "crm", Object: "Contact", ObjectID: "003"}, rules.Back{Known: true, KeyField: "Ext__c"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := set.Back(c.change)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got, cmpopts.IgnoreUnexported(rules.Field{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAChangeThatCannotBeReadIsAnError(t *testing.T) {
	t.Parallel()
	set := parse(t, both)
	for name, c := range map[string]struct{ object, changes, want string }{
		"no object":           {"Contact", `[1]`, `reading changes: no object`},
		"no number":           {"Contact", `{"Points":"many"}`, `object Contact: field Points: want a number`},
		"no boolean":          {"Contact", `{"Out":"yes"}`, `object Contact: field Out: want true or false`},
		"no time":             {"Contact", `{"Seen":"yesterday"}`, `object Contact: field Seen: want a time: ISO 8601, or milliseconds since 1970`},
		"a time far away":     {"Contact", `{"Seen":9999999999999999}`, `object Contact: field Seen: want a time: ISO 8601, or milliseconds since 1970`},
		"no list":             {"Contact", `{"Topics":1}`, `object Contact: field Topics: want a list, or texts apart by semicolons`},
		"no state of a group": {"Contact", `{"News":"perhaps"}`, `object Contact: field News: want true or false, subscribed or unsubscribed`},
		"no id":               {"Contact", `{"Ext__c":true}`, `object Contact: user: it answers what is neither a text nor a whole number`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := set.Back(change(c.object, c.changes)); err == nil || err.Error() != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestAProgramNamesAUserAsTheFrontDoorTakesThem(t *testing.T) {
	t.Parallel()
	for program, want := range map[string]event.User{
		`{external_id: "u", braze_id: null}`:  {ExternalID: "u"},
		`{braze_id: "b", phone: "+431"}`:      {BrazeID: "b", Phone: "+431"},
		`{alias: {label: "l", name: "n"}}`:    {AliasLabel: "l", AliasName: "n"},
		`{alias: null, email: "a@b.example"}`: {Email: "a@b.example"},
		`{user_id: "u"}`:                      {},
		`{alias: "n"}`:                        {},
		`"u"`:                                 {},
	} {
		set := parse(t, "targets: [{name: crm, kind: http, objects: [{object: O, key: {field: k}, user: '"+program+"'}]}]")
		got, err := set.Back(change("O", `{}`))
		if (err != nil) != (want == event.User{}) || got.User != want {
			t.Errorf("%s: %+v, %v; want %+v", program, got.User, err, want)
		}
	}
}

func TestValuesThatMeanTheSameAreTheSame(t *testing.T) {
	t.Parallel()
	set := parse(t, both)
	same := func(field, a, b string) bool {
		x := set.Comparable(nil, "crm", "Contact", field, jsontext.Value(a))
		return string(x) == string(set.Comparable(nil, "crm", "Contact", field, jsontext.Value(b)))
	}
	for _, c := range []struct {
		field, a, b string
		want        bool
	}{
		{"any", `true`, `"true"`, true},
		{"any", `true`, `"TRUE"`, false},
		{"Out", `true`, `"TRUE"`, true},
		{"any", `null`, `""`, true},
		{"any", `false`, `null`, false},
		{"any", `12.50`, `"12.5"`, true},
		{"any", `12.50`, `"12.500"`, true},
		{"any", `10`, `"10"`, true},
		{"any", `10`, `"010"`, false},
		{"any", `100`, `1`, false},
		{"any", `820982911946154508`, `820982911946154509`, false},
		{"any", `"2026-03-02T09:15:04Z"`, `"2026-03-02T09:15:04.000+0000"`, true},
		{"any", `"2026-03-02T10:15:04+01:00"`, `"2026-03-02T09:15:04.000Z"`, true},
		{"any", `"2026-03-02T09:15:04Z"`, `"2026-03-02T09:15:05Z"`, false},
		{"any", `1772442904000`, `"2026-03-02T09:15:04Z"`, false},
		{"Seen", `1772442904000`, `"2026-03-02T09:15:04Z"`, true},
		{"Born", `"1980-05-01"`, `"325987200000"`, true},
		{"Code", `"1.10"`, `"1.1"`, false},
		{"Code", `"1.10"`, `1.10`, true},
		{"Points", `"1.10"`, `1.1`, true},
		{"Topics", `"news;offers"`, `["offers","news"]`, true},
		{"Topics", `"news;offers"`, `"news"`, false},
		{"Topics", `[]`, `""`, true},
		{"any", `["a","b"]`, `["b","a"]`, false},
		{"any", `{"a":1,"b":2}`, `{"b":2, "a":1}`, true},
		{"News", `"TRUE"`, `true`, true},
		{"any", `-0`, `0`, true},
		{"any", `"a"`, `"A"`, false},
	} {
		if got := same(c.field, c.a, c.b); got != c.want {
			t.Errorf("%s: %s and %s are the same: %v, want %v", c.field, c.a, c.b, got, c.want)
		}
	}
	if got := set.Comparable([]byte("before "), "crm", "Contact", "any", jsontext.Value(`no JSON`)); string(got) != "before no JSON" {
		t.Errorf("got %s", got)
	}
}

func TestAFieldIsFoundByItsTargetAndObject(t *testing.T) {
	t.Parallel()
	set := parse(t, both)
	f, ok := set.Field("crm", "Contact", "News")
	if want := (rules.Field{Name: "News", Group: "11111111-2222", Owner: rules.OwnerNewest}); !ok || !cmp.Equal(want, f, cmpopts.IgnoreUnexported(rules.Field{})) {
		t.Errorf("got %+v, %v", f, ok)
	}
	for _, c := range [][3]string{{"hubspot", "Contact", "News"}, {"crm", "Lead", "News"}, {"crm", "Contact", "none"}} {
		if _, ok := set.Field(c[0], c[1], c[2]); ok {
			t.Errorf("%v is found", c)
		}
	}
}

func TestTheObjectsIDMayBeItsKey(t *testing.T) {
	t.Parallel()
	b, err := rules.Default().Back(&event.Change{Kind: event.Changed, System: "loyalty", Object: "members", ObjectID: "48213", Changes: []byte(`{"points":"120"}`)})
	if err != nil || b.Key != "48213" || b.User.ExternalID != "48213" || len(b.Fields) != 1 || string(b.Fields[0].Value) != "120" {
		t.Errorf("got %+v, %v", b, err)
	}
}
