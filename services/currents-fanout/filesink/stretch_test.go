package filesink

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

func openFiles(t testing.TB, o Options) *Sink {
	t.Helper()
	s, err := Open(t.Context(), o, sink.Deps{Name: "lake", Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s.(*Sink)
}

func stretch(first, end int) sink.Stretch {
	return sink.Stretch{Topic: "braze.engagements", Partition: 3, First: int64(first), End: int64(end)}
}

func mustWrite(t testing.TB, s *Sink, st sink.Stretch, events []*sink.Event) {
	t.Helper()
	if a := s.WriteStretch(t.Context(), st, events); a.Each != nil || a.All.Kind != outcome.Delivered {
		t.Fatalf("stretch %d to %d: %+v", st.First, st.End, a)
	}
}

func anAction(t testing.TB, n int) *sink.Event {
	t.Helper()
	a := event.Action{
		ID: "form-1", User: event.User{Email: "mara@shop.example"}, Name: "form", OccurredAt: day, ReceivedAt: day,
		Source: "braze", ContentType: "application/json", JSON: []byte(`{"size":42}`),
	}
	return &sink.Event{
		ID: a.ID, Type: "action." + a.Name, Key: a.Key(), OccurredAt: day, ReceivedAt: day, Action: &a,
		JSON: []byte(`{"name":"form"}`), Topic: "braze.actions", Offset: int64(n),
	}
}

// tree is every file under a folder, by its path in it.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		files[filepath.ToSlash(name)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func names(files map[string]string) []string {
	var all []string
	for name := range files {
		all = append(all, name)
	}
	return all
}

// mixed is events of three types of the catalogue, of one that is not in it, and an action.
func mixed(t testing.TB, from, n int) (events []*sink.Event) {
	for i := from; i < from+n; i++ {
		switch i % 5 {
		case 0, 1:
			events = append(events, sampled(t, click, i))
		case 2:
			events = append(events, sampled(t, purchase, i))
		case 3:
			events = append(events, engagement(t, `{"event_type":"users.messages.fax.Send","id":"fax-`+time.Duration(i).String()+`","time":1788264000,"user":{},"properties":{"pages":3}}`, i))
		case 4:
			e := anAction(t, i)
			a := *e.Action
			a.ID = "form-" + time.Duration(i).String()
			e.Action, e.ID = &a, a.ID
			events = append(events, e)
		}
	}
	return events
}

func TestAStretchIsFilesAnIntentAndAManifest(t *testing.T) {
	dir := t.TempDir()
	s := openFiles(t, Options{URL: "file://" + dir, Prefix: "/braze/"})
	mustWrite(t, s, stretch(1200, 1300), mixed(t, 1200, 10))
	const name = "braze.engagements-3-00000000000000001200"
	want := []string{
		"braze/_manifest/" + name + ".json",
		"braze/_stretches/" + name + ".json",
		"braze/event_type=action.form/date=2026-09-01/" + name + "-0.parquet",
		"braze/event_type=users.behaviors.Purchase/date=2026-09-01/" + name + "-0.parquet",
		"braze/event_type=users.messages.email.Click/date=2026-09-01/" + name + "-0.parquet",
		"braze/event_type=users.messages.fax.Send/date=2026-09-01/" + name + "-0.parquet",
	}
	if diff := cmp.Diff(want, names(tree(t, dir)), sorted); diff != "" {
		t.Error(diff)
	}
}

func TestAStretchWithoutEventsIsKnownAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	s := openFiles(t, Options{URL: "file://" + dir})
	mustWrite(t, s, stretch(5, 9), nil)
	if diff := cmp.Diff([]string{"_stretches/braze.engagements-3-00000000000000000005.json"}, names(tree(t, dir))); diff != "" {
		t.Error(diff)
	}
	if end, ok, err := s.Begun(t.Context(), "braze.engagements", 3, 5); end != 9 || !ok || err != nil {
		t.Errorf("begun: %d %v %v", end, ok, err)
	}
}

