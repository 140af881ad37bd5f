package hubspot

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/sluicehq/sluice/services/crm-writeback/target"
	"github.com/sluicehq/sluice/services/crm-writeback/target/httptarget/wire"
)

// limits obeys what HubSpot says of its rate in headers. Within the limit of some seconds a call waits for its turn
// here; what takes longer is the writer's to wait for.
type limits struct {
	metrics *metrics

	mu     sync.Mutex
	sent   []time.Time // our calls of the last interval, oldest first
	quiet  time.Time   // no call before
	reason string      // why not
}

// longestTurn is how long a call waits by itself.
const longestTurn = 15 * time.Second

// maxSent bounds the calls that are remembered: more than any limit of HubSpot's lets through in its interval.
const maxSent = 4096

// turn waits until a call may go, or says why it may not for long.
func (l *limits) turn(ctx context.Context, now func() time.Time) *target.Answer {
	for {
		l.mu.Lock()
		wait, reason := l.quiet.Sub(now()), l.reason
		if wait <= 0 {
			l.sent = append(l.sent, now())
			if len(l.sent) > maxSent { // nobody has answered for long
				l.sent = append([]time.Time(nil), l.sent[maxSent/2:]...)
			}
			l.mu.Unlock()
			return nil
		}
		l.mu.Unlock()
		if wait > longestTurn {
			a := target.Deferred(reason, "HubSpot has asked for silence", wait)
			return &a
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			a := target.Deferred(wire.Interrupted, "", 0)
			return &a
		case <-timer.C:
		}
	}
}

// hush keeps everybody quiet for a while.
func (l *limits) hush(reason string, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if until.After(l.quiet) {
		l.quiet, l.reason = until, reason
	}
}

// learn reads an answer's headers.
//
// The interval rolls: the next call may go when the oldest of the last interval leaves it. Who else calls we do not
// see; their calls show only in what remains, and a 429 tells when we wait for too little.
func (l *limits) learn(h http.Header, now time.Time) {
	l.metrics.limits(h)
	left, said := number(h, "X-HubSpot-RateLimit-Remaining")
	l.mu.Lock()
	defer l.mu.Unlock()
	span := interval(h)
	for len(l.sent) > 0 && now.Sub(l.sent[0]) >= span {
		l.sent = l.sent[1:]
	}
	if said && left == 0 {
		until := now.Add(span / 10)
		if len(l.sent) > 0 {
			until = l.sent[0].Add(span)
		}
		if until.After(l.quiet) {
			l.quiet, l.reason = until, wire.RateLimited
		}
	}
}

// wait is how long the next call has to wait for its turn, mostly 0.
func (l *limits) wait(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return max(0, l.quiet.Sub(now))
}

// interval is the length of the limit of some seconds.
func interval(h http.Header) time.Duration {
	if ms, said := number(h, "X-HubSpot-RateLimit-Interval-Milliseconds"); said && 0 < ms && ms <= 60_000 {
		return time.Duration(ms) * time.Millisecond
	}
	return defaultInterval
}

func number(h http.Header, name string) (int, bool) {
	n, err := strconv.Atoi(h.Get(name))
	return n, err == nil && n >= 0
}
