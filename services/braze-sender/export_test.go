package brazesender

import (
	"context"
	"time"
)

// slowView restores only when it is told to.
type slowView struct {
	deliveredView
	start <-chan struct{}
}

func (v slowView) Assign(ctx context.Context, partitions []int32) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-v.start:
	}
	return v.deliveredView.Assign(ctx, partitions)
}

// SlowWindow has the window restored only once the channel is closed, and a rebalance wait for it no longer
// than patience.
func (s *Sender) SlowWindow(restore <-chan struct{}, patience time.Duration) {
	s.window.delivered, s.window.patience = slowView{s.window.delivered, restore}, patience
}
