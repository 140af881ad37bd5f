package embedded

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// idleCleanEvery is how often an idle broker is cleaned all the same: records age without traffic.
const idleCleanEvery = time.Hour

// cleaner applies retention and compaction from time to time. A run stops the whole broker while it
// lasts, so it is left out where nothing was written since the last one.
type cleaner struct {
	cancel context.CancelFunc
	done   sync.WaitGroup

	clean   func()
	written func() uint64 // how many requests have written so far
	seen    uint64        // written at the last run
	last    time.Time     // of the last run; zero before the first, so a restart cleans
}

func startCleaner(cluster *kfake.Cluster, g *guard, every time.Duration) *cleaner {
	ctx, cancel := context.WithCancel(context.Background())
	c := &cleaner{
		cancel: cancel,
		clean: func() {
			cluster.ApplyRetention() // first: what is gone need not be compacted
			cluster.Compact()
		},
		written: g.writes.Load,
	}
	c.done.Go(func() { c.run(ctx, every) })
	return c
}

func (c *cleaner) run(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			c.tick(now)
		}
	}
}

func (c *cleaner) tick(now time.Time) {
	written := c.written()
	if written == c.seen && !c.last.IsZero() && now.Sub(c.last) < idleCleanEvery {
		return
	}
	c.seen, c.last = written, now
	c.clean()
}

// stop waits for a run that is under way: kfake may not be closed beneath it.
func (c *cleaner) stop() {
	c.cancel()
	c.done.Wait()
}
