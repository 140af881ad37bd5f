package pipeline

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/sluicehq/sluice/services/ingest"

	brazesender "github.com/sluicehq/sluice/services/braze-sender"
)

// counters are the metrics of the services that run here.
type counters map[string]*prometheus.Registry

// Law is what has become of the records that the sender took, so far:
//
//	Accepted = Delivered + Skipped + Refused + Held
type Law struct {
	Door      int // items that the front door has accepted, whatever topic they went to
	Commerce  int // of these, what came in by POST /v1/commerce
	Hooks     int // and what vendors' webhooks became
	Accepted  int // records that the sender took from its topics
	Delivered int
	Skipped   int
	Refused   int
	Held      int
}

// law reads the counters. Held is what is left, so that the line always adds up.
func (c counters) law() Law {
	door, sender := c.sums(ingest.Name), c.sums(brazesender.Name)
	settled := func(outcome string) int {
		return sender["sluice_sender_settled_total "+outcome] + sender["sluice_sender_recalled_total "+outcome]
	}
	l := Law{
		Door:      door["sluice_ingest_accepted_total"],
		Commerce:  door["sluice_ingest_accepted_total commerce"],
		Hooks:     door["sluice_ingest_accepted_total hooks"],
		Accepted:  sender["sluice_sender_accepted_total"],
		Delivered: settled("delivered"), Skipped: settled("skipped"), Refused: settled("refused"),
	}
	// Counted a moment apart: a record may have been settled since the first was read.
	l.Held = max(0, l.Accepted-l.Delivered-l.Skipped-l.Refused)
	return l
}

// sums adds up a service's counters by name, and by name and outcome or route where they have one.
func (c counters) sums(service string) map[string]int {
	sums := map[string]int{}
	registry := c[service]
	if registry == nil {
		return sums
	}
	families, err := registry.Gather()
	if err != nil {
		return sums // half of it would not add up; the next look is soon
	}
	for _, f := range families {
		if f.GetType() != dto.MetricType_COUNTER {
			continue
		}
		for _, m := range f.GetMetric() {
			n := int(m.GetCounter().GetValue())
			sums[f.GetName()] += n
			for _, label := range m.GetLabel() {
				if label.GetName() == "outcome" || label.GetName() == "route" {
					sums[f.GetName()+" "+label.GetValue()] += n
				}
			}
		}
	}
	return sums
}

// String is the law in one line.
func (l Law) String() string {
	return fmt.Sprintf("front door %d (commerce %d, webhooks %d)   to Braze: taken %d = delivered %d + skipped %d + refused %d + held %d",
		l.Door, l.Commerce, l.Hooks, l.Accepted, l.Delivered, l.Skipped, l.Refused, l.Held)
}

// Law is what has become of the records so far.
func (l *Pipeline) Law() Law { return l.counters.law() }

const (
	progressEvery = 3 * time.Second
	progressFirst = 500 * time.Millisecond // how soon the first arrival is told
)

// reportProgress tells the terminal how it goes, whenever something has changed. The channel that it
// returns is closed once it has stopped.
func (l *Pipeline) reportProgress(done <-chan struct{}) (stopped <-chan struct{}) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		every := time.NewTicker(progressFirst)
		defer every.Stop()
		var last Law
		for {
			select {
			case <-done:
				return
			case now := <-every.C:
				law := l.counters.law()
				if law == last {
					continue
				}
				if last.Delivered == 0 && law.Delivered > 0 {
					_, _ = fmt.Fprintf(l.options.Terminal, "%s  first arrival\n", now.Format(time.TimeOnly))
					every.Reset(progressEvery)
				}
				last = law
				_, _ = fmt.Fprintf(l.options.Terminal, "%s  %s\n", now.Format(time.TimeOnly), law)
			}
		}
	}()
	return ended
}
