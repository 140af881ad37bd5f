package crmwriteback

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

// Of rows that wait for the same object only the end counts: they are folded into one. The bounds keep a folded row from
// growing beyond what a system takes of one object.
const (
	mostFolded      = 1000
	mostFoldedBytes = 128 << 10
)

// run are the items at the head of the object's queue that may become one row: without a gap, so that no mode
// overtakes another.
func (o *object) run() []*item {
	head := o.queue[0]
	if i := slices.Index(o.queue, o.doubt); o.doubt != nil && i >= 0 {
		return o.queue[:i+1]
	}
	if head.alone || head.write.Mode == crm.Note {
		return o.queue[:1]
	}
	n, bytes := 1, weight(&head.row)
	for ; n < min(len(o.queue), mostFolded); n++ {
		next := o.queue[n]
		bytes += weight(&next.row)
		if next.alone || next.write.Mode != head.write.Mode || next.write.KeyField != head.write.KeyField || bytes > mostFoldedBytes {
			break
		}
	}
	return o.queue[:n]
}

// fold makes one row of items: of each field the last value.
func fold(items []*item) (*target.Row, error) {
	last := items[len(items)-1]
	if len(items) == 1 {
		return &last.row, nil
	}
	row := last.row
	fields := map[string]jsontext.Value{}
	ids := sha256.New()
	for _, it := range items {
		if err := json.Unmarshal(orEmpty(it.row.Fields), &fields); err != nil {
			return nil, fmt.Errorf("folding the row %s: %w", it.write.ID, err)
		}
		if it.row.EditedAt.After(row.EditedAt) {
			row.EditedAt = it.row.EditedAt
		}
		_, _ = fmt.Fprintf(ids, "%d:%s", len(it.write.ID), it.write.ID) // a hash never fails
	}
	text, err := json.Marshal(fields, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("folding %d rows: %w", len(items), err)
	}
	row.Fields = text
	// Not the id of any of them: a system that remembers ids would take the row alone for this one, or this for that.
	row.ID = hex.EncodeToString(ids.Sum(nil)[:16])
	return &row, nil
}

func orEmpty(fields jsontext.Value) jsontext.Value {
	if len(fields) == 0 {
		return jsontext.Value("{}")
	}
	return fields
}
