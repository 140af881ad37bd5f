// Package sample makes engagement events for tests: any number, all different, of every type that the
// catalogue of [currents] knows, with values that look like a shop's.
//
// The people, campaigns and Canvases behind them are few, so that events meet: 5,000 people, every tenth
// of them anonymous. What is optional is there, null or left out, as it comes.
package sample

import (
	"encoding/hex"
	"math/rand/v2"
	"strconv"

	"github.com/sluicehq/sluice/pkg/currents"
)

// people is how many there are.
const people = 5000

// Event is event n of that type as Braze sends it over HTTP, on one line. It depends on nothing but what
// it is given, and its id is another one for every n below 2⁴⁸, whatever rng says. Of a type that is not
// in the catalogue the event has a user and no properties.
func Event(rng *rand.Rand, typeName string, n int) []byte {
	t, known := currents.Lookup(typeName)
	if !known {
		t = currents.Type{Name: typeName, Fields: anybody}
	}
	m := maker{rng: rng, n: n, dst: make([]byte, 0, 1536)}
	m.raw(`{"event_type":`)
	m.text(typeName)
	m.raw(`,"id":"`)
	m.id(typeName)
	m.at = 1_785_283_200 + int64(rng.IntN(2*86_400))
	m.raw(`","time":`)
	m.dst = strconv.AppendInt(m.dst, m.at, 10)
	m.person = rng.IntN(people)
	m.canvas = rng.IntN(2) == 0
	for _, in := range []string{currents.InUser, currents.InProperties} {
		m.raw(`,"` + in + `":`)
		m.object(t.Fields, in)
	}
	m.raw("}")
	return m.dst
}

var anybody = []currents.Field{
	{Name: "user_id", Kind: currents.String, Required: true, In: currents.InUser},
	{Name: "external_user_id", Kind: currents.String, In: currents.InUser},
}

// Batch is the body of a request with these events.
func Batch(events ...[]byte) []byte {
	dst := []byte(`{"events":[`)
	for i, e := range events {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, e...)
	}
	return append(dst, `]}`...)
}

// maker makes one event.
type maker struct {
	rng    *rand.Rand
	n      int
	at     int64 // seconds
	person int
	canvas bool // a Canvas is behind it, not a campaign
	dst    []byte
}

func (m *maker) raw(s string) { m.dst = append(m.dst, s...) }

// text appends a string that needs no escapes.
func (m *maker) text(s string) {
	m.dst = append(m.dst, '"')
	m.dst = append(m.dst, s...)
	m.dst = append(m.dst, '"')
}

// id appends a UUID whose last part is n.
func (m *maker) id(typeName string) {
	var b [16]byte
	put(b[:8], m.rng.Uint64()^seed(typeName, 0))
	put(b[8:], uint64(m.n)&(1<<48-1)|0xa<<60|uint64(m.rng.IntN(1<<12))<<48)
	b[6] = b[6]&0x0f | 0x40
	m.uuid(b)
}

func (m *maker) uuid(b [16]byte) {
	for i, part := range [][]byte{b[:4], b[4:6], b[6:8], b[8:10], b[10:]} {
		if i > 0 {
			m.dst = append(m.dst, '-')
		}
		m.dst = hex.AppendEncode(m.dst, part)
	}
}

func put(b []byte, v uint64) {
	for i := range 8 {
		b[i] = byte(v >> (56 - 8*i))
	}
}

// seed is a number for what has a name and a number: always the same, and unlike its neighbours.
func seed(name string, n int) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 1099511628211
	}
	h = (h ^ uint64(n)) * 0x9e3779b97f4a7c15
	h ^= h >> 29
	h *= 0xbf58476d1ce4e5b9
	return h ^ h>>32
}

// object appends user or properties.
func (m *maker) object(fields []currents.Field, in string) {
	m.raw("{")
	for i := range fields {
		f := &fields[i]
		if f.In != in || f.Only == currents.Avro || !m.wants(f) {
			continue
		}
		if m.dst[len(m.dst)-1] != '{' {
			m.raw(",")
		}
		m.text(f.Name)
		m.raw(":")
		if !f.Required && m.rng.IntN(20) == 0 {
			m.raw("null")
		} else {
			m.value(f)
		}
	}
	m.raw("}")
}
