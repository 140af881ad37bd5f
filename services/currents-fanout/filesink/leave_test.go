package filesink

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/outcome"
)

// TestStretchesOfAnotherOwnerAreSeenAfterAReplay: the first owner has the partition again, and an offset in the middle
// of what the other one has written.
func TestStretchesOfAnotherOwnerAreSeenAfterAReplay(t *testing.T) {
	for _, from := range []int{10, 12, 15, 20, 25} {
		dir := t.TempDir()
		o := Options{URL: "file://" + dir}
		one, other := openFiles(t, o), openFiles(t, o)
		for _, s := range []*Sink{one, other} {
			s.Owned(topic, 3)
		}
		mustWrite(t, one, stretch(0, 10), mixed(t, 0, 10))
		// From 10 to 12 there was nothing for the sink, so nobody has begun there.
		mustWrite(t, other, stretch(12, 20), mixed(t, 12, 8))
		mustWrite(t, other, stretch(20, 30), mixed(t, 20, 10))
		one.Owned(topic, 3)
		for first := from; first < 30; {
			end := begun(t, one, first)
			if end < 0 {
				end = 30
			}
			events := mixed(t, max(first, 12), int(end)-max(first, 12))
			switch a := one.WriteStretch(t.Context(), stretch(first, int(end)), events); a.All.Kind {
			case outcome.Delivered:
				first = int(end)
			case outcome.Deferred: // overtaken: Begun says where it ends
			default:
				t.Fatalf("%+v", a)
			}
		}
		var want []string
		for _, e := range append(mixed(t, 0, 10), mixed(t, 12, 18)...) {
			want = append(want, e.ID)
		}
		slices.Sort(want)
		if diff := cmp.Diff(want, ids(t, dir)); diff != "" {
			t.Errorf("set back to %d (-want +got):\n%s", from, diff)
		}
	}
}