func TestTheDateIsThatOfReceiptOrOfTheEvent(t *testing.T) {
	for date, want := range map[string][]string{
		dateReceived: {"2026-09-01"},
		dateOccurred: {"2026-08-27", "1970-01-01"},
	} {
		dir := t.TempDir()
		s := openFiles(t, Options{URL: "file://" + dir, Date: date})
		late := sampled(t, click, 0)
		late.OccurredAt = day.Add(-5 * 24 * time.Hour)
		old := sampled(t, click, 1)
		old.OccurredAt = time.Unix(0, 0)
		mustWrite(t, s, stretch(0, 2), []*sink.Event{late, old})
		var days []string
		for name := range tree(t, dir) {
			if _, rest, ok := strings.Cut(name, "/date="); ok {
				days = append(days, rest[:10])
			}
		}
		if diff := cmp.Diff(want, days, sorted); diff != "" {
			t.Errorf("%s: %s", date, diff)
		}
	}
}

func TestTypesThatAMacTakesForOneHaveTheirOwnFiles(t *testing.T) {
	dir := t.TempDir()
	s := openFiles(t, Options{URL: "file://" + dir})
	upper, lower := sampled(t, click, 0), sampled(t, click, 1)
	lower.Type = strings.ToLower(click)
	mustWrite(t, s, stretch(0, 2), []*sink.Event{upper, lower})
	folded := map[string]bool{}
	for name := range tree(t, dir) {
		if strings.HasPrefix(name, "event_type=") {
			folded[strings.ToLower(name)] = true
		}
	}
	if len(folded) != 2 {
		t.Errorf("files: %v", folded)
	}
}

func TestManyRowsMakeSeveralFiles(t *testing.T) {
	dir := t.TempDir()
	s := openFiles(t, Options{URL: "file://" + dir, MaxRows: 3})
	var events []*sink.Event
	for n := range 8 {
		events = append(events, sampled(t, click, n))
	}
	mustWrite(t, s, stretch(0, 8), events)
	if got := len(tree(t, dir)); got != 3+2 {
		t.Errorf("%d objects", got)
	}
	if got := len(ids(t, dir)); got != 8 {
		t.Errorf("%d events", got)
	}
}

func TestAnEventThatCanStandInNoFileIsRefusedAlone(t *testing.T) {
	dir := t.TempDir()
	s := openFiles(t, Options{URL: "file://" + dir})
	broken, nothing := sampled(t, click, 1), sampled(t, click, 2)
	broken.JSON = []byte(`{"event_type":`)
	nothing.Engagement = nil
	lonely := sampled(t, purchase, 3)
	lonely.JSON = []byte(`[]`)
	events := []*sink.Event{sampled(t, click, 0), broken, nothing, lonely, sampled(t, click, 4)}
	for range 2 { // and the second time as well
		a := s.WriteStretch(t.Context(), stretch(0, 5), events)
		var got []string
		for i := range events {
			got = append(got, a.Of(i).Kind.String())
		}
		if diff := cmp.Diff([]string{"delivered", "refused", "refused", "refused", "delivered"}, got); diff != "" {
			t.Error(diff)
		}
		if got := ids(t, dir); len(got) != 2 {
			t.Errorf("in files: %v", got)
		}
		for name := range tree(t, dir) {
			if strings.Contains(name, purchase) {
				t.Errorf("a file without rows: %s", name)
			}
		}
	}
}

func TestAStretchThatEndsBeforeItBeginsHalts(t *testing.T) {
	s := openFiles(t, Options{URL: "file://" + t.TempDir()})
	if a := s.WriteStretch(t.Context(), stretch(9, 5), nil); !a.Halt || a.All.Kind != outcome.Deferred {
		t.Errorf("%+v", a)
	}
	if a := s.Write(t.Context(), mixed(t, 0, 1)); !a.Halt || a.All.Kind != outcome.Deferred {
		t.Errorf("a batch: %+v", a)
	}
}
