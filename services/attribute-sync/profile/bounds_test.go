package profile

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/event"
)

func TestWhatIsRememberedIsBounded(t *testing.T) {
	t.Parallel()
	t.Run("fields", func(t *testing.T) {
		t.Parallel()
		u := newUser(t, nil)
		for i := range MaxFields / 10 {
			var members []string
			for j := range 10 {
				members = append(members, fmt.Sprintf(`"field_%d":1`, i*10+j))
			}
			if refusal := u.apply(says("crm", 1, "{"+strings.Join(members, ",")+"}")); refusal != nil {
				t.Fatal(refusal)
			}
		}
		refusal := u.apply(says("crm", 1, `{"field_1":2,"one_more":1}`))
		if refusal == nil || refusal.Reason != ReasonTooManyFields {
			t.Errorf("got %v", refusal)
		}
		if refusal := u.apply(says("crm", 2, `{"field_1":2}`)); refusal != nil {
			t.Error(refusal)
		}
		if d := u.end(); d.Points != MaxFields {
			t.Errorf("%d points are sent", d.Points)
		}
	})
	t.Run("fields, but for what is made here", func(t *testing.T) {
		t.Parallel()
		rules := &Rules{}
		rules.Own("sluice.support", "open_cases")
		u := newUser(t, rules)
		var members []string
		for i := range MaxFields {
			members = append(members, fmt.Sprintf(`"field_%d":1`, i))
		}
		u.window(says("web", 1, "{"+strings.Join(members, ",")+"}"))
		if refusal := rules.Set(&u.state, "open_cases", []byte("1"), Write{Source: "sluice.support", Time: start}); refusal != nil {
			t.Errorf("an attribute that is made here is left out: %v", refusal)
		}
		group := says("sluice.support", 1, "")
		group.Subscriptions = []event.Subscription{{GroupID: someGroup, State: "unsubscribed"}}
		if refusal := u.apply(group); refusal != nil {
			t.Errorf("the group that is left here is not: %v", refusal)
		}
		if d := u.end(); len(d.Objects) != 1 || d.Points != 1 {
			t.Errorf("got %s", sent(d))
		}
		if refusal := u.apply(says("web", 2, `{"one_more":1}`)); refusal == nil {
			t.Error("the room that is kept is anybody's")
		}
	})
	t.Run("fields, of which those that were removed long ago make room", func(t *testing.T) {
		t.Parallel()
		u := newUser(t, nil)
		var members []string
		for i := range MaxFields - 1 {
			members = append(members, fmt.Sprintf(`"field_%d":1`, i))
		}
		u.window(says("crm", 1, "{"+strings.Join(members, ",")+"}"), says("crm", 2, `{"field_7":null,"field_8":null}`))
		const month = 31 * 24 * 60
		later := func(set string) *Refusal {
			return u.rules.Apply(&u.state, says("crm", month, set), Place{Now: start.Add(month * time.Minute)})
		}
		if refusal := u.rules.Apply(&u.state, says("crm", 3, `{"a":1,"b":1}`), Place{Now: start}); refusal == nil {
			t.Error("what was removed a moment ago makes room")
		}
		if refusal := later(`{"a":1,"field_9":null}`); refusal != nil {
			t.Fatal(refusal)
		}
		if refusal := later(`{"b":1,"c":1}`); refusal != nil {
			t.Error(refusal)
		}
		if d := u.end(); d.Points != 4 || len(u.state.fields) != MaxFields {
			t.Errorf("%d points are sent, %d fields are known", d.Points, len(u.state.fields))
		}
		if got := sent(u.window(says("crm", month, `{"field_9":null,"field_998":2,"a":1}`))); got != `{"field_998":2} 1` {
			t.Errorf("what stays is mistaken for something else: %s", got)
		}
		if refusal := later(`{"d":1}`); refusal == nil {
			t.Error("what was removed a moment ago makes room")
		}
	})
	t.Run("bytes", func(t *testing.T) {
		t.Parallel()
		u := newUser(t, nil)
		for i := range 1000 {
			refusal := u.apply(adds("crm", i, fmt.Sprintf(`{"tags_%d":[%q]}`, i, strings.Repeat("é", 250)), ``))
			if refusal == nil {
				continue
			}
			if refusal.Reason != ReasonStateFull {
				t.Error(refusal)
			}
			u.end()
			if size := len(u.state.Append(nil)); size > MaxBytes || size < MaxBytes*8/10 {
				t.Errorf("the state has %d bytes after %d", size, i)
			}
			return
		}
		t.Error("never full")
	})
	t.Run("elements, of which the oldest become part of the array", func(t *testing.T) {
		t.Parallel()
		u := newUser(t, &Rules{Fields: []Field{{Name: "tags", MaxItems: 100}}})
		for i := range 60 {
			u.window(adds("crm", 10+i, fmt.Sprintf(`{"tags":["a%d"]}`, i), fmt.Sprintf(`{"tags":["b%d"]}`, i)))
		}
		if n := len(u.state.fields[0].ext.elements); n != maxElements {
			t.Errorf("%d elements are remembered", n)
		}
		if got := sent(u.window(says("crm", 15, `{"tags":["x"]}`))); !strings.Contains(got, "stale") {
			t.Errorf("an array that is older than the forgotten elements is sent: %s", got)
		}
		if got := sent(u.window(says("crm", 67, `{"tags":["x","b59"]}`))); got != `{"tags":["x","a58","a59"]} 1` {
			t.Errorf("an array that is newer is not: %s", got)
		}
	})
	t.Run("increments, of which the oldest become part of the number", func(t *testing.T) {
		t.Parallel()
		u := newUser(t, nil)
		for i := range 40 {
			u.window(increments("crm", 10+i, `{"visits":1}`))
		}
		if got := sent(u.window(says("crm", 15, `{"visits":5}`))); !strings.Contains(got, "stale") {
			t.Errorf("a number that is older than the forgotten increments is sent: %s", got)
		}
		if got := sent(u.window(says("crm", 18, `{"visits":5}`))); got != `{"visits":36} 1` {
			t.Errorf("a number that is newer is not: %s", got)
		}
	})
	t.Run("ids, by age and by number", func(t *testing.T) {
		t.Parallel()
		u := newUser(t, nil)
		at := func(hours int, id string) string {
			p := named(increments("crm", 1, `{"visits":1}`), id)
			if refusal := u.rules.Apply(&u.state, p, Place{Now: start.Add(time.Duration(hours) * time.Hour)}); refusal != nil {
				t.Fatal(refusal)
			}
			return sent(u.end())
		}
		at(0, "a")
		if at(23, "b"); !strings.Contains(at(23, "a"), "duplicate") || at(25, "c") == "" || strings.Contains(at(25, "a"), "duplicate") {
			t.Error("an id is not remembered for a day")
		}
		if at(24*3, "e"); strings.Contains(at(24*5, "e"), "duplicate") {
			t.Error("an id is remembered for longer where none came after it")
		}
		for i := range 2 * maxIDs {
			at(24*6, fmt.Sprint("d", i))
		}
		if len(u.state.ids) != maxIDs {
			t.Errorf("%d ids are remembered", len(u.state.ids))
		}
	})
	t.Run("sources", func(t *testing.T) {
		t.Parallel()
		u := newUser(t, nil)
		for i := range 100 {
			u.window(versioned(says(fmt.Sprint("source-", i), i, fmt.Sprintf(`{"tier":%d}`, i)), 1))
		}
		if n := len(u.state.sources); n > maxVersions+1 {
			t.Errorf("%d sources are remembered for one field", n)
		}
		if refusal := u.apply(says(strings.Repeat("x", 300), 1, `{"tier":1}`)); refusal == nil {
			t.Error("a source with a name of 300 bytes is taken")
		}
	})
	t.Run("numbers", func(t *testing.T) {
		t.Parallel()
		u := newUser(t, nil)
		u.window(says("crm", 1, fmt.Sprintf(`{"visits":%d}`, int64(math.MaxInt64))))
		if got := sent(u.window(increments("crm", 2, `{"visits":1}`))); !strings.Contains(got, "wrong_type") {
			t.Errorf("a sum overflows: %s", got)
		}
	})
}

