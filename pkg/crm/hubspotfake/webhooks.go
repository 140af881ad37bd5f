package hubspotfake

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Webhook is where the portal tells of what has changed. Without a URL it tells nobody.
type Webhook struct {
	URL    string // without query and escapes, as HubSpot is best given it
	Secret string // the app's client secret
	// SignedURL is the URL that is signed, where a proxy stands between; URL when empty.
	SignedURL string
	// Properties are those whose changes are subscribed to; all when nil. Of notes nothing is told.
	Properties []string
	HTTP       *http.Client  // one with 10 s of patience when nil
	Linger     time.Duration // longest wait of a lone event; 100 ms when 0
	Retry      time.Duration // wait before the first of ten repetitions, doubled for each; 1 s when 0
}

type hooks struct {
	o      Webhook
	queue  []Event
	nextID int64
	wake   chan struct{}
}

// maxWaiting bounds the events that wait for somebody who does not take them.
const maxWaiting = 100_000

func (h *hooks) init(o Options) {
	h.o, h.nextID, h.wake = o.Webhook, 3810573420, make(chan struct{}, 1)
	if h.o.HTTP == nil {
		h.o.HTTP = &http.Client{Timeout: 10 * time.Second}
	}
	if h.o.SignedURL == "" {
		h.o.SignedURL = h.o.URL
	}
	if h.o.Linger == 0 {
		h.o.Linger = 100 * time.Millisecond
	}
	if h.o.Retry == 0 {
		h.o.Retry = time.Second
	}
}

// Waiting are the notifications that nobody has taken yet.
func (s *Sandbox) Waiting() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.hooks.queue)
}

// Run sends webhooks until the context ends. What is not taken after ten repetitions is dropped.
func (s *Sandbox) Run(ctx context.Context) {
	for pause(ctx, s.hooks.wake, time.Hour) {
		if !pause(ctx, nil, s.hooks.o.Linger) {
			return
		}
		for attempt := 0; ; attempt++ {
			sent, err := s.Notify(ctx, attempt)
			if err == nil && sent == 0 {
				break
			}
			switch {
			case err == nil:
				attempt = -1
			case attempt == 10:
				s.drop()
				attempt = -1
			case !pause(ctx, nil, s.hooks.o.Retry<<attempt):
				return
			}
		}
	}
}

// maxEvents is how many notifications one webhook has at most (hubspot: webhooks API).
const maxEvents = 100

// Notify sends one webhook with the oldest notifications, and forgets them when it was answered 2xx. It returns how
// many it sent. Run does it by itself; it is for tests that want to decide when.
func (s *Sandbox) Notify(ctx context.Context, attempt int) (int, error) {
	s.mu.Lock()
	batch := slices.Clone(s.hooks.queue[:min(len(s.hooks.queue), maxEvents)])
	s.mu.Unlock()
	if len(batch) == 0 {
		return 0, nil
	}
	for i := range batch {
		batch[i].AttemptNumber = attempt
	}
	if err := s.hooks.post(ctx, batch, s.options.Now()); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	last := batch[len(batch)-1].EventID
	s.hooks.queue = slices.DeleteFunc(s.hooks.queue, func(e Event) bool { return e.EventID <= last })
	return len(batch), nil
}

func (s *Sandbox) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks.queue = slices.Delete(s.hooks.queue, 0, min(len(s.hooks.queue), maxEvents))
}

func (h *hooks) post(ctx context.Context, batch []Event, now time.Time) error {
	body, err := json.Marshal(batch, jsontext.EscapeForHTML(true)) // the \u form that HubSpot's bodies hold
	if err != nil {
		return fmt.Errorf("encoding webhook: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.o.URL, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("making webhook: %w", err)
	}
	stamp := strconv.FormatInt(now.UnixMilli(), 10)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-HubSpot-Request-Timestamp", stamp)
	r.Header.Set("X-HubSpot-Signature-v3", Sign(h.o.Secret, http.MethodPost, h.o.SignedURL, body, stamp))
	r.Header.Set("X-HubSpot-Timeout-Millis", "10000")
	resp, err := h.o.HTTP.Do(r)
	if err != nil {
		return fmt.Errorf("sending webhook: %w", err)
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("sending webhook: answered %s", resp.Status)
	}
	return nil
}

// Sign is a webhook's signature of version 3: base64 of an HMAC over method, URI, body and the timestamp's text in ms.
func Sign(secret, method, uri string, body []byte, timestamp string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = io.WriteString(mac, method+uri)
	_, _ = mac.Write(body)
	_, _ = io.WriteString(mac, timestamp)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// pause waits, until it is woken or the time is over; false when the context has ended.
func pause(ctx context.Context, wake <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-wake:
	case <-timer.C:
	}
	return true
}
