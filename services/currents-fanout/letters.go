package currentsfanout

import (
	"fmt"
	"slices"
	"time"

	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/stream"
)

type letter = deadletter.Letter

// refuse writes a record's dead letter, and settles it once that is durable. The lock is not held: writing may have to
// wait for letters that have to be settled first, and for a Kafka that is away, until the partition is cut off.
func (r *runner) refuse(it *item, what outcome.Outcome) {
	p, d := it.part, it.delivery
	r.letters.Write(p.under, r.letter(it, what), func(err error) {
		if err != nil { // it can be neither settled nor dropped: it is read again
			r.mu.Lock()
			r.release(p, 1, int64(len(d.Value())))
			r.mu.Unlock()
			if p.under.Err() == nil {
				r.fail(fmt.Errorf("writing a dead letter: %w", err))
			}
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.settle(p, d, what)
	})
}

// letter says which sink refused a record, so that it can be put onto the retries for that one alone.
func (r *runner) letter(it *item, what outcome.Outcome) letter {
	d := it.delivery
	headers := slices.DeleteFunc(slices.Clone(d.Headers()), func(h stream.Header) bool { return h.Key == sinkHeader || h.Key == originHeader })
	headers = append(headers, stream.Header{Key: sinkHeader, Value: []byte(r.config.Name)})
	if it.of != ofNothing {
		headers = append(headers, stream.Header{Key: originHeader, Value: []byte(originOf(it.of))})
	}
	now := time.Now()
	l := letter{
		Reason: what.Reason, Detail: "sink " + r.config.Name,
		OriginTopic: d.Partition().Topic, OriginPartition: d.Partition().Number, OriginOffset: d.Offset(), AppendedAt: d.AppendedAt(),
		Key: d.Key(), Value: d.Value(), Headers: headers,
		Attempts: int(it.attempts), FirstAttemptAt: now, LastAttemptAt: now,
	}
	if what.Detail != "" {
		l.Detail += ": " + what.Detail
	}
	if it.event != nil {
		l.EventID = it.event.ID
	}
	if it.first != 0 {
		l.FirstAttemptAt = time.Unix(0, it.first)
	}
	return l
}