func TestAComputedAttributeFollowsTheSameRules(t *testing.T) {
	t.Parallel()
	rules := &Rules{}
	rules.Own("sluice.support", "open_cases")
	u := newUser(t, rules)
	set := func(minute int, value string) {
		by := Write{ID: "case-1", Source: "sluice.support", Time: start.Add(time.Duration(minute) * time.Minute), Place: Place{Topic: "support.cases", Offset: 7, Now: start}}
		if refusal := rules.Set(&u.state, "open_cases", []byte(value), by); refusal != nil {
			t.Fatal(refusal)
		}
	}
	set(1, "1")
	if refusal := u.apply(says("crm", 2, `{"open_cases":0}`)); refusal != nil {
		t.Fatal(refusal)
	}
	d := u.end()
	if got := sent(d); got != `{"open_cases":1} 1`+"\n- open_cases not_owner: it belongs to sluice.support" {
		t.Error(got)
	}
	cause := []event.Cause{{ID: "case-1", Source: "sluice.support", Topic: "support.cases", Offset: 7}}
	if diff := cmp.Diff(cause, d.Causes); diff != "" || !d.OccurredAt.Equal(start.Add(time.Minute)) {
		t.Errorf("(-want +got)\n%s at %s", diff, d.OccurredAt)
	}
	if set(3, "null"); sent(u.end()) != `{"open_cases":null} 1` {
		t.Error("null does not unset")
	}
	for name, value := range map[string]string{"external_id": "1", "x": "1 2", "y": ""} {
		if refusal := rules.Set(&u.state, name, []byte(value), Write{}); refusal == nil {
			t.Errorf("%s is set to %q", name, value)
		}
	}
}

