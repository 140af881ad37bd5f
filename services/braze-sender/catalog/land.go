package catalog

import (
	"slices"
	"time"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/retry"
)

// Waits after what was answered without being done, and while somebody has to act.
var (
	backoff = retry.Schedule{Base: 200 * time.Millisecond, Cap: 30 * time.Second}
	probes  = retry.Schedule{Base: 500 * time.Millisecond, Cap: 15 * time.Second}
)

// settling is how long Braze may not know a field that it has accepted. How long it takes is not documented.
const settling = time.Minute

// land takes note of what became of a flight.
func (b *book) land(f *flight, now time.Time) {
	b.hold(f, now)
	if f.body != nil {
		b.asking = false
		b.landCatalog(f, now)
		return
	}
	b.flights--
	for i := range f.loads {
		b.landLoad(f, &f.loads[i], now)
	}
}

func (b *book) landLoad(f *flight, ld *load, now time.Time) {
	it := ld.it
	it.busy = false
	if ld.have.Hash == "" && ld.have.Refused == "" {
		delete(b.have, it.key)
	} else {
		b.have[it.key] = ld.have
	}
	// Braze does what it has accepted later, and two requests perhaps in either order.
	if f.kind != note && f.answer.Verdict != braze.Throttled && f.answer.Verdict != braze.NotSent {
		it.notBefore = now.Add(b.spacing)
	}
	again := it.again || ld.deferred
	it.again = false
	// What Braze has refused is not there under an older version either.
	if again || ld.outcome.Kind == outcome.Refused && ld.have.Hash != "" {
		b.enqueue(it)
	}
	if !ld.deferred {
		b.rest(it, ld.outcome, ld.covers, now)
	}
}

func (b *book) landCatalog(f *flight, now time.Time) {
	switch {
	case f.done:
		b.standing = f.standing
		b.fresh = now.Add(settling)
		if len(f.names) > 0 {
			b.until = now.Add(b.spacing)
		}
	case len(f.names) == 0: // it is asked for as before
	case f.answer.Verdict == braze.Malformed && !f.lost && !f.stopped:
		for _, name := range f.names {
			if !f.doubted[name] {
				delete(b.Asked, name)
			}
		}
		if len(f.names) == 1 {
			b.barred[f.names[0]] = f.answer.Message
			break
		}
		b.single = true
		b.adding = append(f.names, b.adding...)
	default:
		b.adding = append(f.names, b.adding...)
	}
}

// hold sets the time before which nothing goes.
func (b *book) hold(f *flight, now time.Time) {
	wait := time.Duration(0)
	hint := f.answer.Hint.Wait(now)
	switch f.answer.Verdict {
	case braze.Accepted, braze.Malformed:
		if !f.stopped {
			b.tries = 0
			break
		}
		wait = probes.Next(b.tries, 0)
		b.tries++
	case braze.Throttled:
		if hint == 0 { // no header says how long: the quota cannot know
			wait = probes.Next(b.tries, 0)
			b.tries++
		}
	case braze.Stopped:
		wait = probes.Next(b.tries, hint)
		b.tries++
	case braze.Unavailable, braze.InDoubt, braze.NotSent:
		wait = backoff.Next(b.tries, hint)
		b.tries++
	}
	if f.early {
		wait = max(b.spacing, time.Second)
	}
	if until := now.Add(wait); wait > 0 && until.After(b.until) {
		b.until = until
	}
}

// refuse says of a load that Braze does not take it. It has then what it had before.
func (ld *load) refuse(words string) {
	ld.why, ld.known = &refusal{itemError, words}, false
	ld.have.Refused = ld.by.place.String() + "/" + ld.have.Hash
	ld.have.Hash = ld.was.Hash
	ld.outcome = outcome.Outcome{Kind: outcome.Refused, Reason: itemError, Detail: words}
}

// succeed says of a load that it is done.
func (ld *load) succeed() {
	switch {
	case ld.why == nil:
		ld.outcome = outcome.Outcome{Kind: outcome.Delivered}
	case ld.known:
		ld.outcome = ld.passed()
	default:
		ld.outcome = outcome.Outcome{Kind: outcome.Refused, Reason: ld.why.reason, Detail: ld.why.detail}
	}
}

// postpone says of loads that they have to be done again. Nobody knows what Braze has of them.
func (f *flight) postpone(loads []load) {
	for i := range loads {
		ld := &loads[i]
		ld.deferred = true
		ld.have = ld.was
		if f.kind != note {
			ld.have.Hash, ld.have.Era = inDoubt, f.standing.Era
		}
	}
}

// named are the loads that an answer names, by their index.
func named(a braze.Answer) []int {
	var at []int
	for _, e := range a.Items {
		at = append(at, e.Index)
	}
	slices.Sort(at)
	return at
}
