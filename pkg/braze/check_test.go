package braze_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/braze"
)

// many is an object of n properties.
func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"p%d":%d`, i, i)
	}
	return "{" + b.String()[1:] + "}"
}

func TestCheckProperties(t *testing.T) {
	x255, x256 := strings.Repeat("x", 255), strings.Repeat("x", 256)
	tests := []struct {
		name string
		in   string
		want *braze.Violation
	}{
		{name: "no properties are good", in: ``},
		{name: "an empty object is good", in: `{}`},
		{name: "every type of value is good", in: `{"s":"x","n":-1.5e3,"b":true,"z":null,"a":[1,"2",{"c":[]}],"o":{"deep":{"deeper":"y"}}}`},
		{name: "white space is no matter", in: " {\n\t\"a\" : \"b\" ,\r\n \"c\" : [ \"d\" , { \"e\" : 1 } ] } "},
		{name: "256 properties are good", in: many(256)},
		{name: "a name of 255 characters is good", in: `{"` + x255 + `":1}`},
		{name: "a string of 255 characters is good", in: `{"a":"` + x255 + `"}`},
		{name: "characters count, not bytes", in: `{"a":"` + strings.Repeat("€", 255) + `"}`},
		{name: "an escape is one character", in: `{"a":"` + strings.Repeat(`\u20ac`, 200) + strings.Repeat(`\n`, 55) + `"}`},
		{name: "a pair of surrogates is one character", in: `{"a":"` + strings.Repeat(`\ud83d\uDE42`, 255) + `"}`},
		{name: "quotes, colons and braces inside strings are text", in: `{"a":"\":{}[]\\","b\"":":"}`},
		{name: "reserved names are free beneath the top level", in: `{"o":{"time":1,"event_name":2,"$x":3}}`},
		{name: "reserved words are free as values", in: `{"a":"time","b":["event_name","$x"]}`},
		{name: "reserved names are case-sensitive", in: `{"Time":1}`},

		{name: "time is reserved", in: `{"a":1,"time":2}`, want: &braze.Violation{Field: "properties.time", Rule: braze.RuleReserved}},
		{name: "event_name is reserved", in: `{"event_name":2}`, want: &braze.Violation{Field: "properties.event_name", Rule: braze.RuleReserved}},
		{name: "an escape does not hide a reserved name", in: `{"t\u0069me":2}`, want: &braze.Violation{Field: "properties.time", Rule: braze.RuleReserved}},
		{name: "a leading dollar is refused", in: `{"$price":2}`, want: &braze.Violation{Field: "properties.$price", Rule: braze.RuleLeadingDollar}},
		{name: "an escaped leading dollar too", in: `{"\u0024price":2}`, want: &braze.Violation{Field: "properties.$price", Rule: braze.RuleLeadingDollar}},
		{name: "an empty name is refused", in: `{"a":{"":2}}`, want: &braze.Violation{Field: "properties.a.", Rule: braze.RuleEmptyName}},
		{name: "a name of 256 characters is refused", in: `{"a":[0,{"` + x256 + `":2}]}`, want: &braze.Violation{Field: "properties.a[1]." + x256[:64] + "…", Rule: braze.RuleNameTooLong}},
		{name: "a string of 256 characters is refused, wherever it stands", in: `{"a":1,"items":[{"sku":"ok"},"x",{"b":0,"sku": "` + x256 + `"}]}`, want: &braze.Violation{Field: "properties.items[2].sku", Rule: braze.RuleStringTooLong}},
		{name: "a string of 256 characters in an array is refused", in: `{"a":["` + x256 + `"]}`, want: &braze.Violation{Field: "properties.a[0]", Rule: braze.RuleStringTooLong}},
		{name: "a deep place is named as far as one wants to read", in: `{"a":` + strings.Repeat("[", 100) + `{"":1}` + strings.Repeat("]", 100) + `}`, want: &braze.Violation{Field: "properties.a" + strings.Repeat("[0]", 15) + "…", Rule: braze.RuleEmptyName}},
		{name: "257 properties are refused", in: many(257), want: &braze.Violation{Field: "properties", Rule: braze.RuleTooMany}},
		{name: "more than 102,400 bytes are refused", in: `{"a":[` + strings.Repeat(" ", 102_400) + `]}`, want: &braze.Violation{Field: "properties", Rule: braze.RuleTooLarge}},
		{name: "an array is refused", in: `[]`, want: &braze.Violation{Field: "properties", Rule: braze.RuleNotAnObject}},
		{name: "null is refused", in: `null`, want: &braze.Violation{Field: "properties", Rule: braze.RuleNotAnObject}},
		{name: "blanks are refused", in: `  `, want: &braze.Violation{Field: "properties", Rule: braze.RuleNotAnObject}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, braze.CheckProperties([]byte(tt.in))); diff != "" {
				t.Errorf("violation (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheOtherChecks(t *testing.T) {
	x256 := strings.Repeat("x", 256)
	tests := []struct {
		name string
		got  *braze.Violation
		want *braze.Violation
	}{
		{
			"a purchase's properties have their own reserved names", braze.CheckPurchaseProperties([]byte(`{"price":1}`)),
			&braze.Violation{Field: "properties.price", Rule: braze.RuleReserved},
		},
		{"an event's properties may be called price", braze.CheckProperties([]byte(`{"price":1}`)), nil},
		{"a purchase's properties are good otherwise", braze.CheckPurchaseProperties([]byte(`{"colour":"red"}`)), nil},
		{
			"a purchase's properties have half the room", braze.CheckPurchaseProperties([]byte(`{"a":[` + strings.Repeat(" ", 51_200) + `]}`)),
			&braze.Violation{Field: "properties", Rule: braze.RuleTooLarge},
		},
		{"attributes may carry operators", braze.CheckAttributes([]byte(`{"tags":{"$add":[{"id":1}]},"visits":{"inc":1},"seen":{"$time":"2026-03-04"}}`)), nil},
		{
			"attributes must not name the user", braze.CheckAttributes([]byte(`{"tier":"gold","external_id":"x"}`)),
			&braze.Violation{Field: "attributes.external_id", Rule: braze.RuleReserved},
		},
		{
			"attributes must not steer the update", braze.CheckAttributes([]byte(`{"_merge_objects":true}`)),
			&braze.Violation{Field: "attributes._merge_objects", Rule: braze.RuleReserved},
		},
		{
			"attributes have the limit of strings", braze.CheckAttributes([]byte(`{"address":{"street":"` + x256 + `"}}`)),
			&braze.Violation{Field: "attributes.address.street", Rule: braze.RuleStringTooLong},
		},
		{
			"push tokens may be long, what follows may not", braze.CheckAttributes([]byte(`{"push_tokens":[{"token":"` + x256 + `"}],"a":"` + x256 + `"}`)),
			&braze.Violation{Field: "attributes.a", Rule: braze.RuleStringTooLong},
		},
		{"there is no limit to the number of attributes", braze.CheckAttributes([]byte(many(300))), nil},
		{"an event needs a name", braze.CheckEvent(" ", nil), &braze.Violation{Field: "name", Rule: braze.RuleMissing}},
		{
			"an event's properties are checked with it", braze.CheckEvent("a", []byte(`{"time":1}`)),
			&braze.Violation{Field: "properties.time", Rule: braze.RuleReserved},
		},
		{"an event may have a name of any length", braze.CheckEvent(x256, nil), nil},
		{"an external id must not be empty", braze.CheckExternalID(""), &braze.Violation{Field: "external_id", Rule: braze.RuleMissing}},
		{"an external id may have 987 bytes", braze.CheckExternalID(strings.Repeat("x", 987)), nil},
		{"and no more", braze.CheckExternalID(strings.Repeat("x", 988)), &braze.Violation{Field: "external_id", Rule: braze.RuleTooLarge}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, tt.got); diff != "" {
				t.Errorf("violation (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAViolationReadsAsASentence(t *testing.T) {
	err := braze.CheckProperties([]byte(`{"items":[{"sku":"` + strings.Repeat("x", 300) + `"}]}`))
	if got, want := err.Error(), "properties.items[0].sku is longer than 255 characters"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
}

func TestAGoodObjectIsCheckedWithoutAllocating(t *testing.T) {
	in := []byte(sample)
	if n := testing.AllocsPerRun(100, func() {
		if braze.CheckEvent("invoice_issued", in) != nil || braze.CheckAttributes(in) != nil {
			t.Error("the sample breaks a rule")
		}
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

// naive checks properties by decoding them token by token.
func naive(in []byte) braze.Rule {
	if len(in) == 0 {
		return ""
	}
	if len(in) > 102_400 {
		return braze.RuleTooLarge
	}
	d := json.NewDecoder(strings.NewReader(string(in)))
	d.UseNumber()
	if first, err := d.Token(); err != nil || first != json.Delim('{') {
		return braze.RuleNotAnObject
	}
	members := 0
	var value func(depth int) braze.Rule
	container := func(object bool, depth int) braze.Rule {
		for d.More() {
			if object {
				token, _ := d.Token()
				name := token.(string)
				switch {
				case name == "":
					return braze.RuleEmptyName
				case utf8.RuneCountInString(name) > 255:
					return braze.RuleNameTooLong
				case depth == 1 && name[0] == '$':
					return braze.RuleLeadingDollar
				case depth == 1 && (name == "time" || name == "event_name"):
					return braze.RuleReserved
				}
				if depth == 1 {
					if members++; members > 256 {
						return braze.RuleTooMany
					}
				}
			}
			if rule := value(depth); rule != "" {
				return rule
			}
		}
		_, _ = d.Token()
		return ""
	}
	value = func(depth int) braze.Rule {
		token, _ := d.Token()
		switch token := token.(type) {
		case string:
			if utf8.RuneCountInString(token) > 255 {
				return braze.RuleStringTooLong
			}
		case json.Delim:
			return container(token == '{', depth+1)
		}
		return ""
	}
	return container(true, 1)
}

// FuzzCheckProperties compares the scan of valid JSON with decoding it, and holds that nothing at all
// makes it panic.
func FuzzCheckProperties(f *testing.F) {
	for _, seed := range []string{
		sample, `{"a":[{"b":"\\\"\u00e9"},[]],"":1}`, `{"$a":"` + strings.Repeat(`\ud83d\ude42x`, 200) + `"}`,
		`{"t\u0069me":{"time":[[["x"]]]}}`, many(257), `{"a":"\ud800` + strings.Repeat(`\udc00`, 260) + `"}`,
		`{"unclosed`, `{"a":"\`, `{"a"`, `"`, `{"a":{"b":`, "{\"a\":\"\xff\xfe\"}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		got := braze.CheckProperties(in)
		braze.CheckAttributes(in)
		braze.CheckPurchaseProperties(in)
		if !json.Valid(in) || !utf8.Valid(in) || got != nil && got.Rule == braze.RuleTooDeep {
			return // walk_test.go has those
		}
		var rule braze.Rule
		if got != nil {
			rule = got.Rule
			if !utf8.ValidString(got.Field) || len(got.Error()) == 0 {
				t.Errorf("field %q is not fit to be shown", got.Field)
			}
		}
		if want := naive(in); rule != want {
			t.Errorf("rule %q, want %q", rule, want)
		}
	})
}

const sample = `{"invoice_no":"R-77","amount":12.5,"currency":"EUR","paid":true,"due":"2026-04-01T00:00:00.000Z",` +
	`"lines":[{"sku":"P1-red","name":"Lamp, red, with a \"shade\"","quantity":1,"price":43.0},` +
	`{"sku":"P2","name":"Bulb","quantity":4,"price":2.5}],"address":{"street":"Währinger Straße 12","zip":"1090","city":"Wien"}}`

func BenchmarkCheckProperties(b *testing.B) {
	in := []byte(sample)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if braze.CheckProperties(in) != nil {
			b.Fatal("the sample breaks a rule")
		}
	}
}
