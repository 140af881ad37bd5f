package hubspot

import (
	"net/http"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

// Whatever HubSpot answers, every row has one outcome, and nothing that is no 2xx is a delivery.
func FuzzAnswer(f *testing.F) {
	f.Add(200, []byte(`{"status":"COMPLETE","results":[{"id":"1","objectWriteTraceId":"w-000000","properties":{"braze_external_id":"crm-0000"}}]}`))
	f.Add(207, []byte(`{"results":[],"errors":[{"category":"VALIDATION_ERROR","message":"no","context":{"objectWriteTraceId":["w-000001"],"ids":"crm-0000"}}]}`))
	f.Add(400, []byte(`{"status":"error","message":"no","category":"VALIDATION_ERROR","correlationId":"x"}`))
	f.Add(429, []byte(`{"policyName":"DAILY"}`))
	made, err := Open(f.Context(), Options{Token: "t"}, target.Deps{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		all := rows(3, update, `{"city":"Graz"}`)
		w := newWork(made.(*Target), all)
		w.last = reply{status: status, header: http.Header{}, body: body, at: time.Unix(1_800_000_000, 0)}
		a := w.meaning()
		for i := range all {
			r := a.Of(i)
			if r.Kind == 0 || r.Kind == outcome.Delivered && !w.last.took() || (a.Split || a.Halt) && (a.Each != nil || a.All.Kind != outcome.Deferred) {
				t.Fatalf("%d %s: row %d: %+v of %+v", status, body, i, r, a)
			}
		}
	})
}

// meaning is what the newest reply means: as the answer to a read, and then to an upsert or an association.
func (w *work) meaning() target.Answer {
	if failed := w.t.judged(w.last, len(w.rows)); failed != nil {
		return w.whole(*failed)
	}
	if answer, err := decodeBatch(w.last.body); err == nil {
		w.match(&answer, []int{0}, 1)
	}
	if len(w.last.body)%2 == 0 {
		return w.settleAssociations([]int{1, 2}, []string{"", "1", "2"})
	}
	w.results[0] = target.Result{}
	return w.settle([]int{0, 1, 2}, "braze_external_id", nil)
}

// Whatever fields are, properties are an object of texts or an error.
func FuzzProperties(f *testing.F) {
	for _, seed := range []string{`{"a":1.0,"b":"x","c":null,"d":[1,"y",true]}`, `{"a":{}}`, `[]`, `{"key":"x","key":2}`, ``, `{"a":[";"]}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, fields []byte) {
		var e encoder
		got, err := e.properties(nil, "key", "v", jsontext.Value(fields))
		if err != nil {
			return
		}
		v := jsontext.Value(got)
		if !v.IsValid() {
			t.Fatalf("%q became %q", fields, got)
		}
	})
}
