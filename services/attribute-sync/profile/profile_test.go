package profile

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/event"
)

// start is when the stories of these tests begin.
var start = time.Date(2026, 3, 4, 5, 6, 0, 0, time.UTC)

// user is a State that goes through its bytes at each end of a window.
type user struct {
	t     testing.TB
	rules *Rules
	state State
	n     int64
}

func newUser(t testing.TB, rules *Rules) *user {
	t.Helper()
	if rules == nil {
		rules = &Rules{}
	}
	if err := rules.Validate(); err != nil {
		t.Fatal(err)
	}
	return &user{t: t, rules: rules}
}

// says is a change that a source makes at a minute of the story.
func says(source string, minute int, set string) *event.Profile {
	return &event.Profile{Source: source, OccurredAt: start.Add(time.Duration(minute) * time.Minute), Set: []byte(set)}
}

func versioned(p *event.Profile, version int64) *event.Profile {
	p.Version = &version
	return p
}

func named(p *event.Profile, id string) *event.Profile {
	p.ID = id
	return p
}

func adds(source string, minute int, add, remove string) *event.Profile {
	p := says(source, minute, "")
	p.Add, p.Remove = []byte(add), []byte(remove)
	return p
}

func increments(source string, minute int, by string) *event.Profile {
	p := says(source, minute, "")
	p.Increment = []byte(by)
	return p
}

func (u *user) apply(p *event.Profile) *Refusal {
	u.n++
	return u.rules.Apply(&u.state, p, Place{Topic: "customer.profiles", Offset: u.n, Now: start})
}

// window applies changes, and ends.
func (u *user) window(changes ...*event.Profile) Difference {
	u.t.Helper()
	for _, p := range changes {
		if refusal := u.apply(p); refusal != nil {
			u.t.Fatalf("%s was refused: %v", p.Set, refusal)
		}
	}
	return u.end()
}

func (u *user) end() Difference {
	u.t.Helper()
	d := u.state.Update()
	d.Counts = append([]Count(nil), d.Counts...)
	points := map[Fate]int64{}
	for _, c := range d.Counts {
		points[c.Fate] += c.Points
	}
	objects := int64(0)
	for i := range d.Objects {
		objects += d.Objects[i].Points
		d.Objects[i].Attributes = append([]byte(nil), d.Objects[i].Attributes...)
	}
	d.Objects = append([]Object(nil), d.Objects...)
	d.Declined = append([]event.Declined(nil), d.Declined...)
	d.Causes = append([]event.Cause(nil), d.Causes...)
	if points[Sent] != d.Points || objects != d.Points {
		u.t.Errorf("the update costs %d, its objects %d, its counts say %d: %v", d.Points, objects, points[Sent], d.Counts)
	}
	b := u.state.Append(nil)
	if err := u.state.Decode(b); err != nil {
		u.t.Fatalf("reading what was written: %v", err)
	}
	if again := u.state.Append(nil); string(again) != string(b) {
		u.t.Fatalf("the state is other bytes when it is written again:\n%x\n%x", b, again)
	}
	return d
}

// sent is the objects of a difference, and what was declined, as lines.
func sent(d Difference) string {
	var lines []string
	for _, o := range d.Objects {
		lines = append(lines, fmt.Sprintf("%s %d", o.Attributes, o.Points))
	}
	for _, no := range d.Declined {
		lines = append(lines, fmt.Sprintf("- %s %s: %s", no.Field, no.Reason, no.Detail))
	}
	return strings.Join(lines, "\n")
}

