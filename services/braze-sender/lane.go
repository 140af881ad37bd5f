package brazesender

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/braze-sender/routes"
)

// lane holds the queues of all users and decides what is sent when. One goroutine owns all of it;
// requests run in goroutines of their own and come back as results.
type lane struct {
	s *Sender

	in       chan []*item
	results  chan *flight
	releases chan release

	users   map[string]*user
	lines   []*line // those that have been needed so far
	waiting timers

	flights []*flight // under way
	gone    map[*stream.Partition]bool
	open    []release // not answered yet

	flow   flow
	orders orders

	round  uint64 // of looking for a line; pools remember the last in which they were found empty
	passes uint64 // likewise, of noting who was passed

	// Until calm the attributes that an earlier owner of our users wrote may not have been applied.
	calm    atomic.Int64 // Unix nanoseconds
	leaveMu sync.Mutex
	leaving chan struct{} // closed while partitions are being released
	spare   []*flight
	resting int     // users that stay though they have nothing, since they are likely to come back
	idlers  []*user // structs of others that have gone
}

// release asks the lane to finish with partitions; done is closed once nothing of theirs is under way.
type release struct {
	parts []*stream.Partition
	done  chan struct{}
}

func newLane(s *Sender) *lane {
	return &lane{
		s:        s,
		in:       make(chan []*item, 2),
		results:  make(chan *flight, s.config.Sender.InFlight),
		releases: make(chan release),
		users:    map[string]*user{},
		gone:     map[*stream.Partition]bool{},
		leaving:  make(chan struct{}),
		orders: orders{
			wait: s.config.Sender.OrderWait, maxAhead: int64(s.config.Sender.Window) / 4, maxBytes: s.config.Sender.WindowBytes / 4,
		},
	}
}

// left is closed once partitions are to be released: what has not been sent by then is for others.
func (l *lane) left() <-chan struct{} {
	l.leaveMu.Lock()
	defer l.leaveMu.Unlock()
	return l.leaving
}

// accept hands items over, and waits while the lane is busy.
func (l *lane) accept(ctx context.Context, items []*item) error {
	if len(items) == 0 {
		return nil
	}
	select {
	case l.in <- items:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// release returns once nothing of the partitions is queued or under way.
func (l *lane) release(ctx context.Context, parts []*stream.Partition) {
	r := release{parts, make(chan struct{})}
	select {
	case l.releases <- r:
	case <-ctx.Done():
		return
	}
	select {
	case <-r.done:
	case <-ctx.Done():
	}
}

// run is the lane's goroutine. It ends with the context, when every partition has been released.
func (l *lane) run(ctx context.Context) {
	alarm := time.NewTimer(time.Hour)
	defer alarm.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case items := <-l.in:
			l.enqueue(items, time.Now())
		case f := <-l.results:
			l.land(f, time.Now())
		case r := <-l.releases:
			l.letGo(r)
		case <-alarm.C:
		}
		now := time.Now()
		l.wake(now)
		l.readmit(l.orders.due(now), now)
		next := l.dispatch(ctx, now)
		if at := l.orders.next(); !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
		if at, ok := l.waiting.next(); ok && (next.IsZero() || at.Before(next)) {
			next = at
		}
		if next.IsZero() {
			alarm.Reset(time.Hour)
		} else {
			alarm.Reset(max(0, time.Until(next)))
		}
	}
}

// enqueue puts items behind the others of their users, but for those that say nothing new of an order,
// and those that wait for theirs.
func (l *lane) enqueue(items []*item, now time.Time) {
	for _, it := range items {
		if len(l.gone) > 0 && l.gone[it.delivery.Partition()] {
			continue
		}
		if it.order == nil {
			l.push(it, now)
			continue
		}
		switch goes, waits := l.orders.admit(it, now); {
		case goes:
			l.push(it, now)
			if it.order.places {
				l.readmit(l.orders.release(it.order.id), now)
			}
		case !waits:
			l.s.settler.settle(it, it.order.again(), answer{at: now})
		}
	}
	l.readmit(l.orders.overtaken(items), now)
}

// readmit lets records go that have waited for their orders.
func (l *lane) readmit(items []*item, now time.Time) {
	for _, it := range items {
		if l.orders.states.has(it.order.state) {
			l.s.settler.settle(it, it.order.again(), answer{at: now})
			continue
		}
		l.orders.states.add(it.order.state)
		l.push(it, now)
	}
}

