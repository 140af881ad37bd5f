package httpsink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/sluicehq/sluice/pkg/jsontree"
	"github.com/sluicehq/sluice/pkg/outcome"
)

// The program verdicts reads an answer. Its input is the body as a value, the body as a text where it is
// no JSON, null where there is none; $status is the status. Each value that it yields is an object:
//
//	{"index": 3, "retry": false, "reason": "invalid", "detail": "no such field: colour"}
//
// index is the item's place in the request, from 0; an item that is not named is what the status says. An
// item that is named is refused, or deferred with retry. An object without an index speaks of the request
// as a whole: it may come again as it is (retry), needs a person (halt), or is rejected, as with 400.

// maxAnswer bounds the answers that are read for it.
const maxAnswer = 1 << 20

// consult asks the program and adds what it says to what the status says.
func (s *settings) consult(ctx context.Context, v verdict, status int, body []byte, whole bool, items int) verdict {
	named, err := s.verdictsOf(ctx, v, status, body, whole, items)
	switch {
	case err == nil:
		return named
	case v.all.Kind == outcome.Delivered:
		// Some of it may have been refused: that it was taken would be a false yes.
		return deferred(reasonUnreadable, statusText(status)+", but what became of the events cannot be read: "+printable([]byte(err.Error())))
	}
	return v // an error page of a proxy in between, mostly
}

var (
	errCutAnswer  = errors.New("the answer ends before its end")
	errLongAnswer = fmt.Errorf("the answer is longer than %d bytes", maxAnswer)
)

func (s *settings) verdictsOf(ctx context.Context, v verdict, status int, body []byte, whole bool, items int) (verdict, error) {
	switch {
	case len(body) > maxAnswer:
		return v, errLongAnswer
	case !whole:
		return v, errCutAnswer
	}
	var input any
	if len(body) > 0 {
		var err error
		if input, err = jsontree.Read(body, sent); err != nil {
			if input = strings.ToValidUTF8(string(body), "\uFFFD"); looksLikeJSON(body) {
				return v, err
			}
		}
	}
	// Of one row several things may be wrong, and each be told.
	outputs, err := s.verdicts.run(ctx, 16+8*items, input, status)
	if err != nil {
		return v, fmt.Errorf("running verdicts: %w", err)
	}
	return merge(v, outputs, items)
}

// looksLikeJSON tells broken JSON, of which nothing can be believed, from other text.
func looksLikeJSON(body []byte) bool {
	text := strings.TrimSpace(string(body[:min(len(body), 64)]))
	return strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[")
}

var errNotVerdict = errors.New(`verdicts yields something else than objects like {"index": 0, "reason": "invalid", "retry": false}`)

// merge adds what a program yields to what the status says.
func merge(v verdict, outputs []any, items int) (verdict, error) {
	var rows []outcome.Outcome
	for _, output := range outputs {
		if output == nil {
			continue
		}
		said, ok := output.(map[string]any)
		if !ok {
			return v, errNotVerdict
		}
		if said["index"] == nil {
			return ofWhole(v, said, items), nil
		}
		i, ok := wholeNumber(said["index"])
		if !ok || i < 0 || i >= items {
			return v, fmt.Errorf("%w: it names the item %s of a request of %d", errNotVerdict, clipped(said["index"]), items)
		}
		if rows == nil {
			rows = make([]outcome.Outcome, items)
		}
		if rows[i].Kind != 0 {
			continue // what was said first counts
		}
		rows[i] = outcome.Outcome{Kind: outcome.Refused, Reason: reasonItemRejected, Detail: detailOf(said)}
		if truthy(said["retry"]) {
			rows[i].Kind, rows[i].Reason = outcome.Deferred, reasonItemDeferred
		}
	}
	if rows != nil {
		v.rows, v.split = rows, false // now it is known which are meant
	}
	return v, nil
}

func ofWhole(v verdict, said map[string]any, items int) verdict {
	detail := detailOf(said)
	after := v.after
	switch {
	case truthy(said["halt"]):
		v = halted(reasonUnusable, detail)
	case truthy(said["retry"]):
		v = deferred(reasonAnswer, detail)
	default:
		v = rejected(reasonRejected, detail, items)
	}
	v.after = after
	return v
}

// detailOf is the far end's reason and its explanation, as far as they are texts or numbers.
func detailOf(said map[string]any) string {
	reason, detail := wordOf(said["reason"]), wordOf(said["detail"])
	switch {
	case reason == "":
		return detail
	case detail == "":
		return reason
	}
	return printable([]byte(reason + ": " + detail))
}

func wordOf(v any) string {
	switch v := v.(type) {
	case string:
		return printable([]byte(v))
	case json.Number:
		return v.String()
	case int:
		return strconv.Itoa(v)
	}
	return ""
}

// truthy is jq's idea of true.
func truthy(v any) bool { return v != nil && v != false }

// wholeNumber reads an index, which may be a number of the answer or one that the program has counted.
func wholeNumber(v any) (int, bool) {
	switch v := v.(type) {
	case int:
		return v, true
	case json.Number:
		n, err := strconv.ParseInt(v.String(), 10, 32)
		return int(n), err == nil
	case float64:
		n := int(v)
		return n, float64(n) == v
	case *big.Int:
		return 0, false
	}
	return 0, false
}

func clipped(v any) string {
	text := printable(fmt.Append(nil, v))
	return strings.ToValidUTF8(text[:min(len(text), 40)], "")
}