func TestWhatIsSentIsWhatDiffers(t *testing.T) {
	t.Parallel()
	const group = "8d1f44b0-0c6c-4a0e-9f6e-0a1b2c3d4e5f"
	subscribes := func(minute int, state string) *event.Profile {
		p := says("crm", minute, "")
		p.Subscriptions = []event.Subscription{{GroupID: group, State: state}}
		return p
	}
	inCapitals := func(p *event.Profile) *event.Profile {
		p.Subscriptions[0].GroupID = strings.ToUpper(p.Subscriptions[0].GroupID)
		return p
	}
	unsets := func(minute int, names ...string) *event.Profile {
		p := says("crm", minute, "")
		p.Unset = names
		return p
	}
	type window struct {
		changes []*event.Profile
		want    string
	}
	w := func(want string, changes ...*event.Profile) window { return window{changes, want} }
	for _, test := range []struct {
		name    string
		rules   *Rules
		windows []window
	}{
		{"what Braze has already is not sent again", nil, []window{
			w(`{"tier":"gold","visits":3} 2`, says("crm", 1, `{"tier":"gold","visits":3}`)),
			w(``, says("crm", 2, `{"visits":3, "tier":"gold"}`)),
			w(`{"visits":4} 1`, says("crm", 3, `{"visits":4,"tier":"gold"}`)),
		}},
		{"the spelling of a value does not matter", nil, []window{
			w(`{"a":"é","n":1.50,"o":{"x":1,"y":[1,2]}} 4`, says("crm", 1, `{"n":1.50,"a":"é","o":{"x":1,"y":[1,2]}}`)),
			w(``, says("crm", 2, `{"n":15e-1,"a":"\u00e9","o":{ "y":[1.0, 2] , "x":10e-1}}`)),
		}},
		{"there and back within a window costs nothing", nil, []window{
			w(`{"tier":"gold"} 1`, says("crm", 1, `{"tier":"gold"}`)),
			w(``, says("crm", 2, `{"tier":"none"}`), says("crm", 3, `{"tier":"gold"}`)),
		}},
		{"null and unset remove, once, even what was never set", nil, []window{
			w(`{"tier":null} 1`, unsets(1, "tier")),
			w(``, says("crm", 2, `{"tier":null}`)),
			w(`{"tier":"gold"} 1`, says("crm", 3, `{"tier":"gold"}`)),
			w(`{"tier":null} 1`, says("crm", 4, `{"tier":null}`)),
		}},
		{"of equal times the source whose name sorts later wins", nil, []window{
			w(`{"tier":"b"} 1`, says("b", 1, `{"tier":"b"}`)),
			w("- tier stale: b wrote it at 2026-03-04T05:07:00.000Z", says("a", 1, `{"tier":"a"}`)),
			w(`{"tier":"c"} 1`, says("c", 1, `{"tier":"c"}`)),
		}},
		{"a version beats a clock within a source", nil, []window{
			w(`{"tier":"new"} 1`, versioned(says("crm", 1, `{"tier":"new"}`), 7)),
			w("- tier stale: crm wrote it at 2026-03-04T05:07:00.000Z as version 7", versioned(says("crm", 9, `{"tier":"old"}`), 6)),
		}},
		{"a source's own old version does not come back behind another source's", nil, []window{
			w(`{"tier":"new"} 1`, versioned(says("crm", 1, `{"tier":"new"}`), 7)),
			w(`{"tier":"shop"} 1`, says("shop", 2, `{"tier":"shop"}`)),
			w("- tier stale: crm wrote it at 2026-03-04T05:07:00.000Z as version 7", versioned(says("crm", 3, `{"tier":"old"}`), 6)),
			w(`{"tier":"newer"} 1`, versioned(says("crm", 4, `{"tier":"newer"}`), 8)),
		}},
		{"a version that lost to another source is remembered all the same", nil, []window{
			w(`{"tier":"shop"} 1`, says("shop", 5, `{"tier":"shop"}`)),
			w("- tier stale: shop wrote it at 2026-03-04T05:11:00.000Z", versioned(says("crm", 1, `{"tier":"lost"}`), 7)),
			w("- tier stale: crm wrote it at 2026-03-04T05:07:00.000Z as version 7", versioned(says("crm", 6, `{"tier":"old"}`), 6)),
		}},
		{"a field's owner is the only one who writes it, and is not held up by what others wrote before", &Rules{Fields: []Field{{Name: "owned", Owner: "crm"}}}, []window{
			w("- owned not_owner: it belongs to crm", says("shop", 9, `{"owned":1}`)),
			w(`{"owned":2} 1`, says("crm", 1, `{"owned":2}`)),
		}},
		{"a blocked field is nobody's", &Rules{Fields: []Field{{Name: "x_*", Blocked: true}}}, []window{
			w("{\"y\":1} 1\n- x_1 blocked: fields.yaml blocks it", says("shop", 9, `{"x_1":1,"y":1}`)),
		}},
		{"subscription states cost nothing, and only changes go out", nil, []window{
			w(`{"tier":1,"subscription_groups":[{"subscription_group_id":"`+group+`","subscription_state":"subscribed"}]} 1`, subscribes(1, "subscribed"), says("crm", 1, `{"tier":1}`)),
			w(``, subscribes(2, "subscribed")),
			w(`{"subscription_groups":[{"subscription_group_id":"`+group+`","subscription_state":"unsubscribed"}]} 0`, subscribes(3, "unsubscribed")),
		}},
		{"Braze's own fields cost one, states nothing, nested values one for each leaf", nil, []window{
			w(`{"current_location":{"longitude":16.4,"latitude":48.2},"email":"a@example.org","email_subscribe":"opted_in","o":{"a":1,"b":{"c":[1,2],"d":{}}},"objects":[{"a":1,"b":2},{"a":1}]} 8`,
				says("crm", 1, `{"o":{"a":1,"b":{"c":[1,2],"d":{}}},"email":"a@example.org","email_subscribe":"opted_in","objects":[{"a":1,"b":2},{"a":1}],"current_location":{"longitude":16.4,"latitude":48.2}}`)),
		}},
		{"elements of an array: for each the newest write counts", nil, []window{
			w(`{"tags":{"add":["a","b"],"remove":["c"]}} 3`, adds("crm", 3, `{"tags":["a","b"]}`, `{"tags":["c"]}`)),
			w("- tags stale: crm wrote it at 2026-03-04T05:09:00.000Z", adds("crm", 2, ``, `{"tags":["a"]}`)),
			w(``, adds("crm", 4, `{"tags":["a"]}`, ``)),
			w(`{"tags":{"remove":["a"]}} 1`, adds("crm", 5, ``, `{"tags":["a"]}`)),
		}},
		{"an array that comes late is sent with the newer elements applied", nil, []window{
			w(`{"tags":{"add":["x"],"remove":["b"]}} 2`, adds("shop", 5, `{"tags":["x"]}`, `{"tags":["b"]}`)),
			w(`{"tags":["a","c","x"]} 1`, says("crm", 4, `{"tags":["a","b","c"]}`)),
			w(``, says("crm", 4, `{"tags":["a","b","c"]}`)),
			w(`{"tags":["a","b"]} 1`, says("crm", 6, `{"tags":["a","b"]}`)),
			w("- tags stale: crm wrote it at 2026-03-04T05:12:00.000Z", adds("shop", 5, `{"tags":["x"]}`, ``)),
		}},
		{"an array and its elements in one window become one array", nil, []window{
			w(`{"tags":["b","a"]} 1`, says("crm", 1, `{"tags":["a","b"]}`), adds("crm", 2, `{"tags":["a"]}`, ``)),
			w(`{"tags":{"add":["c"]}} 1`, adds("crm", 3, `{"tags":["c"]}`, ``)),
		}},
		{"an element that went out with its array is not sent again", nil, []window{
			w(`{"tags":["a","b"]} 1`, says("crm", 1, `{"tags":["a"]}`), adds("crm", 2, `{"tags":["b"]}`, `{"tags":["c"]}`)),
			w(``, adds("crm", 3, `{"tags":["b"]}`, `{"tags":["c"]}`)),
		}},
		{"elements there and back within a window cost nothing", nil, []window{
			w(`{"tags":{"add":["a"]}} 1`, adds("crm", 1, `{"tags":["a"]}`, ``)),
			w(``, adds("crm", 2, ``, `{"tags":["a"]}`), adds("crm", 3, `{"tags":["a"]}`, ``)),
		}},
		{"an array cannot be made longer than it may be", &Rules{Fields: []Field{{Name: "tags", MaxItems: 2}}}, []window{
			w(`{"tags":["b","a"]} 1`, says("crm", 1, `{"tags":["a","b"]}`), adds("crm", 2, `{"tags":["a","c"]}`, ``)),
		}},
		{"increments add up, and in any order", nil, []window{
			w(`{"visits":{"inc":3}} 1`, increments("crm", 5, `{"visits":1}`), increments("crm", 3, `{"visits":2}`)),
			w(`{"visits":11} 1`, says("crm", 4, `{"visits":10}`)),
			w("- visits stale: crm wrote it at 2026-03-04T05:10:00.000Z", increments("crm", 2, `{"visits":2}`)),
			w(`{"visits":{"inc":-1}} 1`, increments("crm", 6, `{"visits":-1}`)),
			w(``, says("crm", 7, `{"visits":10}`)),
			w(``, increments("crm", 8, `{"visits":-1}`), increments("crm", 8, `{"visits":1}`)),
		}},
		{"a value and its increments in one window become one value", nil, []window{
			w(`{"visits":12} 1`, increments("crm", 4, `{"visits":2}`), says("crm", 3, `{"visits":10}`)),
			w(`{"visits":21} 1`, says("crm", 5, `{"visits":20}`), increments("crm", 6, `{"visits":1}`)),
		}},
		{"an increment of what is no integer comes to nothing", nil, []window{
			w("{\"visits\":\"many\"} 1\n- visits wrong_type: it is a string", says("crm", 5, `{"visits":"many"}`), increments("crm", 6, `{"visits":1}`)),
		}},
		{"a repeat of an increment is not applied", nil, []window{
			w(`{"visits":{"inc":1}} 1`, named(increments("crm", 5, `{"visits":1}`), "e1")),
			w("- visits duplicate: the event was applied before", named(increments("crm", 5, `{"visits":1}`), "e1")),
			w(`{"visits":{"inc":1}} 1`, named(increments("shop", 5, `{"visits":1}`), "e1")),
		}},
		{"operators within set are what Braze takes them for", nil, []window{
			w(`{"tags":{"add":["a"]},"visits":{"inc":2}} 2`, says("crm", 1, `{"visits":{"inc":2},"tags":{"add":["a"]}}`)),
			w(`{"o":{"inc":2,"x":1}} 2`, says("crm", 1, `{"o":{"inc":2,"x":1}}`)),
		}},
		{"operators on arrays of objects are sent in their order, updates by themselves", nil, []window{
			w(`{"cars":[{"id":1},{"id":2,"km":3}],"o":{"x":1}} 4`, says("crm", 1, `{"cars":[{"id":1}],"o":{"x":1}}`), named(says("crm", 2, `{"cars":{"$add":[{"id":2,"km":3}]}}`), "e1")),
			w("{\"_merge_objects\":true,\"cars\":{\"$update\":[{\"$identifier_key\":\"id\",\"$identifier_value\":2,\"$new_object\":{\"km\":4}}]}} 1\n"+
				"{\"cars\":{\"$add\":[{\"id\":3},{\"id\":4}]}} 2\n- cars duplicate: the event was applied before",
				says("crm", 3, `{"cars":{"$update":[{"$identifier_key":"id","$identifier_value":2,"$new_object":{"km":4}}]}}`),
				says("crm", 4, `{"cars":{"$add":[{"id":3}]}}`), says("crm", 3, `{"cars":{"$add":[{"id":4}]}}`),
				named(says("crm", 2, `{"cars":{"$add":[{"id":2,"km":3}]}}`), "e1")),
			w("- cars stale: crm wrote it at 2026-03-04T05:10:00.000Z", says("crm", 3, `{"cars":[]}`)),
			w(`{"cars":[]} 1`, says("crm", 5, `{"cars":[]}`)),
		}},
		{"a number that could not be incremented is sent again where it can be", nil, []window{
			w(`{"n":5.0} 1`, says("crm", 1, `{"n":5.0}`)),
			w(`{"n":5} 1`, says("crm", 2, `{"n":5}`)),
			w(`{"n":{"inc":1}} 1`, increments("crm", 3, `{"n":1}`)),
		}},
		{"a newer version keeps the time of the one before it", nil, []window{
			w(`{"x":"old"} 1`, versioned(says("a", 10, `{"x":"old"}`), 1)),
			w(`{"x":"new"} 1`, versioned(says("a", 1, `{"x":"new"}`), 2)),
			w("- x stale: a wrote it at 2026-03-04T05:16:00.000Z as version 2", says("b", 5, `{"x":"b"}`)),
		}},
		{"a group's id is the same in capitals", nil, []window{
			w(`{"subscription_groups":[{"subscription_group_id":"`+group+`","subscription_state":"subscribed"}]} 0`, inCapitals(subscribes(9, "subscribed"))),
			w("- subscription_groups."+group+" stale: crm wrote it at 2026-03-04T05:15:00.000Z", subscribes(5, "unsubscribed")),
		}},
		{"names are what Braze makes of them", nil, []window{
			w(`{"a":1} 1`, says("crm", 1, `{" a ":1}`)),
			w(``, says("crm", 2, `{"\u0061":1}`)),
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			u := newUser(t, test.rules)
			for i, w := range test.windows {
				if diff := cmp.Diff(w.want, sent(u.window(w.changes...))); diff != "" {
					t.Errorf("window %d: (-want +got)\n%s", i, diff)
				}
			}
		})
	}
}
