package outgoing_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/braze/brazefake/outgoing"
)

// receiver answers calls as a test says, without a network, so that time can be the bubble's.
type receiver struct {
	mu     sync.Mutex
	answer func(call int, ids []string) int // a status; 0 is a broken connection
	calls  []received
}

// received is a call as it came.
type received struct {
	at     time.Time
	header http.Header
	ids    []string // of its events
	empty  bool     // had no body at all
}

func (r *receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	var sent struct {
		Events []struct {
			ID string `json:"id"`
		} `json:"events"`
	}
	if len(body) > 0 {
		if err := json.Unmarshal(body, &sent); err != nil {
			return nil, fmt.Errorf("reading %s: %w", body, err)
		}
	}
	c := received{at: time.Now(), header: req.Header, empty: len(body) == 0}
	for _, e := range sent.Events {
		c.ids = append(c.ids, e.ID)
	}
	r.mu.Lock()
	r.calls = append(r.calls, c)
	n := len(r.calls)
	r.mu.Unlock()
	status := r.answer(n, c.ids)
	if status == 0 {
		return nil, errors.New("connection reset")
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader([]byte("because"))), Request: req}, nil
}

// sizes are how many events the calls had that had any.
func (r *receiver) sizes() (sizes []int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.calls {
		if len(c.ids) > 0 {
			sizes = append(sizes, len(c.ids))
		}
	}
	return sizes
}

func (r *receiver) ids() (ids []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.calls {
		ids = append(ids, c.ids...)
	}
	return ids
}

func ok(int, []string) int { return http.StatusOK }

// sending runs a connector in a bubble.
func sending(t *testing.T, o outgoing.Options, answer func(call int, ids []string) int, test func(*testing.T, *outgoing.Connector, *receiver)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answer: answer}
		o.URL, o.Token, o.Client, o.Parallel = "http://receiver.test/currents", "dG9rZW4=", &http.Client{Transport: r}, 1
		c := outgoing.New(o)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); c.Run(ctx) }()
		defer func() { stop(); <-ended }()
		synctest.Wait()
		test(t, c, r)
		report := c.Report("", 0)
		if report.Made != report.Sent+report.Pending+report.Dropped {
			t.Errorf("the books do not add up: %+v", report)
		}
	})
}

func add(c *outgoing.Connector, from, n int) {
	for i := from; i < from+n; i++ {
		id := fmt.Sprintf("e-%03d", i)
		c.Add(outgoing.Event{ID: id, Type: "users.behaviors.CustomEvent", JSON: []byte(`{"id":"` + id + `"}`)})
	}
}

func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestTheFirstCallsShowTheCredentialsAndCarryNothing(t *testing.T) {
	sending(t, outgoing.Options{}, ok, func(t *testing.T, _ *outgoing.Connector, r *receiver) {
		if len(r.calls) != 2 || !r.calls[0].empty || len(r.ids()) > 0 {
			t.Fatalf("the first calls are %+v", r.calls)
		}
		for _, c := range r.calls {
			if got := c.header.Get("Authorization"); got != "Bearer dG9rZW4=" {
				t.Errorf("the authorization is %q", got)
			}
			if got := c.header.Get("Braze-Currents-Version"); got != "1" {
				t.Errorf("the version is %q", got)
			}
		}
	})
}

func TestBadCredentialsAtTheStartSendNothing(t *testing.T) {
	sending(t, outgoing.Options{}, func(int, []string) int { return http.StatusUnauthorized }, func(t *testing.T, c *outgoing.Connector, r *receiver) {
		add(c, 0, 3)
		pass(time.Hour)
		if got := c.Report("", 0); got.State != outgoing.Stopped || got.Pending != 3 || len(r.ids()) > 0 {
			t.Errorf("%+v after %v", got, r.ids())
		}
	})
}

func TestABatchGoesOutWhenItIsFullOrHasWaited(t *testing.T) {
	sending(t, outgoing.Options{Linger: 5 * time.Second}, ok, func(t *testing.T, c *outgoing.Connector, r *receiver) {
		add(c, 0, 230)
		synctest.Wait()
		if diff := cmp.Diff([]int{100, 100}, r.sizes()); diff != "" {
			t.Errorf("at once (-want +got):\n%s", diff)
		}
		pass(5 * time.Second)
		if diff := cmp.Diff([]int{100, 100, 30}, r.sizes()); diff != "" {
			t.Errorf("after the linger (-want +got):\n%s", diff)
		}
		if got := c.Report("", 0); got.Sent != 230 || got.Pending != 0 {
			t.Errorf("%+v", got)
		}
	})
}

