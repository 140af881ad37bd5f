package brazefake

import (
	"context"
	"sync"
	"sync/atomic"
)

// pending counts what is yet to happen: requests to be applied, suspicions to be settled. Unlike a
// WaitGroup it may be waited for while more comes in, and not for ever.
type pending struct {
	mu    sync.Mutex
	n     atomic.Int64
	quiet chan struct{} // closed while n is 0
}

func (p *pending) init() {
	p.quiet = make(chan struct{})
	close(p.quiet)
}

func (p *pending) add() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n.Add(1) == 1 {
		p.quiet = make(chan struct{})
	}
}

func (p *pending) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n.Add(-1) == 0 {
		close(p.quiet)
	}
}

func (p *pending) wait(ctx context.Context) error {
	p.mu.Lock()
	quiet := p.quiet
	p.mu.Unlock()
	select {
	case <-quiet:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
