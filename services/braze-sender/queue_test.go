package brazesender

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/event"
)

// record describes an item in the way the tests below like to read it: "A:plan=1" sets an attribute,
// "E" is an event, "A:plan=1 E" is both in one record.
func record(t *testing.T, name, attributes string, hasEvent bool) *item {
	t.Helper()
	it := &item{}
	it.event.ID = name
	it.event.User = event.User{ExternalID: "u"}
	if hasEvent {
		it.event.Name = "happened"
	}
	if attributes != "" {
		list, err := parseAttributes([]byte(attributes), it.event.User)
		if err != nil {
			t.Fatal(err)
		}
		it.attributes, it.event.Attributes = list, []byte(attributes)
	}
	return it
}

func names(items []*item) []string {
	var ids []string
	for _, it := range items {
		ids = append(ids, it.event.ID)
	}
	return ids
}

func TestShareNeverRearrangesAUser(t *testing.T) {
	type rec struct {
		attributes string
		event      bool
	}
	cases := []struct {
		name  string
		queue []rec
		want  []string // of the records that the first request takes
		why   shareEnd
	}{
		{"events go together", []rec{{"", true}, {"", true}, {"", true}}, []string{"1", "2", "3"}, allTaken},
		{"attributes before an event go with it", []rec{{`{"plan":1}`, true}}, []string{"1"}, allTaken},
		{"attributes behind an event wait: Braze would apply them before it", []rec{{"", true}, {`{"plan":1}`, true}}, []string{"1"}, orderEnds},
		{"events behind attributes and event go too", []rec{{`{"plan":1}`, true}, {"", true}}, []string{"1", "2"}, allTaken},
		{"plain attribute sets fold", []rec{{`{"plan":1}`, false}, {`{"plan":2,"city":"Wien"}`, false}, {"", true}}, []string{"1", "2", "3"}, allTaken},
		{"an operator on a key that is set before it waits", []rec{{`{"visits":1}`, false}, {`{"visits":{"inc":1}}`, false}}, []string{"1"}, orderEnds},
		{"a plain value behind an operator of the same key folds over it", []rec{{`{"visits":{"inc":1}}`, false}, {`{"visits":7}`, false}}, []string{"1", "2"}, allTaken},
		{"an operator is held to every record of the fold, not only the last", []rec{{`{"visits":1}`, false}, {`{"city":"Wien"}`, false}, {`{"visits":{"inc":1}}`, false}}, []string{"1", "2"}, orderEnds},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			u := &user{}
			for i, r := range c.queue {
				u.push(record(t, fmt.Sprint(i+1), r.attributes, r.event))
			}
			r := newRoom(braze.Config{MaxObjects: 75})
			taken, why, _ := u.share(nil, &r, time.Now(), time.Time{})
			if diff := cmp.Diff(c.want, names(taken)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if why != c.why {
				t.Errorf("why = %d, want %d", why, c.why)
			}
		})
	}
}

func TestAttributesOfOneKeyKeepTheirDistance(t *testing.T) {
	now := time.Now()
	u := &user{}
	u.wrote([]*item{record(t, "0", `{"plan":"gold"}`, false)}, now.Add(2*time.Second))
	r := newRoom(braze.Config{MaxObjects: 75})

	u.push(record(t, "1", `{"city":"Wien"}`, false))
	if taken, _, _ := u.share(nil, &r, now, time.Time{}); len(taken) != 1 {
		t.Fatal("another attribute has to wait for nothing")
	}
	u.push(record(t, "2", `{"plan":"gold"}`, false))
	if taken, _, _ := u.share(nil, &r, now, time.Time{}); len(taken) != 1 {
		t.Fatal("the same value again has to wait for nothing: either order ends in it")
	}
	u.push(record(t, "3", `{"plan":"free"}`, false))
	taken, why, until := u.share(nil, &r, now, time.Time{})
	if len(taken) != 0 || why != spacingEnds || !until.Equal(now.Add(2*time.Second)) {
		t.Fatalf("another value was taken (%v) or waits for the wrong time (%v)", names(taken), until)
	}
	u.push(record(t, "4", `{"plan":"none"}`, false)) // while waiting, they fold
	if taken, _, _ := u.share(nil, &r, until, time.Time{}); len(taken) != 2 {
		t.Fatalf("after the spacing: %v", names(taken))
	}
}

