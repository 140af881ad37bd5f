package poll

import (
	"context"
	"encoding/binary"
	"slices"

	"github.com/sluicehq/sluice/services/ingest/webhook"
)

// What is known becomes durable at the end of a round only, and what it says decides what is told. So before
// anything new is told of a known item it is put in doubt, durably: should we die before the round ends, the
// next owner does not take what it finds for what was told last, and tells the item as it then is.

// doubted is a set of hashes of ids, eight bytes each.
type doubted []byte

// maxDoubted bounds it to 43 KB of a checkpoint; beyond, what is known is made durable within the round.
const maxDoubted = 4_096

const hashBytes = 8

// doubt makes durable that what is known of the items will not be true any more.
func (w *worker) doubt(ctx context.Context, items []webhook.Item) error {
	if w.known == nil || w.state.AllDoubted {
		return nil
	}
	var more doubted
	for i := range items {
		if w.known.has(items[i].ID) {
			more = binary.BigEndian.AppendUint64(more, idHash(items[i].ID))
		}
	}
	if len(more) == 0 {
		return nil
	}
	if len(w.state.Doubted)+len(more) > maxDoubted*hashBytes {
		if w.polling.IsFeed() { // which may change as a whole: writing all that is known each time would be far more
			w.state.Doubted, w.state.AllDoubted = nil, true
			return w.save(ctx, nil)
		}
		if err := w.saveAll(ctx); err != nil {
			return err
		}
	}
	w.state.Doubted = append(slices.Clip(w.state.Doubted), more...)
	return w.save(ctx, nil)
}

// settleDoubts makes of items in doubt items of which nobody can say what was told of them last.
func (w *worker) settleDoubts() {
	if w.known == nil || len(w.state.Doubted) < hashBytes && !w.state.AllDoubted {
		return
	}
	in := map[uint64]bool{}
	for rest := w.state.Doubted; len(rest) >= hashBytes; rest = rest[hashBytes:] {
		in[binary.BigEndian.Uint64(rest)] = true
	}
	for id, s := range w.known.items {
		if w.state.AllDoubted || in[idHash(id)] {
			w.state.Recent.drop(s.Stamp)
			s.Stamp, w.known.dirty[partOf(id)] = noStamp, true
		}
	}
}

func idHash(id string) uint64 { return uint64(stampOf(&webhook.Item{ID: id})) }
