package table

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// How the keys in the database look, all numbers big-endian, so that they sort:
//
//	0 0 'n' NAME                     the number of a table (2 bytes)
//	TABLE PARTITION 'm'              how far the copy of a partition has come (meta.go)
//	TABLE PARTITION 'v' KEY          a value (value.go)
//	TABLE PARTITION 'd' DUE KEY      a value that is due then, in milliseconds; empty
//	TABLE PARTITION 'b' BUCKET KEY   an entry of a view (view_entry.go), or a key of which repeats are looked for
//	TABLE PARTITION 'r' CHUNK        which of 32,768 offsets are repeats, a bit for each (repeats_bits.go)
//	TABLE PARTITION 't'              the offset from which on that is complete
//
// TABLE has 2 bytes, PARTITION 4, DUE 8, BUCKET 4, CHUNK 8. All of a partition is one range, which can be deleted at once.
const (
	spaceMeta   = 'm'
	spaceValue  = 'v'
	spaceDue    = 'd'
	spaceBucket = 'b'
	spaceRepeat = 'r'
	spaceTrust  = 't'

	prefixLen = 7 // table, partition, space
)

func appendPrefix(b []byte, table uint16, partition int32, space byte) []byte {
	b = binary.BigEndian.AppendUint16(b, table)
	b = binary.BigEndian.AppendUint32(b, uint32(partition))
	return append(b, space)
}

// appendDue is the key of a timer. Due times are after 1970.
func appendDue(b []byte, table uint16, partition int32, due int64, key []byte) []byte {
	b = appendPrefix(b, table, partition, spaceDue)
	b = binary.BigEndian.AppendUint64(b, uint64(due))
	return append(b, key...)
}

// span is the range of a partition, or of a space in it.
func span(table uint16, partition int32, space ...byte) (from, to []byte) {
	from = appendPrefix(nil, table, partition, 0)[:prefixLen-1]
	from = append(from, space...)
	return from, after(from)
}

// after is the first key behind all that begin with prefix.
func after(prefix []byte) []byte {
	end := append([]byte{}, prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

var tablesPrefix = []byte{0, 0, 'n'}

// loadTables reads the numbers of the tables.
func loadTables(db *pebble.DB) (map[string]uint16, error) {
	tables := map[string]uint16{}
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: tablesPrefix, UpperBound: after(tablesPrefix)})
	if err != nil {
		return nil, fmt.Errorf("reading the tables: %w", err)
	}
	defer it.Close()
	for it.First(); it.Valid(); it.Next() {
		if len(it.Value()) != 2 {
			return nil, errors.New("reading the tables: a number does not have two bytes")
		}
		tables[string(it.Key()[len(tablesPrefix):])] = binary.BigEndian.Uint16(it.Value())
	}
	if err := it.Error(); err != nil {
		return nil, fmt.Errorf("reading the tables: %w", err)
	}
	return tables, nil
}

// table is the number of a table in the database of now, and the epoch of that.
func (s *Store) table(name string) (number uint16, epoch uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, 0, errClosed
	}
	if number, ok := s.tables[name]; ok {
		return number, s.epoch, nil
	}
	for _, n := range s.tables {
		number = max(number, n)
	}
	number++
	err = s.db.Set(append(append([]byte{}, tablesPrefix...), name...), binary.BigEndian.AppendUint16(nil, number), pebble.NoSync)
	if err != nil {
		return 0, 0, fmt.Errorf("naming a table: %w", err)
	}
	s.tables[name] = number
	return number, s.epoch, nil
}