func TestAttributesOfAnEarlierOwnerAreGivenTimeToo(t *testing.T) {
	now := time.Now()
	calm := now.Add(2 * time.Second)
	u := &user{}
	u.push(record(t, "1", "", true))
	u.push(record(t, "2", `{"plan":"gold"}`, true))
	r := newRoom(braze.Config{MaxObjects: 75})
	taken, _, _ := u.share(nil, &r, now, calm)
	if diff := cmp.Diff([]string{"1"}, names(taken)); diff != "" {
		t.Errorf("right after a takeover (-want +got)\n%s", diff)
	}
	if taken, why, until := u.share(nil, &r, now, calm); len(taken) != 0 || why != spacingEnds || !until.Equal(calm) {
		t.Errorf("attributes were taken: %v, or wait for %v", names(taken), until)
	}
	if taken, _, _ := u.share(nil, &r, calm, calm); len(taken) != 1 {
		t.Errorf("once it is calm: %v", names(taken))
	}
}

func TestFoldedObjectHasTheNewestValues(t *testing.T) {
	f := &flight{items: []*item{
		record(t, "1", `{"plan":1,"visits":{"inc":1}}`, false),
		record(t, "2", `{"city":"Wien","plan":2}`, false),
		record(t, "3", `{"visits":9}`, true),
		record(t, "4", "", true),
	}}
	f.encode(span{0, 4})
	if got, want := string(f.request.Object(braze.Attributes, 0)), `{"external_id":"u","city":"Wien","plan":2,"visits":9}`; got != want {
		t.Errorf("folded object:\n got %s\nwant %s", got, want)
	}
	want := [3][]span{braze.Attributes: {{0, 3}}, braze.Events: {{2, 3}, {3, 4}}}
	for a := range want {
		if diff := cmp.Diff(want[a], f.refs[a], cmp.AllowUnexported(span{})); diff != "" {
			t.Errorf("%s: which object stands for which records (-want +got)\n%s", braze.Array(a), diff)
		}
	}
}

// FuzzShare moves random queues through requests until nothing is left: nothing is lost, nothing is
// doubled, no request is over its limit, and what Braze makes of the requests, applying attributes
// before events, is what the queue said.
func FuzzShare(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5}, uint8(3), false)
	f.Add([]byte{1, 1, 1, 0, 9, 8, 200, 17}, uint8(75), true)
	f.Fuzz(func(t *testing.T, script []byte, limit uint8, legacy bool) {
		limit = limit%75 + 2 // a record may be two objects
		config := braze.Config{MaxObjects: int(limit), LegacyArrays: legacy}
		u := &user{}
		var want []string // what happens to the user, in order
		for i, b := range script {
			var attributes string
			switch b % 4 {
			case 1:
				attributes = fmt.Sprintf(`{"k%d":%d}`, b/4%3, i)
			case 2:
				attributes = fmt.Sprintf(`{"k%d":{"inc":%d}}`, b/4%3, i+1)
			}
			it := record(t, fmt.Sprint(i), attributes, b%4 == 0 || b >= 128)
			if objectsOf(it) == 0 {
				continue
			}
			u.push(it)
			for _, a := range it.attributes {
				want = append(want, a.key+string(a.value))
			}
			if it.hasEvent() {
				want = append(want, "event "+it.event.ID)
			}
		}
		var got []string
		queued := u.objects
		for n := 0; u.first != nil; n++ {
			r := newRoom(config)
			taken, _, _ := u.share(nil, &r, time.Now(), time.Time{})
			if len(taken) == 0 {
				t.Fatalf("nothing fits into an empty request of %d", limit)
			}
			fl := &flight{items: taken}
			fl.encode(span{0, len(taken)})
			if c := fl.request.Counts(); !legacy && c[0]+c[1] > int(limit) || c[0] > int(limit) || c[1] > int(limit) {
				t.Fatalf("a request of %v objects, %d are allowed", c, limit)
			}
			for _, it := range taken {
				queued -= objectsOf(it)
				for _, a := range it.attributes {
					got = append(got, a.key+string(a.value))
				}
				if it.hasEvent() {
					got = append(got, "event "+it.event.ID)
				}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("(-queued +sent)\n%s", diff)
		}
		if queued != 0 {
			t.Fatalf("the queue's count of objects is off by %d", queued)
		}
	})
}