func TestWhatEachAnswerMakesOfABatch(t *testing.T) {
	bad := func(status int) func(int, []string) int {
		return func(_ int, ids []string) int {
			if slices.Contains(ids, "e-001") {
				return status
			}
			return http.StatusNoContent
		}
	}
	once := func(status int) func(int, []string) int {
		return func(n int, _ []string) int {
			if n == 3 { // the first with events
				return status
			}
			return http.StatusOK
		}
	}
	tests := []struct {
		name   string
		answer func(int, []string) int
		sizes  []int // of the calls
		want   outgoing.Report
	}{
		{"2xx is done", once(http.StatusAccepted), []int{4}, outgoing.Report{State: outgoing.Running, Sent: 4}},
		{"400 makes singles, and a single that gets it again is dropped", bad(http.StatusBadRequest), []int{4, 1, 1, 1, 1}, outgoing.Report{
			State: outgoing.Running, Sent: 3, Dropped: 1, Reasons: map[outgoing.Reason]int{outgoing.BadRequest: 1},
		}},
		{"401 stops and loses the batch", once(http.StatusUnauthorized), []int{4}, outgoing.Report{
			State: outgoing.Stopped, Dropped: 4, Reasons: map[outgoing.Reason]int{outgoing.WhileStopped: 4},
		}},
		{"403 likewise", once(http.StatusForbidden), []int{4}, outgoing.Report{
			State: outgoing.Stopped, Dropped: 4, Reasons: map[outgoing.Reason]int{outgoing.WhileStopped: 4},
		}},
		{"404 likewise", once(http.StatusNotFound), []int{4}, outgoing.Report{
			State: outgoing.Stopped, Dropped: 4, Reasons: map[outgoing.Reason]int{outgoing.WhileStopped: 4},
		}},
		{"413 splits", func(_ int, ids []string) int {
			if len(ids) > 2 {
				return http.StatusRequestEntityTooLarge
			}
			return http.StatusOK
		}, []int{4, 2, 2}, outgoing.Report{State: outgoing.Running, Sent: 4}},
		{"429 is sent again", once(http.StatusTooManyRequests), []int{4, 4}, outgoing.Report{State: outgoing.Running, Sent: 4}},
		{"503 is sent again", once(http.StatusServiceUnavailable), []int{4, 4}, outgoing.Report{State: outgoing.Running, Sent: 4}},
		{"a redirect is sent again and not followed", once(http.StatusFound), []int{4, 4}, outgoing.Report{State: outgoing.Running, Sent: 4}},
		{"another error is sent again", once(http.StatusTeapot), []int{4, 4}, outgoing.Report{State: outgoing.Running, Sent: 4}},
		{"a broken connection is sent again", once(0), []int{4, 4}, outgoing.Report{State: outgoing.Running, Sent: 4}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			sending(t, outgoing.Options{}, test.answer, func(t *testing.T, c *outgoing.Connector, r *receiver) {
				add(c, 0, 4)
				pass(time.Hour)
				got := c.Report("", 0)
				test.want.Made = 4
				got.Why, got.Calls, got.Events = "", nil, nil
				if len(got.Reasons) == 0 {
					got.Reasons = nil
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("the books (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(test.sizes, r.sizes()); diff != "" {
					t.Errorf("events in each call (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestAStoppedConnectorKeepsWhatComesUntilItIsEnabled(t *testing.T) {
	away := true
	sending(t, outgoing.Options{}, func(n int, _ []string) int {
		if n > 2 && away {
			return http.StatusNotFound
		}
		return http.StatusOK
	}, func(t *testing.T, c *outgoing.Connector, r *receiver) {
		add(c, 0, 2)
		pass(time.Minute)
		add(c, 2, 3)
		pass(24 * time.Hour)
		if got := c.Report("", 0); got.Pending != 3 || got.Dropped != 2 {
			t.Fatalf("%+v", got)
		}
		away = false
		c.Enable()
		pass(time.Minute)
		if got := c.Report("", 0); got.Sent != 3 || got.State != outgoing.Running {
			t.Errorf("%+v after %v", got, r.ids())
		}
	})
}

func TestFiveDaysOfFailureDisableAndSevenDropWhatIsQueued(t *testing.T) {
	well := false
	sending(t, outgoing.Options{}, func(n int, _ []string) int {
		if n > 2 && !well {
			return http.StatusServiceUnavailable
		}
		return http.StatusOK
	}, func(t *testing.T, c *outgoing.Connector, r *receiver) {
		add(c, 0, 5)
		pass(4*24*time.Hour + 23*time.Hour)
		if got := c.Report("", 0); got.State != outgoing.Running || got.Pending != 5 {
			t.Fatalf("before five days: %+v", got)
		}
		pass(2 * time.Hour)
		add(c, 5, 1)
		if got := c.Report("", 0); got.State != outgoing.Disabled || got.Pending != 5 || got.Reasons[outgoing.WhileDisabled] != 1 {
			t.Fatalf("after five days: %+v", got)
		}
		pass(3 * 24 * time.Hour)
		if got := c.Report("", 0); got.Pending != 0 || got.Reasons[outgoing.Expired] != 5 {
			t.Fatalf("after eight days: %+v", got)
		}
		well = true
		c.Enable()
		add(c, 6, 1)
		pass(time.Minute)
		if got := r.ids(); got[len(got)-1] != "e-006" {
			t.Errorf("enabled again it sends %v last", got[len(got)-1])
		}
	})
}

func TestSuccessForgivesWhatFailedBefore(t *testing.T) {
	n := 0
	sending(t, outgoing.Options{}, func(call int, _ []string) int {
		if n++; call > 2 && n%2 == 1 {
			return http.StatusBadGateway
		}
		return http.StatusOK
	}, func(t *testing.T, c *outgoing.Connector, _ *receiver) {
		for day := range 12 {
			add(c, day, 1)
			pass(24 * time.Hour)
		}
		if got := c.Report("", 0); got.State != outgoing.Running || got.Sent != 12 {
			t.Errorf("%+v", got)
		}
	})
}

func TestSomeEventsComeTwiceAndTheSeedSaysWhich(t *testing.T) {
	twice := func(seed uint64) (doubled []string) {
		sending(t, outgoing.Options{Twice: 0.1, Seed: seed}, ok, func(t *testing.T, c *outgoing.Connector, r *receiver) {
			add(c, 0, 200)
			pass(time.Hour)
			got := c.Report("", 0)
			ids := r.ids()
			if len(ids) != 200+got.Repeated || got.Sent != 200 || got.Repeated == 0 {
				t.Fatalf("%d came: %+v", len(ids), got)
			}
			seen := map[string]bool{}
			for _, id := range ids { // a repeat may come before another's first time
				if seen[id] {
					doubled = append(doubled, id)
				}
				seen[id] = true
			}
			slices.Sort(doubled)
		})
		return doubled
	}
	if diff := cmp.Diff(twice(7), twice(7)); diff != "" {
		t.Errorf("one seed (-first +second):\n%s", diff)
	}
	if cmp.Equal(twice(7), twice(8)) {
		t.Error("two seeds double the same events")
	}
}

func TestAnEventThatIsTooLargeIsDropped(t *testing.T) {
	sending(t, outgoing.Options{}, ok, func(t *testing.T, c *outgoing.Connector, r *receiver) {
		c.Add(outgoing.Event{ID: "big", JSON: bytes.Repeat([]byte(" "), outgoing.MaxEvent+1)})
		pass(time.Minute)
		if got := c.Report(outgoing.Dropped, 10); got.Reasons[outgoing.TooLarge] != 1 || len(got.Events) != 1 || len(r.ids()) > 0 {
			t.Errorf("%+v", got)
		}
	})
}

func TestWhatIsUnderWayWhenItStopsGoesOutLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := outgoing.New(outgoing.Options{URL: "http://receiver.test/", Client: &http.Client{Transport: hanging{}}})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); c.Run(ctx) }()
		add(c, 0, 3)
		pass(2 * time.Minute) // the credentials are shown in vain, twice half a minute
		stop()
		<-ended
		if got := c.Report("", 0); got.Pending != 3 || got.Dropped != 0 {
			t.Fatalf("%+v", got)
		}
	})
}

// hanging answers nobody.
type hanging struct{}

func (hanging) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}
