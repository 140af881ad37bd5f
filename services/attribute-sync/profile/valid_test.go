package profile

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/pkg/event"
)

func TestWhatBrazeWouldNotTakeIsRefused(t *testing.T) {
	t.Parallel()
	rules := &Rules{Fields: []Field{
		{Name: "many", MaxItems: 100},
		{Name: "s", Type: TypeString},
		{Name: "i", Type: TypeInteger},
		{Name: "n", Type: TypeNumber},
		{Name: "b", Type: TypeBoolean},
		{Name: "d", Type: TypeDate},
		{Name: "a", Type: TypeArray},
		{Name: "o", Type: TypeObject},
	}}
	long := strings.Repeat("x", 256)
	list := func(n int) string { return "[" + strings.Repeat("1,", n-1) + "1]" }
	for _, test := range []struct {
		set   string
		field string // empty: it is taken
		rule  braze.Rule
	}{
		{set: `{"country":"AT","language":"de","dob":"1980-02-29","phone":"+436641234567","email":"a.b+c@example.org","gender":"F","time_zone":"Europe/Vienna","home_city":""}`},
		{set: `{"country":null,"language":null,"dob":null,"phone":null,"email":null,"gender":null,"time_zone":null,"current_location":null}`},
		{set: `{"country":"AUT"}`, field: "set.country", rule: braze.RuleNotOneOf},
		{set: `{"country":"at"}`, field: "set.country", rule: braze.RuleNotOneOf},
		{set: `{"country":1}`, field: "set.country", rule: braze.RuleWrongType},
		{set: `{"language":"deu"}`, field: "set.language", rule: braze.RuleNotOneOf},
		{set: `{"dob":"1981-02-29"}`, field: "set.dob", rule: braze.RulePattern},
		{set: `{"dob":"02/03/1980"}`, field: "set.dob", rule: braze.RulePattern},
		{set: `{"phone":"0664 1234567"}`, field: "set.phone", rule: braze.RuleNotE164},
		{set: `{"email":"a@b@example.org"}`, field: "set.email", rule: braze.RuleNotAnEmail},
		{set: `{"email":"a b@example.org"}`, field: "set.email", rule: braze.RuleNotAnEmail},
		{set: `{"email":"a@localhost"}`, field: "set.email", rule: braze.RuleNotAnEmail},
		{set: `{"gender":"female"}`, field: "set.gender", rule: braze.RuleNotOneOf},
		{set: `{"email_subscribe":"yes"}`, field: "set.email_subscribe", rule: braze.RuleNotOneOf},
		{set: `{"push_subscribe":"unsubscribed"}`},
		{set: `{"time_zone":"Vienna"}`, field: "set.time_zone", rule: braze.RuleNotOneOf},
		{set: `{"time_zone":"../etc/passwd"}`, field: "set.time_zone", rule: braze.RuleNotOneOf},
		{set: `{"time_zone":"Local"}`, field: "set.time_zone", rule: braze.RuleNotOneOf},
		{set: `{"date_of_first_session":"2026-03-04T05:06:07.890Z"}`},
		{set: `{"date_of_first_session":"yesterday"}`, field: "set.date_of_first_session", rule: braze.RulePattern},
		{set: `{"current_location":{"longitude":16.37,"latitude":48.2}}`},
		{set: `{"current_location":{"longitude":16.37,"latitude":98.2}}`, field: "set.current_location", rule: braze.RuleOutOfRange},
		{set: `{"current_location":{"longitude":16.37}}`, field: "set.current_location", rule: braze.RuleMissing},
		{set: `{"first_name":"` + long + `"}`, field: "set.first_name", rule: braze.RuleStringTooLong},
		{set: `{"first_name":["a"]}`, field: "set.first_name", rule: braze.RuleWrongType},
		{set: `{"email_open_tracking_disabled":"true"}`, field: "set.email_open_tracking_disabled", rule: braze.RuleWrongType},
		{set: `{"push_tokens":[{"app_id":"a","token":"` + long + `"}]}`},
		{set: `{"email":{"inc":1}}`, field: "set.email", rule: braze.RuleWrongType},

		{set: `{"external_id":"x"}`, field: "set.external_id", rule: braze.RuleReserved},
		{set: `{"_merge_objects":true}`, field: "set._merge_objects", rule: braze.RuleReserved},
		{set: `{"subscription_groups":[]}`, field: "set.subscription_groups", rule: braze.RuleReserved},
		{set: `{" braze_id ":"x"}`, field: "set.braze_id", rule: braze.RuleReserved},
		{set: `{"":1}`, field: "set.", rule: braze.RuleEmptyName},
		{set: `{"  ":1}`, field: "set.", rule: braze.RuleEmptyName},
		{set: `{"\u0000x":1}`, field: "set.\x00x", rule: braze.RulePattern},
		{set: `{"` + long + `":1}`, field: "set." + long[:64] + "…", rule: braze.RuleNameTooLong},
		{set: `{"x":"` + long + `"}`, field: "set.x", rule: braze.RuleStringTooLong},
		{set: `{"x":"` + strings.Repeat("é", 255) + `"}`},
		{set: `{"x":"` + strings.Repeat(`\u00e9`, 255) + `"}`},
		{set: `{"x":` + list(25) + `}`},
		{set: `{"x":` + list(26) + `}`, field: "set.x", rule: braze.RuleTooManyItems},
		{set: `{"many":` + list(100) + `}`},
		{set: `{"many":` + list(101) + `}`, field: "set.many", rule: braze.RuleTooManyItems},
		{set: `{"x":{"a b":1}}`, field: "set.x", rule: braze.RulePattern},
		{set: `{"x":{"a":null}}`, field: "set.x", rule: braze.RuleNotAllowed},
		{set: `{"x":[1,null]}`, field: "set.x", rule: braze.RuleNotAllowed},
		{set: `{"x":[1,[2]]}`, field: "set.x", rule: braze.RuleNotAllowed},
		{set: `{"x":[1,{"a":2}]}`, field: "set.x", rule: braze.RuleNotAllowed},
		{set: `{"x":[{"a":2},1]}`, field: "set.x", rule: braze.RuleNotAllowed},
		{set: `{"x":{"a":1,"\u0061":2}}`, field: "set.x", rule: braze.RuleTwice},
		{set: `{"x":{"since":{"$time":"2026-03-04"}}}`},
		{set: `{"x":{"since":{"$time":"soon"}}}`, field: "set.x", rule: braze.RuleNotAllowed},
		{set: `{"x":{"$foo":1}}`, field: "set.x", rule: braze.RuleLeadingDollar},
		{set: `{"x":{"$add":[{"a":1}],"a":1}}`, field: "set.x", rule: braze.RuleNotAllowed},
		{set: `{"x":{"$add":[1]}}`, field: "set.x", rule: braze.RuleNotAnObject},
		{set: `{"x":{"$add":[{"a b":1}]}}`, field: "set.x", rule: braze.RulePattern},
		{set: `{"x":{"$remove":[{"$identifier_key":"id"}]}}`, field: "set.x", rule: braze.RuleNotJSON},
		{set: `{"x":{"inc":1.5}}`, field: "set.x", rule: braze.RuleNotANumber},
		{set: `{"x":{"add":[{"a":1}]}}`, field: "set.x", rule: braze.RuleNotAllowed},
		{set: `{"x":{"add":1}}`, field: "set.x", rule: braze.RuleNotAList},
		{set: `{"y":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`, field: "set.y", rule: braze.RuleTooDeep},
		{set: `{"x":{"a":[` + strings.TrimSuffix(strings.Repeat(`"`+long[:200]+`",`, 300), ",") + `]}}`, field: "set.x", rule: braze.RuleTooLarge},

		{set: `{"s":"x","i":1,"n":1.5,"b":true,"d":"2026-03-04","a":[{"x":1}],"o":{"x":1}}`},
		{set: `{"s":null,"i":null,"n":3,"b":null,"d":null,"a":[],"o":null}`},
		{set: `{"s":1}`, field: "set.s", rule: braze.RuleWrongType},
		{set: `{"i":1.5}`, field: "set.i", rule: braze.RuleWrongType},
		{set: `{"n":"1"}`, field: "set.n", rule: braze.RuleWrongType},
		{set: `{"b":0}`, field: "set.b", rule: braze.RuleWrongType},
		{set: `{"d":"never"}`, field: "set.d", rule: braze.RuleWrongType},
		{set: `{"a":{}}`, field: "set.a", rule: braze.RuleWrongType},
		{set: `{"o":[]}`, field: "set.o", rule: braze.RuleWrongType},
		{set: `{"s":{"add":["x"]}}`, field: "set.s", rule: braze.RuleWrongType},

		{set: `[]`, field: "set", rule: braze.RuleNotAnObject},
		{set: `{"x":1`, field: "set", rule: braze.RuleNotJSON},
		{set: `{"x":1}{}`, field: "set", rule: braze.RuleNotJSON},
		{set: `{"x":-1.7e308,"y":1e-400,"z":1` + strings.Repeat("0", 308) + `}`},
		{set: `{"x":1e400}`, field: "set.x", rule: braze.RuleOutOfRange},
		{set: `{"x":{"a":[-1e309]}}`, field: "set.x", rule: braze.RuleOutOfRange},
		{set: `{"x":1` + strings.Repeat("0", 309) + `}`, field: "set.x", rule: braze.RuleOutOfRange},
		{set: `{"x":01}`, field: "set.x", rule: braze.RuleNotJSON},
		{set: `{"x":"\q"}`, field: "set.x", rule: braze.RuleNotJSON},
		{set: "{\"x\":\"\xff\"}", field: "set.x", rule: braze.RuleNotJSON},
	} {
		t.Run(test.set[:min(len(test.set), 60)], func(t *testing.T) {
			t.Parallel()
			u := newUser(t, &Rules{Fields: rules.Fields})
			refusal := u.apply(says("crm", 1, test.set))
			got, want := "taken", "taken"
			if refusal != nil {
				got = "refused: " + refusal.Reason
				if refusal.Violation != nil {
					got = fmt.Sprint(refusal.Violation.Field, " ", refusal.Violation.Rule)
				}
			}
			if test.field != "" {
				want = fmt.Sprint(test.field, " ", test.rule)
			}
			if got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			d := u.end()
			if refusal != nil && (len(d.Objects) > 0 || !u.state.Empty()) {
				t.Error("something of a refused record was applied")
			}
			for _, o := range d.Objects {
				if v := braze.CheckAttributes(o.Attributes); v != nil {
					t.Errorf("what is sent breaks a rule: %v", v)
				}
			}
		})
	}
}

