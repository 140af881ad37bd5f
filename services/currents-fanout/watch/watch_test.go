package watch

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/event"
)

// noon is a moment in the middle of a day and of a stretch.
var noon = time.Date(2026, 6, 10, 12, 2, 0, 0, time.UTC)

const (
	opens = "users.messages.email.Open"
	send  = "users.messages.email.Send"
	click = "users.messages.email.Click"
	start = "users.behaviors.app.SessionStart"
)

// story feeds books, and looks at them once a minute.
type story struct {
	*Book
	n int
}

func newStory(r Rules) *story { return &story{Book: NewBook(r, noon.Add(-Back))} }

func (s *story) one(kind string, at time.Time) bool {
	s.n++
	return s.Add(&event.Engagement{ID: strconv.Itoa(s.n), Workspace: "main", Type: kind, OccurredAt: at.Add(-time.Second), ReceivedAt: at}, at)
}

// every has an event of a type come regularly from one moment up to, and without, another.
func (s *story) every(gap time.Duration, kind string, from, to time.Time) {
	for at := from; at.Before(to); at = at.Add(gap) {
		s.one(kind, at)
	}
}

// until checks once a minute and returns what began and ended, with how long after the first moment.
func (s *story) until(from, to time.Time) []string {
	var said []string
	for at := from; at.Before(to); at = at.Add(time.Minute) {
		for _, c := range s.Check(at) {
			word := "ends"
			if c.Began {
				word = "begins"
			}
			said = append(said, fmt.Sprintf("%s %s %s at %s", c.Kind, c.Type, word, at.Sub(from)))
		}
	}
	return said
}

