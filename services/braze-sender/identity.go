package brazesender

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"

	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/receipt"
	"github.com/sluicehq/sluice/pkg/stream"
)

// identity is what a record tells of: a hash of its topic, its customer, its source and the id that the
// source gave it. A record without a source or an id has none, which is zero.
//
// Two hashes with different seeds make 128 bits, which do not meet by chance. Whoever can make them meet on
// purpose can as well write the other's id.
type identity [16]byte

// Seeds of the two halves. Copies on disk hold hashes made with them.
const highSeed, lowSeed = 0, 1

// identify hashes what a record is, as its receipt will say it. The scratch memory is given back for the
// next.
func identify(scratch []byte, of feed, user, source, id string) (identity, []byte) {
	if source == "" || id == "" || !whole(user) || !whole(source) || !whole(id) {
		return identity{}, scratch
	}
	b := append(scratch[:0], byte(of))
	b = append(append(b, user...), 0xff) // stands in no text, so that none runs into the next
	b = append(append(b, source...), 0xff)
	b = append(b, id...)
	var hash identity
	for i, seed := range []uint64{highSeed, lowSeed} {
		var d xxhash.Digest
		d.ResetWithSeed(seed)
		_, _ = d.Write(b)
		binary.BigEndian.PutUint64(hash[8*i:], d.Sum64())
	}
	return hash, b
}

// whole reports whether a receipt says a text as it is, and no other like it: of what is cut, or has had bytes
// replaced, many would be the same.
func whole(text string) bool {
	return len(text) < maxID && utf8.ValidString(text) && !strings.ContainsRune(text, utf8.RuneError)
}

// half is the part of it by which records on their way are found.
func (id identity) half() uint64 { return binary.BigEndian.Uint64(id[:8]) }

// appendPlace appends what stands for a delivered record in the window: its offset. Topic and partition are
// those by which it is found.
func appendPlace(dst []byte, offset int64) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(offset))
}

// placeOf reads it; a value of any other length names no record.
func placeOf(value []byte) int64 {
	if len(value) != 8 {
		return -1
	}
	return int64(binary.BigEndian.Uint64(value))
}

// entry is what a receipt adds to the window: the record, if it was delivered. What was skipped or refused
// may come again, and a record that was skipped as a repeat is not the one that Braze has.
func (f *feeds) entry(r *stream.Record) (key, value []byte, ok bool) {
	slip, err := receipt.Read(r.Value)
	if err != nil || slip.Outcome.Kind != outcome.Delivered || slip.Partition != r.Partition {
		return nil, nil, false
	}
	of, ours := f.of(slip.Topic)
	id, _ := identify(nil, of, slip.UserID, slip.Source, slip.EventID)
	if !ours || id == (identity{}) {
		return nil, nil, false
	}
	return id[:], appendPlace(nil, slip.Offset), true
}
