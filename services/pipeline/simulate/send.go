package simulate

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Pace says how fast a story is told, and how long.
type Pace struct {
	Rate     float64       // items a second; as fast as they are taken when 0
	Items    int           // the story ends after so many; 0 is no end
	Duration time.Duration // or after so long; 0 is no end
	// Patience is how long an act is tried again that is answered 429, 503 or not at all: 30 s when 0.
	Patience time.Duration
	// Progress, when set, is told every now and then how it goes.
	Progress func(Summary)
	// Every is the time between two calls of Progress: 10 s when 0.
	Every time.Duration
}

// Door is a front door and what opens it.
type Door struct {
	URL    string // such as http://127.0.0.1:8080
	Key    string // an API key of it
	Client *http.Client
}

// hands is how many people can be served at once. Acts of one person are always done by one hand,
// one after the other, which keeps their order.
const hands = 16

// Send tells a story through the front door until it ends or ctx does, and returns what came of it.
// Acts under way are finished first. What is answered 429 or 503, or not at all, is sent again with
// the same ids, after as long as the answer asks for.
func (d Door) Send(ctx context.Context, t Telling, p Pace) (Summary, error) {
	if t.Straight {
		return Summary{}, errors.New("simulate: this story is told to the topics, not to the front door")
	}
	if d.Client == nil {
		d.Client = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: hands}}
	}
	if p.Patience == 0 {
		p.Patience = 30 * time.Second
	}
	s := &sending{door: d, pace: p, tally: newTally(t.Seed)}
	return s.tell(ctx, NewStory(t))
}

// sending is one run of Send.
type sending struct {
	door  Door
	pace  Pace
	tally *tally
}

func (s *sending) tell(ctx context.Context, story *Story) (Summary, error) {
	// Acts under way outlive the end of the story.
	work, giveUp := context.WithCancelCause(context.WithoutCancel(ctx))
	defer giveUp(nil)
	var crew sync.WaitGroup
	var queues [hands]chan Act
	for i := range queues {
		queues[i] = make(chan Act, 4)
		crew.Go(func() {
			for a := range queues[i] {
				if err := s.perform(work, &a); err != nil {
					giveUp(err)
				}
			}
		})
	}
	stopReporting := report(s.pace, func() Summary { return s.tally.summary(FrontDoor) })
	pace(ctx, work, s.pace, story, func(a Act) bool {
		select {
		case queues[a.Person.Number%hands] <- a:
			return true
		case <-ctx.Done():
		case <-work.Done():
		}
		return false
	})
	for _, q := range queues {
		close(q)
	}
	crew.Wait()
	stopReporting()
	return s.tally.summary(FrontDoor), context.Cause(work)
}

// pace hands out acts at the pace given, until the story ends or either context does.
func pace(ctx, work context.Context, p Pace, story *Story, hand func(Act) bool) {
	if p.Duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.Duration)
		defer cancel()
	}
	limit := rate.NewLimiter(rate.Inf, 1)
	if p.Rate > 0 {
		limit = rate.NewLimiter(rate.Limit(p.Rate), max(1, int(p.Rate/20)))
	}
	for told := 0; p.Items == 0 || told < p.Items; {
		a := story.Next()
		for range a.Items {
			if limit.Wait(ctx) != nil {
				return
			}
		}
		if ctx.Err() != nil || work.Err() != nil || !hand(a) {
			return
		}
		told += len(a.Items)
	}
}

// report calls Progress regularly until it is told to stop.
func report(p Pace, summary func() Summary) (stop func()) {
	if p.Progress == nil {
		return func() {}
	}
	every := p.Every
	if every == 0 {
		every = 10 * time.Second
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				p.Progress(summary())
			}
		}
	}()
	return func() { close(done); <-ended }
}

