package salesforcefake

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/config"
)

// The forms of what others are told.
const (
	SOAP = "soap" // an outbound message, which has to be acknowledged in kind
	JSON = "json" // POST /v1/crm/changes, as a flow with a callout would
)

// Outbound is somebody who is told of changes.
type Outbound struct {
	URL    string
	Form   string        // SOAP or JSON
	Key    config.Secret // sent as a bearer token; none when empty
	System string        // of JSON: what we call ourselves
	Object string        // whose changes
	// Fields: of SOAP, what a message holds of a record, as it is when the message is sent; Id is always there. Of JSON
	// the fields whose change is told; all when nil.
	Fields   []string
	Identity string // of JSON: field that holds the user's external_id; nobody is named where it is empty
	// Wait is the first wait for another attempt, each later one twice as long up to two hours; 1 s when 0.
	Wait time.Duration
	// Quiet leaves out changes by these users, as an org can whose flow looks at who is running it.
	Quiet []string
}

// mostNotifications of a message.
const mostNotifications = 100

// outlet tells one of them. Messages go one after another, so that what waits gathers.
type outlet struct {
	Outbound
	s      *Sandbox
	cancel context.CancelFunc
	done   chan struct{}
	wake   chan struct{}

	mu      sync.Mutex
	waiting []pending
	idle    []chan struct{}
}

// pending is a change that waits to be told.
type pending struct {
	Change
	id  string // of the notification
	due time.Time
}

func (s *Sandbox) outlet(o Outbound) (*outlet, error) {
	t := s.table(o.Object)
	if t == nil {
		return nil, fmt.Errorf("preparing outbound messages: no object %q", o.Object)
	}
	if o.Form != SOAP && o.Form != JSON {
		return nil, fmt.Errorf("preparing outbound messages: form %q is neither soap nor json", o.Form)
	}
	for _, f := range slices.Concat(o.Fields, nonEmpty(o.Identity)) {
		if _, ok := t.queryable(f); !ok {
			return nil, fmt.Errorf("preparing outbound messages: %s has no field %q", t.Name, f)
		}
	}
	if o.Wait == 0 {
		o.Wait = time.Second
	}
	o.Object = t.Name
	ctx, cancel := context.WithCancel(context.Background())
	out := &outlet{Outbound: o, s: s, cancel: cancel, done: make(chan struct{}), wake: make(chan struct{}, 1)}
	go out.run(ctx)
	return out, nil
}

func nonEmpty(text string) []string {
	if text == "" {
		return nil
	}
	return []string{text}
}

func (o *outlet) close() {
	o.cancel()
	<-o.done
}

// take notes a change if it is one to be told. The sandbox's lock is held.
func (o *outlet) take(c Change, after time.Duration) {
	if c.Object != o.Object || slices.Contains(o.Quiet, c.Actor) {
		return
	}
	if o.Form == JSON && o.Fields != nil {
		kept := map[string]jsontext.Value{}
		for name, value := range c.Fields {
			if slices.Contains(o.Fields, name) {
				kept[name] = value
			}
		}
		if len(kept) == 0 {
			return
		}
		c.Fields = kept
	}
	p := pending{Change: c, id: o.s.newID("04l"), due: o.s.opts.Now().Add(after)}
	o.mu.Lock()
	o.waiting = append(o.waiting, p)
	o.mu.Unlock()
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// run tells what waits until it is acknowledged.
func (o *outlet) run(ctx context.Context) {
	defer close(o.done)
	backoff := o.Wait
	for {
		batch, pause := o.next()
		if batch == nil {
			if !o.sleep(ctx, pause) {
				return
			}
			continue
		}
		err := o.send(ctx, batch)
		o.settle(batch, err == nil)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			backoff = o.Wait
			continue
		}
		if !wait(ctx, backoff) {
			return
		}
		backoff = min(2*backoff, 2*time.Hour)
	}
}

func (o *outlet) sleep(ctx context.Context, pause time.Duration) bool {
	if pause > 0 {
		return wait(ctx, pause)
	}
	select {
	case <-o.wake:
		return true
	case <-ctx.Done():
		return false
	}
}

// next is what is due, oldest first; or how long nothing is: 0 until there is something.
func (o *outlet) next() ([]pending, time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.waiting) == 0 {
		for _, c := range o.idle {
			close(c)
		}
		o.idle = nil
		return nil, 0
	}
	now := o.s.opts.Now()
	n := 0
	for n < min(len(o.waiting), mostNotifications) && !o.waiting[n].due.After(now) {
		n++
	}
	if n == 0 {
		return nil, max(o.waiting[0].due.Sub(now), time.Millisecond)
	}
	return slices.Clone(o.waiting[:n]), 0
}

// settle forgets what was acknowledged, but for an org that has lost the acknowledgement.
func (o *outlet) settle(batch []pending, acknowledged bool) {
	if !acknowledged {
		return
	}
	o.s.mu.Lock()
	twice := chance(o.s.dice, o.s.knobs.PTwice)
	o.s.mu.Unlock()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waiting = o.waiting[len(batch):]
	if twice {
		o.waiting = append(o.waiting, batch...)
	}
}

// Told waits until everybody has acknowledged all that there is to tell.
func (s *Sandbox) Told(ctx context.Context) error {
	for _, out := range s.out {
		out.mu.Lock()
		if len(out.waiting) == 0 {
			out.mu.Unlock()
			continue
		}
		idle := make(chan struct{})
		out.idle = append(out.idle, idle)
		out.mu.Unlock()
		select {
		case <-idle:
		case <-ctx.Done():
			return fmt.Errorf("waiting for acknowledgements: %w", context.Cause(ctx))
		}
	}
	return nil
}
