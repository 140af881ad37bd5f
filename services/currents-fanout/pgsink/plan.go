package pgsink

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// plan is how rows get into a table as it is. It is made once and never changed.
type plan struct {
	table   string // quoted, with its schema
	columns []column
	members [2]map[string]int // index of the column that holds a member of user or of properties
	whole   int               // index of the column with the whole document, -1 where there is none
	apart   bool              // the document is taken apart
	typed   bool              // there is a column for the type of event
	timed   bool              // and one for when it happened

	stage, copy, insert string // the statements
}

// newPlan is how a target's rows get into a table that has some of its columns.
func newPlan(table string, t *target, have map[string]bool) *plan {
	p := &plan{table: table, whole: -1, members: [2]map[string]int{{}, {}}}
	at := map[string]int{}
	var keys []column
	for _, c := range t.columns {
		if !have[c.name] {
			continue
		}
		i := len(p.columns)
		at[c.name] = i
		p.columns = append(p.columns, c)
		switch {
		case c.key:
			keys = append(keys, c)
		case c.from == field:
			p.members[c.in][c.member] = i
			p.apart = true
		case c.from == whatCame:
			p.whole = i
		case c.from == properties || c.from == others:
			p.apart = true
		}
	}
	_, p.typed = at["event_type"]
	_, p.timed = at["occurred_at"]
	for in := range ours {
		for member, name := range ours[in] {
			if i, ok := at[name]; ok {
				p.members[in][member] = i
			}
		}
	}
	defs := definitions(&target{columns: p.columns}, nil)
	names := list(p.columns)
	sum := sha256.Sum256([]byte(table + strings.Join(defs, ",")))
	stage := "pg_temp.sluice_" + hex.EncodeToString(sum[:8])
	// By its own definition and not LIKE the table's: a column that somebody made narrower is then refused by the
	// insertion, which says so of that column.
	p.stage = "CREATE TEMP TABLE IF NOT EXISTS " + strings.TrimPrefix(stage, "pg_temp.") + " (" + strings.Join(defs, ", ") + ") ON COMMIT DELETE ROWS"
	p.copy = "COPY " + stage + " (" + names + ") FROM STDIN (FORMAT binary)"
	// In one order, see postgres.sort.
	p.insert = "INSERT INTO " + table + " (" + names + ") SELECT " + names + " FROM " + stage +
		" ORDER BY " + list(keys) + " ON CONFLICT (" + list(keys) + ") DO NOTHING"
	return p
}

// nameless says what of a key an event lacks; empty where it can be told apart from all others.
func (p *plan) nameless(e *sink.Event) string {
	for i := range p.columns {
		c := &p.columns[i]
		if !c.key {
			continue
		}
		s := c.text(e)
		if _, odd := storable(s); odd || s == "" {
			return c.name + " is empty, holds a NUL or is not UTF-8, and nothing else would tell the event apart"
		}
	}
	return ""
}
