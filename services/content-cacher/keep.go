package contentcacher

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/schemas"
	"github.com/sluicehq/sluice/services/content-cacher/larder"
	"github.com/sluicehq/sluice/services/content-cacher/shelf"
)

// keeping is the copy on disk, which is made anew in the background: what changes meanwhile waits until that
// is done.
type keeping struct {
	larder *larder.Larder

	mu     sync.Mutex
	making bool
	late   []change
}

type change struct {
	partition  int32
	next       int64
	key, value []byte // as put has them
}

// put keeps a record, forgets it where value is nil, or leaves it where value is asItWas.
func (k *keeping) put(partition int32, next int64, key, value []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.making {
		k.late = append(k.late, change{partition, next, bytes.Clone(key), bytes.Clone(value)})
		return nil
	}
	return k.write(&change{partition, next, key, value})
}

func (k *keeping) write(c *change) error {
	if c.value != nil && len(c.value) == 0 {
		return k.larder.Seen(c.partition, c.next)
	}
	return k.larder.Put(c.partition, c.next, c.key, c.value)
}

// heard says that the copy is that of this moment.
func (k *keeping) heard(at time.Time) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.making {
		return nil
	}
	return k.larder.Heard(at)
}

// remake lets everything wait until made.
func (k *keeping) remake() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.making, k.late = true, nil
}

func (k *keeping) beingMade() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.making
}

// made says that the larder holds what there was at a mark, and lets it have what came since.
func (k *keeping) made(mark larder.Mark) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.larder.Made(mark.Offsets)
	for i := range k.late {
		if err := k.write(&k.late[i]); err != nil {
			return err
		}
	}
	k.making, k.late = false, nil
	return k.larder.Heard(mark.At)
}

// copyVersion is put into the header of what is kept on disk, in place of a schema's id: the registry may
// be away when it is read.
const copyVersion = 1

// unpack serves what the copy holds.
func (s *Service) unpack() error {
	began := time.Now()
	mark := s.copy.larder.Mark()
	if mark.Topic == "" {
		return nil
	}
	if mark.At.IsZero() {
		return s.copy.larder.Restart("") // its making was interrupted
	}
	kept, err := s.kept()
	if err != nil {
		s.log.Warn().Err(err).Msg("the local copy of the content cannot be read, and is made anew")
		return s.copy.larder.Restart("")
	}
	s.shelf.Store(kept)
	s.known.set(mark)
	s.heardAt.Store(mark.At.UnixMilli())
	s.log.Info().Int("items", kept.Size().Items).Stringer("age", time.Since(mark.At).Round(time.Second)).
		Stringer("took", time.Since(began).Round(time.Millisecond)).Msg("the content is read from the local copy")
	return nil
}

// kept is a shelf with what the copy holds.
func (s *Service) kept() (*shelf.Shelf, error) {
	decoder := avro.NewContentDecoder(ownSchema{})
	kept := shelf.Filling(func(r *stream.Record, c *event.Content) error {
		_, err := decoder.Decode(context.Background(), r.Value, c)
		return err
	})
	filler, read := kept.NewFiller(), reading{decoder: decoder, ours: copyVersion}
	return kept, s.copy.larder.Each(func(key, value []byte) error {
		r := &stream.Record{Key: bytes.Clone(key), Value: bytes.Clone(value)}
		head, err := read.record(context.Background(), r)
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		filler.Put(head, r)
		return nil
	})
}

// ownSchema knows the schemas of the copy by our own numbers.
type ownSchema struct{}

// SchemaByID finds the text of a version.
func (ownSchema) SchemaByID(_ context.Context, id int) (string, error) {
	versions, err := schemas.Versions(schema.ContentItems)
	if err != nil {
		return "", err
	}
	if id < 1 || id > len(versions) {
		return "", &avro.Unreadable{Reason: "unknown_schema", Detail: fmt.Sprintf("there is no version %d", id)}
	}
	return versions[id-1], nil
}
