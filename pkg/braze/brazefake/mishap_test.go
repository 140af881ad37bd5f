package brazefake_test

import (
	"context"
	"fmt"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/braze/brazefake"
)

// serve runs the sandbox behind a real server and returns a client for it.
func serve(t testing.TB, s *brazefake.Sandbox, timeout time.Duration) *braze.Client {
	t.Helper()
	server := httptest.NewUnstartedServer(s)
	server.Config = brazefake.NewServer(s)
	server.Start()
	t.Cleanup(server.Close)
	c, err := braze.New(braze.Config{Endpoint: server.URL, APIKey: brazefake.DefaultKey, Timeout: timeout}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// track sends one event of a user.
func track(ctx context.Context, c *braze.Client, user, name string) braze.Answer {
	body := fmt.Appendf(nil, `{"events":[{"external_id":%q,"name":%q,"time":"2026-03-04T05:06:07Z"}]}`, user, name)
	return c.Track(ctx, body, [3]int{0, 1, 0})
}

func TestWhatGoesWrongIsSeenByTheClientAndWrittenDown(t *testing.T) {
	tests := []struct {
		name    string
		knobs   brazefake.Knobs
		verdict braze.Verdict
		fate    brazefake.Fate
		mishap  string // the beginning or the end of its name
	}{
		{name: "nothing", verdict: braze.Accepted, fate: brazefake.Answered},
		{name: "a fault before applying", knobs: brazefake.Knobs{P5xxBefore: 1}, verdict: braze.Unavailable, fate: brazefake.NotApplied, mishap: " before applying"},
		{name: "a fault after applying", knobs: brazefake.Knobs{P5xxAfter: 1}, verdict: braze.Unavailable, fate: brazefake.AppliedUnanswered, mishap: " after applying"},
		{name: "a drop before applying", knobs: brazefake.Knobs{PDropBefore: 1}, verdict: braze.InDoubt, fate: brazefake.NotApplied, mishap: "dropped before applying"},
		{name: "a drop after applying", knobs: brazefake.Knobs{PDropAfter: 1}, verdict: braze.InDoubt, fate: brazefake.AppliedUnanswered, mishap: "dropped after applying"},
		{name: "a refusal by chance", knobs: brazefake.Knobs{PItemError: 1}, verdict: braze.Accepted, fate: brazefake.RefusedItem},
		{name: "patience at its end", knobs: brazefake.Knobs{LatencyMin: time.Minute}, verdict: braze.InDoubt, fate: brazefake.ClientGone},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := brazefake.New(brazefake.Options{Knobs: tt.knobs})
			timeout := 10 * time.Second
			if tt.fate == brazefake.ClientGone {
				timeout = 100 * time.Millisecond
			}
			a := track(t.Context(), serve(t, s, timeout), "crm-1", "a")
			if a.Verdict != tt.verdict {
				t.Errorf("verdict %v (%d, %v), want %v", a.Verdict, a.Status, a.Err, tt.verdict)
			}
			if refused := tt.fate == brazefake.RefusedItem; refused != (len(a.Items) == 1) {
				t.Errorf("refused items %v", a.Items)
			}
			until(t, func() bool { return s.Stats().Fates[tt.fate] == 1 })
			received := slices.Collect(s.Received())
			if len(received) != 1 || received[0].Fate != tt.fate || !strings.HasSuffix(received[0].Mishap, tt.mishap) {
				t.Errorf("received %+v, want one of fate %s after %q", received, tt.fate, tt.mishap)
			}
			_, stored := s.Profile("crm-1")
			if stored != tt.fate.Applied() {
				t.Errorf("stored: %v", stored)
			}
			mishaps := slices.Collect(maps.Keys(s.Stats().Mishaps))
			if tt.mishap != "" && (len(mishaps) != 1 || !strings.HasSuffix(mishaps[0], tt.mishap)) {
				t.Errorf("mishaps %q", mishaps)
			}
		})
	}
}

// until waits for what a server does after its client has been told.
func until(t testing.TB, holds func() bool) {
	t.Helper()
	deadline := time.After(5 * time.Second)
	for !holds() {
		select {
		case <-deadline:
			t.Fatal("it did not come to hold")
		case <-time.After(time.Millisecond):
		}
	}
}

func TestASeedFixesWhatGoesWrong(t *testing.T) {
	story := func(seed uint64) (statuses []int) {
		s := brazefake.New(brazefake.Options{Seed: seed, Knobs: brazefake.Knobs{P429: 0.2, P5xxBefore: 0.2, P5xxAfter: 0.2, PItemError: 0.2}})
		for range 50 {
			statuses = append(statuses, post(s, events(1)).StatusCode)
		}
		return statuses
	}
	first := story(7)
	if diff := cmp.Diff(first, story(7)); diff != "" {
		t.Errorf("one seed tells two stories (-first +second):\n%s", diff)
	}
	if slices.Equal(first, story(8)) {
		t.Error("two seeds tell one story")
	}
	for _, status := range []int{201, 429} {
		if !slices.Contains(first, status) {
			t.Errorf("no %d in %v", status, first)
		}
	}
}

func TestForgettingSandboxesCountAndAnswer(t *testing.T) {
	s := brazefake.New(brazefake.Options{Forget: true})
	r := post(s, `{"attributes":[{},{}],"events":[{"external_id":"crm-1"}]}`)
	if got := text(t, r); r.StatusCode != 201 || got != `{"message":"success","attributes_processed":2,"events_processed":1}` {
		t.Errorf("status %d: %s", r.StatusCode, got)
	}
	stats := s.Stats()
	if stats.Received["attributes"] != 2 || stats.Applied["events"] != 1 || stats.Profiles != 0 || len(slices.Collect(s.Received())) != 0 {
		t.Errorf("stats %+v", stats)
	}
	if err := s.SetKnobs(brazefake.Knobs{P5xxAfter: 1}); err != nil {
		t.Fatal(err)
	}
	if r := post(s, events(1)); r.StatusCode < 500 {
		t.Errorf("status %d, want a mishap all the same", r.StatusCode)
	}
}