func TestTheOtherPartsOfARecordAreHeldToTheRulesToo(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		p     event.Profile
		field string
		rule  braze.Rule
	}{
		{"a name to unset that steers the request", event.Profile{Unset: []string{"user_alias"}}, "unset.user_alias", braze.RuleReserved},
		{"a name to unset with a NUL before it", event.Profile{Unset: []string{"\x00x"}}, "unset.\x00x", braze.RulePattern},
		{"a name to unset that is no text", event.Profile{Unset: []string{"\xff"}}, "unset.\xff", braze.RuleNotJSON},
		{"adding to a field of Braze's", event.Profile{Add: []byte(`{"email":["x"]}`)}, "add.email", braze.RuleNotAllowed},
		{"adding what is no list", event.Profile{Add: []byte(`{"tags":"x"}`)}, "add.tags", braze.RuleNotAList},
		{"adding more than an array can hold", event.Profile{Add: []byte(`{"tags":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26]}`)}, "add.tags", braze.RuleTooManyItems},
		{"removing an object", event.Profile{Remove: []byte(`{"tags":[{}]}`)}, "remove.tags", braze.RuleNotAllowed},
		{"incrementing by a fraction", event.Profile{Increment: []byte(`{"visits":1.0}`)}, "increment.visits", braze.RuleNotANumber},
		{"incrementing by more than 64 bits", event.Profile{Increment: []byte(`{"visits":9223372036854775808}`)}, "increment.visits", braze.RuleNotANumber},
		{"a group that is none", event.Profile{Subscriptions: []event.Subscription{{GroupID: "news", State: "subscribed"}}}, "subscriptions.subscription_groups.news", braze.RulePattern},
		{"a state that is none", event.Profile{Subscriptions: []event.Subscription{{GroupID: someGroup, State: "opted_in"}}}, "subscriptions.subscription_groups." + someGroup, braze.RuleNotOneOf},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			u := newUser(t, nil)
			refusal := u.apply(&test.p)
			if refusal == nil || refusal.Violation == nil {
				t.Fatalf("got %v", refusal)
			}
			if got := *refusal.Violation; got.Field != test.field || got.Rule != test.rule || got.Error() == "" {
				t.Errorf("got %s %s", got.Field, got.Rule)
			}
		})
	}
}

