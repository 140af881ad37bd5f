package stream

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/sluicehq/sluice/pkg/ledger"
)

// note is what a commit says beside the offset: where the receipts of records that were settled
// beyond it begin, and whose receipts count. It is kept in the commit's metadata.
type note struct {
	ReceiptsFrom int64  `json:"receipts_from"`
	Fences       fences `json:"fences,omitempty"`
	// Of is how many partitions the topic had when a group began that begins at their ends; 0 for another group.
	// One that was added later is read from its beginning: what stands in it came after the group.
	Of int `json:"of,omitempty"`
}

// parseNote reads the metadata of a commit. A commit without a note was made by another tool on
// purpose: whoever moves our offset wants the records delivered again, receipts or not.
func parseNote(metadata string) (note, bool) {
	if !strings.HasPrefix(metadata, "{") {
		return note{}, false
	}
	n := note{ReceiptsFrom: -1}
	if err := json.Unmarshal([]byte(metadata), &n); err != nil || n.ReceiptsFrom < 0 {
		return note{}, false
	}
	rising := func(a, b fence) int { return cmp.Compare(a.From, b.From) }
	return n, slices.IsSortedFunc(n.Fences, rising)
}

// onAssigned takes partitions over where their last owner closed the books. It tries until it can:
// without an answer from Kafka there is nothing else to do. It gives up when the process is told to
// stop, and when the group has moved on, since then another assignment follows.
func (k *Consumer) onAssigned(_ context.Context, _ *kgo.Client, assigned map[string][]int32) {
	if len(assigned) == 0 {
		return
	}
	<-k.joined
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		parts, err := k.takeOver(k.running, assigned)
		switch {
		case err == nil:
			k.o.Log.Info().Int("partitions", len(parts)).Msg("partitions assigned")
			return
		case k.running.Err() != nil:
			return
		case errors.Is(err, errLayout):
			k.failed(fmt.Errorf("taking over partitions: %w", err))
			return
		case errors.Is(err, kerr.UnknownMemberID), errors.Is(err, kerr.IllegalGeneration), errors.Is(err, kerr.RebalanceInProgress):
			k.o.Log.Warn().Err(err).Msg("the group has moved on")
			return
		}
		k.o.Log.Warn().Err(err).Msg("taking over partitions")
		select {
		case <-k.running.Done():
			return
		case <-time.After(wait):
		}
	}
}

