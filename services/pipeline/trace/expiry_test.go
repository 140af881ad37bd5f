package trace

import (
	"testing"
	"time"
)

// Updates are kept for fewer days than what they come from. Of a record from before the first that is left
// nobody can say whether it has led to something.
func TestWhatMayHaveExpiredIsNotCalledUnchanged(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		name   string
		x      expiry
		before bool
	}{
		{"nothing has expired, and there is no update", expiry{first: map[int32]int64{1: 0}}, false},
		{"nothing has expired, and the first update is younger", expiry{map[int32]int64{1: 0}, map[int32]time.Time{1: noon.Add(time.Hour)}}, false},
		{"the first that is left is older than the record", expiry{map[int32]int64{1: 7}, map[int32]time.Time{1: noon.Add(-time.Hour)}}, false},
		{"the first that is left is younger", expiry{map[int32]int64{1: 7}, map[int32]time.Time{1: noon.Add(time.Hour)}}, true},
		{"none is left", expiry{first: map[int32]int64{1: 7}}, true},
		{"none is left of another partition", expiry{first: map[int32]int64{2: 7}}, false},
	} {
		if got := tc.x.before(1, noon); got != tc.before {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.before)
		}
	}
	record := func() *Entry { return &Entry{Topic: "customer.profiles"} }
	for _, tc := range []struct {
		past, expired bool
		want          Fate
	}{{false, false, Held}, {false, true, Held}, {true, true, Unknown}, {true, false, "skipped"}} {
		if e := record(); e.profileFate(tc.past, tc.expired) != tc.want || e.Unchanged != (tc.want == "skipped") {
			t.Errorf("past %v, expired %v: %q, unchanged %v; want %q", tc.past, tc.expired, e.profileFate(tc.past, tc.expired), e.Unchanged, tc.want)
		}
	}
}
