package outgoing

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/sluicehq/sluice/pkg/retry"
)

// What the documentation says of webhooks (braze-docs: create_a_webhook).
const (
	WebhookTimeout   = 90 * time.Second
	WebhookRetries   = 5
	webhookPatience  = 30 * time.Minute // for these retries
	webhookUnreached = 24 * time.Hour   // where nobody can be reached at all
)

// Webhook is one request of a campaign or a Canvas about one user.
type Webhook struct {
	ID     string // of the sandbox; Braze sends none
	Name   string // of what was set up, for people
	User   string // canonical id
	URL    string
	Header http.Header
	Body   []byte
}

// Attempt is one try and what it led to.
type Attempt struct {
	At         time.Time     `json:"at"`
	Number     int           `json:"attempt"` // from 1
	Status     int           `json:"status"`  // 0 without an answer
	Detail     string        `json:"detail,omitempty"`
	Took       time.Duration `json:"took_ns"`
	Terminal   bool          `json:"terminal"` // nothing follows
	RetryAfter time.Duration `json:"retry_after_ns,omitempty"`
}

// Failed reports whether the try was not received: anything but 20x.
func (a *Attempt) Failed() bool { return a.Status < 200 || a.Status > 209 }

// WebhookOptions shape Webhooks.
type WebhookOptions struct {
	Client *http.Client // as for Options
	// Backoff is how long to wait before a retry; the documentation only says that it grows. From a second
	// on when zero.
	Backoff retry.Schedule
	// Tried is told of every try, from its own goroutine; nil for nobody.
	Tried func(Webhook, Attempt)
}

// Webhooks sends webhooks, each by itself, with its retries. It is safe for concurrent use.
type Webhooks struct {
	options WebhookOptions

	mu   sync.Mutex
	todo []*Delivery
	log  []*Delivery
	wake chan struct{}
}

// Delivery is a webhook and its tries.
type Delivery struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	User     string    `json:"user,omitempty"`
	Fate     Fate      `json:"fate"`
	Attempts []Attempt `json:"attempts"`
	hook     Webhook
}

// NewWebhooks sends nothing yet: Run does.
func NewWebhooks(o WebhookOptions) *Webhooks {
	o.Client = unfollowing(o.Client)
	if o.Backoff.Base == 0 {
		o.Backoff = retry.Schedule{Base: time.Second, Cap: 10 * time.Minute}
	}
	return &Webhooks{options: o, wake: make(chan struct{}, 1)}
}

// maxWebhooks is how many are remembered, and how many may wait.
const maxWebhooks = 1000

// Send queues a webhook. It never waits, and fails when too many wait.
func (w *Webhooks) Send(hook Webhook) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.todo) >= maxWebhooks {
		return fmt.Errorf("%d webhooks wait already", len(w.todo))
	}
	d := &Delivery{ID: hook.ID, Name: hook.Name, User: hook.User, Fate: Pending, Attempts: []Attempt{}, hook: hook}
	if len(w.log) >= maxWebhooks {
		w.log = append(w.log[:0], w.log[1:]...)
	}
	w.todo, w.log = append(w.todo, d), append(w.log, d)
	select {
	case w.wake <- struct{}{}:
	default:
	}
	return nil
}

// Run sends what there is until the context ends. What waits for a retry then is given up.
func (w *Webhooks) Run(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	for {
		w.mu.Lock()
		todo := w.todo
		w.todo = nil
		w.mu.Unlock()
		for _, d := range todo {
			all.Go(func() { w.deliver(ctx, d) })
		}
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		}
	}
}

// deliver tries until somebody has received it, or nothing more is due.
func (w *Webhooks) deliver(ctx context.Context, d *Delivery) {
	began := time.Now()
	for n := 1; ; n++ {
		a := w.try(ctx, &d.hook, n)
		if ctx.Err() != nil {
			return
		}
		wait := w.options.Backoff.Next(n-1, a.RetryAfter)
		patience := webhookPatience
		if a.Status == 0 {
			patience = webhookUnreached
		}
		a.Terminal = !a.Failed() || !retried(a.Status) || n > WebhookRetries || time.Since(began)+wait > patience
		w.settle(d, a)
		if a.Terminal {
			return
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// retried reports whether an answer is followed by another try (braze-docs: create_a_webhook).
func retried(status int) bool {
	return status == 0 || status == http.StatusRequestTimeout || status == http.StatusTooManyRequests || status >= 500
}

func (w *Webhooks) try(ctx context.Context, hook *Webhook, n int) Attempt {
	a := Attempt{At: time.Now(), Number: n}
	ctx, cancel := context.WithTimeout(ctx, WebhookTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, hook.URL, bytes.NewReader(hook.Body))
	if err != nil {
		a.Detail = err.Error()
		return a
	}
	req.Header.Set("Content-Type", "application/json")
	for name, values := range hook.Header {
		req.Header[name] = values
	}
	req.Header.Set("User-Agent", "Braze Sender "+cmp.Or(hook.ID, "sandbox"))
	var h http.Header
	a.Status, h, a.Detail = exchange(w.options.Client, req)
	a.Took = time.Since(a.At)
	if seconds, err := strconv.Atoi(h.Get("Retry-After")); err == nil && seconds > 0 {
		a.RetryAfter = time.Duration(min(seconds, 24*3600)) * time.Second
	}
	return a
}

func (w *Webhooks) settle(d *Delivery, a Attempt) {
	w.mu.Lock()
	d.Attempts = append(d.Attempts, a)
	switch {
	case !a.Failed():
		d.Fate = Sent
	case a.Terminal:
		d.Fate = Dropped
	}
	w.mu.Unlock()
	if w.options.Tried != nil {
		w.options.Tried(d.hook, a)
	}
}

// Log is what was sent last, newest first.
func (w *Webhooks) Log() []Delivery {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]Delivery, 0, len(w.log))
	for _, d := range slices.Backward(w.log) {
		one := *d
		one.Attempts = slices.Clone(d.Attempts)
		out = append(out, one)
	}
	return out
}
