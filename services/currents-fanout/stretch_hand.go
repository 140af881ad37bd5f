package currentsfanout

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// load is a stretch that is handed over.
type load struct {
	records []arrival
	of      []feed            // of each record
	items   []item            // of those that the sink gets, by place in events
	events  []*sink.Event     // what it gets
	what    []outcome.Outcome // of each record
	at      []int             // the place in records of each event
}

// hand hands a stretch over until it is taken. It reports whether it was, and false for ok when the partition goes.
func (st *stretch) hand(s sink.Stretch, begun bool, batch []arrival, closed why) (done, ok bool) {
	r := st.r
	defer func() {
		r.mu.Lock()
		st.writing = false
		r.makeRoom() // this one may not have been enough for more to be fetched
		r.mu.Unlock()
	}()
	l := &load{records: batch}
	if !st.pack(l) {
		st.giveBack(batch)
		return false, false
	}
	if len(l.events) == 0 && !begun { // there is nothing to be written, and nobody has begun to
		return true, st.settle(l)
	}
	for attempt := 0; ; attempt++ {
		p, ok := st.enter()
		if !ok {
			st.giveBack(batch)
			return false, false
		}
		answer := st.write(s, l, closed)
		<-r.busy
		if answer.All.Reason == sink.Overtaken && answer.All.Kind == outcome.Deferred {
			r.giveBack(p)
			r.log.Info().Str("topic", s.Topic).Int32("partition", s.Partition).Msg("another process has begun this stretch with another end")
			ok := wait(st.left, r.schedule.Next(attempt, 0))
			return false, st.putBack(batch) && ok
		}
		answered := r.conclude(p, l.events, answer, time.Now())
		if !answered.deferred {
			for i, what := range answered.what {
				l.what[l.at[i]] = what
			}
			return true, st.settle(l)
		}
		if !wait(st.left, r.schedule.Next(attempt, 0)) {
			st.giveBack(batch)
			return false, false
		}
	}
}

// write asks the sink once.
func (st *stretch) write(s sink.Stretch, l *load, closed why) sink.Answer {
	ctx, cancel := context.WithTimeout(st.under, st.r.service.Fanout.WriteTimeout)
	defer cancel()
	began := time.Now()
	for i := range l.items {
		if l.items[i].first == 0 {
			l.items[i].first = began.UnixNano()
		}
		l.items[i].attempts++
	}
	answer := st.r.stretcher.WriteStretch(ctx, s, l.events)
	answer.Split = false // there is no half of a stretch
	st.r.metrics.batch(closed, len(l.events), time.Since(began))
	return answer
}

// enter waits for one of the sink's turns, for the gate and for the rate. Who has used the pass gives the turn back.
func (st *stretch) enter() (pass, bool) {
	select {
	case st.r.busy <- struct{}{}:
	case <-st.left.Done():
		return pass{}, false
	}
	for {
		p, until, ok := st.r.gate.enter(time.Now())
		switch {
		case ok && (st.r.limiter == nil || st.r.limiter.Wait(st.left) == nil):
			if p, ok = st.r.stillOpen(p); ok {
				return p, true
			}
			continue
		case ok:
			st.r.giveBack(p)
		case st.rest(until):
			continue
		}
		<-st.r.busy
		return pass{}, false
	}
}

// pack finds out what becomes of each record and makes the events that are handed over.
func (st *stretch) pack(l *load) bool {
	r := st.r
	l.what, l.of = make([]outcome.Outcome, len(l.records)), make([]feed, len(l.records))
	d := newDraft()
	for i, a := range l.records {
		of, ok := st.judge(a, d, &l.what[i])
		if !ok {
			return false
		}
		if l.of[i] = of; l.what[i].Kind != 0 {
			continue
		}
		it := item{delivery: a.Delivery, part: st.p, of: of, taken: a.at}
		e, made := new(sink.Event), draft{}
		if of == ofActions {
			made.action = new(event.Action)
		} else {
			made.engagement = new(event.Engagement)
		}
		what := r.make(st.left, &it, e, made)
		switch what.Kind {
		case outcome.Deferred:
			return false // the partition goes
		case 0:
			it.event = e
			l.events, l.items, l.at = append(l.events, e), append(l.items, it), append(l.at, i)
		default:
			l.what[i] = what
		}
	}
	return true
}

// judge is the runner's judge that waits until it can say.
func (st *stretch) judge(a arrival, d draft, what *outcome.Outcome) (of feed, ok bool) {
	for {
		var moved <-chan struct{}
		if repeats := st.r.repeats(st.p); repeats != nil {
			moved = repeats.Moved()
		}
		var ready bool
		if of, *what, ready = st.r.judge(st.p, a.Delivery, d); ready {
			return of, true
		}
		if of != ofNothing && !st.r.feeds.known(of, a.Value()) {
			if !st.r.learn(st.left, unread{of, a.Value(), a.Delivery}) && !wait(st.left, time.Second) {
				return of, false
			}
			continue
		}
		select {
		case <-st.left.Done():
			return of, false
		case <-moved:
		}
	}
}

// settle ends the records of a stretch, the last one first: what is committed is the stretch or nothing of it.
func (st *stretch) settle(l *load) bool {
	var durable sync.WaitGroup
	var mu sync.Mutex
	var failed error
	next := 0
	for i, a := range l.records {
		it := item{delivery: a.Delivery, part: st.p, of: l.of[i], taken: a.at}
		if next < len(l.at) && l.at[next] == i {
			it = l.items[next]
			next++
		}
		if l.what[i].Kind != outcome.Refused {
			continue
		}
		durable.Add(1)
		st.r.letters.Write(st.under, st.r.letter(&it, l.what[i]), func(err error) {
			defer durable.Done()
			mu.Lock()
			defer mu.Unlock()
			failed = errors.Join(failed, err)
		})
	}
	durable.Wait()
	if failed != nil {
		st.giveBack(l.records)
		if st.under.Err() == nil {
			st.r.fail(failed)
		}
		return false
	}
	st.r.mu.Lock()
	defer st.r.mu.Unlock()
	st.fixed = false
	st.r.narrow() // before the room that this one leaves is filled
	ended := tally{r: st.r}
	defer ended.count()
	for i := len(l.records) - 1; i >= 0; i-- {
		ended.settle(st.p, l.records[i].Delivery, l.what[i])
	}
	return true
}

// giveBack takes a stretch out of the books that is not handed over.
func (st *stretch) giveBack(batch []arrival) {
	st.r.mu.Lock()
	defer st.r.mu.Unlock()
	for _, a := range batch {
		st.r.release(st.p, 1, int64(len(a.Value())))
	}
}

// putBack puts a stretch before what is in the inbox, to be put together anew. It reports false when the partition goes.
func (st *stretch) putBack(batch []arrival) bool {
	st.r.mu.Lock()
	defer st.r.mu.Unlock()
	if st.p.gone {
		for _, a := range batch {
			st.r.release(st.p, 1, int64(len(a.Value())))
		}
		return false
	}
	for _, a := range batch {
		st.p.bytes += int64(len(a.Value()))
	}
	st.p.inbox = append(batch, st.p.inbox...)
	return true
}
