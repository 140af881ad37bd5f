package pgsink

import (
	"bytes"
	"math"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// row makes rows of events, one at a time, and uses its memory again. It is not for two goroutines.
type row struct {
	plan  *plan
	cells []cell

	dec      *jsontext.Decoder
	src      bytes.Buffer
	lists    *jsontext.Decoder // of a list within what dec reads
	listed   bytes.Buffer
	buffer   []byte // for a stream's rows
	arena    []byte // text that stands nowhere else; what was cut from it stays good until the next event
	elements [][]byte
	rest     [3][]byte // members that no column holds: of user, of properties, of the event
}

// outer is the index in row.rest of what stands beside user and properties.
const outer = 2

func newRow() *row {
	r := &row{}
	r.dec = jsontext.NewDecoder(&r.src, jsontext.AllowDuplicateNames(true))
	r.lists = jsontext.NewDecoder(&r.listed, jsontext.AllowDuplicateNames(true))
	return r
}

// most is how many bytes of each memory are kept for the next event: one with a large text must not be remembered for ever.
const most = 1 << 20

// fill fills the cells. They are good until the next event, and as long as this one is. Changed says that not all of
// it could be stored as it is.
func (r *row) fill(e *sink.Event) (changed bool) {
	clear(r.cells)
	if cap(r.arena) > most {
		r.arena = nil
	}
	r.arena, r.elements = r.arena[:0], r.elements[:0]

	exact, document := e.JSON, e.JSON
	if e.Action != nil {
		exact, document = e.Action.JSON, e.Action.JSON
	}
	if len(document) > 0 {
		document, changed = repaired(document)
	}
	for i := range r.plan.columns {
		c := &r.plan.columns[i]
		if c.from != envelope && c.from != occurred && c.from != received {
			continue
		}
		if r.envelope(i, c, e) {
			changed = true
		}
	}
	if r.plan.apart && document != nil && !r.walk(document, e) {
		changed = true // it is no object
	}
	if i := r.plan.whole; i >= 0 && len(document) > 0 {
		r.cells[i] = cell{ok: true, b: document}
	}
	for i := range r.plan.columns {
		switch r.plan.columns[i].from {
		case exactly:
			if changed && len(exact) > 0 {
				s, _ := storable(string(exact))
				r.cells[i] = cell{ok: true, s: s}
			}
		case body:
			if len(e.Action.Body) > 0 {
				r.cells[i] = cell{ok: true, b: e.Action.Body}
			}
		default:
		}
	}
	return changed
}

// envelope fills a cell from the event's own columns, and says whether that could not be as it is.
func (r *row) envelope(i int, c *column, e *sink.Event) (odd bool) {
	switch {
	case c.from == envelope:
		s, odd := storable(c.text(e))
		if s != "" {
			r.cells[i] = cell{ok: true, s: s}
		}
		return odd
	case c.from == received:
		return r.time(i, e.ReceivedAt)
	default:
		return r.time(i, e.OccurredAt)
	}
}

func (r *row) time(i int, t time.Time) (odd bool) {
	if t.IsZero() {
		return false
	}
	n, ok := micros(t)
	if ok {
		r.cells[i] = cell{ok: true, bits: uint64(n)}
	}
	return !ok
}

// value fills a cell with one JSON value; fits is false where its column cannot hold that. The cell's text is of raw.
func (r *row) value(i int, raw []byte) (fits bool) {
	if raw[0] == 'n' {
		return true // null is what the cell is
	}
	c := &r.cells[i]
	switch r.plan.columns[i].kind {
	case text:
		s, ok := r.unquote(raw)
		if ok {
			*c = cell{ok: true, b: s}
		}
		return ok
	case whole:
		n, err := strconv.ParseInt(string(raw), 10, 64)
		if err == nil {
			*c = cell{ok: true, bits: uint64(n)}
		}
		return err == nil
	case double:
		if raw[0] != '-' && (raw[0] < '0' || raw[0] > '9') {
			return false
		}
		f, err := strconv.ParseFloat(string(raw), 64)
		if err == nil {
			*c = cell{ok: true, bits: math.Float64bits(f)}
		}
		return err == nil
	case boolean:
		switch raw[0] {
		case 't':
			*c = cell{ok: true, bits: 1}
		case 'f':
			*c = cell{ok: true}
		default:
			return false
		}
		return true
	case document:
		*c = cell{ok: true, b: raw}
		return true
	case texts:
		return r.list(c, raw)
	default:
		return false
	}
}
