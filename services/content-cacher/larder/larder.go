// Package larder keeps the records of a compacted topic on the local disk, so that a process that comes up
// while Kafka is away has what it had. It can always be restored from the topic, and is thrown away where
// it is damaged.
//
// The offsets stand in the same write as the records, so that the copy is that of one moment, whatever
// happens. There is no log of its own: the topic is that.
package larder

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rs/zerolog"
)

// Larder is a copy on disk. Its methods may be called from several goroutines.
type Larder struct {
	folder    string
	temporary bool
	log       zerolog.Logger
	lock      *pebble.Lock // on the folder around it

	mu      sync.Mutex
	db      *pebble.DB
	batch   *pebble.Batch
	key     []byte // scratch
	pending int
	mark    Mark
}

// Mark says what the copy is one of, and when it was that.
type Mark struct {
	Topic   string          `json:"topic"` // id of the topic, which is another after it was made anew
	Offsets map[int32]int64 `json:"offsets"`
	At      time.Time       `json:"at"`
}

// Keys: 'm' alone is the mark, 'r' before a record's key is its value.
var markKey = []byte{'m'}

const recordSpace = 'r'

// Open opens the copy in a folder, and makes an empty one where there is none or only a damaged one. Without
// a folder it is a temporary one that Close removes.
func Open(folder string, log zerolog.Logger) (*Larder, error) {
	l := &Larder{folder: folder, log: log}
	if folder == "" {
		dir, err := os.MkdirTemp("", "sluice-content-")
		if err != nil {
			return nil, fmt.Errorf("making a folder for the local copy (STATE_DIR): %w", err)
		}
		l.folder, l.temporary = dir, true
	}
	if err := os.MkdirAll(l.folder, 0o700); err != nil {
		return nil, fmt.Errorf("making a folder for the local copy (STATE_DIR): %w", err)
	}
	var err error
	if l.lock, err = pebble.LockDirectory(l.folder, vfs.Default); err != nil {
		return nil, fmt.Errorf("opening the local copy in %s, which one process may have open at a time (STATE_DIR): %w", l.folder, err)
	}
	l.folder = filepath.Join(l.folder, "copy")
	if err = l.open(); err == nil && l.readMark() {
		return l, nil
	}
	// Whatever is wrong with it: what is in there can be had again.
	log.Warn().Err(err).Str("folder", l.folder).Msg("the local copy of the content cannot be read, and is made anew")
	if err = l.renew(); err != nil {
		return nil, errors.Join(err, l.lock.Close())
	}
	return l, nil
}

func (l *Larder) open() error {
	if err := os.MkdirAll(l.folder, 0o700); err != nil {
		return fmt.Errorf("making a folder for the local copy (STATE_DIR): %w", err)
	}
	cache := pebble.NewCache(8 << 20)
	defer cache.Unref()
	db, err := pebble.Open(l.folder, &pebble.Options{
		Cache: cache, DisableWAL: true, MemTableSize: 8 << 20,
		// It is read once, from its beginning to its end, when a process starts: putting it in order is worth
		// little, and would be most of the work of filling it.
		L0CompactionThreshold: 64, L0CompactionFileThreshold: 1000, L0StopWritesThreshold: 1000, LBaseMaxBytes: 1 << 30,
		FormatMajorVersion: pebble.FormatNewest, Logger: quiet{l.log},
	})
	if err != nil {
		return fmt.Errorf("opening the local copy (STATE_DIR): %w", err)
	}
	l.db, l.batch = db, db.NewBatch()
	return nil
}

// readMark reports whether what stands there can be used.
func (l *Larder) readMark() bool {
	l.mark = Mark{Offsets: map[int32]int64{}}
	text, closer, err := l.db.Get(markKey)
	if errors.Is(err, pebble.ErrNotFound) {
		return true
	}
	if err != nil {
		return false
	}
	defer closer.Close()
	return json.Unmarshal(text, &l.mark) == nil && l.mark.Offsets != nil
}

// renew throws everything away.
func (l *Larder) renew() error {
	if l.db != nil {
		if err := errors.Join(l.batch.Close(), l.db.Close()); err != nil {
			l.log.Warn().Err(err).Msg("closing a local copy that is thrown away")
		}
	}
	l.db, l.pending, l.mark = nil, 0, Mark{Offsets: map[int32]int64{}}
	if err := os.RemoveAll(l.folder); err != nil {
		return fmt.Errorf("removing the local copy (STATE_DIR): %w", err)
	}
	return l.open()
}

