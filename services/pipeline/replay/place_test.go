package replay_test

import (
	"testing"
	"time"

	"github.com/sluicehq/sluice/services/pipeline/replay"
)

func TestPlacesAreReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]replay.Place{
		"customer.events/3/17":                   {Topic: "customer.events", Partition: 3, Offset: 17},
		"a/0/0":                                  {Topic: "a"},
		"eu.customer.events/11/9007199254740993": {Topic: "eu.customer.events", Partition: 11, Offset: 9007199254740993},
	} {
		got, err := replay.ParsePlace(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "customer.events", "customer.events/3", "customer.events/x/17", "customer.events/3/x", "/3/17", "customer.events/-1/17", "customer.events/3/-1", "t/99999999999/1"} {
		if got, err := replay.ParsePlace(bad); err == nil {
			t.Errorf("%q is read as %+v", bad, got)
		}
	}
	if got := (replay.Place{Topic: "/v1/track", Partition: -1, Offset: -1}).String(); got != "/v1/track" {
		t.Errorf("what never stood on a topic is called %s", got)
	}
}

func FuzzParsePlace(f *testing.F) {
	f.Add("customer.events/3/17")
	f.Add("/v1/track/-1/-1")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := replay.ParsePlace(text)
		if err != nil {
			return
		}
		if again, err := replay.ParsePlace(p.String()); err != nil || again != p {
			t.Fatalf("%q is read as %+v and that as %+v, %v", text, p, again, err)
		}
	})
}

func TestEdges(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 9, 15, 4, 0, time.UTC)
	for text, want := range map[string]replay.Edge{
		"4711":                 {Offset: 4711, ByOffset: true},
		"0":                    {ByOffset: true},
		"start":                {ByOffset: true},
		"10m":                  {At: now.Add(-10 * time.Minute)},
		"2026-03-02T09:00:00Z": {At: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)},
	} {
		if got, err := replay.ParseEdge(text, now); err != nil || got.ByOffset != want.ByOffset || got.Offset != want.Offset || !got.At.Equal(want.At) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "-5", "yesterday"} {
		if got, err := replay.ParseEdge(bad, now); err == nil {
			t.Errorf("%q is read as %+v", bad, got)
		}
	}
}
