package salesforce

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

func FuzzReadResults(f *testing.F) {
	seeds, err := filepath.Glob("testdata/answers/*.json")
	if err != nil || len(seeds) == 0 {
		f.Fatal("no answers to begin with", err)
	}
	for _, path := range seeds {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, uint8(2))
	}
	f.Fuzz(func(t *testing.T, body []byte, rows uint8) {
		results := make([]target.Result, rows)
		if err := readResults(body, results); err != nil {
			return
		}
		for i, r := range results {
			switch {
			case r.Kind != outcome.Delivered && r.Kind != outcome.Refused && r.Kind != outcome.Deferred:
				t.Errorf("row %d has the outcome %v", i, r.Kind)
			case r.Kind != outcome.Delivered && (r.Reason == "" || len(r.Reason) > 64 || r.Reason != strings.ToLower(r.Reason)):
				t.Errorf("row %d has the reason %q", i, r.Reason)
			case len(r.Detail) > longestDetail+len("…") || !utf8.ValidString(r.Detail):
				t.Errorf("row %d has a detail of %d bytes", i, len(r.Detail))
			}
		}
	})
}

func FuzzReadCSV(f *testing.F) {
	f.Add([]byte("\"sf__Id\",\"sf__Error\",\"Key__c\"\n\"003\",\"A:b:c --\",\"k\"\n"))
	f.Add([]byte("sf__Id,Key__c\n"))
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, body []byte) {
		_ = readCSV(body, "Key__c", func(l csvLine) {
			if o := fate([]rowError{l.err()}); o.Kind == 0 || o.Reason == "" {
				t.Errorf("%q has no outcome", l.fault)
			}
		})
	})
}

func FuzzQueryAnswer(f *testing.F) {
	f.Add([]byte(`{"done":true,"records":[{"Id":"001D000000IqhSL","Key__c":"a"},{"Id":"001D000000IqhSM","Key__c":7.0}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		known := found{}
		if known.read(body, "Key__c") != nil {
			return
		}
		for key, records := range known {
			if len(records) == 0 || key == "" || records[0].id == "" {
				t.Errorf("%q: %v", key, records)
			}
		}
	})
}

func TestALineOfFailedResultsIsTakenApart(t *testing.T) {
	for text, want := range map[string]rowError{
		"STRING_TOO_LONG:Title: data value too large: x (max length=1):Title --": {code: "STRING_TOO_LONG", message: "Title: data value too large: x (max length=1):Title"},
		"UNABLE_TO_LOCK_ROW:unable to obtain exclusive access:--":                {code: "UNABLE_TO_LOCK_ROW", message: "unable to obtain exclusive access"},
		"oh": {code: "oh"}, "": {},
	} {
		if got := (csvLine{fault: text}).err(); got.code != want.code || got.message != want.message {
			t.Errorf("%q is read as %+v", text, got)
		}
	}
}

func TestKeysAreFoundWithoutRegardToCaseUnlessTwoDifferInNothingElse(t *testing.T) {
	known := found{}
	err := known.read([]byte(`{"done":true,"records":[{"Id":"001000000000001AAA","K":"a"},{"Id":"001000000000002AAA","K":"A"},{"Id":"001000000000003AAA","K":"b"}]}`), "k")
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]int{"a": 1, "A": 1, "B": 1, "c": 0} {
		if r, n := known.of(key); n != want || (n == 1) != (r.id != "") {
			t.Errorf("%q has %d records, want %d", key, n, want)
		}
	}
	more := found{"x": {{id: "1", key: "X"}, {id: "2", key: "X"}}}
	if _, n := more.of("X"); n != 2 {
		t.Errorf("a key that two have has %d", n)
	}
}

func BenchmarkEncodeAndDecode(b *testing.B) {
	t := &Target{settings: &settings{}}
	rows := make([]*target.Row, maxRows)
	answer := []byte{'['}
	for i := range rows {
		rows[i] = &target.Row{
			ID: "w", Object: "Contact", KeyField: "Braze_External_Id__c", Key: "user-" + strconv.Itoa(i), Mode: "upsert",
			Fields: []byte(`{"Email":"mira.osei@example.com","HasOptedOutOfEmail":true,"Last_Braze_Click__c":"2026-03-02T09:15:04Z","Loyalty_Tier__c":"gold"}`),
		}
		if i > 0 {
			answer = append(answer, ',')
		}
		answer = append(answer, `{"id":"0035e00000Demo9AAF","success":true,"created":false,"errors":[]}`...)
	}
	answer = append(answer, ']')
	results := make([]target.Result, maxRows)
	b.ReportAllocs()
	for b.Loop() {
		for _, row := range rows {
			if bad := t.check(row); bad != "" {
				b.Fatal(bad)
			}
		}
		body := appendRecords(make([]byte, 0, room(rows)), rows, rows[0].KeyField, keyOf)
		if len(body) == 0 {
			b.Fatal("nothing")
		}
		if err := readResults(answer, results); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*maxRows), "ns/row")
	b.ReportMetric(float64(b.N*maxRows)/b.Elapsed().Seconds(), "rows/s")
}
