package plan

import (
	"encoding/binary"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/stream"
)

// Bounds of what waits for one object.
const (
	maxWaiting      = 100
	maxWaitingBytes = 256 << 10
	maxHeaders      = 16
	maxHeaderBytes  = 4 << 10
)

// link is what is known under the key of an object: which user it is, or what waits for somebody to say so.
type link struct {
	user    event.User // nobody as long as it is not known
	waiting []waiting
}

// waiting is a record that names no user, as it stood on its topic.
type waiting struct {
	hash    uint64 // of its event's id
	since   int64
	stamp   int64
	offset  int64
	value   []byte
	headers []stream.Header
}

// append appends the state; of an object of which nothing is known, nothing.
func (l *link) append(dst []byte) []byte {
	if l.user == (event.User{}) && len(l.waiting) == 0 {
		return dst
	}
	dst = append(dst, stateVersion, ofObject)
	for _, text := range [...]string{
		l.user.ExternalID, l.user.BrazeID, l.user.AliasLabel, l.user.AliasName, l.user.Email, l.user.Phone,
	} {
		dst = appendText(dst, text)
	}
	dst = binary.AppendUvarint(dst, uint64(len(l.waiting)))
	for i := range l.waiting {
		w := &l.waiting[i]
		dst = binary.LittleEndian.AppendUint64(dst, w.hash)
		dst = binary.AppendVarint(dst, w.since)
		dst = binary.AppendVarint(dst, w.stamp)
		dst = binary.AppendVarint(dst, w.offset)
		dst = appendText(dst, string(w.value))
		dst = binary.AppendUvarint(dst, uint64(len(w.headers)))
		for _, h := range w.headers {
			dst = appendText(dst, h.Key)
			dst = appendText(dst, string(h.Value))
		}
	}
	return dst
}

// decode reads a value; an empty one is of an object of which nothing is known.
func (l *link) decode(value []byte) error {
	*l = link{}
	if len(value) == 0 {
		return nil
	}
	r, err := open(value, ofObject)
	if err != nil {
		return err
	}
	for _, text := range [...]*string{
		&l.user.ExternalID, &l.user.BrazeID, &l.user.AliasLabel, &l.user.AliasName, &l.user.Email, &l.user.Phone,
	} {
		*text = r.string()
	}
	for range r.most(maxWaiting, 13) {
		w := waiting{hash: r.fixed(), since: r.time(), stamp: r.time(), offset: r.time(), value: []byte(r.string())}
		for range r.most(maxHeaders, 2) {
			w.headers = append(w.headers, stream.Header{Key: r.string(), Value: []byte(r.string())})
		}
		l.waiting = append(l.waiting, w)
	}
	if r.bad || r.at != len(r.bytes) {
		*l = link{}
		return damaged("it ends in the middle, or something follows it")
	}
	return nil
}

// wait keeps a record. What it returns has to give way: the oldest, or the record itself, too large to wait.
func (l *link) wait(r *stream.Record, id uint64, now int64) (out []waiting) {
	w := waiting{hash: id, since: now, stamp: millis(r.Timestamp), offset: r.Offset, value: r.Value}
	size := 0
	for _, h := range r.Headers {
		size += len(h.Key) + len(h.Value)
	}
	if len(r.Headers) <= maxHeaders && size <= maxHeaderBytes {
		w.headers = r.Headers
	}
	if len(w.value) > maxWaitingBytes {
		return []waiting{w}
	}
	l.waiting = append(l.waiting, w)
	for len(l.waiting) > maxWaiting || l.bytes() > maxWaitingBytes {
		out = append(out, l.waiting[0])
		l.waiting = l.waiting[1:]
	}
	return out
}

func (l *link) bytes() (sum int) {
	for i := range l.waiting {
		sum += len(l.waiting[i].value)
	}
	return sum
}

func (l *link) waits(id uint64) bool {
	for i := range l.waiting {
		if l.waiting[i].hash == id {
			return true
		}
	}
	return false
}

// late takes out what has waited long enough.
func (l *link) late(now, patience int64) (out []waiting) {
	kept := l.waiting[:0:0]
	for _, w := range l.waiting {
		if now-w.since >= patience {
			out = append(out, w)
		} else {
			kept = append(kept, w)
		}
	}
	l.waiting = kept
	return out
}
