package crmwriteback

import "time"

// TargetStats is how a target fares at a moment, in this process. That of the name braze is the forwarder.
type TargetStats struct {
	Name, Kind string
	// State is running, failing (some calls come to nothing), open (the breaker) or halted (a person has to mend
	// something: Said).
	State      string
	Said       string    // by the target, when it is halted
	Failing    time.Time // since when it fails without a break; zero when it does not
	Budget     float64   // what part of the failure budget that is
	Partitions int
	Held       int64     // rows taken and not settled
	HeldBytes  int64     // of their values
	Behind     int64     // rows between what was taken and the end of the topic
	Oldest     time.Time // when the oldest row that is not settled was appended; zero when all are
}

// Stats looks at all targets, in the order of writeback.yaml, and at the forwarder at last.
func (s *Service) Stats() []TargetStats {
	list := make([]TargetStats, 0, len(s.writers)+1)
	for _, w := range s.writers {
		list = append(list, w.stats())
	}
	return append(list, s.forwarder.stats())
}

func (m *member) stats() TargetStats {
	s := TargetStats{Name: m.name, State: string(running), Held: m.held.Load(), HeldBytes: m.heldBytes.Load()}
	if k := m.consumer.Load(); k != nil {
		books := k.Stats()
		s.Partitions, s.Behind, s.Oldest = books.Partitions, books.Behind, books.Oldest
	}
	return s
}

func (w *writer) stats() TargetStats {
	s := w.member.stats()
	s.Kind = w.system.Kind
	w.mu.Lock()
	defer w.mu.Unlock()
	s.State, s.Said, s.Failing = string(w.gate.state()), w.gate.halted, w.gate.since
	if !s.Failing.IsZero() && w.system.FailureBudget > 0 {
		s.Budget = time.Since(s.Failing).Seconds() / w.system.FailureBudget.Seconds()
	}
	return s
}
