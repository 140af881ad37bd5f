package hubspot

import (
	"strings"

	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
	"github.com/sluicehq/sluice/services/crm-writeback/target/httptarget/wire"
)

// settle reads what became of the rows that were sent: by the trace id, or else by the property that is the key, or by
// the ids that were sent. An answer that counts as many results as there were rows, and no error, is believed without
// names.
func (w *work) settle(sent []int, keyProperty string, ids []string) target.Answer {
	answer, err := decodeBatch(w.last.body)
	if err != nil {
		return w.unreadable(err)
	}
	byTrace, byKey := make(map[string]int, len(sent)), map[string]int{}
	for _, i := range sent {
		byTrace[w.rows[i].ID] = i
	}
	for _, i := range sent {
		switch {
		case ids != nil:
			byKey[ids[i]] = i
		case keyProperty == w.rows[i].KeyField:
			byKey[strings.ToLower(w.rows[i].Key)] = i
		default:
			byKey[strings.ToLower(w.rows[i].ID)] = i
		}
	}
	for j := range answer.Results {
		r := &answer.Results[j]
		i, known := byTrace[r.TraceID]
		if !known && ids != nil {
			i, known = byKey[r.ID]
		} else if !known {
			i, known = byKey[strings.ToLower(r.property(keyProperty))]
		}
		if known {
			w.results[i] = target.Result{Outcome: outcome.Outcome{Kind: outcome.Delivered}, ID: r.ID}
		}
	}
	halt := false
	for j := range answer.Errors {
		halt = w.settleError(&answer.Errors[j], sent, byTrace, byKey) || halt
	}
	if len(answer.Errors) == 0 && len(answer.Results) == len(sent) {
		for _, i := range sent {
			if w.results[i].Kind == 0 {
				w.results[i].Outcome.Kind = outcome.Delivered
			}
		}
	}
	if a, split := w.unnamed(&answer, sent); split {
		return a
	}
	return w.done(halt)
}

// ofRow is what an error means for its row. An object that was found, and is gone a moment later, is missing.
func (w *work) ofRow(e *batchError) (o outcome.Outcome, halt bool) {
	if e.Category == "OBJECT_NOT_FOUND" && w.rows[0].Mode != crm.Upsert {
		return outcome.Outcome{Kind: outcome.Skipped, Reason: wire.Missing, Detail: wire.Printable(e.Message)}, false
	}
	return ofRow(e)
}

// settleError gives an error to the rows that it names, or to the only one that was sent.
func (w *work) settleError(e *batchError, sent []int, byTrace, byKey map[string]int) (halt bool) {
	o, halt := w.ofRow(e)
	var rows []int
	for _, id := range e.named("objectWriteTraceId") {
		if i, known := byTrace[id]; known {
			rows = append(rows, i)
		}
	}
	if rows == nil {
		for _, name := range []string{"ids", "id"} {
			for _, id := range e.named(name) {
				if i, known := byKey[strings.ToLower(id)]; known {
					rows = append(rows, i)
				}
			}
		}
	}
	if rows == nil && len(sent) == 1 {
		rows = sent
	}
	for _, i := range rows {
		if w.results[i].Kind != outcome.Delivered { // what was done was done
			w.results[i].Outcome = o
		}
	}
	return halt
}

// unnamed is the answer where nothing was done and errors name nobody: smaller calls will tell whom they mean.
func (w *work) unnamed(answer *batchAnswer, sent []int) (target.Answer, bool) {
	if len(answer.Errors) == 0 || len(answer.Results) > 0 || len(sent) < 2 {
		return target.Answer{}, false
	}
	for _, i := range sent {
		if w.results[i].Kind != 0 {
			return target.Answer{}, false
		}
	}
	o, halt := ofRow(&answer.Errors[0])
	a := target.Deferred(o.Reason, o.Detail, 0)
	a.Split, a.Halt, a.Status, a.RequestID = !halt && o.Kind == outcome.Refused, halt, w.last.status, w.last.requestID(failed{})
	return w.whole(a), true
}

// settleAssociations reads which notes are linked now.
func (w *work) settleAssociations(sent []int, noteIDs []string) target.Answer {
	answer, err := decodeBatch(w.last.body)
	if err != nil {
		return w.unreadable(err)
	}
	byNote := make(map[string]int, len(sent))
	for _, i := range sent {
		byNote[noteIDs[i]] = i
	}
	done := func(i int) {
		w.results[i] = target.Result{Outcome: outcome.Outcome{Kind: outcome.Delivered}, ID: w.ids[i]}
	}
	for j := range answer.Results {
		if i, known := byNote[answer.Results[j].From.ID]; known {
			done(i)
		}
	}
	halt := false
	for j := range answer.Errors {
		o, forbidden := w.ofRow(&answer.Errors[j])
		halt = halt || forbidden
		for _, id := range answer.Errors[j].named("fromObjectId") {
			if i, known := byNote[id]; known && w.results[i].Kind == 0 {
				w.results[i].Outcome = o
			}
		}
	}
	if len(answer.Errors) == 0 {
		for _, i := range sent {
			done(i)
		}
	}
	return w.done(halt)
}
