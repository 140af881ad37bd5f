package salesforce

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

// longestQuery bounds a query in its URL: Salesforce takes 16,384 bytes of URL and headers (salesforce-docs: api
// request limits), and a query of more is made of several.
const longestQuery = 12_000

// found is which records have a key, by the key in small letters: an external id matches without regard to case
// unless its field says otherwise.
type found map[string][]record

type record struct{ id, key string }

// of is the record of a key, and how many have it. Where several do, one in the very same letters is meant.
func (f found) of(key string) (record, int) {
	all := f[strings.ToLower(key)]
	if len(all) == 1 {
		return all[0], 1
	}
	exact, n := record{}, 0
	for _, r := range all {
		if r.key == key {
			exact, n = r, n+1
		}
	}
	if n == 1 {
		return exact, 1
	}
	return record{}, len(all)
}

// find asks for the ids of records by an external key. It makes as many queries as the keys are long.
func (t *Target) find(ctx context.Context, object, field string, rows []*target.Row, value func(*target.Row) string) (found, reply, *target.Answer) {
	all := make(found, len(rows))
	var last reply
	for next := 0; next < len(rows); {
		q, n := t.query(object, field, rows[next:], value)
		got, failed := t.call(ctx, &request{
			api: apiQuery, method: http.MethodGet, path: "/query", query: "q=" + q, rows: len(rows),
		})
		if failed != nil {
			return nil, got, failed
		}
		if err := all.read(got.body, field); err != nil {
			a := badAnswer(got, err)
			return nil, got, &a
		}
		next, last = next+n, got
	}
	return all, last, nil
}

// query is SELECT … IN (…), escaped for a URL, and the number of rows that it asks for.
func (t *Target) query(object, field string, rows []*target.Row, value func(*target.Row) string) (string, int) {
	quote := !t.numeric[object+"."+field]
	var q strings.Builder
	fmt.Fprintf(&q, "SELECT+Id,%s+FROM+%s+WHERE+%s+IN+(", field, object, field)
	n := 0
	for ; n < len(rows); n++ {
		literal := value(rows[n])
		if quote {
			literal = "'" + soqlEscape.Replace(literal) + "'"
		} else if !number(literal) {
			literal = "null" // no record has such a key, and anything else would spoil the query of the others
		}
		literal = url.QueryEscape(literal)
		if n > 0 {
			if q.Len()+len(literal) > longestQuery {
				break
			}
			q.WriteByte(',')
		}
		q.WriteString(literal)
	}
	q.WriteByte(')')
	return q.String(), n
}

// soqlEscape escapes what a quoted string may not hold (salesforce-docs: quoted string escape sequences).
var soqlEscape = strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`, "\r", `\r`, "\t", `\t`, "\b", `\b`, "\f", `\f`)

func (f found) read(body []byte, field string) error {
	var answer struct {
		Done    bool                        `json:"done"`
		Records []map[string]jsontext.Value `json:"records"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return fmt.Errorf("reading the answer to a query: %w", err)
	}
	if !answer.Done {
		// 2,000 records come at once: some hundred keys have that many only where the field is no key.
		return errors.New("reading the answer to a query: so many records for so few keys")
	}
	for _, one := range answer.Records {
		var r record
		for name, value := range one {
			switch {
			case strings.EqualFold(name, "Id"):
				r.id = fullID(plain(value))
			case strings.EqualFold(name, field):
				r.key = plain(value)
			}
		}
		if r.id == "" || r.key == "" {
			return errors.New("reading the answer to a query: a record without id or key")
		}
		low := strings.ToLower(r.key)
		f[low] = append(f[low], r)
	}
	return nil
}

// plain is a string, or a number as a key has it: 48213.0 is 48213.
func plain(value jsontext.Value) string {
	switch value.Kind() {
	case '"':
		text, err := jsontext.AppendUnquote(nil, value)
		if err != nil {
			return ""
		}
		return string(text)
	case '0':
		whole, rest, _ := strings.Cut(string(value), ".")
		if strings.Trim(rest, "0") == "" {
			return whole
		}
		return string(value)
	}
	return ""
}

func number(text string) bool {
	digits := strings.TrimPrefix(text, "-")
	return digits != "" && len(digits) <= 18 && strings.Trim(digits, "0123456789") == ""
}
