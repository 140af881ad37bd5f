package brazesender

import (
	"context"
	"strconv"
	"time"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/outcome"
)

// suspect is a range of a flight's loads that may hold what Braze does not take.
type suspect struct {
	span
	front bool // of a range that does hold something, with the other half right behind it
}

// search finds what makes Braze refuse a range as a whole, from front to back, so that a user's order
// stays: half of it is sent, and the half with the culprit halved again. Where the front half went well the
// culprit is in the other, and nobody needs to ask. Most batches have one culprit; once it is found,
// everything behind it goes in one call. In a batch of 75 it costs eight calls at most. Done is how the
// whole was refused.
//
// It reports false when something was deferred: what comes after must not overtake it.
func (s *Sender) search(ctx context.Context, f *flight, r span, done answer) bool {
	words := f.refusal()
	todo := []suspect{{span: r}} // the last one is next
	guilty := true               // whether it is known to hold something
	found := 0
	for len(todo) > 0 {
		next := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if !guilty || f.inCompany(next.span) {
			if !s.waitForQuota(ctx, f, s.lane.left()) {
				s.deferAll(f, span{next.from, r.to}, braze.Answer{Verdict: braze.NotSent}, answer{at: time.Now()})
				return false
			}
			why, clear := s.try(ctx, f, next.span)
			switch {
			case f.verdict == braze.Malformed:
				words, done = f.refusal(), why
			case clear:
				guilty = next.front && f.verdict == braze.Accepted
				continue
			default:
				s.deferAll(f, span{next.to, r.to}, braze.Answer{Verdict: f.verdict}, answer{at: time.Now()})
				return false
			}
		}
		guilty = false
		if n := next.to - next.from; n > 1 {
			mid := next.from + n/2
			todo = append(todo, suspect{span: span{mid, next.to}}, suspect{span{next.from, mid}, true})
			continue
		}
		f.outcomes[next.from] = outcome.Outcome{Kind: outcome.Refused, Reason: "rejected", Detail: words}
		s.settler.settle(f.loads[next.from].item, f.outcomes[next.from], done)
		if found++; found == 1 && next.to < r.to {
			todo = append(todo[:0], suspect{span: span{next.to, r.to}})
		}
	}
	return true
}

// refusal is what Braze said of the last call.
func (f *flight) refusal() string { return strconv.Itoa(f.status) + ": " + f.message }

// inCompany reports whether a range is a single load behind another of the same user: the two may have
// folded, and what Braze did not take be neither of them.
func (f *flight) inCompany(r span) bool {
	return r.to-r.from == 1 && r.from > 0 && f.loads[r.from-1].delivery.KeyText() == f.loads[r.from].delivery.KeyText()
}
