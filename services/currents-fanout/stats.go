package currentsfanout

import "time"

// SinkStats is how a sink fares at a moment, in this process.
type SinkStats struct {
	Name, Kind string
	// State is running, failing (some batches come to nothing), open (the breaker), halted (a person has to
	// mend something: Said) or paused.
	State      string
	Said       string    // by the far end, when it is halted; by whom and why, when it is paused
	Failing    time.Time // since when it fails without a break; zero when it does not
	Budget     float64   // what part of the failure budget that is
	Partitions int
	Held       int64     // records taken and not settled
	HeldBytes  int64     // of their values
	Apart      int       // customers of whom an event is not taken while others are; it comes again by and by
	Behind     int64     // records between what was taken and the ends of the topics
	Oldest     time.Time // when the oldest record that is not settled was appended; zero when all are
}

// Stats looks at all sinks, in the order of sinks.yaml.
func (s *Service) Stats() []SinkStats {
	list := make([]SinkStats, len(s.runners))
	for i, r := range s.runners {
		list[i] = r.stats()
	}
	return list
}

func (r *runner) stats() SinkStats {
	s := SinkStats{Name: r.config.Name, Kind: r.config.Kind, Held: r.held.Load(), HeldBytes: r.heldBytes.Load(), Apart: r.apart()}
	is, words, since := r.gate.look()
	s.State, s.Said, s.Failing = string(is), words, since
	if !since.IsZero() {
		s.Budget = time.Since(since).Seconds() / r.config.FailureBudget.Seconds()
	}
	r.mu.Lock()
	said := r.paused
	r.mu.Unlock()
	if said.Paused {
		s.State, s.Said = string(paused), said.By+": "+said.Why
	}
	if k := r.consumer.Load(); k != nil {
		books := k.Stats()
		s.Partitions, s.Behind, s.Oldest = books.Partitions, books.Behind, books.Oldest
	}
	return s
}
