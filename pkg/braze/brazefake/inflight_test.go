package brazefake_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/braze/brazefake"
)

func TestAUserInTwoRequestsIsAViolation(t *testing.T) {
	s := brazefake.New(brazefake.Options{Knobs: brazefake.Knobs{LatencyMin: 100 * time.Millisecond}})
	c := serve(t, s, 10*time.Second)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { track(t.Context(), c, "crm-1", "a") })
	}
	for i := range 10 {
		wg.Go(func() { track(t.Context(), c, fmt.Sprint("other-", i), "a") })
	}
	wg.Wait()
	if v := s.Violations(); len(v) != 1 || !strings.Contains(v[0], `user "crm-1"`) {
		t.Errorf("violations %q, want one about crm-1", v)
	}
}

func TestALongOverlapIsNoticedBeforeItEnds(t *testing.T) {
	s := brazefake.New(brazefake.Options{Knobs: brazefake.Knobs{LatencyMin: time.Minute}})
	c := serve(t, s, time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { track(ctx, c, "crm-1", "a") })
	}
	until(t, func() bool { return len(s.Violations()) == 1 })
	cancel()
	wg.Wait()
}

func TestTwoObjectsOfOneUserInOneRequestAreNone(t *testing.T) {
	s := brazefake.New(brazefake.Options{})
	send(t, s, `{"events":[`+event+`,{"external_id":"b","name":"a","time":"2026-03-04"},`+event+`]}`)
	send(t, s, events(2))
	if v := s.Violations(); len(v) > 0 {
		t.Errorf("violations %q", v)
	}
}

// Each worker has its own user and sends the next request the moment it has the answer to the last.
func TestOneAfterTheOtherIsNoViolationHoweverFast(t *testing.T) {
	s := brazefake.New(brazefake.Options{})
	c := serve(t, s, 10*time.Second)
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for range 300 {
				if a := track(t.Context(), c, fmt.Sprint("crm-", worker), "a"); a.Verdict != braze.Accepted {
					t.Errorf("verdict %v, error %v", a.Verdict, a.Err)
				}
			}
		})
	}
	wg.Wait()
	if v := s.Violations(); len(v) > 0 {
		t.Errorf("violations %q", v)
	}
}

// prompt is a client that sends its next request while the last byte of the answer is being written.
type prompt struct {
	*httptest.ResponseRecorder
	next func()
}

func (p prompt) Write(b []byte) (int, error) {
	p.next()
	return p.ResponseRecorder.Write(b)
}

func TestAnAnswerThatIsBeingWrittenHoldsNobodyBack(t *testing.T) {
	s := brazefake.New(brazefake.Options{})
	r := httptest.NewRequest(http.MethodPost, "/users/track", strings.NewReader(events(1)))
	r.Header.Set("Authorization", "Bearer "+brazefake.DefaultKey)
	r.Header.Set("Content-Type", "application/json")
	s.ServeHTTP(prompt{httptest.NewRecorder(), func() { send(t, s, events(1)) }}, r)
	if n := s.Stats().Requests; n != 2 {
		t.Fatalf("%d requests, want 2", n)
	}
	if v := s.Violations(); len(v) > 0 {
		t.Errorf("violations %q", v)
	}
}

// A client that loses its patience, or its life, repeats at once over another connection, which can be
// ready before the server has learned that the old one is gone.
func TestAClientThatGivesUpAndRepeatsAtOnceIsNoViolation(t *testing.T) {
	s := brazefake.New(brazefake.Options{Knobs: brazefake.Knobs{LatencyMax: 4 * time.Millisecond}})
	c := serve(t, s, 10*time.Second)
	var wg sync.WaitGroup
	gaveUp := make([]int, 8)
	for worker := range gaveUp {
		wg.Go(func() {
			for range 200 {
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Millisecond)
				if a := track(ctx, c, fmt.Sprint("crm-", worker), "a"); a.Verdict == braze.InDoubt {
					gaveUp[worker]++
				}
				cancel()
			}
		})
	}
	wg.Wait()
	total := 0
	for _, n := range gaveUp {
		total += n
	}
	if total < 100 {
		t.Fatalf("only %d requests were given up: the test proves nothing", total)
	}
	if v := s.Violations(); len(v) > 0 {
		t.Errorf("violations %d, the first %q, after %d requests given up", len(v), v[0], total)
	}
}

func TestDroppedConnectionsRepeatedAtOnceAreNoViolation(t *testing.T) {
	s := brazefake.New(brazefake.Options{Knobs: brazefake.Knobs{PDropBefore: 0.3, PDropAfter: 0.3, P5xxAfter: 0.3}})
	c := serve(t, s, 10*time.Second)
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for range 100 {
				track(t.Context(), c, fmt.Sprint("crm-", worker), "a")
			}
		})
	}
	wg.Wait()
	if v := s.Violations(); len(v) > 0 {
		t.Errorf("violations %q", v)
	}
}
