package pipeline

import (
	"context"
	"net/http"
	"time"

	"github.com/sluicehq/sluice/pkg/braze/brazefake"
	"github.com/sluicehq/sluice/pkg/braze/brazefake/outgoing"
)

// reports is the sandbox telling the front door what customers do, as a service among the others.
type reports struct {
	pipeline *Pipeline
}

const (
	reportTwice  = 0.02                   // of what is reported comes a second time, as with Braze
	reportLinger = time.Second            // so that whoever tries it need not wait
	reportsLast  = 3 * time.Second        // for what has happened and is not told when all end
	reportsLook  = 100 * time.Millisecond // between looks
)

// Run reports until ctx ends and what has happened until then is told, or nobody takes it any more.
func (r *reports) Run(ctx context.Context) error {
	l := r.pipeline
	telling, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.standins.sandbox.SendCurrents(telling, brazefake.Currents{
			Options: outgoing.Options{
				URL: l.places.Door + "/v1/braze/currents", Token: l.config.currentsToken(),
				Linger: reportLinger, Twice: reportTwice, Seed: l.config.Simulate.Seed,
			},
			Marketing: l.config.Sandbox.Marketing,
			Webhooks:  l.places.Door + "/v1/braze/webhooks/", WebhookHeader: http.Header{"Authorization": {"Bearer " + l.config.DoorKey()}},
		})
	}()
	<-ctx.Done()
	l.told()
	stop()
	<-ended
	return nil
}

// told waits until everything is told that has happened, for a while.
func (l *Pipeline) told() {
	limit := time.NewTimer(reportsLast)
	defer limit.Stop()
	tick := time.NewTicker(reportsLook)
	defer tick.Stop()
	for {
		if report, ok := l.standins.sandbox.CurrentsReport("", 0); !ok || report.Pending == 0 || report.State != outgoing.Running {
			return
		}
		select {
		case <-limit.C:
			return
		case <-tick.C:
		}
	}
}
