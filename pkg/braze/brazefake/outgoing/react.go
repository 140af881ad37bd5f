package outgoing

import (
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/http"
	"time"
)

// react does what Braze does about an answer (braze-docs: custom_http_connector). The connector is locked.
func (c *Connector) react(b *batch, status int, detail string, began time.Time) {
	call := Call{At: began, Events: len(b.entries), Attempt: b.attempt + 1, Status: status, Detail: detail}
	for _, e := range b.entries {
		e.attempts++
	}
	switch {
	case status >= 200 && status < 300:
		call.Reaction = "done"
		c.failing = time.Time{}
		c.deliver(b)
	case status == http.StatusBadRequest && b.single:
		call.Reaction = "dropped for ever"
		c.forget(b.entries[0], BadRequest, detail)
	case status == http.StatusBadRequest:
		call.Reaction = "sent again one by one"
		for _, e := range b.entries {
			c.waiting = append(c.waiting, &batch{entries: []*entry{e}, single: true})
		}
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusNotFound:
		call.Reaction = "stopped, and what failed is not sent again"
		for _, e := range b.entries {
			c.forget(e, WhileStopped, fmt.Sprintf("answered %d", status))
		}
		c.stop(status, detail)
	case status == http.StatusRequestEntityTooLarge && len(b.entries) > 1:
		call.Reaction = "split and sent again"
		half := len(b.entries) / 2
		c.waiting = append(c.waiting,
			&batch{entries: b.entries[:half:half], attempt: b.attempt}, &batch{entries: b.entries[half:], attempt: b.attempt})
	default:
		wait := c.options.Backoff
		wait.Rand = c.dice
		pause := wait.Next(b.attempt, 0)
		call.Reaction = "sent again after " + pause.Round(time.Millisecond).String()
		if c.failing.IsZero() {
			c.failing = began
		}
		b.attempt++
		b.due = time.Now().Add(pause)
		c.waiting = append(c.waiting, b)
	}
	c.note(call)
}

// deliver is done with a batch, but for what the queue will be processed again for.
func (c *Connector) deliver(b *batch) {
	for _, e := range b.entries {
		if e.again {
			c.tally.repeated++
			continue
		}
		e.state = Sent
		c.tally.pending--
		c.tally.sent++
		if c.comesTwice(e.ID) {
			twin := *e
			twin.again, twin.queued = true, time.Now()
			c.queue = append(c.queue, &twin)
		}
	}
}

// comesTwice lets the seed and the event's id decide, and not the order in which answers come.
func (c *Connector) comesTwice(id string) bool {
	h := fnv.New64a()
	_, _ = io.WriteString(h, id)
	return rand.New(rand.NewPCG(c.options.Seed, h.Sum64())).Float64() < c.options.Twice //nolint:gosec // no secret
}

// stop waits for somebody to put the connector right.
func (c *Connector) stop(status int, detail string) {
	c.state, c.why = Stopped, fmt.Sprintf("answered %d: %s", status, detail)
}
