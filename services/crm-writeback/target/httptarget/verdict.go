package httptarget

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/jsontree"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/quota"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
	"github.com/sluicehq/sluice/services/crm-writeback/target/httptarget/wire"
)

// The program verdicts reads an answer: {"status", "headers", "body", "rows"}. The body is a value, a text where it is
// no JSON, and null where there is none; headers have names in lower case; rows are what the other programs saw of each
// row. It yields a list with an element for each row, in their order:
//
//	{"outcome": "refused", "reason": "invalid_tier", "detail": "no such tier: platin", "id": "m-1", "retry_after": 3}
//
// where null stands for what the status says. Or it yields one of these for all rows, where "halt": true says that a
// person is needed, and "split": true that a smaller batch may be taken. Or null: what the status says.

var (
	errLongAnswer = fmt.Errorf("the answer is longer than %d bytes", maxAnswer)
	errNotVerdict = errors.New(`verdicts yields something else than a list of objects such as {"outcome": "delivered"}, one for each row`)
)

// consult asks the program, where its words count more than the status's.
func (s *settings) consult(ctx context.Context, q *request, r *reply, byStatus target.Answer) target.Answer {
	said, err := s.ask(ctx, q, r, byStatus)
	switch {
	case err == nil:
		return said
	case ctx.Err() != nil:
		return target.Deferred(wire.Interrupted, "", 0)
	case r.took():
		// Some of it may have been refused: that it was taken would be a false yes.
		return target.Deferred(wire.Unreadable, wire.Status(r.status, "what became of the rows cannot be read: "+err.Error()), 0)
	}
	return byStatus // an error page of a proxy in between, mostly
}

func (s *settings) ask(ctx context.Context, q *request, r *reply, byStatus target.Answer) (target.Answer, error) {
	if r.cut != nil {
		return byStatus, r.cut
	}
	body, err := bodyOf(r.body)
	if err != nil {
		return byStatus, err
	}
	headers := map[string]any{}
	for name, values := range r.header {
		headers[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	rows := []any{q.input}
	if s.batch {
		rows = q.input["rows"].([]any)
	}
	value, err := s.verdicts.run(ctx, map[string]any{"status": r.status, "headers": headers, "body": body, "rows": rows})
	if err != nil && !errors.Is(err, errNothing) {
		return byStatus, fmt.Errorf("running verdicts: %w", err)
	}
	switch v := value.(type) {
	case nil:
		return byStatus, nil
	case map[string]any:
		return ofAll(v, len(q.rows), byStatus)
	case []any:
		return ofEach(v, len(q.rows), byStatus)
	}
	return byStatus, errNotVerdict
}

// bodyOf is an answer's body as a value. Broken JSON, of which nothing can be believed, is an error.
func bodyOf(text []byte) (any, error) {
	if text = bytes.TrimSpace(text); len(text) == 0 {
		return nil, nil
	}
	value, err := jsontree.Read(text, jsontree.Options{Duplicates: true})
	switch {
	case err == nil:
		return value, nil
	case text[0] == '{' || text[0] == '[':
		return nil, err
	}
	return strings.ToValidUTF8(string(text), "\uFFFD"), nil
}

// ofEach is the answer that a list of verdicts makes.
func ofEach(list []any, rows int, byStatus target.Answer) (target.Answer, error) {
	if len(list) != rows {
		return byStatus, fmt.Errorf("%w: it has %d elements for %d rows", errNotVerdict, len(list), rows)
	}
	a := target.Answer{Each: make([]target.Result, rows)}
	for i, element := range list {
		if element == nil {
			if byStatus.Split || byStatus.Halt { // it cannot be said of one row
				return byStatus, fmt.Errorf("%w: of a row that is not decided by the status it says nothing", errNotVerdict)
			}
			a.Each[i].Outcome, a.RetryAfter = byStatus.All, max(a.RetryAfter, byStatus.RetryAfter)
			continue
		}
		said, ok := element.(map[string]any)
		if !ok {
			return byStatus, errNotVerdict
		}
		o, err := outcomeOf(said)
		if err != nil {
			return byStatus, err
		}
		a.Each[i] = target.Result{Outcome: o, ID: word(said["id"])}
		if o.Kind == outcome.Deferred {
			a.RetryAfter = max(a.RetryAfter, seconds(said["retry_after"]))
		}
	}
	return a, nil
}

// ofAll is the answer that one verdict for all rows makes.
func ofAll(said map[string]any, rows int, byStatus target.Answer) (target.Answer, error) {
	reason, detail := reasonOf(said, wire.Rejected), word(said["detail"])
	switch {
	case truthy(said["halt"]):
		return wire.Halted(reasonOf(said, wire.Unusable), detail), nil
	case truthy(said["split"]):
		return wire.RejectedOf(rows, reason, detail), nil
	}
	o, err := outcomeOf(said)
	if err != nil {
		return byStatus, err
	}
	a := target.Answer{All: o}
	if o.Kind == outcome.Deferred {
		a.RetryAfter = max(seconds(said["retry_after"]), byStatus.RetryAfter)
	}
	if id := word(said["id"]); id != "" && rows == 1 {
		a = target.Answer{Each: []target.Result{{Outcome: o, ID: id}}, RetryAfter: a.RetryAfter}
	}
	return a, nil
}

// outcomeOf reads a verdict. What is not delivered has a reason, if only that there is none.
func outcomeOf(said map[string]any) (outcome.Outcome, error) {
	name, _ := said["outcome"].(string)
	kind, ok := outcome.Parse(name)
	if !ok {
		return outcome.Outcome{}, fmt.Errorf("%w: outcome is %q, and not delivered, skipped, refused or deferred", errNotVerdict, wire.Printable(name))
	}
	o := outcome.Outcome{Kind: kind, Detail: word(said["detail"])}
	switch kind {
	case outcome.Delivered:
		o.Reason = reasonOf(said, "")
	case outcome.Skipped:
		o.Reason = reasonOf(said, "skipped_by_answer")
	case outcome.Deferred:
		o.Reason = reasonOf(said, "deferred_by_answer")
	case outcome.Refused:
		o.Reason = reasonOf(said, wire.Rejected)
	}
	return o, nil
}

func reasonOf(said map[string]any, fallback string) string {
	return wire.Word(word(said["reason"]), fallback)
}

// word is a text or a number of an answer, fit to be read.
func word(v any) string {
	switch v := v.(type) {
	case string:
		return wire.Printable(v)
	case json.Number:
		return v.String()
	case int:
		return strconv.Itoa(v)
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return strconv.FormatInt(int64(v), 10)
		}
	}
	return ""
}

// seconds reads a wait, an hour at most.
func seconds(v any) time.Duration {
	n, err := strconv.ParseFloat(word(v), 64)
	if f, ok := v.(float64); ok {
		n, err = f, nil
	}
	if err != nil || !(n > 0) {
		return 0
	}
	return time.Duration(min(n, quota.MaxWait.Seconds()) * float64(time.Second))
}

// truthy is jq's idea of true.
func truthy(v any) bool { return v != nil && v != false }