func TestSilence(t *testing.T) {
	day := noon.Add(-24 * time.Hour)
	for _, test := range []struct {
		name string
		feed func(s *story)
		look time.Duration // for how long behind noon
		want []string
	}{
		{
			name: "a type that comes every minute is missed after half an hour",
			feed: func(s *story) { s.every(time.Minute, opens, day, noon) },
			look: time.Hour, want: []string{"type_silent users.messages.email.Open begins at 30m0s"},
		},
		{
			name: "one that comes every twenty minutes is missed after ten times that",
			feed: func(s *story) { s.every(20*time.Minute, opens, day, noon) },
			look: 6 * time.Hour, want: []string{"type_silent users.messages.email.Open begins at 3h1m0s"},
		},
		{
			name: "a night that is quiet for six hours allows twelve",
			feed: func(s *story) {
				s.every(time.Minute, opens, day, day.Add(10*time.Hour))
				s.every(time.Minute, opens, day.Add(16*time.Hour), noon)
			},
			look: 11 * time.Hour,
		},
		{
			name: "a campaign of every morning has no rhythm to miss",
			feed: func(s *story) { s.every(time.Second, send, noon.Add(-3*time.Hour), noon.Add(-170*time.Minute)) },
			look: 30 * time.Hour,
		},
		{
			name: "nineteen events in a day are too few",
			feed: func(s *story) { s.every(76*time.Minute, opens, day, noon) },
			look: 30 * time.Hour,
		},
		{
			name: "a type that came first two hours ago may be a campaign",
			feed: func(s *story) { s.every(time.Minute, opens, noon.Add(-2*time.Hour), noon) },
			look: 12 * time.Hour,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newStory(Rules{})
			test.feed(s)
			var said []string
			for at := noon; at.Before(noon.Add(test.look)); at = at.Add(time.Minute) {
				s.one(start, at) // the connector speaks
				for _, c := range s.Check(at) {
					if c.Kind == TypeSilent {
						said = append(said, fmt.Sprintf("%s %s begins at %s", c.Kind, c.Type, at.Sub(noon)))
					}
				}
			}
			if diff := cmp.Diff(test.want, said); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A connector that falls silent takes all its types with it; that is one alarm.
func TestAConnectorIsSilentOnce(t *testing.T) {
	s := newStory(Rules{})
	for i := range 50 {
		s.every(2*time.Minute, "users.type."+strconv.Itoa(i), noon.Add(-24*time.Hour), noon)
	}
	got := s.until(noon, noon.Add(26*time.Hour))
	if diff := cmp.Diff([]string{"connector_silent  begins at 29m0s"}, got); diff != "" {
		t.Error(diff)
	}
	snap := s.Snapshot(noon.Add(48 * time.Hour))
	newest := noon.Add(-2 * time.Minute)
	if c := snap.Connectors[0]; c.Verdict != Silent || c.CutOff == nil || !c.CutOff.Equal(newest.Add(CutOff)) {
		t.Errorf("got %s, cut off at %v; want silent, and five days after %v", c.Verdict, c.CutOff, newest)
	}
	for _, typ := range snap.Types {
		if typ.Verdict != Unheard {
			t.Errorf("%s is %s, want %s", typ.Type, typ.Verdict, Unheard)
		}
	}
}

func TestOneStragglerIsNotTheEndOfASilence(t *testing.T) {
	s := newStory(Rules{})
	s.every(time.Minute, opens, noon.Add(-24*time.Hour), noon)
	s.until(noon, noon.Add(time.Hour))
	s.one(opens, noon.Add(time.Hour))
	if got := s.until(noon.Add(time.Hour), noon.Add(3*time.Hour)); len(got) > 0 {
		t.Errorf("after one event: %v", got)
	}
	s.one(opens, noon.Add(3*time.Hour))
	got := s.until(noon.Add(3*time.Hour), noon.Add(4*time.Hour))
	if len(got) == 0 || got[0] != "connector_silent  ends at 0s" {
		t.Errorf("after another one: %v", got)
	}
}

// Events that happened days ago say that the connector lives, not how much comes.
func TestOldEventsAreASignOfLifeOnly(t *testing.T) {
	s := newStory(Rules{})
	s.every(time.Minute, opens, noon.Add(-24*time.Hour), noon)
	before := s.Snapshot(noon).Types[0]
	for i := range 1000 {
		s.Add(&event.Engagement{ID: "old" + strconv.Itoa(i), Workspace: "main", Type: opens, OccurredAt: noon.Add(-72 * time.Hour), ReceivedAt: noon}, noon)
	}
	after := s.Snapshot(noon.Add(time.Hour)).Types[0]
	if after.Late != 1000 || after.Events != before.Events+1000 || !after.Newest.Equal(noon) || after.LastHour > 60 {
		t.Errorf("got %+v", after.Flow)
	}
}

func TestRepeatsCountOnce(t *testing.T) {
	s := newStory(Rules{Remember: 10})
	e := func(i int) *event.Engagement {
		return &event.Engagement{ID: strconv.Itoa(i), Workspace: "main", Type: send, CampaignID: "c", OccurredAt: noon, ReceivedAt: noon}
	}
	for i := range 10 {
		for again := range 3 {
			if got := s.Add(e(i), noon); got != (again == 0) {
				t.Errorf("event %d, time %d: counted %v", i, again+1, got)
			}
		}
	}
	snap := s.Snapshot(noon)
	if snap.Repeats != 20 || snap.Types[0].Events != 10 || snap.Steps[0].Sends != 10 {
		t.Errorf("got %d repeats, %d events, %d sends", snap.Repeats, snap.Types[0].Events, snap.Steps[0].Sends)
	}
	for i := range 1000 {
		s.Add(e(1000+i), noon)
	}
	if n := len(s.recent.now) + len(s.recent.old); n > 20 {
		t.Errorf("%d ids are remembered, want 20 at most", n)
	}
}

// Whoever makes up types, campaigns and connectors fills nothing but the room there is, and what is heard of
// stays.
func TestMemoryIsBounded(t *testing.T) {
	s := newStory(Rules{Types: 10, Steps: 5, Remember: 100})
	long := make([]byte, 10_000)
	for i := range 2_000 {
		s.one(opens, noon)
		at := noon.Add(time.Duration(i) * time.Second)
		s.Add(&event.Engagement{
			ID: "x" + strconv.Itoa(i), Workspace: "w" + strconv.Itoa(i%300), Type: strconv.Itoa(i) + string(long), CampaignID: strconv.Itoa(i),
			CampaignName: string(long), OccurredAt: at, ReceivedAt: at,
		}, at)
		s.Add(&event.Engagement{ID: "y" + strconv.Itoa(i), Workspace: "main", Type: send, CampaignID: strconv.Itoa(i), OccurredAt: at, ReceivedAt: at}, at)
	}
	if len(s.types) != 10 || s.byAge.Len() != 10 || len(s.steps) != 5 || s.stepsByAge.Len() != 5 || len(s.connectors) != maxConnectors {
		t.Errorf("%d/%d types, %d/%d steps, %d connectors", len(s.types), s.byAge.Len(), len(s.steps), s.stepsByAge.Len(), len(s.connectors))
	}
	for key := range s.types {
		if len(key.event) > maxText {
			t.Errorf("a name of %d bytes is kept", len(key.event))
		}
	}
	snap := s.Snapshot(noon)
	found := false
	for _, typ := range snap.Types {
		found = found || typ.Workspace == "main" && typ.Type == opens && typ.Events == 2_000
	}
	if !found || snap.Forgotten == 0 {
		t.Errorf("the type that is heard of all the time is gone, or nothing (%d) was forgotten", snap.Forgotten)
	}
}

// An alarm whose subject had to make room ends, so that nobody waits for it.
func TestAnAlarmEndsWithWhatItIsAbout(t *testing.T) {
	s := newStory(Rules{Types: 2})
	s.every(time.Minute, opens, noon.Add(-24*time.Hour), noon)
	for at := noon; at.Before(noon.Add(time.Hour)); at = at.Add(time.Minute) {
		s.one(start, at)
		s.Check(at)
	}
	s.one(click, noon.Add(time.Hour))
	s.one(start, noon.Add(time.Hour))
	got := s.Check(noon.Add(time.Hour))
	if len(got) != 1 || got[0].Type != opens || got[0].Began || !got[0].Forgotten {
		t.Errorf("got %+v", got)
	}
}

// A replica that takes over finds out by samples that a connector spoke days ago.
func TestAConnectorThatFellSilentBeforeIsKnown(t *testing.T) {
	s := newStory(Rules{})
	for range 20 {
		s.Past("gone", noon.Add(-3*24*time.Hour))
	}
	s.Past("hardly", noon.Add(-3*24*time.Hour))
	got := s.Check(noon)
	want := []Change{{
		Alarm: Alarm{Kind: ConnectorSilent, Workspace: "gone", Since: noon}, Began: true,
		Newest: noon.Add(-3 * 24 * time.Hour), Limit: 24 * time.Hour, CutOff: noon.Add(2 * 24 * time.Hour),
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := s.Check(noon.Add(6 * 24 * time.Hour)); len(got) != 1 || !got[0].Forgotten {
		t.Errorf("after eight days got %+v", got)
	}
}

// The counts of a series are those of a naive list, in whatever order events come.
func TestSeriesCountsLikeAList(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		var s series
		var all []time.Time
		newest := noon
		for range 2_000 {
			newest = newest.Add(time.Duration(rng.IntN(3)) * time.Minute)
			at := newest.Add(-time.Duration(rng.IntN(25)) * time.Hour)
			s.count(at)
			all = append(all, at)
		}
		for range 50 {
			to := stretch(newest) - int64(rng.IntN(100))
			from := to - int64(rng.IntN(100))
			want := 0
			for _, at := range all {
				if n := stretch(at); n >= from && n < to && n > s.head-kept {
					want++
				}
			}
			if got := s.sum(from, to); got != want {
				t.Fatalf("between %d and %d: %d events, want %d", from, to, got, want)
			}
		}
	}
}

// FuzzBook feeds events of any time, type and connector, and looks at any time: nothing panics, every event is
// either counted or said to be a repeat, and what is judged adds up.
func FuzzBook(f *testing.F) {
	f.Add([]byte{5, 0, 0, 5, 0, 0})                         // only events that were old when they came
	f.Add([]byte{0, 0, 0, 0, 0, 0, 1, 0, 9, 255, 200, 100}) // and looks between
	f.Add([]byte("the quick brown fox jumps over the lazy dog"))
	spans := []time.Duration{0, time.Second, time.Minute, time.Hour, 24 * time.Hour, 72 * time.Hour, 20 * 365 * 24 * time.Hour, 100 * 365 * 24 * time.Hour}
	f.Fuzz(func(t *testing.T, in []byte) {
		b := NewBook(Rules{Types: 3, Steps: 3, Remember: 8, MinEvents: 2}, noon.Add(-Back))
		now, added, counted := noon, uint64(0), uint64(0)
		for ; len(in) >= 3; in = in[3:] {
			now = now.Add(time.Duration(in[0]) * time.Minute)
			received := now.Add(time.Duration(int8(in[1])) * spans[in[2]%8] / 8)
			e := event.Engagement{
				ID: strconv.Itoa(int(in[0] ^ in[1])), Workspace: string(rune('a' + in[2]%3)), Type: messages + "email." + []string{"Send", "Open", "Click", "Else"}[in[1]%4],
				CampaignID: strconv.Itoa(int(in[2] % 5)), ReceivedAt: received, OccurredAt: received.Add(-spans[in[0]%8]), JSON: in[:3],
			}
			added++
			if b.Add(&e, now) {
				counted++
			}
			if in[0]%5 == 0 {
				b.Check(now)
			}
			s := b.Snapshot(now)
			if s.Repeats+counted > added {
				t.Fatalf("%d counted and %d repeats of %d", counted, s.Repeats, added)
			}
			for _, typ := range s.Types {
				if typ.LastHour < 0 || uint64(typ.LastHour) > typ.Events || typ.AgeSeconds < 0 {
					t.Fatalf("%+v", typ)
				}
			}
		}
	})
}

func BenchmarkAdd(b *testing.B) {
	book := NewBook(Rules{}, noon)
	e := event.Engagement{
		Workspace: "main", Type: send, CampaignID: "5c8b", CampaignName: "Spring", Channel: "email", OccurredAt: noon, ReceivedAt: noon,
		JSON: []byte(`{"event_type":"users.messages.email.Send","id":"x","time":1,"user":{},"properties":{}}`),
	}
	ids := make([]string, 1<<16)
	for i := range ids {
		ids[i] = fmt.Sprintf("%032x", i)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		e.ID = ids[i%len(ids)]
		book.Add(&e, noon)
	}
}

func BenchmarkCheck(b *testing.B) {
	s := newStory(Rules{})
	for i := range 1_000 {
		s.every(10*time.Minute, "users.type."+strconv.Itoa(i), noon.Add(-24*time.Hour), noon)
	}
	b.ReportAllocs()
	for b.Loop() {
		s.Check(noon)
	}
}
