package poll

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/sluicehq/sluice/services/ingest/webhook"
)

// maxRecent bounds what is remembered of the overlap: 44 KB in each checkpoint. An item beyond that is
// made a record of once more, with the same event id.
const maxRecent = 2_048

// stamp stands for a version of an item.
type stamp uint64

func stampOf(it *webhook.Item) stamp {
	h := sha256.New()
	_ = binary.Write(h, binary.BigEndian, int64(len(it.ID))) // a hash takes everything
	_, _ = h.Write([]byte(it.ID + it.Version))
	if it.Gone {
		_, _ = h.Write([]byte{0})
	}
	return stamp(binary.BigEndian.Uint64(h.Sum(nil)))
}

// recent remembers the versions of items that stand last in the order of changes, since the next round
// begins before the end of the last and shows them again.
type recent struct {
	seen []sight // unordered; cut down to maxRecent when twice as many
	has  map[stamp]bool
}

type sight struct {
	stamp stamp
	at    int64 // of its mark
}

func (r *recent) add(p stamp, at int64) {
	if r.has[p] {
		return
	}
	if r.has == nil {
		r.has = map[stamp]bool{}
	}
	r.has[p] = true
	r.seen = append(r.seen, sight{p, at})
	if len(r.seen) >= 2*maxRecent {
		r.cut()
	}
}

// drop forgets what was told of an item of which something else has been told since: what it was it may be
// again.
func (r *recent) drop(p stamp) {
	if !r.has[p] {
		return
	}
	delete(r.has, p)
	r.seen = slices.DeleteFunc(r.seen, func(s sight) bool { return s.stamp == p })
}

// cut keeps the last, and of those that are equal the ones that came last.
func (r *recent) cut() {
	if len(r.seen) <= maxRecent {
		return
	}
	slices.SortStableFunc(r.seen, func(a, b sight) int { return cmp.Compare(a.at, b.at) })
	gone := r.seen[:len(r.seen)-maxRecent]
	for _, s := range gone {
		delete(r.has, s.stamp)
	}
	r.seen = slices.Clone(r.seen[len(gone):])
}

// forgetBefore drops what the next round cannot show any more.
func (r *recent) forgetBefore(at int64) {
	r.seen = slices.DeleteFunc(r.seen, func(s sight) bool {
		if s.at >= at {
			return false
		}
		delete(r.has, s.stamp)
		return true
	})
}

const sightBytes = 16

// MarshalText is part of a checkpoint.
func (r *recent) MarshalText() ([]byte, error) {
	r.cut()
	raw := make([]byte, 0, len(r.seen)*sightBytes)
	for _, s := range r.seen {
		raw = binary.BigEndian.AppendUint64(raw, uint64(s.stamp))
		raw = binary.BigEndian.AppendUint64(raw, uint64(s.at))
	}
	return base64.StdEncoding.AppendEncode(nil, raw), nil
}

var errRecent = errors.New("it is no list of stamps")

// UnmarshalText reads what MarshalText wrote.
func (r *recent) UnmarshalText(text []byte) error {
	raw, err := base64.StdEncoding.AppendDecode(nil, text)
	if err != nil {
		return fmt.Errorf("decoding the recent items: %w", err)
	}
	if len(raw)%sightBytes != 0 || len(raw) > maxRecent*sightBytes {
		return errRecent
	}
	*r = recent{}
	for ; len(raw) > 0; raw = raw[sightBytes:] {
		r.add(stamp(binary.BigEndian.Uint64(raw)), int64(binary.BigEndian.Uint64(raw[8:])))
	}
	return nil
}
