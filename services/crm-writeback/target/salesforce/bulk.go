package salesforce

import (
	"context"

	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

// maxJobBytes bounds a job's rows. Salesforce takes 100 MB of CSV; so much memory is not worth it.
const maxJobBytes = 16 << 20

// A job is created, filled, closed, polled and its three results are read: seven calls at least. Fewer rows than
// seven calls take are cheaper without it, however short the budget is.
const (
	jobCalls = 7
	jobFrom  = jobCalls*maxRows + 1
)

// watch learns from a batch whether many rows wait. A target is not told; but who hands over full batches one after
// another has more, and who hands over one that is not full has not.
func (t *Target) watch(rows int) {
	switch {
	case rows < maxRows, rows > maxRows && rows < t.Bulk.From:
		t.streak.Store(0)
	default:
		t.streak.Add(int64(rows))
	}
}

// offersBulk reports whether a batch may be as large as a job's. Where no job can be made any more it may not: of so many rows the
// one call that asks for room would take the first, and each of the others would count as put off once more.
func (t *Target) offersBulk() bool {
	if t.Bulk.Off || !t.budget.room(2*jobCalls, t.now()) {
		return false
	}
	return t.Bulk.From > 0 && t.streak.Load() >= int64(t.Bulk.From) || t.budget.short(t.short, t.now())
}

// asJob reports whether so many rows go as a job. An update does not: it needs ids, and to look these up takes as
// many calls as a job would save.
func (t *Target) asJob(row *target.Row, rows int) bool {
	switch {
	case t.Bulk.Off, row.Mode == crm.Update, row.Mode == crm.Note && (t.noteField(row) == "" || t.Note.Search):
		return false
	case !t.budget.room(2*jobCalls, t.now()):
		return false // nobody could ask what became of it
	case t.Bulk.From > 0 && rows >= max(t.Bulk.From, maxRows+1):
		return true
	}
	return rows >= jobFrom && t.budget.short(t.short, t.now())
}

// fitting are the rows that can be said in CSV, from the front and no more than a job takes. The first that cannot ends
// it: it goes with its neighbours as a call.
func (t *Target) fitting(rows []*target.Row, good []int) []int {
	size := 0
	for n, i := range good {
		size += weight(rows[i])
		if n == max(t.Bulk.Rows, maxRows) || n > 0 && size > maxJobBytes || !flat(rows[i].Fields) {
			return good[:n]
		}
	}
	return good
}

// bulk makes a job of the rows. What it has begun when the context ends is aborted: rows that are sent again later must
// not be overtaken by themselves.
func (t *Target) bulk(ctx context.Context, rows []*target.Row) target.Answer {
	first, field, value := rows[0], rows[0].KeyField, keyOf
	if first.Mode == crm.Note {
		field, value = t.noteField(first), idOf
	}
	j := &job{Target: t, rows: rows, field: field, value: value}
	if failed := j.begin(ctx, appendCSV(nil, rows, field, value)); failed != nil {
		return *failed
	}
	state, failed := j.await(ctx)
	if failed != nil {
		return *failed
	}
	t.metrics.jobs.WithLabelValues(state.word()).Inc()
	if state.State == jobFailed && state.Processed == 0 {
		// Not one row was looked at: a column that is no field, most likely. A smaller job will show whose it is.
		a := target.Deferred(reasonJobFailed, printable(state.Message), 0)
		a.Split = true
		a.RequestID = j.id
		return a
	}
	return j.results(ctx)
}

// unprocessed is what became of rows that a job did not come to.
func unprocessed() target.Result {
	return target.Result{Outcome: outcome.Outcome{
		Kind: outcome.Deferred, Reason: reasonUnprocessed, Detail: "the job ended before it came to this row",
	}}
}
