package brazesender

import (
	"context"
	"sync"
	"time"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/retry"
	"github.com/sluicehq/sluice/pkg/stream"
)

// parking keeps records whose schema could not be looked up, and everything behind them in their
// partitions, until the registry answers. What it keeps counts as held, so it is bounded as well.
type parking struct {
	mu      sync.Mutex // held while records are decoded and handed to the lane
	waiting map[*stream.Partition][]stream.Delivery
	asking  bool // a goroutine is at it
}

// patience is how long to wait for what will come back by itself.
var patience = retry.Schedule{Base: 200 * time.Millisecond, Cap: 15 * time.Second}

// behind parks a record if others of its partition are parked already.
func (p *parking) behind(d stream.Delivery) bool {
	if len(p.waiting) == 0 {
		return false
	}
	list, ok := p.waiting[d.Partition()]
	if ok {
		p.waiting[d.Partition()] = append(list, d)
	}
	return ok
}

// forget drops what is parked of partitions that go away.
func (p *parking) forget(parts []*stream.Partition) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, part := range parts {
		delete(p.waiting, part)
	}
}

// putAside parks a record, the first of its partition, and sees to it that somebody asks again.
func (s *Sender) putAside(ctx context.Context, d stream.Delivery) {
	if s.parking.waiting == nil {
		s.parking.waiting = map[*stream.Partition][]stream.Delivery{}
	}
	s.parking.waiting[d.Partition()] = []stream.Delivery{d}
	if !s.parking.asking {
		s.parking.asking = true
		go s.unpark(ctx)
	}
}

// unpark asks until nothing is parked any more, or the context ends.
func (s *Sender) unpark(ctx context.Context) {
	for attempt := 0; ; attempt++ {
		select {
		case <-ctx.Done():
			return
		case <-time.After(patience.Next(attempt, 0)):
		}
		d, ok := s.parking.any()
		if ok { // ask without the lock, which Take needs as well
			if err := s.learn(ctx, d); err != nil {
				s.health.Set("registry", err)
				continue
			}
		}
		s.tryParked(ctx)
		return
	}
}

// learn asks the registry for a record's schema.
func (s *Sender) learn(ctx context.Context, d stream.Delivery) (err error) {
	if s.isCommerce(d) {
		_, err = s.commerce.Decode(ctx, d.Value(), &event.Commerce{})
	} else {
		_, err = s.events.Decode(ctx, d.Value(), &event.Event{})
	}
	if _, unreadable := avro.AsUnreadable(err); unreadable {
		return nil // that much is known now
	}
	return err
}

// any returns the first record of a partition that waits.
func (p *parking) any() (stream.Delivery, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, list := range p.waiting {
		return list[0], true
	}
	return stream.Delivery{}, false
}

// tryParked decodes what is parked and hands it to the lane. What still cannot be looked up is parked
// again, and somebody else asks for it.
func (s *Sender) tryParked(ctx context.Context) {
	s.parking.mu.Lock()
	defer s.parking.mu.Unlock()
	parked := s.parking.waiting
	s.parking.waiting, s.parking.asking = nil, false
	for _, list := range parked {
		if err := s.lane.accept(ctx, s.decode(ctx, list)); err != nil {
			return // the process ends; the records stay on the topic
		}
	}
	if !s.parking.asking {
		s.health.Set("registry", nil)
		s.log.Info().Msg("the schema registry answers again")
	}
}
