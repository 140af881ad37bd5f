package salesforce

import (
	"context"

	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

// Write makes the rows' call. More than 200 rows that are no job go in several, one after another, up to the first that
// is not taken: behind it all is Deferred. Where that is the very first, its answer is that of all, with what it says of
// splitting.
func (t *Target) Write(ctx context.Context, rows []*target.Row) target.Answer {
	t.watch(len(rows))
	whole := target.Answer{Each: make([]target.Result, len(rows))}
	good := make([]int, 0, len(rows)) // indices
	for i, row := range rows {
		if bad := t.check(row); bad != "" {
			whole.Each[i].Outcome = outcome.Outcome{Kind: outcome.Refused, Reason: reasonBadRow, Detail: bad}
			continue
		}
		good = append(good, i)
	}
	settled := len(rows) - len(good)
	for len(good) > 0 {
		part, call := t.portion(rows, good)
		a := call(ctx, pick(rows, part))
		good = good[len(part):]
		nothing := a.Each == nil && a.All.Kind == outcome.Deferred
		if len(part) == len(rows) || nothing && settled == 0 {
			return a
		}
		settled += len(part)
		whole.Status, whole.RequestID = a.Status, a.RequestID
		whole.RetryAfter = max(whole.RetryAfter, a.RetryAfter)
		whole.Halt = a.Halt
		for n, i := range part {
			whole.Each[i] = a.Of(n)
		}
		if nothing {
			for _, i := range good {
				whole.Each[i].Outcome = a.All
			}
			break
		}
	}
	return whole
}

// portion is what goes next: all that is left as a job, or the first rows that fit into a call.
func (t *Target) portion(rows []*target.Row, good []int) ([]int, func(context.Context, []*target.Row) target.Answer) {
	first := rows[good[0]]
	if t.asJob(first, len(good)) {
		if fit := t.fitting(rows, good); t.asJob(first, len(fit)) {
			return fit, t.bulk
		}
	}
	return good[:min(len(good), maxRows)], t.collections
}

// collections makes the call of up to 200 rows that the mode takes.
func (t *Target) collections(ctx context.Context, rows []*target.Row) target.Answer {
	switch first := rows[0]; first.Mode {
	case crm.Update:
		return t.update(ctx, rows)
	case crm.Note:
		return t.note(ctx, rows)
	default:
		return t.upsert(ctx, rows, first.KeyField, keyOf)
	}
}

func pick(rows []*target.Row, at []int) []*target.Row {
	if len(at) == len(rows) {
		return rows
	}
	some := make([]*target.Row, len(at))
	for n, i := range at {
		some[n] = rows[i]
	}
	return some
}

func keyOf(row *target.Row) string { return row.Key }
func idOf(row *target.Row) string  { return row.ID }
