package brazesender

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/services/braze-sender/routes"
)

// live is the line of live events, of requests of up to n objects.
func live(n int, legacy bool) *line {
	return newLines(braze.Config{MaxObjects: n, LegacyArrays: legacy}, Options{}).track[rank(routes.Live)]
}

// record makes an item of a user: with attributes, with an event, or with both.
func record(t *testing.T, ln *line, name, attributes string, hasEvent bool) *item {
	t.Helper()
	it := &item{id: name}
	if attributes != "" {
		user := event.User{ExternalID: "u"}
		list, merge, err := parseAttributes([]byte(attributes), user)
		if err != nil {
			t.Fatal(err)
		}
		it.parts = append(it.parts, part{line: ln, array: braze.Attributes, attributes: list, merge: merge, object: appendUser([]byte{'{'}, &user)})
	}
	if hasEvent {
		it.parts = append(it.parts, part{line: ln, array: braze.Events, object: []byte(`{"event":"` + name + `"}`)})
	}
	return it
}

func names(loads []load) []string {
	var ids []string
	for _, ld := range loads {
		ids = append(ids, ld.id)
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
		{"what is merged waits: beside it others would be merged as well", []rec{{`{"plan":1}`, false}, {`{"_merge_objects":true,"home":{"zip":1}}`, false}}, []string{"1"}, orderEnds},
		{"and so does what comes after it", []rec{{`{"_merge_objects":true,"home":{"zip":1}}`, false}, {`{"plan":1}`, false}}, []string{"1"}, orderEnds},
		{"an operator is held to every record of the fold, not only the last", []rec{{`{"visits":1}`, false}, {`{"city":"Wien"}`, false}, {`{"visits":{"inc":1}}`, false}}, []string{"1", "2"}, orderEnds},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			u, ln := &user{}, live(75, false)
			for i, r := range c.queue {
				u.push(record(t, ln, fmt.Sprint(i+1), r.attributes, r.event))
			}
			r := ln.room(false)
			taken, why, _ := u.share(nil, ln, &r, time.Now(), time.Time{})
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
	u, ln := &user{}, live(75, false)
	u.wrote([]load{{record(t, ln, "0", `{"plan":"gold"}`, false), 0, 1}}, now.Add(2*time.Second))
	r := ln.room(false)

	u.push(record(t, ln, "1", `{"city":"Wien"}`, false))
	if taken, _, _ := u.share(nil, ln, &r, now, time.Time{}); len(taken) != 1 {
		t.Fatal("another attribute has to wait for nothing")
	}
	u.push(record(t, ln, "2", `{"plan":"gold"}`, false))
	if taken, _, _ := u.share(nil, ln, &r, now, time.Time{}); len(taken) != 1 {
		t.Fatal("the same value again has to wait for nothing: either order ends in it")
	}
	u.push(record(t, ln, "3", `{"plan":"free"}`, false))
	taken, why, until := u.share(nil, ln, &r, now, time.Time{})
	if len(taken) != 0 || why != spacingEnds || !until.Equal(now.Add(2*time.Second)) {
		t.Fatalf("another value was taken (%v) or waits for the wrong time (%v)", names(taken), until)
	}
	u.push(record(t, ln, "4", `{"plan":"none"}`, false)) // while waiting, they fold
	if taken, _, _ := u.share(nil, ln, &r, until, time.Time{}); len(taken) != 2 {
		t.Fatalf("after the spacing: %v", names(taken))
	}
}

func TestAttributesOfAnEarlierOwnerAreGivenTimeToo(t *testing.T) {
	now := time.Now()
	calm := now.Add(2 * time.Second)
	u, ln := &user{}, live(75, false)
	u.push(record(t, ln, "1", "", true))
	u.push(record(t, ln, "2", `{"plan":"gold"}`, true))
	r := ln.room(false)
	taken, _, _ := u.share(nil, ln, &r, now, calm)
	if diff := cmp.Diff([]string{"1"}, names(taken)); diff != "" {
		t.Errorf("right after a takeover (-want +got)\n%s", diff)
	}
	if taken, why, until := u.share(nil, ln, &r, now, calm); len(taken) != 0 || why != spacingEnds || !until.Equal(calm) {
		t.Errorf("attributes were taken: %v, or wait for %v", names(taken), until)
	}
	if taken, _, _ := u.share(nil, ln, &r, calm, calm); len(taken) != 1 {
		t.Errorf("once it is calm: %v", names(taken))
	}
}

func TestFoldedObjectHasTheNewestValues(t *testing.T) {
	ln := live(75, false)
	f := &flight{line: ln}
	for _, it := range []*item{
		record(t, ln, "1", `{"plan":1,"visits":{"inc":1}}`, false),
		record(t, ln, "2", `{"city":"Wien","plan":2}`, false),
		record(t, ln, "3", `{"visits":9}`, true),
		record(t, ln, "4", "", true),
	} {
		f.loads = append(f.loads, load{it, 0, uint16(len(it.parts))})
	}
	f.encode(span{0, 4})
	want := `{"attributes":[{"external_id":"u","city":"Wien","plan":2,"visits":9}],"events":[{"event":"3"},{"event":"4"}]}`
	if got := string(f.body); got != want {
		t.Errorf("body:\n got %s\nwant %s", got, want)
	}
	refs := [3][]span{braze.Attributes: {{0, 3}}, braze.Events: {{2, 3}, {3, 4}}}
	for a := range refs {
		if diff := cmp.Diff(refs[a], f.refs[a], cmp.AllowUnexported(span{}), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: which object stands for which records (-want +got)\n%s", braze.Array(a), diff)
		}
	}
}

func TestARecordOfSeveralRequestsGoesStepByStep(t *testing.T) {
	ls := newLines(braze.Config{MaxObjects: 75}, Options{})
	track := ls.track[rank(routes.Live)]
	campaign := ls.find(lineKey{endpoint: braze.CampaignsTriggerSend, prefix: `{"campaign_id":"c","recipients":[`, suffix: `]}`})
	both := record(t, track, "1", "", true)
	both.parts = append(both.parts, part{line: campaign, object: []byte(`{"external_user_id":"u"}`)})
	u := &user{}
	u.push(both)
	u.push(record(t, track, "2", "", true))

	r := track.room(false)
	loads, why, _ := u.share(nil, track, &r, time.Now(), time.Time{})
	if diff := cmp.Diff([]string{"1"}, names(loads)); diff != "" || why != orderEnds {
		t.Errorf("first the event of the first record alone (-want +got)\n%s", diff)
	}
	both.done = loads[0].to
	u.putBack([]*item{both})
	r = track.room(false)
	if loads, _, _ := u.share(nil, track, &r, time.Now(), time.Time{}); len(loads) != 0 {
		t.Errorf("the second record overtakes the first one's campaign: %v", names(loads))
	}
	r = campaign.room(false)
	f := &flight{line: campaign}
	f.loads, _, _ = u.share(nil, campaign, &r, time.Now(), time.Time{})
	f.encode(span{0, len(f.loads)})
	if got, want := string(f.body), `{"campaign_id":"c","recipients":[{"external_user_id":"u"}]}`; got != want {
		t.Errorf("body:\n got %s\nwant %s", got, want)
	}
	r = track.room(false)
	if loads, _, _ := u.share(nil, track, &r, time.Now(), time.Time{}); len(loads) != 1 || u.objects != 0 {
		t.Errorf("then the second record: %v, and %d objects are left", names(loads), u.objects)
	}
}

func TestTwoAttributesObjectsOfOneRecordGoOneByOne(t *testing.T) {
	ln := live(75, false)
	it := record(t, ln, "1", `{"subscription_groups":[]}`, false)
	it.parts = append(it.parts, record(t, ln, "1", `{"plan":"gold"}`, true).parts...)
	u := &user{}
	u.push(it)
	for i, want := range []string{
		`{"attributes":[{"external_id":"u","subscription_groups":[]}]}`,
		`{"attributes":[{"external_id":"u","plan":"gold"}],"events":[{"event":"1"}]}`,
	} {
		r := ln.room(false)
		f := &flight{line: ln}
		f.loads, _, _ = u.share(nil, ln, &r, time.Now(), time.Time{})
		if len(f.loads) != 1 {
			t.Fatalf("request %d carries %v", i+1, names(f.loads))
		}
		f.encode(span{0, 1})
		if got := string(f.body); got != want {
			t.Errorf("request %d:\n got %s\nwant %s", i+1, got, want)
		}
		if it.done = f.loads[0].to; int(it.done) < len(it.parts) {
			u.putBack([]*item{it})
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
		u, ln := &user{}, live(int(limit), legacy)
		var want []string // what happens to the user, in order
		tell := func(list []string, parts []part) []string {
			for _, p := range parts {
				for _, a := range p.attributes {
					list = append(list, a.key+string(a.value))
				}
				if p.array == braze.Events {
					list = append(list, string(p.object))
				}
			}
			return list
		}
		for i, b := range script {
			var attributes string
			switch b % 4 {
			case 1:
				attributes = fmt.Sprintf(`{"k%d":%d}`, b/4%3, i)
			case 2:
				attributes = fmt.Sprintf(`{"k%d":{"inc":%d}}`, b/4%3, i+1)
			}
			it := record(t, ln, fmt.Sprint(i), attributes, b%4 == 0 || b >= 128)
			if len(it.parts) == 0 {
				continue
			}
			u.push(it)
			want = tell(want, it.parts)
		}
		var got []string
		queued := u.objects
		for u.first != nil {
			r := ln.room(legacy)
			taken, _, _ := u.share(nil, ln, &r, time.Now(), time.Time{})
			if len(taken) == 0 {
				t.Fatalf("nothing fits into an empty request of %d", limit)
			}
			fl := &flight{line: ln, loads: taken}
			fl.encode(span{0, len(taken)})
			if !json.Valid(fl.body) {
				t.Fatalf("not JSON: %s", fl.body)
			}
			if a, e := len(fl.refs[braze.Attributes]), len(fl.refs[braze.Events]); !legacy && a+e > int(limit) || a > int(limit) || e > int(limit) {
				t.Fatalf("a request of %d attributes and %d events, %d are allowed", a, e, limit)
			}
			for _, ld := range taken {
				queued -= len(ld.carried())
				got = tell(got, ld.carried())
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
