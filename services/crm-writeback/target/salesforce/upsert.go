package salesforce

import (
	"context"
	"net/http"
	"slices"

	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

// upsert makes one call, by the external id that stands in a field.
func (t *Target) upsert(ctx context.Context, rows []*target.Row, field string, value func(*target.Row) string) target.Answer {
	return t.send(ctx, &request{
		method: http.MethodPatch,
		path:   "/composite/sobjects/" + rows[0].Object + "/" + field,
		body:   appendRecords(make([]byte, 0, room(rows)), rows, field, value),
		rows:   len(rows),
	})
}

// send makes a collections call, and reads what became of each row.
func (t *Target) send(ctx context.Context, r *request) target.Answer {
	r.api = apiCollections
	got, failed := t.call(ctx, r)
	if failed != nil {
		return *failed
	}
	a := target.Answer{Each: make([]target.Result, r.rows), Status: got.status, RequestID: got.id}
	if err := readResults(got.body, a.Each); err != nil {
		return badAnswer(got, err)
	}
	// Over its limit the org may still answer the call, and refuse the rows.
	if slices.ContainsFunc(a.Each, overLimit) {
		a.RetryAfter = t.budget.refused(t.now())
	}
	return a
}

// overLimit: the org had no call left for this row.
func overLimit(r target.Result) bool {
	return r.Kind == outcome.Deferred && r.Reason == reasonDailyLimit
}
