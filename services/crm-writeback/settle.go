package crmwriteback

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
)

// answer is what a delivery says of the call that carried a row; zero when there was none.
type answer struct {
	status    int
	requestID string
	latency   time.Duration
	crmID     string
}

// letterWriter writes dead letters.
type letterWriter interface {
	Write(ctx context.Context, l deadletter.Letter, done func(error))
}

// settle ends a row: the dead letter first where there is to be one, then the delivery, then the books. Each step waits until
// the one before is durable. Ended is called at the end, true if all of it is; else the row is read again.
func (m *member) settle(it *item, what outcome.Outcome, a answer, letter bool, ended func(ok bool)) {
	if !letter {
		m.deliver(it, what, a, ended)
		return
	}
	m.letters.Write(context.Background(), m.letter(it, what), func(err error) {
		if err != nil {
			m.fail(fmt.Errorf("writing a dead letter: %w", err))
			m.giveBack(it)
			ended(false)
			return
		}
		m.deliver(it, what, a, ended)
	})
}

// deliver writes a row's delivery, beside the row: same key, same partition.
func (m *member) deliver(it *item, what outcome.Outcome, a answer, ended func(ok bool)) {
	d := m.delivery(it, what, a)
	m.produce(it, d, func(r *stream.Record, err error) {
		if err == nil {
			m.conclude(it, what, r.Offset)
			ended(true)
			return
		}
		if stream.Permanent(err) && (d.Fields != nil || d.Conflicts != nil) {
			// Too large with all that was written: the row itself still says what it was.
			d.Fields, d.Conflicts = nil, nil
			go m.produce(it, d, func(r *stream.Record, err error) {
				if err == nil {
					m.conclude(it, what, r.Offset)
				} else {
					m.unwritten(it, err)
				}
				ended(err == nil)
			})
			return
		}
		m.unwritten(it, err)
		ended(false)
	})
}

func (m *member) produce(it *item, d *crm.Delivery, done func(*stream.Record, error)) {
	m.receipts.Produce(context.Background(), &stream.Record{
		Topic: m.config.Kafka.Topic(schema.CRMDeliveries), Partition: it.delivery.Partition().Number,
		Key: it.delivery.Key(), Value: d.Append(nil, m.id),
	}, done)
}

// conclude takes a row out of the books.
func (m *member) conclude(it *item, what outcome.Outcome, delivery int64) {
	m.ends.reached(it.delivery.Partition().Number, delivery)
	it.delivery.Settle(delivery)
	m.metrics.settled(what)
	m.held.Add(-1)
	m.heldBytes.Add(-it.size())
}

func (m *member) unwritten(it *item, err error) {
	m.fail(fmt.Errorf("writing a delivery: %w", err))
	m.giveBack(it)
}

func (m *member) delivery(it *item, what outcome.Outcome, a answer) *crm.Delivery {
	w := &it.write
	what.Reason, what.Detail = fit(what.Reason, mostReason), fit(what.Detail, mostDetail)
	return &crm.Delivery{
		WriteID: w.ID, UserID: fit(it.delivery.KeyText(), mostDetail), Target: w.Target, Object: w.Object, Key: w.Key, CRMID: fit(a.crmID, mostDetail),
		Mode: w.Mode, Fields: w.Fields, Rule: w.Rule, Cause: w.Cause,
		Partition: it.delivery.Partition().Number, Offset: it.delivery.Offset(),
		Outcome: what, Conflicts: conflictsOf(w),
		Status: a.status, RequestID: fit(a.requestID, mostReason), Latency: a.latency, Attempts: it.attempts,
		Hops: w.Hops, EditedAt: w.EditedAt, SettledAt: time.Now(),
	}
}

// What a target says goes into records that their topics have to take.
const (
	mostReason = 256
	mostDetail = 4 << 10
)

// fit makes a text fit for a delivery, whatever somebody has put there.
func fit(text string, most int) string {
	if len(text) > most {
		text = text[:most]
	}
	if !utf8.ValidString(text) {
		text = strings.ToValidUTF8(text, "\ufffd")
	}
	return text
}
