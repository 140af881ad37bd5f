//go:build budget

// These tests fill real windows of time, so they have the machine to themselves, without the race detector:
// make test runs them apart.

package brazesender_test

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/braze/brazefake"
	"github.com/sluicehq/sluice/pkg/quota"
)

// strict is the limit of these tests. The window is a whole number of seconds, as the ends of windows
// are told in.
var strict = quota.Rate{Count: 240, Per: 2 * time.Second}

// slidingWindow is a Braze that lets no more than the strict limit in within any stretch of a window's
// length. How Braze's own windows lie is not documented.
type slidingWindow struct {
	mu      sync.Mutex
	dialect string
	let     []time.Time
}

func (s *slidingWindow) answer(wire) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for len(s.let) > 0 && now.Sub(s.let[0]) >= strict.Per {
		s.let = s.let[1:]
	}
	r := reply{status: http.StatusCreated, header: http.Header{}, body: `{"message":"success"}`}
	if len(s.let) < strict.Count {
		s.let = append(s.let, now)
	} else {
		r.status, r.body = http.StatusTooManyRequests, `{"message":"Rate limit exceeded"}`
	}
	end := s.let[0].Add(strict.Per)
	reset := strconv.Itoa(int((end.Sub(now) + time.Second - 1) / time.Second))
	if s.dialect == brazefake.DialectDelta && r.status == http.StatusTooManyRequests {
		r.header.Set("X-Ratelimit-Retry-After", reset)
		return r
	}
	if s.dialect == brazefake.DialectEpoch {
		reset = strconv.FormatInt(end.Add(time.Second-1).Unix(), 10)
	}
	r.header.Set("X-Ratelimit-Limit", strconv.Itoa(strict.Count))
	r.header.Set("X-Ratelimit-Remaining", strconv.Itoa(strict.Count-len(s.let)))
	r.header.Set("X-Ratelimit-Reset", reset)
	return r
}

// newStrictScene is a scene with twelve partitions, more work than can be done, and a Braze with the
// strict limit.
func newStrictScene(t *testing.T, sliding bool, dialect string) *scene {
	t.Helper()
	s := newSceneOf(t, 12)
	s.sandbox(t, brazefake.Options{Forget: true, Knobs: brazefake.Knobs{RateLimit: strict.Count, RateWindow: strict.Per, Dialect: dialect}})
	if sliding {
		s.front.script((&slidingWindow{dialect: dialect}).answer)
	}
	s.config.Braze.Rate = strict
	// There are many senders here, and few processors.
	s.config.Sender.CommitEvery, s.config.Kafka.Compression = time.Second, "none"
	s.config.Braze.MaxObjects = 2
	s.produce(t, crowd(600, 18)...)
	return s
}

// share waits until each of the senders has as many of the twelve partitions, of both topics.
func share(t *testing.T, partitions int, senders ...*running) {
	t.Helper()
	const topics = 4 // events, commerce events, differences of profiles, cases
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(30 * time.Second)
	for _, r := range senders {
		for r.gauge(t, "sluice_sender_partitions") != float64(topics*partitions) {
			select {
			case <-tick.C:
			case <-timeout:
				t.Fatalf("a sender has %v partitions, want %d of each topic", r.gauge(t, "sluice_sender_partitions"), partitions)
			}
		}
	}
}

// counts are the requests that Braze let in, and those that it refused, in each of some windows.
type counts struct{ let, refused []int }

func (c counts) String() string { return fmt.Sprintf("let in %d, refused %d", c.let, c.refused) }

// use is the part of the limit that was used.
func (c counts) use() float64 {
	all := 0
	for _, n := range c.let {
		all += n
	}
	return float64(all) / float64(strict.Count*len(c.let))
}

func (c counts) refusals() (all int) {
	for _, n := range c.refused {
		all += n
	}
	return all
}

// watch counts what comes in during windows that begin at or after from. It waits until they are over.
func (f *front) watch(t *testing.T, from time.Time, windows int) counts {
	t.Helper()
	from = from.Add(strict.Per - 1).Truncate(strict.Per)
	end := from.Add(time.Duration(windows) * strict.Per)
	var c counts
	f.await(t, "the windows to be over", func(wires []wire) bool {
		if len(wires) == 0 || !wires[len(wires)-1].At.After(end) {
			return false
		}
		c = counts{make([]int, windows), make([]int, windows)}
		for _, w := range wires {
			switch i := int(w.At.Sub(from) / strict.Per); {
			case w.At.Before(from) || i >= windows:
			case w.Status == http.StatusTooManyRequests:
				c.refused[i]++
			default:
				c.let[i]++
			}
		}
		return true
	})
	return c
}

