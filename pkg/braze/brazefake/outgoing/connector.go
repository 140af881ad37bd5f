package outgoing

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// State is whether a connector sends.
type State string

// The states.
const (
	Running State = "running"
	// Stopped: an answer has said that the credentials or the URL are wrong. Somebody has to enable it.
	Stopped State = "stopped"
	// Disabled: nothing but failure for five days. New events are dropped until somebody enables it.
	Disabled State = "disabled"
)

// Connector sends events to one URL until it is told to stop. It is safe for concurrent use.
type Connector struct {
	options Options

	mu      sync.Mutex
	dice    *rand.Rand
	state   State
	why     string
	queue   []*entry // never sent, in the order in which they came
	waiting []*batch // to be sent again, or singly
	flying  int      // batches under way
	failing time.Time
	tally   tally
	log     []*entry
	calls   []Call

	wake chan struct{} // something has changed
}

// entry is an event on its way.
type entry struct {
	Event
	queued   time.Time
	attempts int
	again    bool // it was delivered before
	state    Fate
	why      string
}

// batch is what goes out in one call.
type batch struct {
	entries []*entry
	attempt int
	due     time.Time
	single  bool // made of a batch that was answered 400
}

// New makes a connector that sends nothing yet: Run does.
func New(o Options) *Connector {
	o = o.withDefaults()
	return &Connector{
		options: o, dice: rand.New(rand.NewPCG(o.Seed, 0xC0FFEE)), //nolint:gosec // no secret
		state: Running, tally: tally{dropped: map[Reason]int{}}, wake: make(chan struct{}, 1),
	}
}

// Add queues an event. It never waits.
func (c *Connector) Add(e Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := &entry{Event: e, queued: time.Now(), state: Pending}
	c.tally.made++
	c.remember(n)
	switch {
	case len(e.JSON) > MaxEvent:
		c.drop(n, TooLarge, "larger than 900 KB")
	case c.state == Disabled:
		c.drop(n, WhileDisabled, c.why)
	case c.tally.pending >= c.options.MaxPending:
		c.drop(n, Overflow, "the sandbox keeps no more")
	default:
		c.tally.pending++
		c.queue = append(c.queue, n)
		c.nudge()
	}
}

// Enable lets a connector go on that was stopped or disabled.
func (c *Connector) Enable() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state, c.why, c.failing = Running, "", time.Time{}
	c.nudge()
}

func (c *Connector) nudge() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Run shows its credentials, and then sends what there is until the context ends. Calls under way then are
// given up, and what was pending stays so. Another Run goes on with it.
func (c *Connector) Run(ctx context.Context) {
	var calls sync.WaitGroup
	defer calls.Wait()
	c.introduce(ctx)
	for ctx.Err() == nil {
		c.mu.Lock()
		b, wait := c.next(time.Now())
		c.mu.Unlock()
		if b != nil {
			calls.Go(func() { c.send(ctx, b) })
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-c.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// idle is how long to sleep when nothing is due: whoever adds something wakes us.
const idle = time.Hour

// next is the batch to send now, or how long there is none.
func (c *Connector) next(now time.Time) (*batch, time.Duration) {
	c.expire(now)
	if c.state != Running {
		return nil, idle
	}
	wait := idle
	for i, b := range c.waiting {
		if until := b.due.Sub(now); until > 0 {
			wait = min(wait, until)
			continue
		}
		if c.flying >= c.options.Parallel {
			return nil, idle // whoever lands wakes us
		}
		c.waiting = slices.Delete(c.waiting, i, i+1)
		c.flying++
		return b, 0
	}
	if len(c.queue) == 0 || c.flying+len(c.waiting) >= c.options.Parallel {
		return nil, wait
	}
	if until := c.queue[0].queued.Add(c.options.Linger).Sub(now); len(c.queue) < BatchEvents && until > 0 {
		return nil, min(wait, until)
	}
	n := min(len(c.queue), BatchEvents)
	b := &batch{entries: slices.Clone(c.queue[:n])}
	c.queue = slices.Delete(c.queue, 0, n)
	c.flying++
	return b, 0
}

// expire disables a connector that has failed for too long, and drops what has been queued for too long.
func (c *Connector) expire(now time.Time) {
	if c.state == Running && !c.failing.IsZero() && now.Sub(c.failing) > GiveUpAfter {
		c.state, c.why = Disabled, "nothing was taken for five days"
	}
	if c.state == Running {
		return // five days of failure come before seven of waiting
	}
	old := func(e *entry) bool {
		if now.Sub(e.queued) <= KeptFor {
			return false
		}
		c.forget(e, Expired, "queued for seven days")
		return true
	}
	c.queue = slices.DeleteFunc(c.queue, old)
	for _, b := range c.waiting {
		b.entries = slices.DeleteFunc(b.entries, old)
	}
	c.waiting = slices.DeleteFunc(c.waiting, func(b *batch) bool { return len(b.entries) == 0 })
}
