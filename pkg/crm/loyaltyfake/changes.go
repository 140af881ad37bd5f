package loyaltyfake

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
)

// Changes is where the programme tells of what has changed. Without a URL it tells nobody.
type Changes struct {
	URL    string // of an ingest: …/v1/crm/changes
	Key    string // bearer token there
	System string // name of the target in writeback.yaml; "loyalty" when empty
	HTTP   *http.Client
	Linger time.Duration // longest wait of a lone change; 100 ms when 0
	Retry  time.Duration // wait before the first repetition, doubled up to 30 s; 1 s when 0
}

func (c Changes) withDefaults() Changes {
	if c.System == "" {
		c.System = "loyalty"
	}
	if c.HTTP == nil {
		c.HTTP = &http.Client{Timeout: 10 * time.Second}
	}
	if c.Linger == 0 {
		c.Linger = 100 * time.Millisecond
	}
	if c.Retry == 0 {
		c.Retry = time.Second
	}
	return c
}

// change is one item of the request.
type change struct {
	ID       string            `json:"id"`
	System   string            `json:"system"`
	Object   string            `json:"object"`
	ObjectID string            `json:"object_id"`
	User     map[string]string `json:"user"`
	Changes  fields            `json:"changes"`
	Version  int64             `json:"version"`
	Time     time.Time         `json:"time"`
	Actor    string            `json:"actor"`
}

const (
	maxWaiting = 100_000 // changes for somebody who does not take them
	maxPosted  = 100     // changes in one request
)

// tell queues a change. The lock is held.
func (s *Sandbox) tell(m *Member, changed fields, actor string) {
	o := &s.options.Changes
	if o.URL == "" || len(s.queue) >= maxWaiting {
		return
	}
	now := s.options.Now().UTC()
	s.queue = append(s.queue, change{
		// With the time, for a sandbox that begins anew beside a Kafka that remembers.
		ID: fmt.Sprintf("chg-%s-%d-%d", m.ID, m.Version, now.UnixMilli()), System: o.System, Object: "members", ObjectID: m.ID,
		User: map[string]string{"external_id": m.ID}, Changes: changed, Version: m.Version, Time: now, Actor: actor,
	})
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Waiting says how many changes nobody has taken yet.
func (s *Sandbox) Waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue)
}

// Run tells of changes until the context ends, each as often as it takes.
func (s *Sandbox) Run(ctx context.Context) {
	o := &s.options.Changes
	for pause(ctx, s.wake, time.Hour) {
		if !pause(ctx, nil, o.Linger) {
			return
		}
		for wait := o.Retry; ; {
			sent, err := s.Tell(ctx)
			if err == nil && sent == 0 {
				break
			}
			if err == nil {
				wait = o.Retry
				continue
			}
			if !pause(ctx, nil, wait) {
				return
			}
			wait = min(2*wait, 30*time.Second)
		}
	}
}

// Tell makes one request with the oldest changes, and forgets them when they were taken, or refused one by one. It
// returns how many they were. Run does it by itself; it is for tests that want to decide when.
func (s *Sandbox) Tell(ctx context.Context) (int, error) {
	s.mu.Lock()
	batch := slices.Clone(s.queue[:min(len(s.queue), maxPosted)])
	s.mu.Unlock()
	if len(batch) == 0 {
		return 0, nil
	}
	if err := s.options.Changes.post(ctx, batch); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = slices.Delete(s.queue, 0, min(len(batch), len(s.queue)))
	return len(batch), nil
}

func (c *Changes) post(ctx context.Context, batch []change) error {
	body, err := json.Marshal(batch, json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("encoding changes: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("making request: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+c.Key)
	resp, err := c.HTTP.Do(r)
	if err != nil {
		return fmt.Errorf("telling of changes: %w", err)
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 1<<20)
	// 422 says of every item why it is not taken; to send it again would change nothing.
	if (resp.StatusCode < 200 || resp.StatusCode > 299) && resp.StatusCode != http.StatusUnprocessableEntity {
		return fmt.Errorf("telling of changes: answered %s", resp.Status)
	}
	return nil
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
