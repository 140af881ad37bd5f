package crmwriteback

// ReceiptsFrom is where whoever takes partitions of a target over begins to look for deliveries.
func (s *Service) ReceiptsFrom(name string) map[int32]int64 {
	from := map[int32]int64{}
	for _, w := range s.writers {
		if w.name != name {
			continue
		}
		w.mu.Lock()
		for n, p := range w.parts {
			from[n] = p.Start.Receipt
		}
		w.mu.Unlock()
	}
	return from
}
