package table

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// mark says how far the copy of a partition has come. It is written in the same batch as the values that it speaks of.
type mark struct {
	Topic [16]byte  // the id of the topic that was copied
	Next  int64     // the offset to go on at
	AsOf  time.Time // when the copy was known to be up to date
}

const (
	markVersion = 1
	markLen     = 1 + 16 + 8 + 8
)

func (m mark) encode() []byte {
	b := append(make([]byte, 0, markLen), markVersion)
	b = append(b, m.Topic[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(m.Next))
	return binary.BigEndian.AppendUint64(b, uint64(m.AsOf.UnixMilli()))
}

var errMark = errors.New("reading how far a copy has come: it is not what we write")

func decodeMark(b []byte) (mark, error) {
	if len(b) != markLen || b[0] != markVersion {
		return mark{}, errMark
	}
	m := mark{
		Topic: [16]byte(b[1:17]),
		Next:  int64(binary.BigEndian.Uint64(b[17:25])),
		AsOf:  time.UnixMilli(int64(binary.BigEndian.Uint64(b[25:33]))),
	}
	if m.Next < 0 {
		return mark{}, errMark
	}
	return m, nil
}

// readMark returns the mark of a partition; ok is false when there is no copy of it, or none that we can read.
func readMark(db *pebble.DB, table uint16, partition int32) (m mark, ok bool, err error) {
	value, closer, err := db.Get(appendPrefix(nil, table, partition, spaceMeta))
	if errors.Is(err, pebble.ErrNotFound) {
		return mark{}, false, nil
	}
	if err != nil {
		return mark{}, false, fmt.Errorf("reading how far a copy has come: %w", err)
	}
	defer closer.Close()
	if m, err = decodeMark(value); err != nil {
		return mark{}, false, nil
	}
	return m, true, nil
}

// wipe deletes the copy of a partition.
func wipe(w pebble.Writer, table uint16, partition int32) error {
	from, to := span(table, partition)
	if err := w.DeleteRange(from, to, pebble.NoSync); err != nil {
		return fmt.Errorf("deleting a copy: %w", err)
	}
	return nil
}

// dropStale deletes copies that nobody has looked after for so long that they would not be used any more.
func dropStale(db *pebble.DB, now time.Time) error {
	batch := db.NewBatch()
	defer batch.Close()
	it, err := db.NewIter(nil)
	if err != nil {
		return fmt.Errorf("looking for old copies: %w", err)
	}
	defer it.Close()
	for ok := it.SeekGE([]byte{0, 1}); ok; {
		table := binary.BigEndian.Uint16(it.Key())
		if len(it.Key()) < prefixLen {
			return errors.New("looking for old copies: a key is too short")
		}
		partition := int32(binary.BigEndian.Uint32(it.Key()[2:]))
		m, found, err := readMark(db, table, partition)
		if err != nil {
			return err
		}
		if !found || now.Sub(m.AsOf) > TombstoneRetention {
			if err := wipe(batch, table, partition); err != nil {
				return err
			}
		}
		_, next := span(table, partition)
		ok = next != nil && it.SeekGE(next)
	}
	if err := it.Error(); err != nil {
		return fmt.Errorf("looking for old copies: %w", err)
	}
	if batch.Empty() {
		return nil
	}
	if err := batch.Commit(pebble.NoSync); err != nil {
		return fmt.Errorf("deleting old copies: %w", err)
	}
	return nil
}
