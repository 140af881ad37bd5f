package salesforce

import (
	"cmp"
	"context"
	"net/http"

	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

// noteField is where the id of a write stands in the activity that it makes; empty where the org has no such field.
func (t *Target) noteField(row *target.Row) string { return cmp.Or(t.Note.Field, row.KeyField) }

// note writes activities. An answer that was lost makes us write them again: as an upsert on the id of the write that
// changes nothing, and where its field can only be searched, those that are there are not written. Where there is
// no field for it at all, such a note stands there twice; a Task has no other mark by which we would know it.
func (t *Target) note(ctx context.Context, rows []*target.Row) target.Answer {
	field := t.noteField(rows[0])
	if field != "" && !t.Note.Search {
		return t.upsert(ctx, rows, field, idOf)
	}
	whole := target.Answer{Each: make([]target.Result, len(rows))}
	at := make([]int, 0, len(rows))
	var known found
	if field != "" {
		var got reply
		var failed *target.Answer
		if known, got, failed = t.find(ctx, rows[0].Object, field, rows, idOf); failed != nil {
			return *failed
		}
		whole.Status, whole.RequestID = got.status, got.id
	}
	for i, row := range rows {
		if r, n := known.of(row.ID); n > 0 {
			whole.Each[i] = target.Result{Outcome: outcome.Outcome{Kind: outcome.Delivered}, ID: r.id}
			continue
		}
		at = append(at, i)
	}
	if len(at) == 0 {
		return whole
	}
	fresh := pick(rows, at)
	return laid(whole, t.send(ctx, &request{
		method: http.MethodPost,
		path:   "/composite/sobjects",
		body:   appendRecords(make([]byte, 0, room(fresh)), fresh, field, idOf),
		rows:   len(fresh),
	}), at)
}
