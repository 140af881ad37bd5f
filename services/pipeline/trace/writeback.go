package trace

import (
	"fmt"

	"github.com/sluicehq/sluice/pkg/schema"
)

// writer is the service that writes to CRMs: it makes any number of writes of a record, or none.
func writer() string {
	t, _ := schema.Find(schema.CRMDeliveries)
	return t.WrittenBy
}

// writebackFate is what became of a record with that service: of several writes the worst. A record that no rule wants
// leaves nothing behind.
func (e *Entry) writebackFate(past bool) (fate Fate, delivered int) {
	times := map[string]int{}
	last := map[string]Fate{}
	for _, r := range e.Receipts {
		if r.Service != writer() {
			continue
		}
		switch r.Outcome {
		case "delivered":
			times[r.WriteID]++
			delivered = max(delivered, times[r.WriteID])
			last[r.WriteID] = Fate(r.Outcome)
		case "skipped", "refused":
			last[r.WriteID] = Fate(r.Outcome)
		default: // it is tried again
			if last[r.WriteID] == "" {
				last[r.WriteID] = Held
			}
		}
	}
	for _, l := range e.Letters {
		if l.Service == writer() && len(last) == 0 {
			return "refused", 0
		}
	}
	for _, of := range last {
		if fate == "" || gravity[of] > gravity[fate] {
			fate = of
		}
	}
	switch {
	case fate != "":
		return fate, delivered
	case !past:
		return Held, 0
	}
	return "skipped", 0
}

// gravity is which fate of a record's writes is told as its own.
var gravity = map[Fate]int{"skipped": 0, "delivered": 1, Held: 2, "refused": 3}

// where is the object that a receipt of a write is about; empty for any other.
func (r Receipt) where() string {
	if r.Target == "" {
		return ""
	}
	where := r.Target + " " + r.Object + "  "
	if r.Hops > 0 {
		where = fmt.Sprintf("%s%d hops  ", where, r.Hops)
	}
	return where
}
