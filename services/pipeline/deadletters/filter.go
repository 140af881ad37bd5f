package deadletters

import (
	"slices"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/pipeline/replay"
)

// Filter says which letters are meant. Everything that is set must hold.
type Filter struct {
	Service string // who gave the records up; every service when empty
	Sink    string // of currents-fanout, or target of crm-writeback, that gave the records up
	Reason  string
	Match   string // a piece of the detail, of the event's id, or the whole key
	Since   time.Time
	Until   time.Time
	IDs     []replay.Place // these and no others
}

// IsZero reports whether every letter is meant.
func (f Filter) IsZero() bool {
	return f.Service == "" && f.Sink == "" && f.Reason == "" && f.Match == "" && f.Since.IsZero() && f.Until.IsZero() && len(f.IDs) == 0
}

// services are those whose topics have to be read.
func (f Filter) services() []string {
	if f.Service != "" {
		return []string{f.Service}
	}
	if f.Sink != "" {
		return []string{fanout, writeback}
	}
	if len(f.IDs) == 0 {
		return Services()
	}
	var named []string
	for _, s := range Services() {
		if slices.ContainsFunc(f.IDs, func(id replay.Place) bool { return strings.HasSuffix(id.Topic, s+suffix) }) {
			named = append(named, s)
		}
	}
	return named
}

// worthDecoding looks at the header that letters are written with; marks count always.
func (f Filter) worthDecoding(r *stream.Record) bool {
	for _, h := range r.Headers {
		if h.Key == "reason" {
			return f.Reason == "" || string(h.Value) == f.Reason || string(h.Value) == deadletter.Replayed
		}
	}
	return true
}

func (f Filter) fits(l *Letter) bool {
	switch {
	case f.Service != "" && l.Service != f.Service,
		f.Sink != "" && l.Sink != f.Sink,
		f.Reason != "" && l.Reason != f.Reason,
		!f.Since.IsZero() && l.At.Before(f.Since),
		!f.Until.IsZero() && !l.At.Before(f.Until),
		len(f.IDs) > 0 && !slices.Contains(f.IDs, l.ID),
		f.Match != "" && !strings.Contains(l.Detail, f.Match) && !strings.Contains(l.EventID, f.Match) && string(l.Key) != f.Match:
		return false
	}
	return true
}