// push puts an item behind the others of its user.
func (l *lane) push(it *item, now time.Time) {
	key := it.delivery.KeyText()
	u := l.users[key]
	if u == nil {
		u = l.newUser(key)
	}
	u.push(it)
	switch u.state {
	case idle:
		if l.sift(u, now); u.first == nil {
			l.rest(u, now)
			return
		}
		l.wakeUp(u)
		l.markReady(u, now)
	case ready:
		u.line.pending += len(it.left())
	case busy, waiting:
	}
}

func (l *lane) newUser(key string) *user {
	var u *user
	if n := len(l.idlers); n > 0 {
		u, l.idlers = l.idlers[n-1], l.idlers[:n-1]
	} else {
		u = &user{}
	}
	u.key = strings.Clone(key) // the record's memory is not kept for it
	l.users[u.key] = u
	return u
}

// markReady puts a user into the line of what comes next in their queue.
func (l *lane) markReady(u *user, now time.Time) {
	ln := u.first.left()[0].line
	if !ln.known {
		ln.known = true
		l.lines = append(l.lines, ln)
	}
	u.state, u.readySince, u.line = ready, now, ln
	ln.ready.push(u)
	ln.pending += u.objects
}

// rest puts a user where it belongs after a request, or after a wait.
func (l *lane) rest(u *user, now time.Time) {
	u.forget(now)
	l.sift(u, now)
	switch {
	case u.first != nil && u.notBefore.After(now):
		u.state = waiting
		l.wakeAt(u, u.notBefore)
	case u.first != nil:
		l.markReady(u, now)
	case len(u.written) > 0: // remembered until its writes have had time to be applied
		u.state = idle
		l.wakeAt(u, u.written[len(u.written)-1].until)
	default:
		u.state = idle
		l.retire(u)
	}
}

// sift ends the repeats at the head of a user's queue: whatever they repeat has come to its end.
func (l *lane) sift(u *user, now time.Time) {
	for u.first != nil && u.first.again && l.s.window.judge(u.first) {
		l.s.settler.settle(u.pop(), duplicate, answer{at: now})
	}
}

// wakeAt sets a user's only timer that counts; one that is set already is passed over when its time comes.
func (l *lane) wakeAt(u *user, at time.Time) {
	if !u.alarm.Equal(at) {
		u.alarm = at
		l.waiting.push(at, u)
	}
}

// maxResting is how many users without a record are kept at hand. Most people come back soon, and
// leaving and entering the map costs more than the looking up in between.
const maxResting = 50_000

// retire lets a user without anything rest. When too many do, all of them go.
func (l *lane) retire(u *user) {
	if !u.resting {
		u.resting = true
		l.resting++
	}
	if l.resting <= maxResting {
		return
	}
	for _, u := range l.users {
		if u.resting {
			delete(l.users, u.key)
			*u = user{written: u.written[:0]}
			if len(l.idlers) < maxResting {
				l.idlers = append(l.idlers, u)
			}
		}
	}
	l.resting = 0
}

// wakeUp takes note that a user has something again.
func (l *lane) wakeUp(u *user) {
	if u.resting {
		u.resting = false
		l.resting--
	}
}

// wake lets users go on whose time has come.
func (l *lane) wake(now time.Time) {
	for {
		at, ok := l.waiting.next()
		if !ok || at.After(now) {
			return
		}
		t := l.waiting.pop()
		u := l.users[t.key]
		if u == nil || u != t.user || !u.alarm.Equal(t.at) {
			continue
		}
		u.alarm = time.Time{}
		if u.state == waiting || u.state == idle {
			l.rest(u, now)
		}
	}
}

// dispatch starts every request that is full or due and may be sent now. It returns when to look
// again, zero when an event will tell.
func (l *lane) dispatch(ctx context.Context, now time.Time) time.Time {
	for {
		ln, next := l.choose(now)
		if ln == nil {
			return next
		}
		f := l.pack(ln, now)
		if f == nil {
			continue // every user looked at had to wait: the call is not made, and the window forgets it
		}
		l.s.metrics.closed(f.why)
		f.index = len(l.flights)
		l.flights = append(l.flights, f)
		ln.outlet.flights++
		go func() {
			l.s.flush(ctx, f)
			l.results <- f
		}()
	}
}

