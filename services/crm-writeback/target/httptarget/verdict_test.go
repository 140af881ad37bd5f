package httptarget

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestVerdicts(t *testing.T) {
	for _, test := range []struct {
		name, verdicts string
		status         int
		body           string
		want           []string
		split, halt    bool
		after          time.Duration
	}{
		{name: "nothing said", verdicts: `null`, want: []string{"delivered", "delivered"}},
		{name: "nothing yielded", verdicts: `empty`, want: []string{"delivered", "delivered"}},
		{
			name: "each", verdicts: `.body.results`, body: `{"results":[{"outcome":"refused","reason":"BAD_TIER","detail":"x"},{"outcome":"deferred","reason":"locked","retry_after":2.5}]}`,
			want: []string{"refused bad_tier", "deferred locked"}, after: 2500 * time.Millisecond,
		},
		{name: "one of two", verdicts: `[null, {outcome: "skipped", reason: "missing"}]`, want: []string{"delivered", "skipped missing"}},
		{name: "one of two of a failure", verdicts: `[{outcome: "delivered"}, null]`, status: 503, want: []string{"delivered", "deferred unavailable"}},
		{name: "one of two where the status says it of no row", verdicts: `[{outcome: "delivered"}, null]`, status: 400, want: []string{"deferred rejected", "deferred rejected"}, split: true},
		{name: "words that are none", verdicts: `[{outcome: "refused", reason: "é !"}, {outcome: "deferred"}]`, want: []string{"refused rejected", "deferred deferred_by_answer"}},
		{name: "all", verdicts: `{outcome: "deferred", reason: .body, retry_after: (.headers["x-wait"] | tonumber)}`, body: `closed`, want: []string{"deferred closed", "deferred closed"}, after: 9 * time.Second},
		{name: "a person is needed", verdicts: `{halt: true, reason: "suspended"}`, want: []string{"deferred suspended", "deferred suspended"}, halt: true},
		{name: "somewhere in it", verdicts: `{split: true, reason: "bad_rows"}`, want: []string{"deferred bad_rows", "deferred bad_rows"}, split: true},
		{name: "by the rows", verdicts: `[.rows[] | {outcome: "refused", reason: .key}]`, want: []string{"refused m_0000", "refused m_0001"}},

		{name: "too few", verdicts: `[{outcome: "delivered"}]`, want: []string{"deferred unreadable_answer", "deferred unreadable_answer"}},
		{name: "another word", verdicts: `[{outcome: "done"}, {outcome: "delivered"}]`, want: []string{"deferred unreadable_answer", "deferred unreadable_answer"}},
		{name: "a text", verdicts: `"delivered"`, want: []string{"deferred unreadable_answer", "deferred unreadable_answer"}},
		{name: "it fails", verdicts: `.body.results[0].x`, body: `{"results":"?"}`, want: []string{"deferred unreadable_answer", "deferred unreadable_answer"}},
		{name: "it does not end", verdicts: `def f: f; f`, want: []string{"deferred unreadable_answer", "deferred unreadable_answer"}},
		{name: "broken JSON", verdicts: `null`, body: `{"results":`, want: []string{"deferred unreadable_answer", "deferred unreadable_answer"}},
		{name: "it fails of a failure", verdicts: `.body.results[0].x`, status: 502, body: `"bad"`, want: []string{"deferred unavailable", "deferred unavailable"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			far := serve(t, always(max(test.status, 200), test.body, "X-Wait", "9"))
			a := open(t, Options{URL: far.URL, Batch: Batch{Rows: 10}, Verdicts: test.verdicts}).Write(t.Context(), rows(2, upsert, `{}`))
			if diff := cmp.Diff(test.want, fates(a, 2)); diff != "" || a.Split != test.split || a.Halt != test.halt || a.RetryAfter != test.after {
				t.Errorf("%+v\n%s", a, diff)
			}
		})
	}
}

// Whatever an answer is, a verdict or the status decides, and no failure becomes a delivery by the default.
func FuzzVerdicts(f *testing.F) {
	f.Add(200, []byte(`[{"outcome":"delivered","id":1},{"outcome":"refused","reason":"x"}]`))
	f.Add(422, []byte(`{"outcome":"deferred","retry_after":1e9}`))
	f.Add(500, []byte(`{"halt":1,"split":true}`))
	f.Add(200, []byte(`[null,null]`))
	set, err := Options{URL: "http://x.example", Batch: Batch{Rows: 2}, Verdicts: `.body`}.settle()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		two := rows(2, upsert, `{}`)
		q, failed := set.request(t.Context(), two)
		if failed != nil {
			t.Fatal(failed)
		}
		r := &reply{status: status, body: body}
		a := set.consult(t.Context(), q, r, set.classify(q, r))
		for i := range two {
			if o := a.Of(i); o.Kind == 0 || !o.Kind.Final() && o.Reason == "" {
				t.Fatalf("%d %q: %+v", status, body, a)
			}
		}
		if a.RetryAfter < 0 || a.RetryAfter > time.Hour || (a.Split || a.Halt) && a.Each != nil {
			t.Fatalf("%d %q: %+v", status, body, a)
		}
	})
}
