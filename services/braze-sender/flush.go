package brazesender

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/quota"
	"github.com/sluicehq/sluice/pkg/retry"
)

// flight is a request on its way, with the records it carries and what became of them.
type flight struct {
	index    int // in the lane's list
	line     *line
	loads    []load
	shares   []share
	deferred []bool // by load: to be sent again
	outcomes []outcome.Outcome
	why      string // it was closed: full, linger

	body []byte
	refs [3][]span // by array and index of an object: the loads it stands for

	verdict braze.Verdict // of the last call
	status  int
	message string
	hint    quota.Hint
}

// share is the part of a flight's loads that belong to one user.
type share struct {
	user     *user
	from, to int
}

// span is a range of a flight's loads.
type span struct{ from, to int }

func (l *lane) newFlight(ln *line) *flight {
	if n := len(l.spare); n > 0 {
		f := l.spare[n-1]
		l.spare = l.spare[:n-1]
		f.line = ln
		return f
	}
	return &flight{line: ln}
}

func (l *lane) recycle(f *flight) {
	clear(f.loads)
	clear(f.shares)
	clear(f.outcomes)
	f.loads, f.shares, f.deferred, f.outcomes = f.loads[:0], f.shares[:0], f.deferred[:0], f.outcomes[:0]
	f.hint, f.verdict, f.line = quota.Hint{}, 0, nil
	if cap(f.body) < 1<<20 { // a rare giant is not kept
		l.spare = append(l.spare, f)
	}
}

// backoff is how long users wait whose request failed for no reason of theirs.
var backoff = retry.Schedule{Base: 200 * time.Millisecond, Cap: 30 * time.Second}

// wait is how long a user stays blocked whose records are deferred for the nth time.
func (f *flight) wait(attempts int) time.Duration {
	switch f.verdict {
	case braze.Unavailable, braze.InDoubt, braze.NotSent:
		return backoff.Next(attempts-1, f.hint.Wait(time.Now()))
	case braze.Accepted, braze.Malformed, braze.Throttled, braze.Stopped:
	}
	return 0 // the lane's gate and quota hold everyone back, or nothing needs to
}

// flush carries a flight to Braze and settles every record of it that is done with.
func (s *Sender) flush(ctx context.Context, f *flight) {
	f.deferred = append(f.deferred[:0], make([]bool, len(f.loads))...)
	f.outcomes = append(f.outcomes[:0], make([]outcome.Outcome, len(f.loads))...)
	s.send(ctx, f, span{0, len(f.loads)})
}

// call makes the call that the flight's line is for.
func (s *Sender) call(ctx context.Context, f *flight) braze.Answer {
	n := [3]int{len(f.refs[0]), len(f.refs[1]), len(f.refs[2])}
	var a braze.Answer
	switch e := f.line.outlet.endpoint; e {
	case braze.UsersTrack:
		a = s.client.Track(ctx, f.body, n)
	case braze.UsersTrackBulk:
		a = s.client.TrackBulk(ctx, f.body, n)
	default:
		a = s.client.Call(ctx, braze.Call{Endpoint: e, Path: f.line.path, Body: f.body, Items: n[0]})
	}
	s.metrics.called(f.line.outlet.endpoint, a, n[0]+n[1]+n[2])
	return a
}

// send carries a range of the flight's loads to Braze. It reports false when something was deferred: what
// comes after must not overtake it.
func (s *Sender) send(ctx context.Context, f *flight, r span) bool {
	done, clear := s.try(ctx, f, r)
	if f.verdict == braze.Malformed {
		return s.search(ctx, f, r, done)
	}
	return clear
}

// try makes one call for a range and settles it. A range that Braze finds malformed as a whole it leaves
// alone. It reports false when something was deferred.
func (s *Sender) try(ctx context.Context, f *flight, r span) (done answer, clear bool) {
	f.encode(r)
	a := s.call(ctx, f)
	f.verdict, f.status, f.message = a.Verdict, a.Status, a.Message
	if f.message == "" && a.Err != nil {
		f.message = a.Err.Error()
	}
	f.hint = a.Hint
	done = answer{at: time.Now(), endpoint: f.line.outlet.endpoint.Path, status: a.Status, requestID: s.requestIDs.next(), latency: a.Latency}

	switch a.Verdict {
	case braze.Accepted:
		return done, s.accepted(f, r, a, done)
	case braze.Malformed:
		return done, false
	case braze.InDoubt:
		return done, s.inDoubt(f, r, a, done)
	case braze.Throttled, braze.Unavailable, braze.NotSent, braze.Stopped:
	}
	s.deferAll(f, r, a, done)
	return done, false
}