// Mark says how far the copy goes.
func (l *Larder) Mark() Mark {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.mark
	m.Offsets = maps.Clone(l.mark.Offsets)
	return m
}

// Get returns a record's value; nil where there is none.
func (l *Larder) Get(key []byte) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.write(); err != nil {
		return nil, err
	}
	value, closer, err := l.db.Get(append([]byte{recordSpace}, key...))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the local copy: %w", err)
	}
	defer closer.Close()
	return append([]byte{}, value...), nil
}

// Each calls f with every record, until f fails. What it is given is its own only until it returns.
func (l *Larder) Each(f func(key, value []byte) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.write(); err != nil {
		return err
	}
	it, err := l.db.NewIter(&pebble.IterOptions{LowerBound: []byte{recordSpace}, UpperBound: []byte{recordSpace + 1}})
	if err != nil {
		return fmt.Errorf("reading the local copy: %w", err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err == nil {
			err = f(it.Key()[1:], value)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("reading the local copy: %w", err), it.Close())
		}
	}
	if err := it.Close(); err != nil {
		return fmt.Errorf("reading the local copy: %w", err)
	}
	return nil
}

// Restart empties the copy, to be one of a topic from its beginning.
func (l *Larder) Restart(topic string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.renew(); err != nil {
		return err
	}
	l.mark.Topic = topic
	return nil
}

// Add keeps a record of a copy that is being made from elsewhere than the topic: how far it goes is said by
// Made, and until then it is no copy of anything.
func (l *Larder) Add(key, value []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.key = append(append(l.key[:0], recordSpace), key...)
	if err := l.batch.Set(l.key, value, nil); err != nil {
		return fmt.Errorf("writing the local copy: %w", err)
	}
	return l.another()
}

// Made says that everything before some offsets has been added.
func (l *Larder) Made(offsets map[int32]int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mark.Offsets = maps.Clone(offsets)
}

// Put keeps a record, or forgets it where value is nil, and remembers that everything before next has been
// seen of its partition. It is on the disk after a while, or after Flush.
func (l *Larder) Put(partition int32, next int64, key, value []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.key = append(append(l.key[:0], recordSpace), key...)
	var err error
	if value == nil {
		err = l.batch.Delete(l.key, nil)
	} else {
		err = l.batch.Set(l.key, value, nil)
	}
	if err != nil {
		return fmt.Errorf("writing the local copy: %w", err)
	}
	return l.seen(partition, next)
}

// Seen remembers that everything before next has been seen of a partition, and that the last of it changes
// nothing.
func (l *Larder) Seen(partition int32, next int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen(partition, next)
}

func (l *Larder) seen(partition int32, next int64) error {
	l.mark.Offsets[partition] = next
	return l.another()
}

// another counts what has gathered, and hands it over when that is enough.
func (l *Larder) another() error {
	l.pending++
	if l.pending >= 1000 || l.batch.Len() > 4<<20 {
		return l.write()
	}
	return nil
}

// Heard says that the copy is that of this moment.
func (l *Larder) Heard(at time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mark.At = at
	return l.write()
}

// write hands over what has gathered, with how far it goes. The lock is held.
func (l *Larder) write() error {
	text, err := json.Marshal(l.mark)
	if err == nil {
		err = l.batch.Set(markKey, text, nil)
	}
	if err == nil {
		err = l.batch.Commit(pebble.NoSync)
	}
	if err != nil {
		return fmt.Errorf("writing the local copy: %w", err)
	}
	l.batch.Reset()
	l.pending = 0
	return nil
}

// Flush brings everything to the disk.
func (l *Larder) Flush() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.write(); err != nil {
		return err
	}
	if err := l.db.Flush(); err != nil {
		return fmt.Errorf("writing the local copy: %w", err)
	}
	return nil
}

// Close brings everything to the disk and ends the copy.
func (l *Larder) Close() error {
	err := l.Flush()
	l.mu.Lock()
	defer l.mu.Unlock()
	err = errors.Join(err, l.batch.Close(), l.db.Close(), l.lock.Close())
	if l.temporary {
		err = errors.Join(err, os.RemoveAll(filepath.Dir(l.folder)))
	}
	return err
}

// quiet writes the database's complaints into our log.
type quiet struct{ log zerolog.Logger }

func (q quiet) Infof(format string, args ...any)  { q.log.Trace().Msgf(format, args...) }
func (q quiet) Errorf(format string, args ...any) { q.log.Warn().Msgf(format, args...) }
func (q quiet) Fatalf(format string, args ...any) { q.log.Panic().Msgf(format, args...) }
