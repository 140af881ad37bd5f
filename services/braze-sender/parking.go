package brazesender

import (
	"context"
	"sync"
	"time"

	"github.com/sluicehq/sluice/pkg/retry"
	"github.com/sluicehq/sluice/pkg/stream"
)

// parking keeps records whose schema could not be looked up, and everything behind them in their
// partitions, until the registry answers; and those of partitions of which nobody knows yet what was
// delivered. What it keeps counts as held, so it is bounded as well.
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

// park parks a record, the first of its partition.
func (p *parking) park(d stream.Delivery) {
	if p.waiting == nil {
		p.waiting = map[*stream.Partition][]stream.Delivery{}
	}
	p.waiting[d.Partition()] = []stream.Delivery{d}
}

// putAside parks a record, the first of its partition, and sees to it that somebody asks again.
func (s *Sender) putAside(ctx context.Context, d stream.Delivery) {
	s.parking.park(d)
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
			if err := s.feeds.learn(ctx, d); err != nil {
				s.health.Set("registry", err)
				continue
			}
		}
		s.registryAnswers(ctx)
		return
	}
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

// registryAnswers takes up again what is parked. What still cannot be looked up is parked once more, and
// somebody else asks for it.
func (s *Sender) registryAnswers(ctx context.Context) {
	s.parking.mu.Lock()
	defer s.parking.mu.Unlock()
	s.parking.asking = false
	if s.unparkAll(ctx) && !s.parking.asking {
		s.health.Set("registry", nil)
		s.log.Info().Msg("the schema registry answers again")
	}
}

// takeUpAgain takes up what is parked for another reason than the registry.
func (s *Sender) takeUpAgain(ctx context.Context) {
	s.parking.mu.Lock()
	defer s.parking.mu.Unlock()
	s.unparkAll(ctx)
}

// unparkAll decodes what is parked and hands it to the lane. It reports false when the process ends: the
// records stay on the topic. The caller holds the lock.
func (s *Sender) unparkAll(ctx context.Context) bool {
	parked := s.parking.waiting
	s.parking.waiting = nil
	for _, list := range parked {
		if err := s.lane.accept(ctx, s.decode(ctx, list)); err != nil {
			return false
		}
	}
	return true
}
