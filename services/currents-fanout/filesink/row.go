package filesink

import (
	"bytes"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// cell is one value of one row. The zero cell is null.
type cell struct {
	ok   bool
	bits uint64 // a number, a time or a boolean; of a list, how many elements it has
	text []byte // of a list, nothing: its elements are row.elements from first on
	from int32
}

// element is one of a list of text; nil text is null, and an empty one is not nil.
type element []byte

// row reads events into cells, one at a time, and uses its memory again. It is not for two goroutines.
type row struct {
	table    *table
	cells    []cell
	elements []element
	misfits  int // values that did not fit their column, of all events since the table was set

	dec   *jsontext.Decoder
	src   bytes.Buffer
	arena []byte // text that has no other place; slices of it stay good until forget
	name  []byte
	hints [2][]hint // what followed what in the last event: of user, and of properties
}

// hint is the column of the nth member of an object. Braze sends the events of one type in one order, so
// that nearly every name is known by one comparison.
type hint struct {
	quoted []byte
	column int // -1 where the member is none
}

func newRow() *row {
	r := &row{}
	r.dec = jsontext.NewDecoder(&r.src, jsontext.AllowDuplicateNames(true))
	return r
}

// begin makes it read events of a table.
func (r *row) begin(t *table) {
	r.table, r.misfits = t, 0
	if cap(r.cells) < len(t.columns) {
		r.cells = make([]cell, len(t.columns))
	}
	r.cells = r.cells[:len(t.columns)]
	r.hints[0], r.hints[1] = r.hints[0][:0], r.hints[1][:0]
	r.forget()
}

// forget gives the memory of text free that was read until now.
func (r *row) forget() {
	const most = 1 << 20 // one event with a large text must not be remembered for ever
	if cap(r.arena) > most {
		r.arena = nil
	}
	r.arena = r.arena[:0]
	r.elements = r.elements[:0]
}

// read fills the cells. The text in them is good until forget, and as long as the event is. An error
// says that the event can stand in no file.
func (r *row) read(e *sink.Event) error {
	clear(r.cells)
	if e.Action != nil {
		return r.action(e)
	}
	for i := range envelope {
		if read := envelope[i].text; read != nil {
			r.text(i, read(e.Engagement))
		}
	}
	r.cells[r.table.user] = cell{ok: true, text: r.keep(e.Engagement.Key())}
	r.cells[r.table.occurred] = instantCell(e.Engagement.OccurredAt)
	r.cells[r.table.received] = instantCell(e.Engagement.ReceivedAt)
	r.cells[r.table.json] = cell{ok: true, text: e.JSON}
	return r.members(e.JSON)
}

func instantCell(t time.Time) cell { return cell{ok: true, bits: uint64(t.UnixMilli())} }

// keep copies text that is a string, which costs less than it seems: an event has few of them, and
// they are short. What is not UTF-8 becomes so, since both formats demand it.
func (r *row) keep(s string) []byte {
	n := len(r.arena)
	if utf8.ValidString(s) {
		r.arena = append(r.arena, s...)
	} else {
		for _, c := range s {
			r.arena = utf8.AppendRune(r.arena, c)
		}
	}
	return r.arena[n:len(r.arena):len(r.arena)]
}

// action fills the cells of a webhook's event.
func (r *row) action(e *sink.Event) error {
	a := e.Action
	for i, s := range [...]string{
		a.ID, a.Key(), a.User.ExternalID, a.User.BrazeID, a.User.AliasLabel, a.User.AliasName,
		a.User.Email, a.User.Phone, a.Name,
	} {
		r.text(i, s)
	}
	r.cells[r.table.occurred] = instantCell(a.OccurredAt)
	r.cells[r.table.received] = instantCell(a.ReceivedAt)
	for i, s := range [...]string{a.Source, a.Workspace, a.ContentType} {
		r.text(r.table.received+1+i, s)
	}
	last := len(r.cells) - 1
	if len(a.JSON) > 0 {
		if !utf8.Valid(a.JSON) {
			return fmt.Errorf("reading an action: its payload is not UTF-8")
		}
		r.cells[last-1] = cell{ok: true, text: a.JSON}
	}
	if len(a.Body) > 0 {
		r.cells[last] = cell{ok: true, text: a.Body}
	}
	return nil
}

// text fills a cell of text; an empty one is null, where that may be.
func (r *row) text(i int, s string) {
	if s != "" || r.table.columns[i].required {
		r.cells[i] = cell{ok: true, text: r.keep(s)}
	}
}
