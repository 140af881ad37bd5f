package currentsfanout

import (
	"github.com/sluicehq/sluice/pkg/ledger"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/stream"
)

// settle ends a record. The lock is held.
func (r *runner) settle(p *part, d stream.Delivery, what outcome.Outcome) {
	t := tally{r: r}
	t.settle(p, d, what)
	t.count()
}

// tally counts records that end together: counting each by itself would cost more than ending it.
type tally struct {
	r       *runner
	kind    outcome.Kind // of the last
	reason  string
	n       int // how many like that
	records int64
	bytes   int64
}

// settle ends a record. The runner's lock is held, until count.
func (t *tally) settle(p *part, d stream.Delivery, what outcome.Outcome) {
	if t.n > 0 && (what.Kind != t.kind || what.Reason != t.reason) {
		t.r.metrics.settled(t.kind, t.reason, t.n)
		t.n = 0
	}
	t.kind, t.reason = what.Kind, what.Reason
	t.n++
	t.records++
	t.bytes += int64(len(d.Value()))
	d.Settle(ledger.NoReceipt)
	if p.held--; p.held == 0 && p.gone {
		t.r.quiet.Broadcast()
	}
}

// count enters what has ended into the books.
func (t *tally) count() {
	if t.n > 0 {
		t.r.metrics.settled(t.kind, t.reason, t.n)
	}
	t.r.held.Add(-t.records)
	t.r.heldBytes.Add(-t.bytes)
}
