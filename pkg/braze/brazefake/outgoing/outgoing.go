// Package outgoing is how Braze calls others: a [Connector] of Currents and the [Webhooks] of campaigns
// and Canvases, with the reactions to answers that the documentation says, and no others.
//
//	connector.go   what is queued, and when it goes out
//	react.go       what an answer makes of a batch
//	post.go        one call, and the first one that only shows the credentials
//	report.go      what was sent, what is pending, what was dropped and why
//	webhook.go     a webhook with its retries
//
// Where the documentation is silent these choices are made, each to the disadvantage of the receiver:
//
//   - 404 loses the batch as 401 and 403 do; what is queued behind it stays, and goes out once the
//     connector is enabled again
//   - a single event that is answered 413 is sent again as after a 5xx
//   - 3xx is handled as 5xx and not followed; Retry-After is not looked at by Currents
//   - a few batches are under way at the same time; while that many wait to be sent again, no others go out
//   - an event that was delivered may come once more, at any time
package outgoing

import (
	"cmp"
	"net/http"
	"time"

	"github.com/sluicehq/sluice/pkg/retry"
)

// What the documentation says (braze-docs: custom_http_connector, event_delivery_semantics).
const (
	BatchEvents   = 100
	MaxEvent      = 900_000            // bytes; larger events are dropped
	GiveUpAfter   = 5 * 24 * time.Hour // of nothing but failure
	KeptFor       = 7 * 24 * time.Hour // what is queued
	VersionHeader = "Braze-Currents-Version"
	Version       = "1"
)

// Event is one event of Currents, as it is sent.
type Event struct {
	ID   string
	Type string
	User string // canonical id, for people who look
	JSON []byte // the event object
}

// Options shape a Connector. Those without a default are needed.
type Options struct {
	URL   string
	Token string // of the Authorization header; none is sent when empty
	// Client makes the calls; one of its own when nil. Redirects are not followed either way.
	Client *http.Client
	// Linger is how long an event waits for company; 2 s when 0, where Braze takes 5 minutes.
	Linger time.Duration
	// Parallel is how many batches are under way, or wait to be sent again, at the same time; 3 when 0.
	Parallel int
	// Backoff is how long to wait after a failure. Braze does not say; from half a second to 30 s when zero.
	Backoff retry.Schedule
	Timeout time.Duration // of a call; 30 s when 0, since the documentation has none
	// Twice is the probability that an event that was delivered is sent once more.
	Twice float64
	Seed  uint64 // of everything that is left to chance
	// MaxPending bounds the events that wait, 100,000 when 0; MaxLog those that are remembered, 10,000.
	MaxPending, MaxLog int
}

func (o Options) withDefaults() Options {
	o.Linger = cmp.Or(o.Linger, 2*time.Second)
	o.Parallel = cmp.Or(o.Parallel, 3)
	o.Timeout = cmp.Or(o.Timeout, 30*time.Second)
	o.MaxPending = cmp.Or(o.MaxPending, 100_000)
	o.MaxLog = cmp.Or(o.MaxLog, 10_000)
	if o.Backoff.Base == 0 {
		o.Backoff = retry.Schedule{Base: 500 * time.Millisecond, Cap: 30 * time.Second}
	}
	o.Client = unfollowing(o.Client)
	return o
}

// unfollowing is a client that reports a redirect instead of following it.
func unfollowing(c *http.Client) *http.Client {
	if c == nil {
		c = &http.Client{}
	}
	own := *c
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}
