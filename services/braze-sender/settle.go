package brazesender

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/receipt"
	"github.com/sluicehq/sluice/pkg/stream"
)

// endpoint is where everything goes so far.
const endpoint = "/users/track"

// answer is what a receipt says of the request that carried a record; zero when there was none.
type answer struct {
	at        time.Time
	status    int
	requestID string
	latency   time.Duration
}

// settler ends records: the dead letter first where there is one, then the receipt, then the books.
// Each step waits until the one before is durable.
type settler struct {
	receipts *stream.Producer
	letters  *deadletter.Writer
	topic    string // of the receipts, on the cluster
	id       int    // of their schema
	metrics  *metrics
	failed   context.CancelCauseFunc

	outstanding atomic.Int64 // records between the first step and the last
	ended       atomic.Int64 // how many have come to the last step
	began       atomic.Int64 // when outstanding was last no longer zero; Unix nanoseconds
	mu          sync.Mutex
	quiet       sync.Cond // outstanding has become zero
}

// overdue is how long no receipt may have become durable before nothing more is sent: what Braze has
// and no receipt says is delivered again if this process dies.
const overdue = 3 * time.Second

// flow is what its owner, the lane, has seen of a settler's progress.
type flow struct {
	ended int64
	at    time.Time
}

// going reports whether Kafka takes what is settled: nothing is outstanding, or something has come to
// its end not long ago.
func (f *flow) going(s *settler, now time.Time) bool {
	if ended := s.ended.Load(); ended != f.ended || s.outstanding.Load() == 0 {
		f.ended, f.at = ended, now
		return true
	}
	return now.Sub(f.at) < overdue || now.UnixNano()-s.began.Load() < int64(overdue)
}

func (s *settler) begin(n int) {
	if s.outstanding.Add(int64(n)) == int64(n) {
		s.began.Store(time.Now().UnixNano())
	}
}

// settle ends one record.
func (s *settler) settle(it *item, what outcome.Outcome, a answer) {
	s.begin(1)
	s.end(it, what, a, &stream.Record{}, nil)
}

// settleAll ends the records of a range that have a final outcome.
func (s *settler) settleAll(f *flight, r span, a answer) {
	n := r.to - r.from
	s.begin(n)
	slab := make([]stream.Record, n)
	space := make([]byte, 0, n*receiptSize)
	for i := r.from; i < r.to; i++ {
		if !f.outcomes[i].Kind.Final() {
			s.finish()
			continue
		}
		space = s.end(f.items[i], f.outcomes[i], a, &slab[i-r.from], space)
	}
}

// receiptSize is about what a receipt takes.
const receiptSize = 160

// end starts the ending of one record. The receipt's bytes are appended to space, which is returned.
func (s *settler) end(it *item, what outcome.Outcome, a answer, record *stream.Record, space []byte) []byte {
	s.metrics.settled(what)
	if what.Kind != outcome.Refused {
		return s.write(it.delivery, it.receipt(what, a), record, space)
	}
	d, slip := it.delivery, it.receipt(what, a)
	s.letters.Write(context.Background(), it.letter(what), func(err error) {
		if err != nil {
			s.fail(fmt.Errorf("writing a dead letter: %w", err))
			return
		}
		s.write(d, slip, record, nil)
	})
	return space
}

// write puts a receipt beside its record: same key, same partition.
func (s *settler) write(d stream.Delivery, r receipt.Receipt, record *stream.Record, space []byte) []byte {
	from := len(space)
	space = r.Append(space, s.id)
	*record = stream.Record{
		Topic: s.topic, Partition: d.Partition().Number,
		Key: fitKey(d.Key()), Value: space[from:len(space):len(space)],
	}
	s.receipts.Produce(context.Background(), record, func(r *stream.Record, err error) {
		if err != nil {
			s.fail(fmt.Errorf("writing a receipt: %w", err))
			return
		}
		if settleAfterReceipt {
			d.Settle(r.Offset)
		}
		s.finish()
	})
	return space
}

// report writes a receipt for a record that is not done with: it has waited for long.
func (s *settler) report(it *item, what outcome.Outcome, a answer) {
	r := it.receipt(what, a)
	record := &stream.Record{
		Topic: s.topic, Partition: it.delivery.Partition().Number,
		Key: fitKey(it.delivery.Key()), Value: r.Append(nil, s.id),
	}
	s.receipts.Produce(context.Background(), record, func(_ *stream.Record, err error) {
		if err != nil {
			s.fail(fmt.Errorf("writing a receipt: %w", err))
		}
	})
}

// fail ends the service: a record can be neither settled nor dropped, and whoever starts next reads
// it again.
func (s *settler) fail(err error) {
	s.failed(err)
	s.finish()
}

func (s *settler) finish() {
	s.ended.Add(1)
	if s.outstanding.Add(-1) == 0 {
		s.mu.Lock()
		s.quiet.Broadcast()
		s.mu.Unlock()
	}
}

// wait returns once every record that was being settled is settled.
func (s *settler) wait(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		s.quiet.Broadcast()
		s.mu.Unlock()
	})
	defer stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.outstanding.Load() > 0 && ctx.Err() == nil {
		s.quiet.Wait()
	}
}

func (it *item) receipt(what outcome.Outcome, a answer) receipt.Receipt {
	return receipt.Receipt{
		EventID: fit(it.event.ID), UserID: fit(it.delivery.KeyText()),
		Topic: it.delivery.Partition().Topic, Partition: it.delivery.Partition().Number, Offset: it.delivery.Offset(),
		Outcome: what, Endpoint: endpointOf(a), Status: a.status, RequestID: a.requestID, Latency: a.latency,
		Attempts: it.attempts, SettledAt: a.at,
	}
}

// fit makes a text of a record fit for a receipt, whatever somebody has put there: a receipt that its
// topic does not take would stop everything.
func fit(text string) string {
	if len(text) > maxID {
		text = text[:maxID]
	}
	if !utf8.ValidString(text) {
		text = strings.ToValidUTF8(text, "\ufffd")
	}
	return text
}

// fitKey is the key of a receipt: the record's own, cut where it is out of all bounds. The partition is
// given beside it.
func fitKey(key []byte) []byte { return key[:min(len(key), maxID)] }

func endpointOf(a answer) string {
	if a.requestID == "" {
		return ""
	}
	return endpoint
}

func (it *item) letter(what outcome.Outcome) deadletter.Letter {
	now := time.Now()
	first := it.first
	if first.IsZero() {
		first = now
	}
	return deadletter.Letter{
		Reason: what.Reason, Detail: what.Detail,
		OriginTopic: it.delivery.Partition().Topic, OriginPartition: it.delivery.Partition().Number, OriginOffset: it.delivery.Offset(),
		AppendedAt: it.delivery.AppendedAt(),
		Key:        it.delivery.Key(), Value: it.delivery.Value(), Headers: it.delivery.Headers(),
		EventID: it.event.ID, Attempts: it.attempts, FirstAttemptAt: first, LastAttemptAt: now,
	}
}
