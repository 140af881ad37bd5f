package brazesender

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/ledger"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/stream"
)

// Assigned reads back what an earlier owner delivered beyond its last commit.
func (s *Sender) Assigned(ctx context.Context, parts []*stream.Partition) error {
	n, err := s.recall.read(ctx, s.config.Kafka, s.settler.topic, parts)
	if err != nil {
		return err
	}
	s.restoreWindow(ctx, parts)
	s.lane.calm.Store(time.Now().Add(s.config.Sender.UserSpacing).UnixNano())
	// The replicas of this service divide Braze's budget as they divide the partitions: without a word.
	numbers := map[int32]bool{}
	for _, p := range parts {
		numbers[p.Number] = true // of each of the topics: range assigns them together
	}
	s.lines.setShare(time.Now(), float64(len(numbers))/float64(parts[0].Of))
	s.log.Info().Int("partitions", len(parts)).Int("recalled", n).Msg("receipts read")
	return nil
}

// Revoked finishes what is under way for partitions that go to another member. The group assigns by
// range, which revokes everything at once, so waiting for all settling is waiting for theirs.
func (s *Sender) Revoked(ctx context.Context, parts []*stream.Partition) {
	s.abandonRestore()
	s.parking.forget(parts)
	s.lane.release(ctx, parts)
	s.settler.wait(ctx)
	s.recall.forget(parts)
	s.closeWindow(parts)
}

// Take decodes records and hands those that are to be sent to the lane. It never waits for the
// registry, since no rebalance can happen while it runs: a record whose schema cannot be looked up is
// parked, and so is everything behind it in its partition.
func (s *Sender) Take(ctx context.Context, lent []stream.Delivery) error {
	s.metrics.accepted.Add(float64(len(lent)))
	s.parking.mu.Lock()
	defer s.parking.mu.Unlock()
	return s.lane.accept(ctx, s.decode(ctx, lent))
}

// decode returns the items that are to be sent. What is skipped or refused is settled, what cannot be
// looked up is parked. The caller holds the parking's lock.
func (s *Sender) decode(ctx context.Context, lent []stream.Delivery) []*item {
	drafts := newDrafts(lent)
	slab := make([]item, len(lent))
	items := make([]*item, 0, len(lent))
	for i, d := range lent {
		if s.parking.behind(d) {
			continue
		}
		if s.window.restoring() {
			s.parking.park(d)
			continue
		}
		receipt, known := s.recall.take(d)
		if known && receipt.kind.Final() {
			s.metrics.recalled(receipt.kind)
			d.Settle(receipt.offset)
			continue
		}
		if s.parking.asking && !s.feeds.known(d) {
			s.putAside(ctx, d) // asked already, and in vain
			continue
		}
		it := &slab[i]
		it.delivery = d
		what, err := s.read(ctx, it, drafts)
		if err != nil {
			s.health.Set("registry", err)
			s.log.Warn().Err(err).Msg("waiting for the schema registry")
			s.putAside(ctx, d)
			continue
		}
		if !settleAfterReceipt {
			d.Settle(ledger.NoReceipt)
		}
		if what == send {
			// Braze has had the first parts from an earlier owner, or before the record was refused. One
			// is left in any case: the routes may have changed since.
			it.done = uint16(min(max(receipt.parts, drafts.notes.done), len(it.parts)-1))
			if known {
				d.Mark(receipt.offset)
			}
			if it.replayed = drafts.notes.replayed; s.window != nil {
				it.identity, drafts.scratch = identify(drafts.scratch, it.feed, d.KeyText(), it.source, it.id)
			}
			items = append(items, it)
			continue
		}
		it.done = uint16(receipt.parts) // whoever replays its letter has to know
		s.settler.settle(it, what, answer{at: drafts.now})
	}
	return s.window.admit(items, func(it *item) { s.settler.settle(it, duplicate, answer{at: drafts.now}) })
}

// checkKey holds the record's key, its user_id and its identifiers to one another: where they differ
// nobody can say whose order the record belongs to.
func checkKey(key []byte, userID string, u *event.User) outcome.Outcome {
	refuse := func(reason, detail string) outcome.Outcome {
		return outcome.Outcome{Kind: outcome.Refused, Reason: reason, Detail: detail}
	}
	switch {
	case !utf8.ValidString(userID):
		return refuse("undecodable", "user_id: not UTF-8")
	case userID == "" && *u == (event.User{}):
		return refuse("no_user", event.ErrNoUser.Error())
	case !u.HasKey(key):
		return refuse("key_mismatch", fmt.Sprintf("the key (%d bytes) is not the canonical id of the record's identifiers", len(key)))
	case userID != string(key):
		return refuse("key_mismatch", "user_id is not the record's key")
	}
	return send
}
