package httpsink

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/pkg/jsontree"
	"github.com/sluicehq/sluice/pkg/outcome"
)

// told is what came of three events, each in short.
func told(v verdict, items int) []string {
	texts := make([]string, items)
	for i := range texts {
		o := v.all
		if v.rows != nil && v.rows[i].Kind != 0 {
			o = v.rows[i]
		}
		texts[i] = strings.TrimSpace(o.Kind.String() + " " + o.Reason + ": " + o.Detail)
		if o.Detail == "" {
			texts[i] = strings.TrimSpace(o.Kind.String() + " " + o.Reason)
		}
	}
	if v.split {
		texts = append(texts, "split")
	}
	if v.halt {
		texts = append(texts, "halt")
	}
	return texts
}

func TestVerdicts(t *testing.T) {
	const rows = `.errors[]? | {index, reason, detail, retry}`
	bigquery := Options{Preset: "bigquery", URL: "https://bigquery.example/insertAll"}
	clickhouse := Options{Preset: "clickhouse", URL: "https://clickhouse.example", Table: "events"}
	general := Options{URL: "https://example.com", Verdicts: rows}
	all := func(text string) []string { return []string{text, text, text} }
	for _, test := range []struct {
		name    string
		options Options
		status  int
		body    string
		cut     bool
		want    []string
	}{
		{"nobody is named", general, 200, `{"errors":[]}`, false, all("delivered")},
		{"an empty answer names nobody", general, 200, ``, false, all("delivered")},
		{
			"who is named is refused, the others are delivered", general, 200, `{"errors":[{"index":1,"reason":"invalid","detail":"no such field"}]}`, false,
			[]string{"delivered", "refused item_rejected: invalid: no such field", "delivered"},
		},
		{
			"who is to come again is deferred", general, 200, `{"errors":[{"index":0,"retry":true},{"index":2,"reason":"bad"}]}`, false,
			[]string{"deferred item_deferred", "delivered", "refused item_rejected: bad"},
		},
		{
			"what is said first of an item counts", general, 200, `{"errors":[{"index":0,"reason":"a"},{"index":0,"retry":true}]}`, false,
			[]string{"refused item_rejected: a", "delivered", "delivered"},
		},
		{
			"a 400 that names the culprits needs no halving", general, 400, `{"errors":[{"index":2,"reason":"bad"}]}`, false,
			[]string{"deferred rejected: answered 400 Bad Request", "deferred rejected: answered 400 Bad Request", "refused item_rejected: bad"},
		},
		{"a 400 that names nobody is halved", general, 400, `{"errors":[]}`, false, append(all("deferred rejected: answered 400 Bad Request"), "split")},
		{"a 503 with the page of a proxy is a 503", general, 503, `<html>{`, false, all("deferred unavailable: answered 503 Service Unavailable")},
		{
			"an index beyond the request is not believed", general, 200, `{"errors":[{"index":3}]}`, false,
			all(`deferred unreadable_answer: answered 200 OK, but what became of the events cannot be read: verdicts yields something else than objects like {"index": 0, "reason": "invalid", "retry": false}: it names the item 3 of a request of 3`),
		},
		{
			"an index that is no whole number is not believed", general, 200, `{"errors":[{"index":0.5}]}`, false,
			all(`deferred unreadable_answer: answered 200 OK, but what became of the events cannot be read: verdicts yields something else than objects like {"index": 0, "reason": "invalid", "retry": false}: it names the item 0.5 of a request of 3`),
		},
		{
			"an answer that breaks off is no yes", general, 200, `{"errors":[`, true,
			all("deferred unreadable_answer: answered 200 OK, but what became of the events cannot be read: the answer ends before its end"),
		},
		{
			"an answer without an end is no yes", general, 200, strings.Repeat(" ", maxAnswer+1), true,
			all("deferred unreadable_answer: answered 200 OK, but what became of the events cannot be read: the answer is longer than 1048576 bytes"),
		},
		{
			"of all of it a program may say that it can come again",
			Options{URL: "https://example.com", Verdicts: `select(.busy) | {retry: true, reason: "busy"}`},
			200, `{"busy":true}`, false,
			all("deferred deferred_by_answer: busy"),
		},
		{
			"or that it was wrong, and who is meant is to be found",
			Options{URL: "https://example.com", Verdicts: `.errors[0] // empty | {reason: .message}`},
			200, `{"errors":[{"message":"no"}]}`, false,
			append(all("deferred rejected: no"), "split"),
		},
		{"bigquery: all rows are in", bigquery, 200, `{"kind":"bigquery#tableDataInsertAllResponse"}`, false, all("delivered")},
		{
			"bigquery: a bad row in an answer of 200", bigquery, 200,
			`{"insertErrors":[{"index":1,"errors":[{"reason":"invalid","location":"colour","debugInfo":"","message":"no such field: colour."}]}]}`, false,
			[]string{"delivered", "refused item_rejected: invalid: colour: no such field: colour.", "delivered"},
		},
		{
			"bigquery: rows that stopped because of another come again", bigquery, 200,
			`{"insertErrors":[{"index":0,"errors":[{"reason":"stopped","message":""}]},{"index":1,"errors":[{"reason":"stopped"},{"reason":"invalid","message":"bad"}]}]}`, false,
			[]string{"deferred item_deferred: stopped", "refused item_rejected: invalid: bad", "delivered"},
		},
		{
			"bigquery: a 403 that is a limit", bigquery, 403, `{"error":{"code":403,"message":"Exceeded rate limits","errors":[{"reason":"rateLimitExceeded"}]}}`, false,
			all("deferred deferred_by_answer: rateLimitExceeded: Exceeded rate limits"),
		},
		{
			"bigquery: a 403 that is a right", bigquery, 403, `{"error":{"code":403,"message":"Access Denied","errors":[{"reason":"accessDenied"}]}}`, false,
			append(all("deferred forbidden: answered 403 Forbidden"), "halt"),
		},
		{"clickhouse: an empty answer", clickhouse, 200, ``, false, all("delivered")},
		{
			"clickhouse: a value in a row that cannot be read, whatever the status", clickhouse, 500, "Code: 27. DB::Exception: Cannot parse input: expected '\"' before: 'x'", false,
			append(all("deferred rejected: code 27: Code: 27. DB::Exception: Cannot parse input: expected '\"' before: 'x'"), "split"),
		},
		{
			"clickhouse: a column that is missing is nobody's event's fault", clickhouse, 400, "Code: 117. DB::Exception: Unknown field found while parsing JSONEachRow format: campaign", false,
			append(all("deferred request_not_accepted: unknown_field: Code: 117. DB::Exception: Unknown field found while parsing JSONEachRow format: campaign"), "halt"),
		},
		{
			"clickhouse: too many parts will pass", clickhouse, 500, "Code: 252. DB::Exception: Too many parts", false,
			all("deferred unavailable: answered 500 Internal Server Error"),
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, err := test.options.settle()
			if err != nil {
				t.Fatal(err)
			}
			v := classify(reply{status: test.status, took: s.took(test.status), items: 3})
			v = s.consult(t.Context(), v, test.status, []byte(test.body), !test.cut, 3)
			if diff := cmp.Diff(test.want, told(v, 3)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Whatever a far end answers: each event has one outcome, nobody is refused who was not named, and what
// cannot be read is no yes.
func FuzzVerdicts(f *testing.F) {
	var sinks []*settings
	for _, o := range []Options{
		{URL: "https://example.com", Verdicts: `.errors[]? | {index, reason, detail, retry}`},
		{URL: "https://example.com", Verdicts: `.[]`},
		{Preset: "bigquery", URL: "https://bigquery.example/insertAll"},
		{Preset: "clickhouse", URL: "https://clickhouse.example", Table: "events", Key: config.Secret("k")},
	} {
		s, err := o.settle()
		if err != nil {
			f.Fatal(err)
		}
		sinks = append(sinks, s)
	}
	f.Add(0, 200, 3, []byte(`{"errors":[{"index":1,"reason":"invalid"},{"index":2,"retry":true}]}`))
	f.Add(1, 207, 2, []byte(`[{"index":1e0},{"index":-0},{"index":99999999999999999999}]`))
	f.Add(2, 200, 4, []byte(`{"insertErrors":[{"index":3,"errors":[{"reason":"stopped"}]}]}`))
	f.Add(3, 500, 1, []byte("Code: 27. DB::Exception: \x1b[31mno"))
	f.Add(1, 200, 1, []byte(strings.Repeat("[", 5000)))
	f.Fuzz(func(t *testing.T, which, status, items int, body []byte) {
		items = 1 + items&7
		s := sinks[which&3]
		took := s.took(status)
		before := classify(reply{status: status, took: took, items: items})
		v := s.consult(t.Context(), before, status, body, true, items)
		if v.rows != nil && len(v.rows) != items {
			t.Fatalf("%d rows for %d items", len(v.rows), items)
		}
		if v.split && (v.all.Kind != outcome.Deferred || items < 2 || v.rows != nil) {
			t.Errorf("%+v", v)
		}
		if v.all.Kind == 0 || v.all.Kind == outcome.Skipped || v.halt && v.all.Kind != outcome.Deferred {
			t.Errorf("%+v", v)
		}
		if !took && v.all.Kind == outcome.Delivered {
			t.Error("a status that is no success became one")
		}
		for i := range items {
			o := v.all
			if v.rows != nil && v.rows[i].Kind != 0 {
				o = v.rows[i]
			}
			if o.Kind == outcome.Skipped || len(o.Detail) > 3*longestWords || strings.ContainsAny(o.Detail, "\x00\x1b\n") {
				t.Errorf("item %d: %+v", i, o)
			}
		}
	})
}

func FuzzEnvelope(f *testing.F) {
	f.Add(`{"batch": [...]}`)
	f.Add(`[...]`)
	f.Add(`{"a":"[...]","b":[...]}`)
	f.Add(`{"a":"\"[...]"}`)
	f.Fuzz(func(t *testing.T, envelope string) {
		before, after, err := unwrap(envelope)
		if err != nil {
			return
		}
		for _, items := range []string{``, `1`, `{"a":"b"},{}`} {
			whole := fmt.Sprintf("%s%s%s", before, items, after)
			if _, err := jsontree.Read([]byte(whole), sent); err != nil && !strings.Contains(err.Error(), "deeply") && !strings.Contains(err.Error(), "digits") && !strings.Contains(err.Error(), "many") {
				t.Errorf("%q with %q: %v", envelope, items, err)
			}
		}
	})
}
