package filesink

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

const topic = "braze.engagements"

func begun(t *testing.T, s *Sink, first int) int64 {
	t.Helper()
	end, ok, err := s.Begun(t.Context(), topic, 3, int64(first))
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		return -1
	}
	return end
}

func TestOfTwoOwnersOneIsTold(t *testing.T) {
	o := Options{URL: "file://" + t.TempDir()}
	one, other := openFiles(t, o), openFiles(t, o)
	for _, s := range []*Sink{one, other} {
		if got := begun(t, s, 0); got != -1 {
			t.Fatalf("begun to %d", got)
		}
	}
	mustWrite(t, one, stretch(0, 10), mixed(t, 0, 10))
	a := other.WriteStretch(t.Context(), stretch(0, 15), mixed(t, 0, 15))
	if a.All.Kind != outcome.Deferred || a.All.Reason != sink.Overtaken || a.Halt {
		t.Fatalf("%+v", a)
	}
	if got := begun(t, other, 0); got != 10 {
		t.Errorf("begun to %d", got)
	}
	mustWrite(t, other, stretch(0, 10), mixed(t, 0, 10))
	mustWrite(t, other, stretch(10, 15), mixed(t, 10, 5))
}

func TestOwnersThatBeginAtOnceNeverDisagree(t *testing.T) {
	dir := t.TempDir()
	ends := make(chan int64)
	const owners = 8
	for n := range owners {
		s := openFiles(t, Options{URL: "file://" + dir})
		go func() {
			st := stretch(0, 10+n)
			a := s.WriteStretch(t.Context(), st, nil)
			if a.All.Kind != outcome.Delivered {
				ends <- -1
				return
			}
			ends <- st.End
		}()
	}
	var won []int64
	for range owners {
		if end := <-ends; end >= 0 {
			won = append(won, end)
		}
	}
	if len(won) != 1 {
		t.Errorf("stretches to %v were all written", won)
	}
}

// replay is the fan-out from an offset on: it asks, writes, and listens when it was overtaken. Every
// event from there on is handed over once or more, until the end.
func replay(t *testing.T, s *Sink, from, until, step int) {
	t.Helper()
	for first := from; first < until; {
		end := min(first+step, until)
		if known := begun(t, s, first); known >= 0 {
			end = int(known)
		}
		a := s.WriteStretch(t.Context(), stretch(first, end), mixed(t, first, end-first))
		if a.All.Reason == sink.Overtaken {
			if known := begun(t, s, first); known <= int64(first) || known >= int64(end) {
				t.Fatalf("overtaken at %d, and then begun to %d", first, known)
			}
			continue
		}
		if a.All.Kind != outcome.Delivered {
			t.Fatalf("%d to %d: %+v", first, end, a)
		}
		first = end
	}
}

func TestOffsetsThatAreSetBackMakeNoDoubles(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range 6 {
		dir := t.TempDir()
		o := Options{URL: "file://" + dir}
		// The sink began late, so that a part of the topic was never written.
		begin := rng.IntN(40)
		replay(t, openFiles(t, o), begin, 100, 1+rng.IntN(30))
		lowest := begin
		for range 3 {
			from := rng.IntN(100)
			lowest = min(lowest, from)
			replay(t, openFiles(t, o), from, 100, 1+rng.IntN(30))
		}
		var want []string
		for _, e := range mixed(t, lowest, 100-lowest) {
			want = append(want, e.ID)
		}
		slices.Sort(want)
		if diff := cmp.Diff(want, ids(t, dir)); diff != "" {
			t.Fatalf("round %d, from %d: %s", round, lowest, diff)
		}
	}
}

// withoutManifest is objects that fail where the last one of a stretch is to be written.
type withoutManifest struct{ objects }

func (w withoutManifest) put(ctx context.Context, key string, data []byte) error {
	if strings.HasPrefix(key, manifestFolder) {
		return errCrash
	}
	return w.objects.put(ctx, key, data)
}

func TestOffsetsThatAreMovedIntoAnUnfinishedStretchLeaveNothingOfIt(t *testing.T) {
	dir := t.TempDir()
	o := Options{URL: "file://" + dir}
	mustWrite(t, openFiles(t, o), stretch(0, 10), mixed(t, 0, 10))
	dying := openFiles(t, o)
	open := dying.open
	dying.open = func(ctx context.Context) (objects, error) {
		o, err := open(ctx)
		return withoutManifest{o}, err
	}
	if a := dying.WriteStretch(t.Context(), stretch(10, 30), mixed(t, 10, 20)); a.All.Kind != outcome.Deferred {
		t.Fatalf("%+v", a)
	}
	if got := len(ids(t, dir)); got != 30 {
		t.Fatalf("%d events", got)
	}
	s := openFiles(t, o)
	if got := begun(t, s, 20); got != 30 {
		t.Fatalf("begun to %d", got)
	}
	mustWrite(t, s, stretch(20, 30), mixed(t, 20, 10))
	var want []string
	for _, e := range append(mixed(t, 0, 10), mixed(t, 20, 10)...) {
		want = append(want, e.ID)
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, ids(t, dir)); diff != "" {
		t.Error(diff)
	}
	for name := range tree(t, dir) {
		if strings.Contains(name, "00000000000000000010") {
			t.Errorf("left: %s", name)
		}
	}
}

func TestNeighboursAreFoundAsANaiveSearchFindsThem(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 10 {
		s := openFiles(t, Options{URL: "file://" + t.TempDir()})
		o, err := s.objects(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var firsts []int64
		for range rng.IntN(12) {
			first := rng.Int64N(1 << (1 + rng.IntN(50)))
			if slices.Contains(firsts, first) {
				continue
			}
			firsts = append(firsts, first)
			if err := createIntent(t.Context(), o, intentKey(sink.Stretch{Topic: topic, Partition: 3, First: first}), intent{End: first + 1}); err != nil {
				t.Fatal(err)
			}
			// That of another partition, and that of a topic whose name goes on.
			for _, other := range []sink.Stretch{{Topic: topic, Partition: 31, First: first + 1}, {Topic: topic + "-3", Partition: 0, First: first - 1}} {
				if other.First >= 0 {
					_ = createIntent(t.Context(), o, intentKey(other), intent{End: first + 2})
				}
			}
		}
		for range 20 {
			offset := rng.Int64N(1 << (1 + rng.IntN(50)))
			if len(firsts) > 0 && rng.IntN(2) == 0 {
				offset = max(0, firsts[rng.IntN(len(firsts))]+rng.Int64N(3)-1)
			}
			before, after := int64(-1), int64(noNext)
			for _, first := range firsts {
				if first < offset {
					before = max(before, first)
				}
				if first > offset && (after == noNext || first < after) {
					after = first
				}
			}
			gotBefore, err := previousFirst(t.Context(), o, topic, 3, offset)
			if err != nil || gotBefore != before {
				t.Fatalf("before %d in %v: %d %v, want %d", offset, firsts, gotBefore, err, before)
			}
			gotAfter, err := nextFirst(t.Context(), o, topic, 3, offset)
			if err != nil || gotAfter != after {
				t.Fatalf("after %d in %v: %d %v, want %d", offset, firsts, gotAfter, err, after)
			}
		}
	}
}
