package contentcacher

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/content-cacher/shelf"
)

// Compaction keeps the last record of a key, and where a source's older version comes last that is the wrong
// one: whoever starts with nothing later on would show it. So whoever sees that happen writes what stands
// once more, behind it. Refusing the older version when it comes in was rejected: ingest would have to hold
// every version there is, and two of it could still let two versions pass each other.
//
// Word that something is withdrawn is written by nobody else either once it is of no use any more.
//
// Both are written without knowing what others write at the same time, and say so in a header by which they
// are judged when they come back: what was overtaken does not count, and what stands is written again.
const (
	// standsHeader marks a record, or a tombstone, that says again what stood already.
	standsHeader = "stands"
	// clearsHeader marks a tombstone that takes away only what was received up to a time, in milliseconds since 1970.
	clearsHeader = "clears"
)

// amends are the keys of which the topic does not say last what stands.
type amends struct {
	mu   sync.Mutex
	keys map[string]*amend
}

type amend struct {
	partition int32
	due       time.Time
	overtaken bool      // something else was written of it meanwhile
	forget    time.Time // when nothing is on its way any more that was overtaken
}

// Each replica waits for another time, so that most find the work done. What is on its way from another arrives
// before it is forgotten.
const (
	amendWithin = 5 * time.Second
	amendMemory = time.Minute
)

// wanted says that what stands of a key is to be written again, to that partition.
func (a *amends) wanted(key string, partition int32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.keys == nil {
		a.keys = map[string]*amend{}
	}
	if was := a.keys[key]; was != nil && !was.overtaken {
		return
	}
	now := time.Now()
	a.keys[key] = &amend{partition: partition, due: now.Add(rand.N(amendWithin)), forget: now.Add(amendMemory)}
}

// written says that another record of a key was taken: what may be on its way from before it is overtaken.
func (a *amends) written(key string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if was := a.keys[key]; was != nil {
		was.overtaken = true
	}
}

// overtaken reports whether what was written to amend a key does not count any more.
func (a *amends) overtaken(key string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	was := a.keys[key]
	return was != nil && was.overtaken
}

// reset forgets all of them.
func (a *amends) reset() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.keys = nil
}

// done says that the topic says last what stands.
func (a *amends) done(key string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.keys, key)
}

// due are those whose time has come, by key, with their partitions. They come up again after a while, should
// they not be done by then.
func (a *amends) due(now time.Time) map[string]int32 {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := map[string]int32{}
	for key, was := range a.keys {
		switch {
		case was.overtaken:
			if now.After(was.forget) {
				delete(a.keys, key)
			}
		case now.After(was.due):
			list[key] = was.partition
			was.due, was.forget = now.Add(2*amendWithin), now.Add(amendMemory)
		}
	}
	return list
}

// amend writes what stands of the keys whose time has come.
func (s *Service) amend(ctx context.Context) error {
	due := s.amends.due(time.Now())
	records := make([]*stream.Record, 0, len(due))
	for key, partition := range due {
		value, err := s.stands(key)
		if err != nil {
			return err
		}
		records = append(records, &stream.Record{
			Topic: s.topic, Partition: partition, Key: []byte(key), Value: value, Headers: []stream.Header{{Key: standsHeader}},
		})
	}
	if err := s.write(ctx, records); err != nil {
		return fmt.Errorf("writing again what an older version of the source came behind: %w", err)
	}
	s.metrics.amended.WithLabelValues("stands").Add(float64(len(records)))
	return nil
}

// stands is the record that stands of a key, as the topic has it; nil where there is none.
func (s *Service) stands(key string) ([]byte, error) {
	value, err := s.copy.larder.Get([]byte(key))
	if err != nil || value == nil {
		return nil, err
	}
	var c event.Content
	if _, err := avro.NewContentDecoder(ownSchema{}).Decode(context.Background(), value, &c); err != nil {
		return nil, fmt.Errorf("reading the local copy: %w", err)
	}
	return avro.AppendContent(nil, s.schema, &c), nil
}

func (s *Service) write(ctx context.Context, records []*stream.Record) error {
	if len(records) == 0 {
		return nil
	}
	if s.producer == nil {
		p, err := stream.NewProducer(s.kafka, stream.ProducerOptions{DeliveryTimeout: time.Minute, ByPartition: []string{s.topic}})
		if err != nil {
			return err
		}
		s.producer = p
	}
	return s.producer.ProduceAll(ctx, records...)
}

// Rhythm of looking for what is of no use any more, and how old word of a withdrawal is before it may be: until
// then something older may still be on its way. At most so much is cleared at once.
const (
	sweeping   = time.Hour
	spentAfter = 24 * time.Hour
	mostSpent  = 10_000
)

// sweep clears what was withdrawn long ago, and then word of that, so that neither stands in the topic for
// ever. It goes where ingest has put it, by the key of the item.
func (s *Service) sweep(ctx context.Context, partitions int32) error {
	records, words := s.shelf.Load().Spent(time.Now().Add(-spentAfter), mostSpent)
	for _, spent := range [][]shelf.Spent{records, words} { // were word of it gone first, the others would be shown again
		tombstones := make([]*stream.Record, len(spent))
		for i, sp := range spent {
			collection, id, _, _ := event.SplitContentKey(sp.Key)
			item := event.Content{Collection: collection, ItemID: id}
			tombstones[i] = &stream.Record{
				Topic: s.topic, Partition: stream.PartitionOf([]byte(item.Key()), partitions), Key: []byte(sp.Key),
				Headers: []stream.Header{{Key: clearsHeader, Value: strconv.AppendInt(nil, sp.UpTo, 10)}},
			}
		}
		if err := s.write(ctx, tombstones); err != nil {
			return fmt.Errorf("clearing what was withdrawn long ago: %w", err)
		}
		s.metrics.amended.WithLabelValues("cleared").Add(float64(len(tombstones)))
	}
	return nil
}

// standsAgain reports whether a record says again what stood already.
func standsAgain(r *stream.Record) bool {
	for i := range r.Headers {
		if r.Headers[i].Key == standsHeader {
			return true
		}
	}
	return false
}

// clears is up to when a tombstone takes away what was received, in milliseconds since 1970: most do whatever
// that is.
func clears(r *stream.Record) int64 {
	for i := range r.Headers {
		if r.Headers[i].Key != clearsHeader {
			continue
		}
		if at, err := strconv.ParseInt(string(r.Headers[i].Value), 10, 64); err == nil {
			return at
		}
	}
	return shelf.Never
}