// takeOver opens the books of partitions and lets the handler prepare. A partition that never had a
// commit gets one before its first record is delivered: without it a crash would leave no word of
// where its receipts begin.
func (k *Consumer) takeOver(ctx context.Context, assigned map[string][]int32) ([]*Partition, error) {
	parts, err := k.open(ctx, assigned)
	if err != nil {
		return nil, err
	}
	if err := k.handler.Assigned(ctx, parts); err != nil {
		return nil, err
	}
	if err := k.commit(ctx, parts); err != nil {
		return nil, fmt.Errorf("committing first positions: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, part := range parts {
		k.parts[place{part.Topic, part.Number}] = part
	}
	return parts, nil
}

// errLayout says that the topics do not fit one another.
var errLayout = errors.New("the receipts' topic must have as many partitions as the topics it receipts; sluice topics diff shows both")

// open finds out where each partition is to go on.
func (k *Consumer) open(ctx context.Context, assigned map[string][]int32) ([]*Partition, error) {
	committed, err := k.admin.FetchOffsets(ctx, k.o.Group)
	if err != nil {
		return nil, fmt.Errorf("fetching committed offsets: %w", err)
	}
	starts, err := k.begins(ctx, committed, assigned)
	if err != nil {
		return nil, err
	}
	began := beganWith(committed)
	var receipts kadm.ListedOffsets
	var writer int64
	if k.o.Receipts != "" {
		if writer, err = k.o.ReceiptsBy.id(ctx); err != nil {
			return nil, err
		}
		if receipts, err = k.admin.ListEndOffsets(ctx, k.o.Receipts); err != nil {
			return nil, fmt.Errorf("listing last receipts: %w", err)
		}
	}
	var parts []*Partition
	for topic, numbers := range assigned {
		for _, number := range numbers {
			var pos ledger.Position
			if k.o.Receipts != "" {
				end, ok := receipts.Lookup(k.o.Receipts, number)
				if !ok {
					return nil, fmt.Errorf("%s has no partition %d: %w", k.o.Receipts, number, errLayout)
				}
				if end.Err != nil {
					return nil, fmt.Errorf("listing the last receipt of partition %d: %w", number, end.Err)
				}
				pos.Receipt = end.Offset
			}
			end, earlier, of := pos.Receipt, fences(nil), 0
			if k.o.FromEnd {
				if of = began[topic]; of == 0 {
					of = len(starts[topic])
				}
			}
			c, ok := committed.Lookup(topic, number)
			if ok && c.Err != nil { // not "never committed": starting over would deliver a week again
				return nil, fmt.Errorf("fetching the committed offset of %s/%d: %w", topic, number, c.Err)
			}
			if ok && c.At >= 0 {
				pos.Offset = c.At
				if n, ok := parseNote(c.Metadata); ok {
					pos.Receipt, earlier = min(end, n.ReceiptsFrom), n.Fences
				}
			} else {
				start, ok := starts.Lookup(topic, number)
				if !ok || start.Err != nil {
					return nil, fmt.Errorf("listing the first offset of %s/%d: %w", topic, number, errors.Join(start.Err, errMissing(ok)))
				}
				pos.Offset = start.Offset
			}
			parts = append(parts, &Partition{
				Topic: topic, Number: number, Of: len(starts[topic]), Start: pos,
				books: ledger.New(pos.Offset, pos.Receipt), fences: earlier.raise(end, writer), began: of, consumer: k,
			})
		}
	}
	return parts, nil
}

// begins lists where partitions begin that have no commit.
func (k *Consumer) begins(ctx context.Context, committed kadm.OffsetResponses, assigned map[string][]int32) (kadm.ListedOffsets, error) {
	starts, err := k.admin.ListStartOffsets(ctx, k.o.Topics...)
	if err != nil {
		return nil, fmt.Errorf("listing first offsets: %w", err)
	}
	if !k.o.FromEnd {
		return starts, nil
	}
	ends, err := k.admin.ListCommittedOffsets(ctx, k.o.Topics...)
	if err != nil {
		return nil, fmt.Errorf("listing last offsets: %w", err)
	}
	began := beganWith(committed)
	for topic, numbers := range assigned {
		for _, number := range numbers {
			start, ok := starts.Lookup(topic, number)
			if ok && ends[topic] != nil && began[topic] > 0 && int(number) >= began[topic] {
				ends[topic][number] = start
			}
		}
	}
	return ends, nil
}

// beganWith is how many partitions each topic had when a group began, as far as its commits say. Whoever takes over
// one that was added copies the number, so that the least is the first.
func beganWith(committed kadm.OffsetResponses) map[string]int {
	began := map[string]int{}
	committed.Each(func(c kadm.OffsetResponse) {
		if n, ok := parseNote(c.Metadata); ok && n.Of > 0 && (began[c.Topic] == 0 || n.Of < began[c.Topic]) {
			began[c.Topic] = n.Of
		}
	})
	return began
}

func errMissing(found bool) error {
	if found {
		return nil
	}
	return errors.New("the partition is not listed")
}

// onRevoked lets the handler finish, commits what is settled, and only then lets go.
func (k *Consumer) onRevoked(ctx context.Context, _ *kgo.Client, revoked map[string][]int32) {
	parts := k.find(revoked)
	if len(parts) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, k.patience())
	defer cancel()
	k.handler.Revoked(ctx, parts)
	if ctx.Err() != nil {
		k.o.Log.Warn().Msg("partitions are given back with work unfinished: their next owner does it again")
	}
	if err := k.commit(context.WithoutCancel(ctx), parts); err != nil {
		k.o.Log.Warn().Err(err).Msg("committing while partitions are revoked")
	}
	k.letGo(parts)
	k.o.Log.Info().Int("partitions", len(parts)).Msg("partitions revoked")
}

