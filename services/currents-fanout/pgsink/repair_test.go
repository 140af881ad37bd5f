package pgsink

import (
	"bytes"
	"io"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

func FuzzRepaired(f *testing.F) {
	for _, seed := range []string{`{"a":"\u0000\ud83d\ude00\ud83d","n":[-1.5e400000,12]}`, `"\\u0000\""`, `[[[]]]`, `"\ud83d\ud83d"`, `{"a":"\u00`, `-`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		before := bytes.Clone(doc)
		fit, changed := repaired(doc)
		if !bytes.Equal(before, doc) {
			t.Fatal("it wrote on what it was given")
		}
		if fit == nil || !jsontext.Value(doc).IsValid(jsontext.AllowDuplicateNames(true)) {
			return // whatever it makes of what is no JSON, it came back
		}
		if !jsontext.Value(fit).IsValid(jsontext.AllowDuplicateNames(true)) {
			t.Fatalf("%s became %s", doc, fit)
		}
		if changed == bytes.Equal(doc, fit) {
			t.Fatalf("changed is %v of %s and %s", changed, doc, fit)
		}
		if again, changed := repaired(fit); changed || !bytes.Equal(again, fit) {
			t.Fatalf("%s was to be repaired again, to %s", fit, again)
		}
	})
}

// Whatever the document is, the row has every column, and reading it does not write on it.
func FuzzRow(f *testing.F) {
	for _, seed := range []string{
		`{"event_type":"t","id":"e","time":1,"user":{"user_id":"b","new":[1]},"properties":{"url":"/x","is_amp":true,"suspected_bot_click_reason":["a",null]}}`,
		`{"user":[],"properties":{"url":{"a":{}}},"properties":{"url":1}}`, `{"user":{"user":{}}}`, `[]`, `{`, `{"properties":{"a\u0000":"\ud83d"}}`,
	} {
		f.Add([]byte(seed))
	}
	var plans []*plan
	for _, t := range []*target{singleTarget("t"), newTarget("", click)} {
		plans = append(plans, newPlan("t", t, everything(t)))
	}
	r := newRow()
	f.Fuzz(func(t *testing.T, doc []byte) {
		before := bytes.Clone(doc)
		e := &sink.Event{ID: "e", Engagement: &event.Engagement{ID: "e", Type: click}, OccurredAt: noon, ReceivedAt: noon, JSON: doc}
		for _, p := range plans {
			if _, err := io.Copy(io.Discard, r.stream(p, []*sink.Event{e}, []int{0, 0})); err != nil || len(r.cells) != len(p.columns) {
				t.Fatalf("%d cells of %d columns, %v", len(r.cells), len(p.columns), err)
			}
			for i, c := range r.cells {
				if p.columns[i].kind == document && c.ok && jsontext.Value(doc).IsValid(jsontext.AllowDuplicateNames(true)) && !jsontext.Value(c.b).IsValid(jsontext.AllowDuplicateNames(true)) {
					t.Fatalf("%s is %s", p.columns[i].name, c.b)
				}
			}
		}
		if !bytes.Equal(before, doc) {
			t.Fatal("it wrote on what it was given")
		}
	})
}
