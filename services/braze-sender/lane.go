package brazesender

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/quota"
	"github.com/sluicehq/sluice/pkg/stream"
)

// lane holds the queues of all users and decides what is sent when. One goroutine owns all of it;
// requests run in goroutines of their own and come back as results.
type lane struct {
	s     *Sender
	quota *quota.Quota

	in       chan []*item
	results  chan *flight
	releases chan release

	users   map[string]*user
	ready   fifo
	waiting timers
	pending int // objects of ready users

	flights  int                       // requests under way
	inFlight map[*stream.Partition]int // records in them
	gone     map[*stream.Partition]bool
	open     []release // not answered yet

	gate gate
	flow flow

	// Until calm the attributes that an earlier owner of our users wrote may not have been applied.
	calm    atomic.Int64 // Unix nanoseconds
	leaveMu sync.Mutex
	leaving chan struct{} // closed while partitions are being released
	spare   []*flight
	idlers  []*user
}

// release asks the lane to finish with partitions; done is closed once nothing of theirs is under way.
type release struct {
	parts []*stream.Partition
	done  chan struct{}
}

func newLane(s *Sender) *lane {
	return &lane{
		s:        s,
		quota:    quota.New(s.config.Braze.Rate),
		in:       make(chan []*item, 2),
		results:  make(chan *flight, s.config.Sender.InFlight),
		releases: make(chan release),
		users:    map[string]*user{},
		inFlight: map[*stream.Partition]int{},
		gone:     map[*stream.Partition]bool{},
		leaving:  make(chan struct{}),
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
		next := l.dispatch(ctx, now)
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

// enqueue puts items behind the others of their users.
func (l *lane) enqueue(items []*item, now time.Time) {
	for _, it := range items {
		if len(l.gone) > 0 && l.gone[it.delivery.Partition()] {
			continue
		}
		key := it.delivery.KeyText()
		u := l.users[key]
		if u == nil {
			u = l.newUser(key)
		}
		u.push(it)
		switch u.state {
		case idle:
			l.markReady(u, now)
		case ready:
			l.pending += objectsOf(it)
		case busy, waiting:
		}
	}
}

func (l *lane) newUser(key string) *user {
	var u *user
	if n := len(l.idlers); n > 0 {
		u, l.idlers = l.idlers[n-1], l.idlers[:n-1]
	} else {
		u = &user{}
	}
	u.key = key
	l.users[key] = u
	return u
}

func (l *lane) markReady(u *user, now time.Time) {
	u.state, u.readySince = ready, now
	l.ready.push(u)
	l.pending += u.objects
}

// rest puts a user where it belongs after a request, or after a wait.
func (l *lane) rest(u *user, now time.Time) {
	u.forget(now)
	switch {
	case u.first != nil && u.notBefore.After(now):
		u.state = waiting
		l.waiting.push(u.notBefore, u)
	case u.first != nil:
		l.markReady(u, now)
	case len(u.written) > 0: // remembered until its writes have had time to be applied
		u.state = idle
		l.waiting.push(u.written[len(u.written)-1].until, u)
	default:
		u.state = idle
		l.drop(u)
	}
}

func (l *lane) drop(u *user) {
	delete(l.users, u.key)
	*u = user{written: u.written[:0]}
	if len(l.idlers) < 10_000 {
		l.idlers = append(l.idlers, u)
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
		if u := l.users[t.key]; u != nil && u == t.user && (u.state == waiting || u.state == idle) {
			l.rest(u, now)
		}
	}
}

// dispatch starts every request that is full or due and may be sent now. It returns when to look
// again, zero when an event will tell.
func (l *lane) dispatch(ctx context.Context, now time.Time) time.Time {
	full := l.s.config.Braze.MaxObjects
	for l.ready.len() > 0 && l.flights < l.s.config.Sender.InFlight {
		if due := l.ready.first().readySince.Add(l.s.config.Sender.Linger); l.pending < full && due.After(now) {
			return due
		}
		if until, closed := l.gate.closed(now, l.flights); closed {
			return until
		}
		if !l.flow.going(l.s.settler, now) {
			l.s.tellKafka(false)
			return now.Add(overdue / 10)
		}
		l.s.tellKafka(true)
		if wait := l.quota.Take(now); wait > 0 {
			return now.Add(wait)
		}
		f := l.pack(now)
		if f == nil {
			continue // every user looked at had to wait: the call is not made, and the window forgets it
		}
		l.s.metrics.closed(f.why)
		l.flights++
		go func() {
			l.s.flush(ctx, f)
			l.results <- f
		}()
	}
	return time.Time{}
}

// pack fills a request from the users that have been ready longest.
func (l *lane) pack(now time.Time) *flight {
	f := l.newFlight()
	r := newRoom(l.s.config.Braze)
	f.why = "linger"
	for l.ready.len() > 0 {
		u := l.ready.pop()
		if u.suspect() {
			if len(f.items) > 0 { // it travels alone, in the next one
				l.ready.pushFront(u)
				break
			}
			r = newRoomFor(u.first)
		}
		l.pending -= u.objects
		from := len(f.items)
		var why shareEnd
		var until time.Time
		f.items, why, until = u.share(f.items, &r, now, time.Unix(0, l.calm.Load()))
		switch {
		case len(f.items) > from:
			u.state = busy
			f.shares = append(f.shares, share{u, from, len(f.items)})
			if !oneFlightPerUser && u.first != nil {
				l.markReady(u, now)
			}
		case why == roomEnds:
			l.ready.pushFront(u)
			l.pending += u.objects
		default: // it has to wait, or what it had went away with its partition
			u.notBefore = until
			l.rest(u, now)
		}
		if why == roomEnds {
			f.why = "full"
			break
		}
		if r.total == 0 {
			f.why = "full"
			break
		}
	}
	if len(f.items) == 0 {
		l.spare = append(l.spare, f)
		return nil
	}
	for _, it := range f.items {
		l.inFlight[it.delivery.Partition()]++
		it.attempts++
		if it.first.IsZero() {
			it.first = now
		}
	}
	return f
}

// land takes a request's result: what is deferred goes back to the front of its user's queue.
func (l *lane) land(f *flight, now time.Time) {
	l.flights--
	l.quota.Learn(now, f.hint)
	alone := l.gate.failures == 0 // the request before this one, of other users, went well
	l.gate.learn(f, now)
	l.s.tellHealth(l.gate)
	for _, sh := range f.shares {
		back := l.collect(f, sh)
		if l.s.config.Sender.UserSpacing > 0 {
			sh.user.wrote(f.items[sh.from:sh.to], now.Add(l.s.config.Sender.UserSpacing))
		}
		sh.user.notBefore = time.Time{}
		if len(back) > 0 {
			if alone && f.verdict == braze.Unavailable {
				back[0].blame++
			}
			sh.user.putBack(back)
			sh.user.notBefore = now.Add(f.wait(back[0].attempts))
		}
		l.rest(sh.user, now)
	}
	for _, it := range f.items {
		l.inFlight[it.delivery.Partition()]--
	}
	l.recycle(f)
	l.answerReleases()
}

// collect returns the items of a share that have to be sent again, in order.
func (l *lane) collect(f *flight, sh share) []*item {
	var back []*item
	for i := sh.from; i < sh.to; i++ {
		if it := f.items[i]; f.deferred[i] && !l.gone[it.delivery.Partition()] {
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
		if it := u.pop(); !l.gone[it.delivery.Partition()] {
			kept = append(kept, it)
		}
	}
	u.putBack(kept)
	if u.state == ready {
		l.pending += u.objects - before
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
		under := 0
		for _, p := range r.parts {
			under += l.inFlight[p]
		}
		if under > 0 {
			kept = append(kept, r)
			continue
		}
		for _, p := range r.parts {
			delete(l.inFlight, p)
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
