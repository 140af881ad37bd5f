package brazesender

import (
	"bytes"
	"context"
	"slices"
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
// What folded in the whole may come apart in the halves. Where the second would write an attribute that the
// first has just written otherwise, it and what follows wait for another request, as they would have
// if they had come later.
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
			if s.config.Sender.UserSpacing > 0 && f.rewrites(r.from, next.span) {
				s.deferAll(f, span{next.from, r.to}, braze.Answer{Verdict: braze.NotSent}, answer{at: time.Now()})
				return false
			}
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
			mid := f.halve(next.span)
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

// halve finds where to cut a range in two: in the middle, but beside what folds there, if there is
// anything beside it.
func (f *flight) halve(r span) int {
	mid := r.from + (r.to-r.from)/2
	first := mid
	for first > r.from && f.sameUser(first-1, mid) {
		first--
	}
	if f.loads[first].attributes() == nil {
		return mid
	}
	switch end := f.foldEnd(first, r.to); {
	case end <= mid:
		return mid
	case first > r.from:
		return first
	case end < r.to:
		return end
	}
	return mid
}

// rewrites reports whether a range writes an attribute of a user otherwise than an earlier call did, for a
// load of the same flight from first on.
func (f *flight) rewrites(first int, r span) bool {
	for i := r.from - 1; i >= first && f.sameUser(i, r.from); i-- {
		theirs := f.loads[i].attributes()
		if theirs == nil || f.outcomes[i].Kind == outcome.Refused && f.outcomes[i].Reason != inDoubt {
			continue // Braze has none of it
		}
		for j := r.from; j < r.to && f.sameUser(i, j); j++ {
			if mine := f.loads[j].attributes(); mine != nil && clash(theirs.attributes, mine.attributes) {
				return true
			}
		}
	}
	return false
}

// clash reports whether the later attributes write one otherwise than the earlier do.
func clash(earlier, later []attribute) bool {
	return slices.ContainsFunc(later, func(b attribute) bool {
		return slices.ContainsFunc(earlier, func(a attribute) bool {
			return a.key == b.key && (b.operator || !bytes.Equal(a.value, b.value))
		})
	})
}

func (f *flight) sameUser(i, j int) bool {
	return f.loads[i].delivery.KeyText() == f.loads[j].delivery.KeyText()
}

// inCompany reports whether a range is a single load behind another of the same user: the two may have
// folded, and what Braze did not take be neither of them.
func (f *flight) inCompany(r span) bool {
	return r.to-r.from == 1 && r.from > 0 && f.sameUser(r.from-1, r.from)
}