// perform sends an act until there is a verdict on every item of it.
func (s *sending) perform(ctx context.Context, a *Act) error {
	verdicts := make([]Verdict, len(a.Items))
	whys := make([]string, len(a.Items))
	deadline := time.Now().Add(s.pace.Patience)
	var err error
	for attempt := 0; ; attempt++ {
		if ctx.Err() != nil {
			s.enter(a, verdicts, whys, attempt > 1)
			return nil
		}
		s.tally.request(attempt > 0)
		var wait time.Duration
		if wait, err = s.post(ctx, a, verdicts, whys); err == nil {
			s.enter(a, verdicts, whys, attempt > 0)
			return nil
		}
		var final finalError
		if errors.As(err, &final) || time.Now().Add(wait).After(deadline) {
			break
		}
		select {
		case <-ctx.Done():
		case <-time.After(max(wait, backoff(attempt))):
		}
	}
	s.enter(a, verdicts, whys, true)
	return fmt.Errorf("telling act %d of %s: %w", a.Number, a.Person.Key, err)
}

// enter counts what became of an act's items.
func (s *sending) enter(a *Act, verdicts []Verdict, whys []string, retried bool) {
	for i := range a.Items {
		s.tally.count(a, &a.Items[i], verdicts[i], whys[i], retried)
	}
}

// backoff is how long to wait before trying again when nobody says how long, with jitter so that
// many hands do not come back at once.
func backoff(attempt int) time.Duration {
	most := min(100*time.Millisecond<<min(attempt, 10), 5*time.Second)
	return most/2 + rand.N(most/2) //nolint:gosec // no secret
}

// finalError is one that trying again does not help against.
type finalError struct{ error }

// errAgain says that an item has no verdict yet.
var errAgain = errors.New("some items could not be taken in time")

// post makes one request and fills in the verdicts it brings. An error that is no finalError says to
// try again, after wait at least.
func (s *sending) post(ctx context.Context, a *Act, verdicts []Verdict, whys []string) (wait time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(s.door.URL, "/")+a.Path, bytes.NewReader(a.Body))
	if err != nil {
		return 0, finalError{err}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "sluice-simulate")
	if a.Path == PathBatch { // as tracking clients do it
		req.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(s.door.Key+":")))
	} else {
		req.Header.Set("Authorization", "Bearer "+s.door.Key)
	}
	resp, err := s.door.Client.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err != nil {
		return 0, fmt.Errorf("reading the answer: %w", err)
	}
	switch {
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500:
		return retryAfter(resp.Header), fmt.Errorf("the front door answers %s", resp.Status)
	case resp.StatusCode == http.StatusBadRequest && a.Mishap == Malformed:
		fill(verdicts, Rejected)
		return 0, nil
	case a.Path == PathBatch && resp.StatusCode == http.StatusOK:
		fill(verdicts, Accepted)
		return 0, nil
	case resp.StatusCode == http.StatusAccepted, resp.StatusCode == http.StatusUnprocessableEntity:
		return retryAfter(resp.Header), readVerdicts(body, verdicts, whys)
	}
	return 0, finalError{fmt.Errorf("the front door answers %s: %s", resp.Status, bytes.TrimSpace(body[:min(len(body), 300)]))}
}

func fill(verdicts []Verdict, v Verdict) {
	for i := range verdicts {
		verdicts[i] = v
	}
}

// readVerdicts reads the answer of our own API. A verdict that an earlier attempt brought stays.
func readVerdicts(body []byte, verdicts []Verdict, whys []string) error {
	var answer struct {
		Results []struct {
			Index  int
			Status Verdict
			Field  string
			Reason string
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return finalError{fmt.Errorf("reading the answer: %w", err)}
	}
	for _, r := range answer.Results {
		if r.Index < 0 || r.Index >= len(verdicts) {
			return finalError{fmt.Errorf("the answer speaks of item %d of %d", r.Index, len(verdicts))}
		}
		switch r.Status {
		case Accepted, Duplicate, Rejected:
			if verdicts[r.Index] == "" {
				verdicts[r.Index], whys[r.Index] = r.Status, strings.TrimSpace(r.Field+" "+r.Reason)
			}
		}
	}
	for _, v := range verdicts {
		if v == "" {
			return errAgain
		}
	}
	return nil
}

// retryAfter is what the header of that name asks for, in seconds.
func retryAfter(h http.Header) time.Duration {
	seconds, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(seconds) * time.Second
}
