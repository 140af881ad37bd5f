package kafkasink

import (
	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// records are the records of a batch. What they point to is a copy: the client may still send a record
// when the context has ended and the batch is its owner's again. One whose value is nil cannot be made.
func (s *Sink) records(batch []*sink.Event, id int) []stream.Record {
	size := 0
	for _, e := range batch {
		size += len(e.ID) + len(e.Type) + len(e.Key) + len(e.JSON)
	}
	arena := make([]byte, 0, size)
	keep := func(text string) []byte {
		start := len(arena)
		arena = append(arena, text...)
		return arena[start:len(arena):len(arena)]
	}
	records := make([]stream.Record, len(batch))
	headers := make([]stream.Header, 2*len(batch))
	for i, e := range batch {
		h := headers[2*i : 2*i+2 : 2*i+2]
		h[0] = stream.Header{Key: HeaderEventID, Value: keep(e.ID)}
		h[1] = stream.Header{Key: HeaderEventType, Value: keep(e.Type)}
		r := &records[i]
		r.Topic, r.Headers = s.options.Topic, h
		switch s.options.Key {
		case keyCustomer:
			if e.Key != "" {
				r.Key = keep(e.Key)
			}
		case keyEventID:
			r.Key = h[0].Value
		}
		switch {
		case s.options.Value == valueJSON:
			start := len(arena)
			arena = append(arena, e.JSON...)
			r.Value = arena[start:len(arena):len(arena)]
		case e.Engagement != nil:
			r.Value = avro.AppendEngagement(nil, id, e.Engagement)
		}
	}
	return records
}
