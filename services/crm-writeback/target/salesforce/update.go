package salesforce

import (
	"context"
	"net/http"

	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

// update looks up the records and changes those that there are. One that is deleted in between answers so, and is
// as missing as if the query had not found it.
func (t *Target) update(ctx context.Context, rows []*target.Row) target.Answer {
	first := rows[0]
	known, got, failed := t.find(ctx, first.Object, first.KeyField, rows, keyOf)
	if failed != nil {
		return *failed
	}
	whole := target.Answer{Each: make([]target.Result, len(rows)), Status: got.status, RequestID: got.id}
	ids := make(map[*target.Row]string, len(rows))
	at := make([]int, 0, len(rows))
	for i, row := range rows {
		switch r, n := known.of(row.Key); n {
		case 0:
			whole.Each[i].Outcome = missing("no record has this key")
		case 1:
			ids[row] = r.id
			at = append(at, i)
		default:
			whole.Each[i].Outcome = outcome.Outcome{
				Kind: outcome.Refused, Reason: "duplicate_external_id", Detail: "several records have this key",
			}
		}
	}
	if len(at) == 0 {
		return whole
	}
	there := pick(rows, at)
	a := t.send(ctx, &request{
		method: http.MethodPatch,
		path:   "/composite/sobjects",
		body:   appendRecords(make([]byte, 0, room(there)), there, "id", func(row *target.Row) string { return ids[row] }),
		rows:   len(there),
	})
	for n := range a.Each {
		switch r := &a.Each[n]; {
		case r.Kind == outcome.Refused && gone(r.Reason):
			r.Outcome = missing(r.Detail)
		case r.Kind == outcome.Delivered && r.ID == "":
			r.ID = ids[there[n]]
		}
	}
	return laid(whole, a, at)
}

// gone are the codes of a record that has been deleted.
func gone(reason string) bool {
	return reason == "entity_is_deleted" || reason == "invalid_cross_reference_key" || reason == "not_found"
}

func missing(detail string) outcome.Outcome {
	return outcome.Outcome{Kind: outcome.Skipped, Reason: reasonMissing, Detail: detail}
}

// laid puts the answer for some rows, which stand at some indices, over the answer for all.
func laid(whole, some target.Answer, at []int) target.Answer {
	if len(at) == len(whole.Each) {
		return some
	}
	for n, i := range at {
		whole.Each[i] = some.Of(n)
	}
	whole.RetryAfter, whole.Halt, whole.Status, whole.RequestID = some.RetryAfter, some.Halt, some.Status, some.RequestID
	return whole
}
