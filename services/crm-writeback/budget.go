package crmwriteback

import (
	"context"
	"fmt"
	"time"
)

// watchBudgets looks at the failure budgets now and then: a target that is asked once an hour needs its notices too.
func (s *Service) watchBudgets(ctx context.Context) {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			for _, w := range s.writers {
				w.notice(now)
			}
		}
	}
}

// notice logs once for each level of the failure budget that is used up.
func (w *writer) notice(now time.Time) {
	w.mu.Lock()
	_, level := w.gate.spent(now, w.system.FailureBudget)
	since, said := w.gate.since, w.gate.halted
	w.mu.Unlock()
	if level == 0 {
		return
	}
	w.log.Error().Int("percent", level).Dur("failing_for", now.Sub(since)).Stringer("budget", w.system.FailureBudget).Str("said", said).
		Msg("the target has used up a part of its failure budget; nothing is dropped, but the topic keeps rows for so long only")
	w.metrics.notice(level)
}

// halted says why the target takes nothing until a person has changed something; nil when it is not so. The other targets
// go on meanwhile.
func (w *writer) halted() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gate.halted == "" {
		return nil
	}
	return fmt.Errorf("it takes nothing until somebody mends this: %s", w.gate.halted)
}
