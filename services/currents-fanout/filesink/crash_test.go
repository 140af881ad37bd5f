package filesink

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

var errCrash = errors.New("the process has died")

// mortal is objects that fail from the nth operation on, as for a process that died there. Where late is
// set, that operation was done, and only the answer is lost.
type mortal struct {
	objects
	late bool

	mu   sync.Mutex
	left int
}

func (m *mortal) do(op func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left--
	switch {
	case m.left > 0:
		return op()
	case m.left == 0 && m.late:
		return errors.Join(op(), errCrash)
	}
	return errCrash
}

func (m *mortal) get(ctx context.Context, key string) (data []byte, err error) {
	err = m.do(func() error { data, err = m.objects.get(ctx, key); return err })
	return data, err
}

func (m *mortal) create(ctx context.Context, key string, data []byte) error {
	return m.do(func() error { return m.objects.create(ctx, key, data) })
}

func (m *mortal) put(ctx context.Context, key string, data []byte) error {
	return m.do(func() error { return m.objects.put(ctx, key, data) })
}

func (m *mortal) remove(ctx context.Context, key string) error {
	return m.do(func() error { return m.objects.remove(ctx, key) })
}

func (m *mortal) list(ctx context.Context, prefix, after string, more func(string) bool) error {
	return m.do(func() error { return m.objects.list(ctx, prefix, after, more) })
}

// thatDies makes a sink die at its nth operation.
func thatDies(s *Sink, n int, late bool) *Sink {
	open := s.open
	s.open = func(ctx context.Context) (objects, error) {
		o, err := open(ctx)
		return &mortal{objects: o, left: n, late: late}, err
	}
	return s
}

func TestAStretchThatDiedAnywhereIsTheSameWhenDoneAgain(t *testing.T) {
	for _, format := range []string{formatParquet, formatAvro} {
		events := mixed(t, 0, 20)
		reference := t.TempDir()
		mustWrite(t, openFiles(t, Options{URL: "file://" + reference, Format: format}), stretch(0, 20), events)
		want := tree(t, reference)
		if got := len(idsOf(t, want)); got != 20 {
			t.Fatalf("%d events in the files", got)
		}
		died := 0
		for _, late := range []bool{false, true} {
			for n := 1; ; n++ {
				dir := t.TempDir()
				o := Options{URL: "file://" + dir, Format: format}
				a := thatDies(openFiles(t, o), n, late).WriteStretch(t.Context(), stretch(0, 20), events)
				if a.All.Kind == outcome.Delivered {
					break
				}
				died++
				if a.All.Kind != outcome.Deferred || a.Halt {
					t.Fatalf("died at %d: %+v", n, a)
				}
				if got := ids(t, dir); len(slices.Compact(slices.Clone(got))) != len(got) {
					t.Errorf("died at %d: doubles before it is done again", n)
				}
				redo(t, o, 0, 20, events)
				if diff := cmp.Diff(want, tree(t, dir)); diff != "" {
					t.Errorf("%s, died at %d, late %v: %s", format, n, late, diff[:min(len(diff), 2000)])
				}
			}
		}
		if died < 12 {
			t.Errorf("died only %d times", died)
		}
	}
}

// redo is what the fan-out does after a crash: it asks, and hands over what it is told to.
func redo(t *testing.T, o Options, first, end int, events []*sink.Event) {
	t.Helper()
	s := openFiles(t, o)
	got, ok, err := s.Begun(t.Context(), "braze.engagements", 3, int64(first))
	if err != nil {
		t.Fatal(err)
	}
	if ok && got != int64(end) {
		t.Fatalf("begun to %d, want %d", got, end)
	}
	mustWrite(t, s, stretch(first, end), events)
}

func TestNothingIsLeftOfAnAttemptWithAnotherFilter(t *testing.T) {
	all := mixed(t, 0, 20)
	var fewer []*sink.Event
	for _, e := range all {
		if e.Type == click {
			fewer = append(fewer, e)
		}
	}
	for _, c := range []struct {
		name          string
		before, after []*sink.Event
	}{
		{"fewer types than before", all, fewer},
		{"more types than before", fewer, all},
		{"none at all", all, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			reference := t.TempDir()
			mustWrite(t, openFiles(t, Options{URL: "file://" + reference}), stretch(0, 20), c.after)
			for n := 1; n < 16; n++ {
				dir := t.TempDir()
				o := Options{URL: "file://" + dir}
				thatDies(openFiles(t, o), n, true).WriteStretch(t.Context(), stretch(0, 20), c.before)
				// The second process dies as well, with the new filter.
				thatDies(openFiles(t, o), n/2+1, n%2 == 0).WriteStretch(t.Context(), stretch(0, 20), c.after)
				redo(t, o, 0, 20, c.after)
				got := tree(t, dir)
				for name := range got { // the intent may name more files than there are
					if name == fmt.Sprintf("_stretches/%s.json", stretchName("braze.engagements", 3, 0)) {
						delete(got, name)
					}
				}
				want := tree(t, reference)
				delete(want, fmt.Sprintf("_stretches/%s.json", stretchName("braze.engagements", 3, 0)))
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("died at %d: %s", n, diff[:min(len(diff), 1500)])
				}
			}
		})
	}
}