// accepted reads the verdict of every object: those named in the answer failed, the others are in.
func (s *Sender) accepted(f *flight, r span, a braze.Answer, done answer) bool {
	words := a.Notice // such as that a Canvas is paused: Braze has taken what it will not send
	if a.Duplicate {
		words = "Braze had this external_send_id already"
	}
	for i := r.from; i < r.to; i++ {
		f.outcomes[i] = outcome.Outcome{Kind: outcome.Delivered, Detail: words}
	}
	for _, e := range a.Items {
		refs := f.refs[e.Array]
		if e.Index >= len(refs) {
			continue // the client has dropped and counted such; this guards our own books
		}
		s.refuse(f, refs[e.Index], e)
	}
	if a.Unreadable() {
		s.log.Warn().Int("status", a.Status).Str("request_id", done.requestID).Msg("Braze accepted a request with an answer that cannot be read")
	}
	if a.Strange > 0 {
		s.log.Warn().Int("errors", a.Strange).Str("request_id", done.requestID).Msg("Braze named objects that were not in the request")
	}
	again := false
	for i := r.from; i < r.to; i++ {
		switch ld := f.loads[i]; {
		case f.outcomes[i].Kind == outcome.Deferred:
			f.deferred[i], again = true, true
		case f.outcomes[i].Kind == outcome.Delivered && int(ld.to) < len(ld.parts):
			// More is to come, by another request; until then this is no end.
			f.outcomes[i] = outcome.Outcome{Kind: outcome.Deferred, Reason: underWay}
			f.deferred[i] = true
			ld.done = ld.to
			s.settler.report(ld.item, f.outcomes[i], done)
		}
	}
	s.settler.settleAll(f, r, done)
	return !again
}

// underWay is the reason of a record of which a part is delivered and another is not yet.
const underWay = "under_way"

// refuse puts an object's error on the record it came from. An object folded of several records says
// nothing about which of them is at fault: they are sent again, each for itself.
func (s *Sender) refuse(f *flight, at span, e braze.ItemError) {
	if at.to-at.from > 1 {
		for i := at.from; i < at.to; i++ {
			ld := f.loads[i]
			ld.alone, ld.done = true, ld.from
			if ld.to-ld.from == 1 {
				f.outcomes[i] = outcome.Outcome{Kind: outcome.Deferred, Reason: "folded"}
				continue
			}
			f.outcomes[i] = outcome.Outcome{Kind: outcome.Refused, Reason: "item_error", Detail: e.Array.String() + ": " + e.Type}
		}
		return
	}
	ld, o := f.loads[at.from], &f.outcomes[at.from]
	switch {
	case e.Array == braze.Attributes:
		ld.done = ld.from
	case o.Kind != outcome.Refused && ld.attributes() != nil:
		ld.done = ld.from + 1 // they are in: whoever replays the letter must not have Braze do them again
	}
	if o.Kind == outcome.Refused {
		o.Detail += "; "
	}
	*o = outcome.Outcome{Kind: outcome.Refused, Reason: "item_error", Detail: o.Detail + e.Array.String() + ": " + e.Type}
}

// waitForQuota takes one call out of the flight's budget. It reports false when the context ends
// first, or the partitions are to be released.
func (s *Sender) waitForQuota(ctx context.Context, f *flight, left <-chan struct{}) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-left:
			return false
		default:
		}
		wait := f.line.outlet.pool.quota.Take(time.Now())
		if wait <= 0 {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-left:
			return false
		case <-time.After(wait):
		}
	}
}

// inDoubt is the reason of what was given up because nobody knows whether Braze has it.
const inDoubt = "in_doubt"

// inDoubt decides about records of which nobody knows whether Braze has them. What ends in the same
// state however often Braze gets it is sent again; the rest is sent again or parked, as configured.
func (s *Sender) inDoubt(f *flight, r span, a braze.Answer, done answer) bool {
	clear := true
	for i := r.from; i < r.to; i++ {
		if !f.loads[i].parked() {
			s.deferAll(f, span{i, i + 1}, a, done)
			clear = false
			continue
		}
		f.outcomes[i] = outcome.Outcome{Kind: outcome.Refused, Reason: inDoubt, Detail: "the request was sent and not answered; Braze may have it"}
		s.settler.settle(f.loads[i].item, f.outcomes[i], done)
	}
	return clear
}

// parked reports whether a load is given up rather than perhaps doubled.
func (ld load) parked() bool {
	for i := range ld.carried() {
		if p := &ld.carried()[i]; p.park && !p.repeatable {
			return true
		}
	}
	return false
}

// patient is how long a record may be deferred before a receipt says so.
const patient = time.Minute

// deferAll sends a range again later.
func (s *Sender) deferAll(f *flight, r span, a braze.Answer, done answer) {
	s.metrics.deferred(a.Verdict, r.to-r.from)
	now := time.Now()
	for i := r.from; i < r.to; i++ {
		f.deferred[i] = true
		if it := f.loads[i].item; !it.reported && it.waitingFor(now) > patient {
			it.reported = true
			s.settler.report(it, outcome.Outcome{Kind: outcome.Deferred, Reason: a.Verdict.String(), Detail: a.Message}, done)
		}
	}
}
