package salesforce_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/crm/salesforcefake"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

// canned gives a token, and to every call the same answer.
func canned(t *testing.T, status int, header http.Header, body string) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/token") {
			w.Header().Set("Content-Type", "application/json;charset=UTF-8")
			_, _ = w.Write([]byte(`{"access_token":"t","token_type":"Bearer"}`))
			return
		}
		for name, values := range header {
			w.Header()[name] = values
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func fault(code string) string { return `[{"message":"so it is","errorCode":"` + code + `"}]` }

func TestWhatAnAnswerMeans(t *testing.T) {
	const ok = `{"id":"0035e00000Demo9","success":true,"created":true,"errors":[]}`
	for name, c := range map[string]struct {
		status int
		header http.Header
		body   string
		rows   int
		want   string // of the first row
		split  bool
		halt   bool
		after  time.Duration
	}{
		"200 and every row":                       {status: 200, body: "[" + ok + "," + ok + "]", rows: 2, want: "delivered"},
		"200 and a row too few":                   {status: 200, body: "[" + ok + "]", rows: 2, want: "deferred bad_answer"},
		"200 and a row too many":                  {status: 200, body: "[" + ok + "," + ok + "]", rows: 1, want: "deferred bad_answer"},
		"200 and half an answer":                  {status: 200, body: `[{"id":"003`, rows: 1, want: "deferred bad_answer"},
		"200 and a page":                          {status: 200, body: "<html>", rows: 1, want: "deferred bad_answer"},
		"200 and nothing":                         {status: 200, rows: 1, want: "deferred bad_answer"},
		"a row without success or error":          {status: 200, body: `[{"success":false,"errors":[]}]`, rows: 1, want: "deferred bad_answer"},
		"a row without success":                   {status: 200, body: `[{"id":"003"}]`, rows: 1, want: "deferred bad_answer"},
		"400 for many rows":                       {status: 400, body: fault("JSON_PARSER_ERROR"), rows: 2, want: "deferred json_parser_error", split: true},
		"400 for one row":                         {status: 400, body: fault("JSON_PARSER_ERROR"), rows: 1, want: "refused json_parser_error"},
		"400 without a word":                      {status: 400, rows: 1, want: "refused bad_request"},
		"404 of an object":                        {status: 404, body: fault("NOT_FOUND"), rows: 1, want: "refused not_found"},
		"404 of a stranger":                       {status: 404, body: "nothing here", rows: 1, want: "deferred wrong_url", halt: true},
		"413":                                     {status: 413, rows: 2, want: "deferred bad_request", split: true},
		"301":                                     {status: 301, rows: 1, want: "deferred moved", halt: true},
		"403 of a right":                          {status: 403, body: fault("API_DISABLED_FOR_ORG"), rows: 1, want: "deferred forbidden", halt: true},
		"403 of the daily limit":                  {status: 403, body: fault("REQUEST_LIMIT_EXCEEDED"), rows: 1, want: "deferred daily_limit", after: 15 * time.Minute},
		"401 twice":                               {status: 401, body: fault("INVALID_SESSION_ID"), rows: 1, want: "deferred unauthorized", halt: true},
		"429":                                     {status: 429, header: http.Header{"Retry-After": {"7"}}, rows: 1, want: "deferred unavailable", after: 7 * time.Second},
		"500":                                     {status: 500, body: fault("UNKNOWN_EXCEPTION"), rows: 2, want: "deferred unavailable"},
		"503 of a maintenance window":             {status: 503, header: http.Header{"Retry-After": {"120"}}, rows: 2, want: "deferred unavailable", after: 2 * time.Minute},
		"400 that is a lock":                      {status: 400, body: fault("UNABLE_TO_LOCK_ROW"), rows: 2, want: "deferred unavailable"},
		"a row that is locked":                    {status: 200, body: `[{"success":false,"errors":[{"statusCode":"UNABLE_TO_LOCK_ROW","message":"m","fields":[]}]}]`, rows: 1, want: "deferred unable_to_lock_row"},
		"a row over the limit":                    {status: 200, body: `[{"success":false,"errors":[{"statusCode":"REQUEST_LIMIT_EXCEEDED","message":"m"}]}]`, rows: 1, want: "deferred daily_limit", after: 15 * time.Minute},
		"a row that is locked and bad":            {status: 200, body: `[{"success":false,"errors":[{"statusCode":"UNABLE_TO_LOCK_ROW"},{"statusCode":"INVALID_FIELD"}]}]`, rows: 1, want: "refused invalid_field"},
		"a row with a code that is none":          {status: 200, body: `[{"success":false,"errors":[{"statusCode":"Oh no!","message":"m"}]}]`, rows: 1, want: "refused row_error"},
		"a deleted record is refused at upsert":   {status: 200, body: `[{"success":false,"errors":[{"statusCode":"ENTITY_IS_DELETED"}]}]`, rows: 1, want: "refused entity_is_deleted"},
		"members that we do not know are no harm": {status: 200, body: `[{"x":{"y":[1]},"success":true,"id":"0035e00000Demo9"}]`, rows: 1, want: "delivered"},
	} {
		t.Run(name, func(t *testing.T) {
			to := open(t, options(canned(t, c.status, c.header, c.body)), target.Deps{})
			a := to.Write(t.Context(), rowsOf(c.rows, fields))
			if got := words(a, c.rows)[0]; got != c.want || a.Split != c.split || a.Halt != c.halt || a.RetryAfter != c.after {
				t.Errorf("%s, split %v, halt %v, after %v; want %s, %v, %v, %v\n%+v", got, a.Split, a.Halt, a.RetryAfter, c.want, c.split, c.halt, c.after, a)
			}
			if (a.Split || a.Halt) && a.All.Kind != outcome.Deferred {
				t.Errorf("split or halted, and All is %v", a.All.Kind)
			}
			if a.RequestID == "" {
				t.Error("the answer has no request id")
			}
		})
	}
}

func TestTheWordsOfARowAreItsFieldsAndItsMessage(t *testing.T) {
	to := open(t, options(canned(t, 200, nil,
		`[{"success":false,"errors":[{"statusCode":"REQUIRED_FIELD_MISSING","message":"Required fields are missing: [LastName]","fields":["LastName"]},{"statusCode":"X","message":"also"}]}]`)), target.Deps{})
	a := to.Write(t.Context(), rowsOf(1, fields))
	if got, wanted := a.Of(0).Detail, "Required fields are missing: [LastName] (LastName); also"; got != wanted {
		t.Errorf("detail %q, want %q", got, wanted)
	}
}

func TestIdsHave18Characters(t *testing.T) {
	to := open(t, options(canned(t, 200, nil, `[{"id":"001D000000IqhSL","success":true}]`)), target.Deps{})

	if got := to.Write(t.Context(), rowsOf(1, fields)).Of(0).ID; got != "001D000000IqhSLIAZ" {
		t.Errorf("id %q", got)
	}
}

func TestRowsThatCannotBeSentCostTheOthersNothing(t *testing.T) {
	org, url := sandbox(t, salesforcefake.Options{})
	to := open(t, options(url), target.Deps{})
	bad := map[string]*target.Row{
		"no key":             row("", fields),
		"an array":           row("a", `[1]`),
		"half an object":     row("b", `{"LastName":`),
		"two objects":        row("c", `{} {}`),
		"the key":            row("d", `{"braze_external_id__c":"e"}`),
		"an id":              row("e", `{"Id":"003"}`),
		"attributes":         row("f", `{"attributes":{"type":"Lead"}}`),
		"a field of no name": row("g", `{"a b":1}`),
		"a name twice":       row("h", `{"LastName":"a","LastName":"b"}`),
	}
	other := row("i", fields)
	other.Object = "Contact/x"
	mode := row("j", fields)
	mode.Mode = "delete"
	rows := []*target.Row{row("good", fields), other, mode}
	for _, r := range bad {
		rows = append(rows, r)
	}
	rows = append(rows, row("better", fields))
	expected := slices.Repeat([]string{"refused bad_row"}, len(rows))
	expected[0], expected[len(rows)-1] = "delivered", "delivered"
	want(t, to.Write(t.Context(), rows), len(rows), expected...)
	if n := len(org.Calls()); n != 1 {
		t.Errorf("%d calls, want 1", n)
	}
	want(t, to.Write(t.Context(), rows[1:2]), 1, "refused bad_row")
}

func TestATimeoutAndAnEndAreDeferred(t *testing.T) {
	org, url := sandbox(t, salesforcefake.Options{})
	impatient := client(http.DefaultTransport.(*http.Transport).Clone())
	to := open(t, options(url), target.Deps{HTTP: impatient})
	want(t, to.Write(t.Context(), rowsOf(1, fields)), 1, "delivered")
	if err := org.SetKnobs(salesforcefake.Knobs{LatencyMin: time.Hour}); err != nil {
		t.Fatal(err)
	}
	impatient.Timeout = 20 * time.Millisecond
	want(t, to.Write(t.Context(), rowsOf(1, fields)), 1, "deferred timeout")
	impatient.Timeout = time.Minute
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	want(t, to.Write(ctx, rowsOf(1, fields)), 1, "deferred interrupted")
	gone := open(t, options("http://127.0.0.1:1"), target.Deps{})
	want(t, gone.Write(t.Context(), rowsOf(1, fields)), 1, "deferred unreachable")
}

func TestABadRowAmongGoodOnesIsFoundBySplitting(t *testing.T) {
	for name, at := range map[string]int{"in the first call": 21, "in the second": 300, "in the last": 449} {
		t.Run(name, func(t *testing.T) {
			org, url := sandbox(t, salesforcefake.Options{Knobs: salesforcefake.Knobs{StrictCall: true}})
			to := open(t, options(url), target.Deps{})
			rows := rowsOf(450, fields)
			rows[at] = row("bad", `{"LastName":"x","Nonsense__c":1}`)
			refused := 0
			for most, round := len(rows), 0; len(rows) > 0; round++ {
				if round > 50 {
					t.Fatalf("%d rows are never settled", len(rows))
				}
				batch := rows[:min(most, len(rows))]
				a := to.Write(t.Context(), batch)
				if most = 450; a.Split {
					most = len(batch) / 2
				}
				refused += count(a, len(batch), outcome.Refused)
				var again []*target.Row
				for i, r := range batch {
					if !a.Of(i).Kind.Final() {
						again = append(again, r)
					}
				}
				rows = append(again, rows[len(batch):]...)
			}
			if n := len(org.Records("Contact")); n != 449 || refused != 1 {
				t.Errorf("%d records and %d refused, want 449 and 1", n, refused)
			}
		})
	}
}