// steady waits for two windows in a row, the first of which begins at or after from, of which nearly all
// is used and next to nothing refused, and says what went before. It gives up after twelve.
func (f *front) steady(t *testing.T, name string, from time.Time, use float64, refusals int) {
	t.Helper()
	for windows := 2; windows <= 12; windows++ {
		c := f.watch(t, from, windows)
		last := counts{c.let[windows-2:], c.refused[windows-2:]}
		if last.use() >= use && last.refusals() <= refusals {
			t.Logf("%s: %.1f %% are used, %d refused: %v", name, 100*last.use(), last.refusals(), c)
			return
		}
		if windows == 12 {
			t.Errorf("%s: never two windows of which %.0f %% were used and at most %d refused: %v", name, 100*use, refusals, c)
		}
	}
}

// settled is how long a share takes to grow.
const settled = 5 * 2 * time.Second / 4

// strictScenes are one for each shape of a window and each dialect. They go through a test side by side,
// since most of it is waiting for windows to pass.
func strictScenes(t *testing.T, shapes ...bool) map[string]*scene {
	t.Helper()
	scenes := map[string]*scene{}
	for _, sliding := range shapes {
		for _, dialect := range []string{brazefake.DialectEpoch, brazefake.DialectDelta} {
			name := map[bool]string{false: "fixed windows, ", true: "sliding windows, "}[sliding] + dialect
			scenes[name] = newStrictScene(t, sliding, dialect)
		}
	}
	return scenes
}

// startThree starts three replicas in each scene and waits until they have shared the partitions.
func startThree(t *testing.T, scenes map[string]*scene) map[string][]*running {
	t.Helper()
	senders := map[string][]*running{}
	for name, s := range scenes {
		senders[name] = []*running{s.start(t), s.start(t), s.start(t)}
	}
	for name := range scenes {
		share(t, 4, senders[name]...)
	}
	return senders
}

func TestThreeReplicasUseOneLimitAndOneThatGoesIsReplaced(t *testing.T) {
	t.Parallel()
	scenes := strictScenes(t, false, true)
	began := time.Now()
	senders := startThree(t, scenes)
	from := time.Now().Add(settled)
	for name, s := range scenes {
		s.front.steady(t, name+", three replicas", from, 0.95, 0)
	}
	went := time.Now()
	for name := range scenes {
		senders[name][0].stop()
	}
	for name := range scenes {
		share(t, 6, senders[name][1:]...)
	}
	t.Logf("what one leaves was taken over within %v", time.Since(went))
	from = time.Now().Add(settled)
	for name, s := range scenes {
		s.front.steady(t, name+", the two that are left", from, 0.95, 0)
	}
	for name, s := range scenes {
		c := s.front.watch(t, began, int(time.Since(began)/strict.Per)-1)
		t.Logf("%s, in all: %v", name, c)
		if c.refusals() > 10 {
			t.Errorf("%s: %d requests were refused while partitions changed hands: %v", name, c.refusals(), c)
		}
	}
}

// otherTool asks the same workspace for a fifth of its limit, evenly, until the context ends. It knows
// nothing of us.
func (s *scene) otherTool(ctx context.Context) {
	tick := time.NewTicker(5 * strict.Per / time.Duration(strict.Count))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.config.Braze.Endpoint+"/users/track",
			strings.NewReader(`{"events":[{"external_id":"other-tool","name":"e","time":"2026-03-02T09:15:03Z"}]}`))
		if err != nil {
			return
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+s.config.Braze.APIKey.Reveal())
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_ = resp.Body.Close()
		}
	}
}

func TestASecondToolOnTheWorkspaceGetsThrough(t *testing.T) {
	t.Parallel()
	scenes := strictScenes(t, false)
	startThree(t, scenes)
	ctx, stop := context.WithCancel(t.Context())
	var tools sync.WaitGroup
	defer tools.Wait()
	defer stop()
	for _, s := range scenes {
		tools.Go(func() { s.otherTool(ctx) })
	}
	from := time.Now().Add(settled)
	for name, s := range scenes {
		s.front.steady(t, name+", beside another tool", from, 0.9, 3)
	}
	for name, s := range scenes {
		theirs, refused := 0, 0
		for _, w := range s.front.seen() {
			if !strings.Contains(w.Body, "other-tool") {
				continue
			}
			if theirs++; w.Status == http.StatusTooManyRequests {
				refused++
			}
		}
		t.Logf("%s: of another tool's %d requests %d were refused", name, theirs, refused)
		if theirs < strict.Count/5 || refused > theirs/5 {
			t.Errorf("%s: of another tool's %d requests %d were refused, from the first on", name, theirs, refused)
		}
	}
}
