package pipeline

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/pkg/daemon"
)

// stage is a service with its place in the order of stopping. When all are told to stop, one that
// reads a topic stops only once those that write to it have, so that what was accepted a moment ago
// still arrives.
type stage struct {
	service  daemon.Service
	upstream *stage
	settle   func(context.Context) // waits until nothing is on its way any more; nil when that may stay
	ended    chan struct{}
}

// Run runs the service until ctx has ended and its turn to stop has come, or until it stops by itself.
func (s *stage) Run(ctx context.Context) error {
	defer close(s.ended)
	inner, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	finished := make(chan struct{})
	defer close(finished)
	go func() {
		select {
		case <-ctx.Done():
		case <-finished:
			return
		}
		if s.upstream != nil {
			select {
			case <-s.upstream.ended:
			case <-finished:
				return
			}
		}
		if s.settle != nil {
			s.settle(inner)
		}
		stop()
	}()
	return s.service.Run(inner)
}

// Held says what the service still holds.
func (s *stage) Held() string {
	if holder, ok := s.service.(daemon.Holder); ok {
		return holder.Held()
	}
	return ""
}

const (
	settleFor   = 5 * time.Second        // longest wait for records that are on their way, beside what lingers
	settleEvery = 100 * time.Millisecond // between looks
	quietFor    = 700 * time.Millisecond // without a new record: longer than a fetch waits for one
)

// settled returns once nobody holds anything and nobody has got anything new for a while, or when waiting
// makes no sense any more: a change of a profile lingers with attribute-sync, and has the sender before it
// then. Only an embedded broker whose data is thrown away needs this: anywhere else a record on a topic is
// safe there.
func (l *Pipeline) settled(ctx context.Context) {
	law := l.counters.law()
	if l.calm != nil && *l.calm == law {
		return // nothing has moved since the stage before this one was waited for
	}
	ctx, cancel := context.WithTimeout(ctx, settleFor+l.config.Sync.Sync.Linger)
	defer cancel()
	tick := time.NewTicker(settleEvery)
	defer tick.Stop()
	last, since := law, time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			law := l.counters.law()
			if law != last || law.Held > 0 || law.Sync.Held > 0 || law.Sinks.Held > 0 || law.Planned.Held > 0 || law.Writes.Held > 0 {
				last, since = law, now
			}
			if now.Sub(since) >= quietFor {
				l.calm = &law
				return
			}
		}
	}
}