func TestFieldsAreListedForPeople(t *testing.T) {
	t.Parallel()
	u := newUser(t, nil)
	p := versioned(says("crm", 1, `{"tier":"gold","n":3,"yes":true,"gone":null,"list":["a"]}`), 7)
	const letters = "abcdefab-0000-4000-8000-000000000001"
	p.Subscriptions = []event.Subscription{{GroupID: someGroup, State: "subscribed"}, {GroupID: letters, State: "unsubscribed"}}
	u.window(p, adds("shop", 2, `{"tags":["x"]}`, ``), increments("shop", 2, `{"m":1}`))
	var lines []string
	for _, f := range u.state.Fields() {
		lines = append(lines, fmt.Sprint(f.Name, "=", strings.Split(f.Known, " #")[0], " by ", f.Source, " ", f.Update, " ", f.Operators))
	}
	want := "subscription_groups." + someGroup + `=subscribed by crm 1 0
subscription_groups.abcdefab-0000-4000-8000-000000000001=unsubscribed by crm 1 0
gone=absent by crm 1 0
list=array by crm 1 0
m=unknown integer by  0 1
n=3 by crm 1 0
tags=unknown array by  0 1
tier=string by crm 1 0
yes=true by crm 1 0`
	if diff := cmp.Diff(want, strings.Join(lines, "\n")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if !u.state.HasSubscription(someGroup, "subscribed") || !u.state.HasSubscription(strings.ToUpper(letters), "unsubscribed") || u.state.HasSubscription(someGroup, "unsubscribed") || u.state.HasSubscription("x", "subscribed") {
		t.Error("the state in a group is another")
	}
}

func TestEveryWriteIsCountedOnce(t *testing.T) {
	t.Parallel()
	u := newUser(t, nil)
	u.window(says("crm", 1, `{"tier":"gold","o":{"a":1,"b":2}}`))
	d := u.window(
		says("crm", 2, `{"tier":"gold","o":{"a":1,"b":3}}`), says("shop", 3, `{"o":{"a":2,"b":2,"c":1}}`),
		says("shop", 1, `{"tier":"x"}`), adds("shop", 3, `{"tags":["a","b","a"]}`, ``), says("crm", 0, `{"tier":"y"}`),
	)
	var lines []string
	for _, c := range d.Counts {
		lines = append(lines, fmt.Sprint(c.Source, " ", c.Field, " ", c.Fate, " ", c.Points))
	}
	slices.Sort(lines)
	want := []string{
		"crm o folded 2", "crm tier declined 1", "crm tier same 1", "shop o sent 3", "shop tags same 1",
		"shop tags sent 1", "shop tags sent 1", "shop tier declined 1",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
