package filesink

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// piece is the events of a stretch that make one file.
type piece struct {
	path   string // within the prefix
	kind   string // the type of its events
	date   string
	table  *table
	events []int // indexes, in the stretch's order
}

// pieces sorts the events of a stretch into files, by type and date and at most so many rows each. The
// same events always make the same pieces. Events that are neither engagement nor action are in none.
func (s *Sink) pieces(st sink.Stretch, events []*sink.Event) ([]piece, error) {
	days := make([]int64, len(events))
	order := make([]int, 0, len(events))
	for i, e := range events {
		if e.Engagement == nil && e.Action == nil {
			continue
		}
		at := e.ReceivedAt
		if s.options.Date == dateOccurred {
			at = e.OccurredAt
		}
		days[i] = dayOf(at)
		order = append(order, i)
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(strings.Compare(events[a].Type, events[b].Type), cmp.Compare(days[a], days[b]), cmp.Compare(a, b))
	})

	var all []piece
	numbers := map[string]int{}
	name := stretchName(st.Topic, st.Partition, st.First)
	for len(order) > 0 {
		first, n := order[0], 1
		for n < len(order) && n < s.options.MaxRows && events[order[n]].Type == events[first].Type && days[order[n]] == days[first] {
			n++
		}
		p := piece{kind: events[first].Type, date: dateValue(days[first]), events: order[:n]}
		var err error
		if p.table, err = s.table(events[first]); err != nil {
			return nil, err
		}
		folder := "event_type=" + partitionValue(p.kind) + "/date=" + p.date + "/"
		// The number is that of the folder as a Mac or Windows sees it, where Click and click are one: their
		// files must not be.
		folded := strings.ToLower(folder)
		p.path = fmt.Sprintf("%s%s-%d.%s", folder, name, numbers[folded], s.options.Format)
		numbers[folded]++
		all, order = append(all, p), order[n:]
	}
	return all, nil
}

func (s *Sink) table(e *sink.Event) (*table, error) {
	if e.Action != nil {
		return s.tables.action, nil
	}
	return s.tables.of(e.Type)
}
