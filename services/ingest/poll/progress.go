package poll

import (
	"context"
	"sync"
	"time"
)

// progressEvery is how often a long round says how far it is.
const progressEvery = 10 * time.Second

// progress logs how far a round is, until it is stopped; those over everything, at info level.
func (w *worker) progress(ctx context.Context, r *round, loud bool) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var side sync.WaitGroup
	s, log, began := w.stats, w.log.Debug, time.Now()
	if loud {
		log = w.log.Info
	}
	first := r.Items
	s.set(func() { s.items, s.pages = r.Items, r.Pages })
	side.Go(func() {
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			s.set(func() {
				rate := float64(s.items-first) / time.Since(began).Seconds()
				log().Int64("items", s.items).Int64("pages", s.pages).Float64("items_per_second", rate).Bool("whole", loud).Msg("a round is under way")
			})
		}
	})
	return func() { cancel(); side.Wait() }
}