func TestDroppingDeclinesTheFieldAndTakesTheRest(t *testing.T) {
	t.Parallel()
	u := newUser(t, &Rules{OnInvalid: Drop})
	d := u.window(says("crm", 1, `{"country":"AUT","tier":"gold","x":{"a":[null,{"b c":"]}"}]},"external_id":{"a":1},"tags":{"add":["a",{}]},"y":1}`))
	want := `{"tier":"gold","y":1} 2
- country invalid: set.country is none of the words that may stand here: a country's two capital letters of ISO 3166-1, such as AT
- x invalid: set.x must not stand here: null within a value; Braze would keep nothing of it
- external_id invalid: set.external_id has a name that is reserved: it says who the user is
- tags invalid: set.tags must not stand here: values of a plain array are strings, numbers and booleans`
	if diff := cmp.Diff(want, sent(d)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if refusal := u.apply(says("crm", 2, `{"country":"AUT","tier":}`)); refusal == nil {
		t.Error("what is no JSON was taken")
	}
}

func TestWhatIsDeclinedAnywayMayBeInvalid(t *testing.T) {
	t.Parallel()
	u := newUser(t, &Rules{Fields: []Field{{Name: "country", Blocked: true}, {Name: "phone", Owner: "crm"}, {Name: "tags", Owner: "crm"}}})
	d := u.window(says("web", 1, `{"country":"Austria","phone":"0664","tags":{"add":[{}]},"tier":"gold"}`))
	want := `{"tier":"gold"} 1
- country blocked: fields.yaml blocks it
- phone not_owner: it belongs to crm
- tags not_owner: it belongs to crm`
	if diff := cmp.Diff(want, sent(d)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if refusal := u.apply(says("crm", 1, `{"phone":"0664"}`)); refusal == nil {
		t.Error("the owner's own mistake is taken")
	}
	if refusal := u.apply(says("web", 1, `{"country":}`)); refusal == nil {
		t.Error("what is no JSON is taken")
	}
}

func TestNamesThatWhatIsMadeHereCannotHave(t *testing.T) {
	t.Parallel()
	support := maps.All(map[string]string{"support.attributes.open_cases": "open_cases"})
	for _, test := range []struct {
		name, made string
		problem    string // empty: it can
	}{
		{"none", "", ""},
		{"a plain one", "orders_placed", ""},
		{"the beginning of several", "total_spent_*", ""},
		{"one that says who the user is", "external_id", "the name of an attribute; it says who the user is"},
		{"one that steers the request", "_merge_objects", "the name of an attribute; it steers the whole request"},
		{"a field of Braze's own", "country", "a name that is not one of Braze's own fields"},
		{"one that another has", "open_cases", "a name of its own; support.attributes.open_cases has this one"},
		{"a beginning that covers another", "open_*", "a name of its own; support.attributes.open_cases has this one"},
		{"one with a space", " x", "the name of an attribute: at most 255 characters, no space around it, no $ in front"},
		{"one that is too long", strings.Repeat("x", 256), "the name of an attribute: at most 255 characters, no space around it, no $ in front"},
		{"a pattern", "a?", "a name, and no pattern"},
		{"a group's state", groupPrefix + someGroup, "the name of an attribute; states in subscription groups are called so"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var problem config.Problem
			err := CheckMade(support, maps.All(map[string]string{"commerce.orders": test.made}))
			if errors.As(err, &problem); problem.Allowed != test.problem || err != nil && problem.Field != "commerce.orders" {
				t.Errorf("got %v, want %q", err, test.problem)
			}
		})
	}
}

func TestAnOperatorReadBeforeDoesNotChangeWhatMayStandInAnArray(t *testing.T) {
	t.Parallel()
	u := newUser(t, nil)
	if refusal := u.apply(increments("shop", 1, `{"n":{"$add":[]}}`)); refusal == nil {
		t.Error("an object is no increment")
	}
	if refusal := u.apply(adds("crm", 1, `{"tags":[null]}`, ``)); refusal == nil {
		t.Errorf("null is an element: %s", sent(u.end()))
	}
}

func TestTheFirstRuleThatFitsCounts(t *testing.T) {
	t.Parallel()
	rules := &Rules{Fields: []Field{
		{Name: "loyalty_tier", Owner: "crm"},
		{Name: "loyalty_*", Owner: "loyalty"},
		{Name: "loyalty_points", Owner: "shop"},
		{Name: "subscription_groups.*", Owner: "preferences"},
		{Name: "subscription_groups.0000000A-0000-4000-8000-000000000001", Owner: "news"},
		{Name: "pii_*", Owner: "vault"},
		{Name: "left_*", Owner: "crm"},
		{Name: "made_*", Owner: "crm"},
	}}
	rules.Fields[3], rules.Fields[4] = rules.Fields[4], rules.Fields[3]
	rules.Own("sluice.support", "open_cases", "loyalty_tier", "made_here")
	rules.Own("sluice.commerce", "total_spent_*", "left_*")
	newUser(t, rules)
	for name, owner := range map[string]string{
		"loyalty_tier": "crm", "loyalty_points": "loyalty", "open_cases": "sluice.support", "tier": "", "subscription_groups." + someGroup: "preferences",
		"subscription_groups.0000000a-0000-4000-8000-000000000001": "news", "pii_a/b": "vault",
		"total_spent_eur": "sluice.commerce", "left_eur": "crm", "made_here": "sluice.support", "made_there": "crm",
	} {
		if got := rules.rule(name).owner(); got != owner {
			t.Errorf("%s belongs to %q, want %q", name, got, owner)
		}
	}
}

func TestWhatIsWrongWithTheRulesIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	rules := &Rules{}
	text := `
on_invalid: ignore
fields:
  - {owner: crm}
  - {name: "loyalty_["}
  - {name: a, type: text}
  - {name: a}
  - {name: email, type: string}
  - {name: external_id}
  - {name: b, max_items: 101}
  - {name: c, owner: crm, blocked: true}
`
	if err := yaml.UnmarshalWithOptions([]byte(text), rules, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	err := rules.Validate()
	if err == nil {
		t.Fatal("nothing is wrong with it")
	}
	want := `on_invalid: "ignore"; allowed: refuse, drop
fields[0].name: a name or a pattern is needed
fields[1].name: "loyalty_["; allowed: a name, or a pattern whose brackets are closed
fields[2].type: "text"; allowed: string, integer, number, boolean, date, array, object
fields[3].name: "a"; allowed: a name that fields[2] does not have already
fields[4].type: "string"; allowed: no type: Braze has its own for email
fields[5].name: "external_id"; allowed: the name of an attribute; it says who the user is
fields[6].max_items: 101; allowed: from 1 to 100, or nothing for 25
fields[7].blocked: true; allowed: either an owner or blocked: nobody owns what is not sent`
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if err := yaml.UnmarshalWithOptions([]byte("fields: [{name: a, ownr: crm}]"), rules, yaml.Strict()); err == nil {
		t.Error("a misspelled key was taken")
	}
}
