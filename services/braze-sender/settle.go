package brazesender

import (
	"context"
	"fmt"
	"slices"
	"strconv"
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

// answer is what a receipt says of the request that carried a record; zero when there was none.
type answer struct {
	at        time.Time
	endpoint  string
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
	window   *window // nil where nobody minds repeats
	failed   context.CancelCauseFunc
	ack      func(*stream.Record, error) // durable, made a function once

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
	s.metrics.settled(what)
	s.window.giveUp(it)
	if what.Kind != outcome.Refused {
		s.write(newSheaf(1), &wayBack{}, it, what, a)
		return
	}
	// The letter is written while others may already work on the item.
	slip := *it
	s.letters.Write(context.Background(), it.letter(what), func(err error) {
		if err != nil {
			s.fail(fmt.Errorf("writing a dead letter: %w", err))
			return
		}
		s.write(newSheaf(1), &wayBack{}, &slip, what, a)
	})
}

// settleAll ends the records of a range that have a final outcome.
func (s *settler) settleAll(f *flight, r span, a answer) {
	s.begin(r.to - r.from)
	n := 0
	for i := r.from; i < r.to; i++ {
		switch f.outcomes[i].Kind {
		case outcome.Refused:
			s.settle(f.loads[i].item, f.outcomes[i], a)
			s.leave()
		case outcome.Delivered, outcome.Skipped:
			n++
		case outcome.Deferred:
			s.leave()
		}
	}
	if n == 0 {
		return
	}
	sh, back := newSheaf(n), make([]wayBack, n)
	for i := r.from; i < r.to; i++ {
		if what := f.outcomes[i]; what.Kind == outcome.Delivered || what.Kind == outcome.Skipped {
			s.metrics.settled(what)
			f.loads[i].delivered = what.Kind == outcome.Delivered
			s.write(sh, &back[len(sh.slips)], f.loads[i].item, what, a)
		}
	}
}

// sheaf is the receipts of one answer, and the memory that they are written in. It is used again once
// all of them are durable.
type sheaf struct {
	slips []slip
	bytes []byte
	open  atomic.Int32
}

// slip is one of them on its way to Kafka.
type slip struct {
	record   stream.Record
	delivery stream.Delivery
	item     *item // of a delivered record
}

// wayBack is a record's context, which leads the client's callback back to the slip: a closure for each
// would be one more thing to collect. The client may look at a context behind the callback still, so
// these are not used again.
type wayBack struct {
	context.Context
	sheaf *sheaf
	slip  *slip
}

var sheaves = sync.Pool{New: func() any { return new(sheaf) }}

// newSheaf has room for n slips.
func newSheaf(n int) *sheaf {
	sh := sheaves.Get().(*sheaf)
	if cap(sh.slips) < n {
		sh.slips = make([]slip, 0, max(n, 16))
	}
	sh.open.Store(int32(n))
	return sh
}

// done gives the sheaf's memory back with the last of its slips.
func (sh *sheaf) done() {
	if sh.open.Add(-1) == 0 {
		clear(sh.slips)
		sh.slips, sh.bytes = sh.slips[:0], sh.bytes[:0]
		sheaves.Put(sh)
	}
}

// write puts a receipt beside its record: same key, same partition.
func (s *settler) write(sh *sheaf, back *wayBack, it *item, what outcome.Outcome, a answer) {
	from := len(sh.bytes)
	sh.bytes = s.append(sh.bytes, it, what, a)
	sh.slips = append(sh.slips, slip{delivery: it.delivery}) // never beyond its room: others are read meanwhile
	sl := &sh.slips[len(sh.slips)-1]
	if what.Kind == outcome.Delivered {
		sl.item = it
	}
	*back = wayBack{context.Background(), sh, sl}
	sl.record = stream.Record{
		Topic: s.topic, Partition: it.delivery.Partition().Number, Timestamp: a.at, Context: back,
		Key: fitKey(it.delivery.Key()), Value: sh.bytes[from:len(sh.bytes):len(sh.bytes)],
	}
	s.receipts.Produce(back, &sl.record, s.ack)
}

// durable settles the record of a receipt that is.
func (s *settler) durable(r *stream.Record, err error) {
	if err != nil {
		s.fail(fmt.Errorf("writing a receipt: %w", err))
		return
	}
	back := r.Context.(*wayBack)
	if it := back.slip.item; it != nil {
		s.window.add(it, r)
	}
	if settleAfterReceipt {
		back.slip.delivery.Settle(r.Offset)
	}
	back.sheaf.done()
	s.finish()
}

// append appends the receipt of an item.
func (s *settler) append(dst []byte, it *item, what outcome.Outcome, a answer) []byte {
	part := it.delivery.Partition()
	r := receipt.Receipt{
		EventID: fit(it.id), Source: fit(it.source), UserID: fit(it.delivery.KeyText()),
		Topic: part.Topic, Partition: part.Number, Offset: it.delivery.Offset(),
		Outcome: what, Endpoint: a.endpoint, Status: a.status, RequestID: a.requestID, Latency: a.latency,
		Attempts: int(it.attempts), SettledAt: a.at,
	}
	if len(it.parts) > 1 {
		r.PartsDone = int(it.done)
	}
	return r.Append(dst, s.id)
}

// report writes a receipt for a record that is not done with: it has waited for long, or a part of it is
// delivered. Whoever takes over has to find it, so it counts as under way until it is durable.
func (s *settler) report(it *item, what outcome.Outcome, a answer) {
	s.begin(1)
	d := it.delivery
	record := &stream.Record{
		Topic: s.topic, Partition: d.Partition().Number, Timestamp: a.at,
		Key: fitKey(d.Key()), Value: s.append(nil, it, what, a),
	}
	s.receipts.Produce(context.Background(), record, func(r *stream.Record, err error) {
		if err != nil {
			s.fail(fmt.Errorf("writing a receipt: %w", err))
			return
		}
		d.Mark(r.Offset)
		s.finish()
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
	s.leave()
}

// leave is finish for what never went to Kafka: it says nothing of Kafka taking anything.
func (s *settler) leave() {
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

// partsDone is a header that says how many parts of a record are done: a dead letter's, and a replay's.
const partsDone = "parts-done"

func isPartsDone(h stream.Header) bool { return h.Key == partsDone }

func (it *item) letter(what outcome.Outcome) deadletter.Letter {
	now := time.Now()
	first := now
	if it.first != 0 {
		first = time.Unix(0, it.first)
	}
	headers := it.delivery.Headers()
	if it.done > 0 { // whoever replays it must not have Braze do these again
		headers = append(slices.Clip(slices.DeleteFunc(slices.Clone(headers), isPartsDone)), stream.Header{Key: partsDone, Value: strconv.AppendInt(nil, int64(it.done), 10)})
	}
	return deadletter.Letter{
		Reason: what.Reason, Detail: what.Detail,
		OriginTopic: it.delivery.Partition().Topic, OriginPartition: it.delivery.Partition().Number, OriginOffset: it.delivery.Offset(),
		AppendedAt: it.delivery.AppendedAt(),
		Key:        it.delivery.Key(), Value: it.delivery.Value(), Headers: headers,
		EventID: it.id, Attempts: int(it.attempts), FirstAttemptAt: first, LastAttemptAt: now,
	}
}
