package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// workError is a batch that its handler, or Kafka, did not take: another try may do better.
type workError struct{ error }

func (e workError) Unwrap() error { return e.error }

// fatalError ends the session.
type fatalError struct{ error }

func (e fatalError) Unwrap() error { return e.error }

var errUnknown = errors.New("whether the transaction was committed is not known")

// transact lets the handler process a batch and commits it, or gives it up.
func (t *Transactor) transact(s *kgo.GroupTransactSession, b *Batch) error {
	err := t.handler.Process(b.work, b) // a batch under way is finished, even when the context ends
	if err == nil && len(b.Records) == 0 && !b.begun {
		t.ended(b, nil, false)
		return nil
	}
	b.limit()
	defer b.cancel()
	switch {
	case err == nil:
		err = b.flush()
	case !errors.As(err, new(fatalError)):
		err = workError{err}
	}
	committed, end := s.End(t.fenced(b.patience), kgo.TransactionEndTry(err == nil))
	switch {
	case end != nil:
		err = errors.Join(err, fatalError{fmt.Errorf("ending a transaction: %w", end)})
	case err == nil && !committed && t.moved.Load():
		err = ErrAborted
	case err == nil && !committed:
		// Nobody wanted it to be given up: the coordinator has answered something from which the client cannot tell what
		// became of it. Whoever takes the partitions next, and be it us, reads what is there.
		err = fatalError{errUnknown}
	}
	t.ended(b, err, committed)
	switch {
	case errors.Is(err, ErrAborted):
		return nil
	case end != nil, errors.Is(err, errUnknown): // whatever else is wrong: the session is of no use any more
		return fatalError{err}
	}
	return err
}

// flush makes everything that the batch emits durable, as far as a transaction is before it ends.
func (b *Batch) flush() error {
	if err := b.begin(); err != nil {
		return err
	}
	if err := b.session.Client().Flush(b.patience); err != nil {
		return fatalError{fmt.Errorf("flushing a transaction: %w", err)}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failed != nil {
		return workError{b.failed}
	}
	return nil
}

func (t *Transactor) ended(b *Batch, err error, committed bool) {
	t.mu.Lock()
	t.stats.Held, t.stats.HeldBytes, t.stats.Oldest = 0, 0, time.Time{}
	if committed {
		t.stats.Committed++
	} else if err != nil {
		t.stats.Aborted++
	}
	t.mu.Unlock()
	t.handler.Ended(b, err)
}

// fenced returns a context with which a transaction can only be committed by whoever owns what it was made of.
// Kafka checks the generation of the group with the offsets that a transaction commits: so there is always
// one, and it is always the generation in which the partitions were assigned to us. Without it a member
// that was cut off for a while could write a timer's work over that of the new owner.
func (t *Transactor) fenced(ctx context.Context) context.Context {
	return kgo.PreTxnCommitFnContext(ctx, func(req *kmsg.TxnOffsetCommitRequest) error {
		t.mu.Lock()
		owned := t.owned
		t.mu.Unlock()
		if owned.member == "" || req.MemberID != owned.member || req.Generation != owned.generation {
			return fmt.Errorf("committing offsets: the group has moved on: %w", kerr.IllegalGeneration)
		}
		if len(req.Topics) == 0 {
			req.Topics = t.standingStill(owned)
		}
		if len(req.Topics) == 0 {
			return fmt.Errorf("committing offsets: nothing is ours: %w", kerr.IllegalGeneration)
		}
		return nil
	})
}

// standingStill is the offset of one partition of ours, as it is committed already. A partition without a commit
// is at its beginning, and so is one at offset 0.
func (t *Transactor) standingStill(owned ownership) []kmsg.TxnOffsetCommitRequestTopic {
	committed := t.client.Load().CommittedOffsets()
	for _, name := range t.o.Topics {
		numbers := owned.parts[name]
		if len(numbers) == 0 {
			continue
		}
		p := kmsg.NewTxnOffsetCommitRequestTopicPartition()
		p.Partition, p.LeaderEpoch = slices.Min(numbers), -1
		if at, ok := committed[name][p.Partition]; ok && at.Offset > 0 {
			p.Offset, p.LeaderEpoch = at.Offset, at.Epoch
		}
		topic := kmsg.NewTxnOffsetCommitRequestTopic()
		topic.Topic, topic.Partitions = name, []kmsg.TxnOffsetCommitRequestTopicPartition{p}
		return []kmsg.TxnOffsetCommitRequestTopic{topic}
	}
	return nil
}
