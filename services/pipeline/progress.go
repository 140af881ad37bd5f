package pipeline

import (
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/sluicehq/sluice/services/ingest"

	attributesync "github.com/sluicehq/sluice/services/attribute-sync"
	brazesender "github.com/sluicehq/sluice/services/braze-sender"
	crmwriteback "github.com/sluicehq/sluice/services/crm-writeback"
	currentsfanout "github.com/sluicehq/sluice/services/currents-fanout"
)

// counters are the metrics of the services that run here.
type counters map[string]*prometheus.Registry

// Books are the law of one service:
//
//	Accepted = Delivered + Skipped + Refused + Held
type Books struct {
	Accepted  int // records that it took from its topics
	Delivered int
	Skipped   int
	Refused   int
	Held      int
}

// String is the law in one line.
func (b Books) String() string {
	return fmt.Sprintf("taken %d = delivered %d + skipped %d + refused %d + held %d", b.Accepted, b.Delivered, b.Skipped, b.Refused, b.Held)
}

// Law is what has become of records so far. Its own books are those of the sender, which takes what comes
// in and what attribute-sync makes of it.
type Law struct {
	Door     int // items that the front door has accepted, whatever topic they went to
	Commerce int // of these, what came in by POST /v1/commerce
	Profiles int // and by POST /v1/profiles
	Cases    int // and by POST /v1/cases
	Hooks    int // and what vendors' webhooks became
	Polls    int // and what systems said that were asked
	Currents int // and what Braze has reported
	Actions  int // and the webhooks that it has sent
	CRM      int // and what came in by POST /v1/crm/changes
	// Sync are the books of attribute-sync, which counts what is committed: Held, receipts among it that it
	// learns from, comes on top of Accepted. What it has delivered the sender gets, in as many records or fewer.
	Sync Books
	// Sinks are the books of currents-fanout: each record counts once for every sink.
	Sinks Books
	// Planned are the books of what crm-writeback plans, and Writes those of the rows that come of it, one for each row and
	// target, those for Braze among them.
	Planned, Writes Books
	Books           // of the sender
}

// law reads the counters.
func (c counters) law() Law {
	door := c.sums(ingest.Name)
	return Law{
		Door:     door["sluice_ingest_accepted_total"],
		Commerce: door["sluice_ingest_accepted_total commerce"],
		Profiles: door["sluice_ingest_accepted_total profiles"],
		Cases:    door["sluice_ingest_accepted_total cases"],
		Hooks:    door["sluice_ingest_accepted_total hooks"],
		Polls:    door["sluice_ingest_accepted_total polls"],
		Currents: door["sluice_ingest_accepted_total currents"],
		Actions:  door["sluice_ingest_accepted_total actions"],
		CRM:      door["sluice_ingest_accepted_total crm"],
		Sync:     c.syncs(),
		Sinks:    c.sinks(),
		Planned:  c.plans(),
		Writes:   c.writes(),
		Books:    c.sends(),
	}
}

// sends are the sender's books. Held is what is left, so that the line always adds up.
func (c counters) sends() Books {
	sums := c.sums(brazesender.Name)
	settled := func(outcome string) int {
		return sums["sluice_sender_settled_total "+outcome] + sums["sluice_sender_recalled_total "+outcome]
	}
	b := Books{
		Accepted:  sums["sluice_sender_accepted_total"],
		Delivered: settled("delivered"), Skipped: settled("skipped"), Refused: settled("refused"),
	}
	// Counted a moment apart: a record may have been settled since the first was read.
	b.Held = max(0, b.Accepted-b.Delivered-b.Skipped-b.Refused)
	return b
}

// syncs are the books of attribute-sync.
func (c counters) syncs() Books {
	sums := c.sums(attributesync.Name)
	settled := func(outcome string) int { return sums["sluice_attributes_settled_total "+outcome] }
	return Books{
		Accepted:  sums["sluice_attributes_accepted_total"],
		Delivered: settled("delivered"), Skipped: settled("skipped"), Refused: settled("refused"),
		Held: sums["sluice_attributes_held"],
	}
}

// sinks are the books of currents-fanout. What was given back unsettled is accepted again by whoever has its
// partition then.
func (c counters) sinks() Books {
	sums := c.sums(currentsfanout.Name)
	settled := func(outcome string) int { return sums["sluice_fanout_records_total "+outcome] }
	b := Books{
		Accepted:  sums["sluice_fanout_accepted_total"] - sums["sluice_fanout_returned_total"],
		Delivered: settled("delivered"), Skipped: settled("skipped"), Refused: settled("refused"),
	}
	b.Held = max(0, b.Accepted-b.Delivered-b.Skipped-b.Refused)
	return b
}

// plans are the books of crm-writeback's first stage, which counts what is committed: Held comes on top of Accepted.
func (c counters) plans() Books {
	sums := c.sums(crmwriteback.Name)
	settled := func(outcome string) int { return sums["sluice_writeback_plan_settled_total "+outcome] }
	return Books{
		Accepted:  sums["sluice_writeback_plan_accepted_total"],
		Delivered: settled("delivered"), Skipped: settled("skipped"), Refused: settled("refused"),
		Held: sums["sluice_writeback_plan_held"],
	}
}

// writes are the books of its second stage.
func (c counters) writes() Books {
	sums := c.sums(crmwriteback.Name)
	settled := func(outcome string) int { return sums["sluice_writeback_records_total "+outcome] }
	b := Books{
		Accepted:  sums["sluice_writeback_accepted_total"] - sums["sluice_writeback_returned_total"],
		Delivered: settled("delivered"), Skipped: settled("skipped"), Refused: settled("refused"),
	}
	b.Held = max(0, b.Accepted-b.Delivered-b.Skipped-b.Refused)
	return b
}

// sums adds up a service's counters and gauges by name, and by name and outcome or route where they have one.
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
		if t := f.GetType(); t != dto.MetricType_COUNTER && t != dto.MetricType_GAUGE {
			continue
		}
		for _, m := range f.GetMetric() {
			n := int(m.GetCounter().GetValue() + m.GetGauge().GetValue()) // it is one of them
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

// String is the law in one line, attribute-sync's before the sender's.
func (l Law) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "front door %d", l.Door)
	sign := " ("
	for _, way := range []struct {
		name  string
		items int
	}{{"commerce", l.Commerce}, {"profiles", l.Profiles}, {"cases", l.Cases}, {"webhooks", l.Hooks}, {"polls", l.Polls}, {"Currents", l.Currents}, {"actions", l.Actions}, {"CRM", l.CRM}} {
		if way.items > 0 {
			fmt.Fprintf(&b, "%s%s %d", sign, way.name, way.items)
			sign = ", "
		}
	}
	if sign == ", " {
		b.WriteByte(')')
	}
	if s := l.Sync; s.Accepted > 0 {
		fmt.Fprintf(&b, "   to profiles: taken %d = delivered %d + skipped %d + refused %d", s.Accepted, s.Delivered, s.Skipped, s.Refused)
	}
	fmt.Fprintf(&b, "   to Braze: %s", l.Books)
	if s := l.Sinks; s.Accepted > 0 {
		fmt.Fprintf(&b, "   to sinks: %s", s)
	}
	if w := l.Writes; w.Accepted > 0 {
		fmt.Fprintf(&b, "   to CRMs and back: %s", w)
	}
	return b.String()
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
