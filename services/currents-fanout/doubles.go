package currentsfanout

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/table"
)

// doubles knows which records are doubles of earlier ones. Braze sends a batch again whenever it has not heard that it
// arrived, and the receiver writes what it gets: doubles are told apart here, behind the topic, where a
// restart of the receiver makes no difference.
//
// Whether a record is a double follows from the topic alone (table.Repeats), so all sinks of all processes agree,
// today and when a sink is replayed.
type doubles struct {
	store   *table.Store
	repeats [len(feedNames)]*table.Repeats // nil where no sink reads the topic, or doubles pass
}

func openDoubles(c Config, file *File, f *feeds, log zerolog.Logger) (*doubles, error) {
	d := &doubles{}
	if c.Fanout.DedupWindow == 0 || len(file.Sinks) == 0 {
		return d, nil
	}
	memory := table.NewRepeatsMemory(int64(c.Fanout.DedupMemory))
	var err error
	if d.store, err = c.State.Open(Name, log); err != nil {
		return nil, err
	}
	for of, topic := range feedNames {
		reads := func(s SinkConfig) bool { return slices.Contains(s.Topics, topic) }
		if !slices.ContainsFunc(file.Sinks, reads) {
			continue
		}
		d.repeats[of], err = table.OpenRepeats(c.Kafka, d.store, table.RepeatsOptions{
			Topic: f.topics[of], Window: c.Fanout.DedupWindow, Share: memory, Offered: true,
			Key: f.ids(feed(of)), Log: log,
		})
		if err != nil {
			return nil, errors.Join(fmt.Errorf("looking for doubles: %w", err), d.close())
		}
	}
	return d, nil
}

func (d *doubles) close() error {
	for _, r := range d.repeats {
		if r != nil {
			r.Close()
		}
	}
	if d.store == nil {
		return nil
	}
	return d.store.Close()
}

// failing says why doubles cannot be told, so that nothing is handed out.
func (d *doubles) failing() error {
	for _, r := range d.repeats {
		if r == nil {
			continue
		}
		if err := r.Stats().Failing; err != nil {
			return fmt.Errorf("doubles cannot be told, and no sink gets anything (STATE_DIR, KAFKA_BROKERS, SCHEMA_REGISTRY_URL): %w", err)
		}
	}
	return nil
}

// ids finds the id of a record of a feed. What cannot be read is no double of anything: the sinks find out for themselves
// that they cannot read it.
func (f *feeds) ids(of feed) func(context.Context, *stream.Record) ([]byte, bool, error) {
	drafts := sync.Pool{New: func() any { d := newDraft(); return &d }}
	return func(ctx context.Context, r *stream.Record) ([]byte, bool, error) {
		d := drafts.Get().(*draft)
		defer drafts.Put(d)
		err := f.decode(ctx, of, r.Value, *d)
		if _, unreadable := avro.AsUnreadable(err); unreadable {
			return nil, false, nil
		}
		if err != nil {
			return nil, false, err
		}
		key, id := make([]byte, 0, shortID), d.engagement.ID
		if of == ofActions {
			key, id = append(append(key, d.action.Name...), 0), d.action.ID
		}
		if id == "" {
			return nil, false, nil
		}
		key = appendID(key, id)
		return key, true, nil
	}
}

// shortID is what appendID makes of a UUID.
const shortID = 1 + 16

// longestID is kept as it is; what stands for a longer one is its hash.
const longestID = 128

// appendID appends an id in as few bytes as will do: nearly all are UUIDs.
func appendID(b []byte, id string) []byte {
	if len(id) == 36 && id[8] == '-' && id[13] == '-' && id[18] == '-' && id[23] == '-' {
		var digits [32]byte
		n := 0
		for i := range id {
			if c := id[i]; c != '-' && n < 32 {
				if c >= 'A' && c <= 'F' { // another id, whose bytes would be the same
					n = len(digits) + 1
					break
				}
				digits[n] = c
				n++
			}
		}
		if n == len(digits) {
			at := len(b)
			b = append(b, make([]byte, shortID)...)
			if _, err := hex.Decode(b[at+1:], digits[:]); err == nil {
				b[at] = 'u'
				return b
			}
			b = b[:at]
		}
	}
	if len(id) > longestID {
		sum := sha256.Sum256([]byte(id))
		return append(append(b, 'h'), sum[:]...)
	}
	return append(append(b, '='), id...)
}
