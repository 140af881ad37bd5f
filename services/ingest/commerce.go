package ingest

import (
	"github.com/sluicehq/sluice/pkg/event"
)

// commerceItem is the item of a commerce event that was made elsewhere, held to what the body of
// POST /v1/commerce is held to. The event's metadata must be valid JSON, and bounded.
func commerceItem(c *event.Commerce) item {
	it := item{commerce: c}
	it.refuse(checkCommerce(c))
	return it
}

// produce writes items that were made elsewhere than from the body of our own API, such as those of
// webhooks, as the holder's, and counts them on a route. The caller answers: what became of an item
// verdictOf tells.
func (x *exchange) produce(h *holder, route int, items []item) tally {
	rq := x.rq
	rq.holder, rq.counts, rq.items = h, &h.counts[route], items
	x.leave = !rq.accept()
	return rq.tally()
}

// commercePool is what the commerce events of a body are made in, kept for the next body. Each grows by
// appending; what was taken of it before it moved stays where it is.
type commercePool struct {
	events    []event.Commerce
	lines     []event.Line
	discounts []event.Discount
}

func (p *commercePool) reset() {
	clear(p.events) // they would keep the last body alive
	clear(p.lines)
	clear(p.discounts)
	p.events, p.lines, p.discounts = p.events[:0], p.lines[:0], p.discounts[:0]
}

func (p *commercePool) event() *event.Commerce {
	p.events = append(p.events, event.Commerce{})
	return &p.events[len(p.events)-1]
}

// size is how many lines and discounts are kept room for.
func (p *commercePool) size() int { return cap(p.lines) + cap(p.discounts) + cap(p.events) }