// choose finds the line whose turn it is and takes one request out of its budget. Where there is none it
// returns when to look again, zero when an event will tell.
func (l *lane) choose(now time.Time) (_ *line, next time.Time) {
	soon := func(at time.Time) {
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	l.round++
	for {
		var best *line
		for _, ln := range l.lines {
			if ln.outlet.pool.spent == l.round || !l.mayGo(ln, now, soon) {
				continue
			}
			if best == nil || ln.before(best) {
				best = ln
			}
		}
		if best == nil {
			return nil, next
		}
		if !l.flow.going(l.s.settler, now) {
			l.s.tellKafka(false)
			return nil, now.Add(overdue / 10)
		}
		l.s.tellKafka(true)
		p := best.outlet.pool
		if wait := p.quota.Take(now); wait > 0 {
			soon(now.Add(wait))
			p.spent = l.round
			continue
		}
		p.passed[rank(best.priority)] = 0
		if len(l.lines) > 1 {
			l.pass(best, now)
		}
		return best, time.Time{}
	}
}

// mayGo reports whether a line has a request that may be sent now. Where only time keeps it, soon is told
// until when.
func (l *lane) mayGo(ln *line, now time.Time, soon func(time.Time)) bool {
	return len(l.flights) < l.room(ln) && !l.crowded(ln) && l.wants(ln, now, soon)
}

// crowded reports whether a line's endpoint has as many requests under way as it may: one that hangs must
// not take all there are.
func (l *lane) crowded(ln *line) bool {
	return !ln.arrays && ln.outlet.flights >= max(1, l.s.config.Sender.InFlight/2)
}

// wants reports whether a line has a request that is full or due, and whether its endpoint is open.
func (l *lane) wants(ln *line, now time.Time, soon func(time.Time)) bool {
	if ln.ready.len() == 0 {
		return false
	}
	if due := ln.ready.first().readySince.Add(l.s.config.Sender.Linger); ln.pending < ln.most && due.After(now) {
		soon(due)
		return false
	}
	if until, closed := ln.outlet.gate.closed(now, ln.outlet.flights); closed {
		if !until.IsZero() {
			soon(until)
		}
		return false
	}
	return true
}

// room is how many requests may be under way when another of a line's starts: the less urgent leave some
// for the more urgent, unless it is their turn.
func (l *lane) room(ln *line) int {
	all := l.s.config.Sender.InFlight
	if ln.passedOver() {
		return all
	}
	switch ln.priority {
	case routes.Urgent:
		return all
	case routes.Profile:
		return max(1, all-all/8)
	case routes.Backfill:
		return max(1, all-all/4)
	case routes.Live:
	}
	return max(1, all-all/16)
}

// passedOver reports whether so many others have passed that it is the turn of the line's priority.
func (ln *line) passedOver() bool { return ln.outlet.pool.passed[rank(ln.priority)] >= reserve }

// before reports whether a line goes before another. Each priority that others have passed too often
// has its turn; otherwise the most urgent goes first, and of equals the one that has waited longest.
func (ln *line) before(other *line) bool {
	if a, b := ln.passedOver(), other.passedOver(); a != b {
		return a
	}
	if mine, theirs := rank(ln.priority), rank(other.priority); mine != theirs {
		return mine < theirs
	}
	return ln.ready.first().readySince.Before(other.ready.first().readySince)
}

// pass notes that a line went before others that could have gone as well: they share its budget, or at
// least the number of requests that may be under way.
func (l *lane) pass(best *line, now time.Time) {
	l.passes++
	for _, ln := range l.lines {
		p, r := ln.outlet.pool, rank(ln.priority)
		if ln.priority == best.priority || p.spent == l.round || p.noted[r] == l.passes || !l.wants(ln, now, func(time.Time) {}) {
			continue
		}
		p.noted[r] = l.passes
		p.passed[r]++
	}
}

// pack fills a request from the users of a line that have been ready longest.
func (l *lane) pack(ln *line, now time.Time) *flight {
	f := l.newFlight(ln)
	r := ln.room(l.s.config.Braze.LegacyArrays)
	f.why = "linger"
	for ln.ready.len() > 0 {
		u := ln.ready.pop()
		alone := u.suspect()
		if alone {
			if len(f.loads) > 0 { // it travels in the next one
				ln.ready.pushFront(u)
				break
			}
			r = ln.roomFor(u.first)
		}
		ln.pending -= u.objects
		from := len(f.loads)
		var why shareEnd
		var until time.Time
		f.loads, why, until = u.share(f.loads, ln, &r, now, time.Unix(0, l.calm.Load()))
		switch {
		case len(f.loads) > from:
			u.state = busy
			f.shares = append(f.shares, share{u, from, len(f.loads)})
			if !oneFlightPerUser && u.first != nil {
				l.markReady(u, now)
			}
		case why == roomEnds:
			ln.ready.pushFront(u)
			ln.pending += u.objects
		default: // it has to wait, or what it had went away with its partition
			u.notBefore = until
			l.rest(u, now)
		}
		if why == roomEnds || r.total == 0 || alone {
			f.why = "full"
			break
		}
	}
	if len(f.loads) == 0 {
		l.spare = append(l.spare, f)
		return nil
	}
	for _, ld := range f.loads {
		ld.begin(now)
	}
	return f
}

// land takes a request's result: what is deferred goes back to the front of its user's queue.
func (l *lane) land(f *flight, now time.Time) {
	out := f.line.outlet
	l.landed(f)
	out.flights--
	out.pool.quota.Learn(now, f.hint)
	alone := out.gate.failures == 0 // the request before this one, of other users, went well
	out.gate.learn(f, now)
	l.s.tellHealth()
	for i := range f.loads {
		if o := f.loads[i].order; o != nil && f.outcomes[i].Kind == outcome.Refused && f.outcomes[i].Reason != inDoubt {
			l.orders.states.remove(o.state) // it may be said again, and then count
		}
	}
	for _, sh := range f.shares {
		back := l.collect(f, sh)
		if l.s.config.Sender.UserSpacing > 0 {
			sh.user.wrote(f.loads[sh.from:sh.to], now.Add(l.s.config.Sender.UserSpacing))
		}
		sh.user.notBefore = time.Time{}
		if len(back) > 0 {
			if alone && f.verdict == braze.Unavailable {
				back[0].blame++
			}
			sh.user.putBack(back)
			sh.user.notBefore = now.Add(f.wait(int(back[0].attempts)))
		}
		l.rest(sh.user, now)
	}
	l.recycle(f)
	l.answerReleases()
}

// landed takes a flight off the list of those under way.
func (l *lane) landed(f *flight) {
	last := len(l.flights) - 1
	l.flights[f.index] = l.flights[last]
	l.flights[f.index].index = f.index
	l.flights[last] = nil
	l.flights = l.flights[:last]
}

// underWay reports whether a request carries records of one of the partitions.
func (l *lane) underWay(parts []*stream.Partition) bool {
	return slices.ContainsFunc(l.flights, func(f *flight) bool {
		return slices.ContainsFunc(f.loads, func(ld load) bool { return slices.Contains(parts, ld.delivery.Partition()) })
	})
}

// collect returns the items of a share that have to be sent again, in order.
func (l *lane) collect(f *flight, sh share) []*item {
	var back []*item
	for i := sh.from; i < sh.to; i++ {
		switch it := f.loads[i].item; {
		case !f.deferred[i]:
		case l.gone[it.delivery.Partition()]:
			l.orders.unsay(it)
		default:
			back = append(back, it)
		}
	}
	return back
}

// letGo forgets what is queued of partitions that are going away.
func (l *lane) letGo(r release) {
	if len(l.open) == 0 {
		close(l.leaving)
	}
	for _, p := range r.parts {
		l.gone[p] = true
	}
	for len(l.in) > 0 { // handed over before the partitions went
		l.enqueue(<-l.in, time.Now())
	}
	l.orders.forget(l.gone)
	for _, u := range l.users {
		l.forgetGone(u)
	}
	l.open = append(l.open, r)
	l.answerReleases()
}

// forgetGone drops a user's queued items of partitions that are gone.
func (l *lane) forgetGone(u *user) {
	var kept []*item
	before := u.objects
	for u.first != nil {
		if it := u.pop(); l.gone[it.delivery.Partition()] {
			l.orders.unsay(it)
		} else {
			kept = append(kept, it)
		}
	}
	u.putBack(kept)
	if u.state == ready {
		u.line.pending += u.objects - before
	}
	if u.first == nil && u.state == waiting {
		u.state = idle
	}
}

// answerReleases tells those who wait for partitions of which nothing is under way any more.
func (l *lane) answerReleases() {
	if len(l.open) == 0 {
		return
	}
	kept := l.open[:0]
	for _, r := range l.open {
		if l.underWay(r.parts) {
			kept = append(kept, r)
			continue
		}
		for _, p := range r.parts {
			delete(l.gone, p)
		}
		close(r.done)
	}
	if l.open = kept; len(l.open) == 0 {
		l.leaveMu.Lock()
		l.leaving = make(chan struct{})
		l.leaveMu.Unlock()
	}
}
