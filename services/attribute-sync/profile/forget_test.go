package profile

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestARefusedUpdateIsForgotten(t *testing.T) {
	t.Parallel()
	u := newUser(t, nil)
	first := u.window(says("crm", 1, `{"tier":"gold","city":"Wien"}`), named(increments("crm", 1, `{"visits":1}`), "e1"), adds("crm", 1, `{"tags":["a"]}`, ``))
	second := u.window(says("crm", 2, `{"city":"Graz"}`), adds("crm", 2, `{"tags":["b"]}`, ``))
	if first.Number != 1 || second.Number != 2 {
		t.Fatalf("the updates have the numbers %d and %d", first.Number, second.Number)
	}
	u.state.Forget(first.Number, 0)
	got := sent(u.window(says("crm", 1, `{"tier":"gold"}`), says("crm", 2, `{"city":"Graz"}`), named(increments("crm", 1, `{"visits":1}`), "e1"), adds("crm", 2, `{"tags":["a","b"]}`, ``)))
	if want := `{"tags":{"add":["a"]},"tier":"gold","visits":{"inc":1}} 3`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	u.state.Forget(99, 0)
	if got := sent(u.window(says("crm", 3, `{"tier":"gold"}`))); got != "" {
		t.Errorf("an update that never was is forgotten: %s", got)
	}
	u.state.ForgetAll()
	got = sent(u.window(says("crm", 4, `{"tier":"gold"}`), says("crm", 0, `{"city":"Linz"}`), adds("crm", 4, `{"tags":["a"]}`, ``)))
	if want := `{"tags":{"add":["a"]},"tier":"gold"} 2` + "\n- city stale: crm wrote it at 2026-03-04T05:08:00.000Z"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestOfARefusedArrayNoElementIsTakenForSent(t *testing.T) {
	t.Parallel()
	u := newUser(t, nil)
	u.window(adds("crm", 5, `{"tags":["x"]}`, ``))
	u.state.ForgetAll()
	late := u.window(says("crm", 4, `{"tags":["a"]}`))
	if got := sent(late); got != `{"tags":["a","x"]} 1` {
		t.Fatal(got)
	}
	u.state.Forget(late.Number, 0)
	if got := sent(u.window(adds("crm", 6, `{"tags":["x"]}`, ``))); got != `{"tags":{"add":["x"]}} 1` {
		t.Errorf("got %q", got)
	}
}

// TestWhatOperatorsHaveMadeOfAValueIsForgottenWithThem refuses an update whose operators have come to be
// part of what is known: nothing may be taken for what Braze has afterwards.
func TestWhatOperatorsHaveMadeOfAValueIsForgottenWithThem(t *testing.T) {
	t.Parallel()
	t.Run("an increment that an equal value took the place of", func(t *testing.T) {
		t.Parallel()
		u := newUser(t, nil)
		u.window(says("crm", 1, `{"n":10}`))
		refused := u.window(named(increments("crm", 2, `{"n":1}`), "e1"))
		if got := sent(u.window(says("crm", 3, `{"n":11}`))); got != "" {
			t.Fatalf("the increment's sum is sent again: %s", got)
		}
		u.state.Forget(refused.Number, 0)
		if got := sent(u.window(says("crm", 4, `{"n":11}`))); got != `{"n":11} 1` {
			t.Errorf("Braze has 10, and is sent %q", got)
		}
	})
	t.Run("the value below an increment", func(t *testing.T) {
		t.Parallel()
		u := newUser(t, nil)
		refused := u.window(says("crm", 1, `{"n":10}`))
		u.window(increments("crm", 2, `{"n":1}`))
		u.state.Forget(refused.Number, 0)
		if got := sent(u.window(says("crm", 3, `{"n":11}`))); got != `{"n":11} 1` {
			t.Errorf("Braze has 1, and is sent %q", got)
		}
	})
	t.Run("an element that an equal array took the place of", func(t *testing.T) {
		t.Parallel()
		u := newUser(t, nil)
		u.window(says("crm", 1, `{"tags":null}`))
		refused := u.window(adds("crm", 2, `{"tags":["a"]}`, ``))
		u.window(says("crm", 3, `{"tags":["a"]}`))
		u.state.Forget(refused.Number, 0)
		if got := sent(u.window(says("crm", 4, `{"tags":["a"]}`))); got != `{"tags":["a"]} 1` {
			t.Errorf("Braze has no tags, and is sent %q", got)
		}
	})
	t.Run("an increment so old that it is no longer kept", func(t *testing.T) {
		t.Parallel()
		u := newUser(t, nil)
		u.window(says("crm", 0, `{"n":0}`))
		for i := range maxIncs {
			u.window(increments("crm", 10+i, `{"n":1}`))
		}
		late := u.window(increments("crm", 5, `{"n":1}`))
		u.state.Forget(late.Number, 0)
		if got := sent(u.window(says("crm", 100, `{"n":33}`))); got != `{"n":33} 1` {
			t.Errorf("Braze has 32, and is sent %q", got)
		}
	})
}

func TestForgettingInTheMiddleOfAWindowLeavesItsEventsKnown(t *testing.T) {
	t.Parallel()
	u := newUser(t, nil)
	u.window(named(increments("crm", 1, `{"m":1}`), "e0"))
	if refusal := u.apply(named(increments("crm", 2, `{"n":1}`), "e1")); refusal != nil {
		t.Fatal(refusal)
	}
	u.state.Forget(1, 0) // what became of the window before is read in this one
	d := u.end()
	u.state.Forget(d.Number, 0)
	if got := sent(u.window(named(increments("crm", 2, `{"n":1}`), "e1"))); got != `{"n":{"inc":1}} 1` {
		t.Errorf("the increment that was refused is not applied when it is repeated: %q", got)
	}
}

func TestOfSeveralObjectsOnlyTheRefusedOneIsForgotten(t *testing.T) {
	t.Parallel()
	const update = `{"$update":[{"$identifier_key":"id","$identifier_value":1,"$new_object":{"a":2}}]}`
	const sends = "{\"_merge_objects\":true,\"cars\":" + update + "} 1"
	mixed := named(says("crm", 1, `{"tier":"gold","visits":{"inc":1},"cars":`+update+`}`), "e1")
	for _, test := range []struct {
		name string
		part int
		want string // of a repeat of the same event
	}{
		{"the first", 0, "{\"tier\":\"gold\",\"visits\":{\"inc\":1}} 2\n- cars duplicate: the event was applied before"},
		{"the second", 1, sends + "\n- visits duplicate: the event was applied before"},
		{"one that never was", 2, "- visits duplicate: the event was applied before\n- cars duplicate: the event was applied before"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			u := newUser(t, nil)
			d := u.window(mixed)
			if len(d.Objects) != 2 {
				t.Fatalf("got %s", sent(d))
			}
			u.state.Forget(d.Number, test.part)
			if diff := cmp.Diff(test.want, sent(u.window(mixed))); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
	t.Run("the only one", func(t *testing.T) {
		t.Parallel()
		u := newUser(t, nil)
		only := named(says("crm", 1, `{"cars":`+update+`}`), "e1")
		d := u.window(only)
		u.state.Forget(d.Number, 0)
		if diff := cmp.Diff(sends, sent(u.window(only))); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}
