package hubspot

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
	"github.com/sluicehq/sluice/services/crm-writeback/target/httptarget/wire"
)

// upsert makes objects where they are missing.
func (w *work) upsert(ctx context.Context) target.Answer {
	sent, a := w.send(ctx, "upsert", objectPath(w.rows[0].Object, "upsert"), func(e *encoder, dst []byte, i int) ([]byte, error) {
		return e.upsertInput(dst, w.rows[i])
	})
	if a != nil {
		return *a
	}
	return w.settle(sent, w.rows[0].KeyField, nil)
}

// update leaves objects missing that are.
func (w *work) update(ctx context.Context) target.Answer {
	if a := w.find(ctx); a != nil {
		return *a
	}
	sent, a := w.send(ctx, "update", objectPath(w.rows[0].Object, "update"), func(e *encoder, dst []byte, i int) ([]byte, error) {
		return e.updateInput(dst, w.rows[i], w.ids[i])
	})
	if a != nil {
		return *a
	}
	return w.settle(sent, "", w.ids)
}

// note writes notes about objects that are there. The result's id is that object's, which is what a row is about.
func (w *work) note(ctx context.Context) target.Answer {
	if a := w.find(ctx); a != nil {
		return *a
	}
	notes := w.t.options.Notes
	sent, a := w.send(ctx, "note", objectPath(notes.Object, "upsert"), func(e *encoder, dst []byte, i int) ([]byte, error) {
		return e.noteInput(dst, w.rows[i], notes)
	})
	if a != nil {
		return *a
	}
	written := w.settle(sent, notes.Property, nil)
	noteIDs := make([]string, len(w.rows))
	open := false
	for i := range w.results {
		if r := &w.results[i]; r.Kind == outcome.Delivered && r.ID != "" {
			noteIDs[i], open = r.ID, true
			*r = target.Result{} // not before it is known whom the note is about
		} else if r.Kind == outcome.Delivered {
			r.Outcome = outcome.Outcome{Kind: outcome.Deferred, Reason: wire.Unreadable, Detail: "the answer does not name the note"}
		}
	}
	if !open {
		return written
	}
	path := "/crm/v4/associations/" + escaped(notes.Object) + "/" + escaped(w.about.object) + "/batch/associate/default"
	sent, a = w.send(ctx, "associate", path, func(_ *encoder, dst []byte, i int) ([]byte, error) {
		return associateInput(dst, noteIDs[i], w.ids[i])
	})
	if a != nil {
		return *a
	}
	return w.settleAssociations(sent, noteIDs)
}

// find asks which objects there are, and skips the rows of those that are not. The answer is set when there is
// nothing more to do.
func (w *work) find(ctx context.Context) *target.Answer {
	var asked []int
	var keys []string
	for i, key := range w.about.keys {
		if w.results[i].Kind != 0 {
			continue
		}
		asked = append(asked, i)
		if !slices.Contains(keys, key) { // of notes several may be about one
			keys = append(keys, key)
		}
	}
	if len(asked) == 0 {
		a := w.answer()
		return &a
	}
	body, err := readBody(nil, w.about.property, keys)
	if err != nil {
		a := wire.RejectedOf(len(asked), "unsupported_value", wire.Printable(err.Error()))
		return &a
	}
	if a := w.ask(ctx, "read", objectPath(w.about.object, "read"), body, len(asked)); a != nil {
		return a
	}
	answer, err := decodeBatch(w.last.body)
	if err != nil {
		a := w.unreadable(err)
		return &a
	}
	halt := w.match(&answer, asked, len(keys))
	if slices.ContainsFunc(w.results, func(r target.Result) bool { return r.Kind == 0 }) {
		return nil
	}
	a := w.done(halt)
	return &a
}

// match gives the rows the ids that were found for their keys.
func (w *work) match(answer *batchAnswer, asked []int, keys int) (halt bool) {
	found := make(map[string]string, 2*len(answer.Results))
	for i := range answer.Results {
		r := &answer.Results[i]
		if key := r.property(w.about.property); key != "" {
			found[key], found[strings.ToLower(key)] = r.ID, r.ID
		}
	}
	missing := map[string]bool{}
	for i := range answer.Errors {
		e := &answer.Errors[i]
		for _, id := range e.named("ids") {
			missing[id] = true
		}
		_, forbidden := ofRow(e)
		halt = halt || forbidden
	}
	for _, i := range asked {
		key := w.about.keys[i]
		switch id := cmp.Or(found[key], found[strings.ToLower(key)]); {
		case id != "":
			w.ids[i] = id
		case missing[key], len(answer.Errors) == 0 && len(answer.Results) < keys:
			w.results[i].Outcome = outcome.Outcome{Kind: outcome.Skipped, Reason: wire.Missing}
		case keys == 1 && len(answer.Results) == 1 && answer.Results[0].ID != "":
			w.ids[i] = answer.Results[0].ID // by a second address of the same contact
		default:
			w.results[i].Outcome = outcome.Outcome{Kind: outcome.Deferred, Reason: wire.Unreadable, Detail: "the answer does not name it"}
		}
	}
	return halt
}

func (w *work) unreadable(err error) target.Answer {
	a := target.Deferred(wire.Unreadable, wire.Status(w.last.status, err.Error()), 0)
	a.Status, a.RequestID = w.last.status, w.last.requestID(failed{})
	return w.whole(a)
}
