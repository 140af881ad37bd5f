package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// id is the event's idempotency key.
func (e Event) id() string { return e.User + "-" + strconv.Itoa(e.Seq) }

// parseID is the opposite of id.
func parseID(id string) (Event, bool) {
	user, seq, found := strings.Cut(id, "-")
	n, err := strconv.Atoi(seq)
	return Event{user, n}, found && err == nil && n > 0
}

// marked reports whether an event sets an attribute too: every tenth does.
func (e Event) marked() bool { return e.Seq%10 == 0 }

// load is the callers of the front door. Each looks after users of its own, whose events it sends in
// order: what follows an event is sent only once the door has said yes to it. Whatever gets no yes is
// sent again under the same id, until it does.
type load struct {
	url    string
	key    string
	seed   uint64
	users  int
	events int

	accepted atomic.Int64
	posted   bell // a request has been sent
	client   http.Client

	mu      sync.Mutex
	begun   int // events that callers have taken on
	limit   int // how many they may
	asked   map[Event]Asking
	strange []string
}

const (
	callers  = 6
	maxBatch = 150 // events in a request
	maxRun   = 4   // events of one user in a row in it
)

func (l *load) run(ctx context.Context) error {
	l.asked = make(map[Event]Asking, l.events)
	l.client = http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: callers}}
	defer l.client.CloseIdleConnections()
	var wg sync.WaitGroup
	failed := make(chan error, callers)
	for n := range callers {
		wg.Go(func() {
			if err := l.call(ctx, n); err != nil {
				failed <- err
			}
		})
	}
	wg.Wait()
	close(failed)
	return <-failed
}

// take takes on n events, where that is allowed by now.
func (l *load) take(n int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.begun >= l.limit {
		return false
	}
	l.begun += n
	return true
}

// giveBack is for what a batch has no use for.
func (l *load) giveBack(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.begun -= n
}

// allow lets callers take on so many events in all.
func (l *load) allow(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limit = max(l.limit, n)
}

// allowMore lets one caller take on one more batch, if they have none left.
func (l *load) allowMore() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limit = max(l.limit, l.begun+1)
}

// call is one caller.
func (l *load) call(ctx context.Context, n int) error {
	dice := rand.New(rand.NewPCG(l.seed, uint64(n)+100))
	type customer struct {
		name       string
		next, last int
	}
	var mine []*customer
	for i := n; i < l.users; i += callers {
		c := &customer{fmt.Sprintf("u%05d", i), 1, l.events / l.users}
		if i < l.events%l.users {
			c.last++
		}
		if c.last > 0 {
			mine = append(mine, c)
		}
	}
	for len(mine) > 0 {
		if err := until(ctx, 10*time.Millisecond, func() bool { return l.take(maxBatch) }); err != nil {
			return fmt.Errorf("waiting for the schedule: %w", err)
		}
		var batch []Event
		dice.Shuffle(len(mine), func(i, j int) { mine[i], mine[j] = mine[j], mine[i] })
		kept := mine[:0]
		for _, c := range mine {
			for range 1 + dice.IntN(maxRun) {
				if c.next <= c.last && len(batch) < maxBatch {
					batch = append(batch, Event{c.name, c.next})
					c.next++
				}
			}
			if c.next <= c.last {
				kept = append(kept, c)
			}
		}
		mine = kept
		l.giveBack(maxBatch - len(batch))
		for len(batch) > 0 {
			left, err := l.post(ctx, batch)
			if err != nil {
				return err
			}
			if len(left) > 0 {
				if err := pause(ctx, 20*time.Millisecond+time.Duration(dice.Int64N(int64(100*time.Millisecond)))); err != nil {
					return fmt.Errorf("sending %v again: %w", left[0], err)
				}
			}
			batch = left
		}
	}
	return nil
}

// post makes one request and returns the events that got no yes.
func (l *load) post(ctx context.Context, batch []Event) (left []Event, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.url+"/v1/events", bytes.NewReader(body(batch)))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+l.key)
	l.posted.ring()
	answer := l.ask(req)
	if answer.Results != nil && len(answer.Results) != len(batch) {
		return nil, fmt.Errorf("the door answers for %d of %d events", len(answer.Results), len(batch))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, e := range batch {
		asked := l.asked[e]
		asked.Requests++
		status := ""
		if answer.Results != nil {
			status = answer.Results[i].Status
		}
		switch status {
		case "accepted", "duplicate":
			asked.Accepted = true
			l.accepted.Add(1)
		case "rejected", "skipped":
			return nil, fmt.Errorf("the door has %s %v: %s", status, e, answer.Results[i].Reason)
		default:
			asked.Unanswered++
			left = append(left, e)
		}
		l.asked[e] = asked
	}
	return left, nil
}

type verdicts struct {
	Results []struct {
		ID     string `json:"id"`
		Status string `json:"status"`
		Reason string `json:"reason"`
	} `json:"results"`
}

// ask returns what the door said; nothing when it did not, or not in time.
func (l *load) ask(req *http.Request) (v verdicts) {
	resp, err := l.client.Do(req)
	if err != nil {
		return v
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusAccepted && resp.StatusCode != http.StatusServiceUnavailable {
		if err == nil {
			l.note("the door answered %s: %s", resp.Status, text)
		}
		return v
	}
	if err := json.Unmarshal(text, &v); err != nil {
		l.note("the door answered %s with %q: %v", resp.Status, text, err)
		return verdicts{}
	}
	return v
}

func (l *load) note(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.strange = append(l.strange, fmt.Sprintf(format, args...))
}

// body is the request's: an array of events that say in their properties which they are.
func body(batch []Event) []byte {
	var b bytes.Buffer
	for i, e := range batch {
		b.WriteByte("[,"[min(i, 1)])
		fmt.Fprintf(&b, `{"id":%q,"user":{"external_id":%q},"name":"Counted","properties":{"seq":%d}`, e.id(), e.User, e.Seq)
		if e.marked() {
			fmt.Fprintf(&b, `,"attributes":{"last_seq":%d}`, e.Seq)
		}
		b.WriteByte('}')
	}
	b.WriteByte(']')
	return b.Bytes()
}