// patience is how long the handler may take to give partitions back: less than the group waits for
// us, which is a minute, and less than a drain may take.
func (k *Consumer) patience() time.Duration {
	if k.running.Err() != nil {
		return 15 * time.Second
	}
	return 45 * time.Second
}

// onLost is told too late: another member may have the partitions already. Nothing settled from now on
// counts, and nothing is committed.
func (k *Consumer) onLost(ctx context.Context, _ *kgo.Client, lost map[string][]int32) {
	parts := k.find(lost)
	if len(parts) == 0 {
		return
	}
	for _, part := range parts {
		part.gone.Store(true)
	}
	ctx, cancel := context.WithTimeout(ctx, k.patience())
	defer cancel()
	k.handler.Revoked(ctx, parts)
	k.letGo(parts)
	k.o.Log.Warn().Int("partitions", len(parts)).Msg("partitions lost")
}

func (k *Consumer) find(m map[string][]int32) []*Partition {
	k.mu.Lock()
	defer k.mu.Unlock()
	var parts []*Partition
	for topic, numbers := range m {
		for _, n := range numbers {
			if part := k.parts[place{topic, n}]; part != nil {
				parts = append(parts, part)
			}
		}
	}
	return parts
}

// letGo forgets partitions of which nothing is in anyone's hands any more.
func (k *Consumer) letGo(parts []*Partition) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, part := range parts {
		part.gone.Store(true)
		k.returned(int(part.records.Load()), part.bytes.Load())
		// A pause outlives the assignment inside the client; the partition may come back to us.
		k.client.ResumeFetchPartitions(map[string][]int32{part.Topic: {part.Number}})
		delete(k.parts, place{part.Topic, part.Number})
		delete(k.last, place{part.Topic, part.Number})
	}
}

// commit writes the positions that have moved; of the given partitions, or of all when nil.
func (k *Consumer) commit(ctx context.Context, parts []*Partition) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if parts == nil {
		for _, part := range k.parts {
			parts = append(parts, part)
		}
	}
	moved := map[place]ledger.Position{}
	notes := map[place]note{}
	offsets := map[string]map[int32]kgo.EpochOffset{}
	for _, part := range parts {
		at := place{part.Topic, part.Number}
		pos := part.books.Committable()
		if last, ok := k.last[at]; ok && last == pos {
			continue
		}
		moved[at] = pos
		notes[at] = note{pos.Receipt, part.fences.since(pos.Receipt), part.began}
		if offsets[part.Topic] == nil {
			offsets[part.Topic] = map[int32]kgo.EpochOffset{}
		}
		offsets[part.Topic][part.Number] = kgo.EpochOffset{Epoch: -1, Offset: pos.Offset}
	}
	if len(moved) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	ctx = kgo.PreCommitFnContext(ctx, func(req *kmsg.OffsetCommitRequest) error {
		for i := range req.Topics {
			for j := range req.Topics[i].Partitions {
				p := &req.Topics[i].Partitions[j]
				text, err := json.Marshal(notes[place{req.Topics[i].Topic, p.Partition}])
				if err != nil {
					return err
				}
				p.Metadata = kmsg.StringPtr(string(text))
			}
		}
		return nil
	})
	var failed error
	k.client.CommitOffsetsSync(ctx, offsets, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
		failed = errors.Join(err, commitError(resp))
	})
	if failed != nil {
		return failed
	}
	for at, pos := range moved {
		k.last[at] = pos
	}
	return nil
}

// commitError finds the first partition whose commit the coordinator did not take.
func commitError(resp *kmsg.OffsetCommitResponse) error {
	if resp == nil {
		return nil
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return fmt.Errorf("committing %s/%d: %w", t.Topic, p.Partition, err)
			}
		}
	}
	return nil
}
