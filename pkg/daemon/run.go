package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// processCheck is the process's own check beside those of its services.
const processCheck = "process"

var (
	errStarting = errors.New("starting")
	errDraining = errors.New("draining")
	errStopped  = errors.New("stopped")
)

// DrainError says that a service was told to stop and did not finish in time.
type DrainError struct {
	After time.Duration // how long it was waited for
	Held  string        // what it still held, in words; empty when it could not say
}

// Error names the time and what was held.
func (e *DrainError) Error() string {
	held := e.Held
	if held == "" {
		held = "it did not say what"
	}
	return fmt.Sprintf("draining took longer than %s; still held: %s", e.After, held)
}

// Run runs a service within the process until it returns, and reports the process ready meanwhile. When
// ctx ends, the service has p.DrainTimeout to return; after that Run returns a [*DrainError] without it,
// and the process is expected to exit. Stopping because ctx ended is not an error.
func Run(ctx context.Context, p *Process, service Service) error {
	done := make(chan error, 1)
	p.Health.Set(processCheck, nil)
	p.Log.Info().Msg("started")
	// A panic in there is not recovered: it ends the process with its own trace.
	go func() { done <- service.Run(p.Log.WithContext(ctx)) }()

	select {
	case err := <-done:
		return p.stopped(ctx, err)
	case <-ctx.Done():
	}
	p.Health.Set(processCheck, errDraining)
	began := time.Now()
	p.Log.Info().Stringer("timeout", p.DrainTimeout).Msg("draining")
	timeout := time.NewTimer(p.DrainTimeout)
	defer timeout.Stop()
	select {
	case err := <-done:
		p.Log.Info().Stringer("took", time.Since(began).Round(time.Millisecond)).Msg("drained")
		return p.stopped(ctx, err)
	case <-timeout.C:
		return &DrainError{After: p.DrainTimeout, Held: heldBy(service)}
	}
}

// stopped is what Run returns once the service has.
func (p *Process) stopped(ctx context.Context, err error) error {
	p.Health.Set(processCheck, errStopped)
	if err != nil && !(ctx.Err() != nil && errors.Is(err, ctx.Err())) {
		return fmt.Errorf("running %s: %w", p.Name, err)
	}
	p.Log.Info().Msg("stopped")
	return nil
}

func heldBy(service Service) string {
	if holder, ok := service.(Holder); ok {
		return holder.Held()
	}
	return ""
}
