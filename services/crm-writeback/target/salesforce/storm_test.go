package salesforce_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/crm/salesforcefake"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
	"github.com/sluicehq/sluice/services/crm-writeback/target/salesforce"
)

// storm is ten thousand forms of 2,500 people, each of whom sends four; one in twenty cannot be written.
func storm() []*target.Row {
	const people = 2500
	rows := make([]*target.Row, 0, 4*people)
	for turn := range 4 {
		for who := range people {
			n := len(rows)
			text := fmt.Sprintf(`{"LastName":"Osei","Last_Score__c":%d`, turn)
			switch {
			case n%60 == 7:
				text += `,"Email":"nobody"`
			case n%60 == 27:
				text += `,"Loyalty_Tier__c":"` + strings.Repeat("gold", 6) + `"`
			case n%60 == 47:
				text += `,"Nonsense__c":1`
			}
			r := row(fmt.Sprintf("u%05d", who), text+"}")
			r.ID = fmt.Sprintf("w%05d", n)
			rows = append(rows, r)
		}
	}
	return rows
}

// writeAll writes rows as the writer does: the oldest of each contact, as many as the form takes, again until all are
// settled. It returns what became of each, by the row's id.
func writeAll(t *testing.T, to target.Target, org *salesforcefake.Sandbox, at *clock, rows []*target.Row) map[string]target.Result {
	t.Helper()
	settled := map[string]target.Result{}
	most := 0
	for round := 0; len(rows) > 0; round++ {
		if round > 2000 {
			t.Fatalf("%d rows are never settled", len(rows))
		}
		limit := to.Form().Rows
		if most > 0 {
			limit = min(limit, most)
		}
		var batch, rest []*target.Row
		taken := map[string]bool{}
		for _, r := range rows {
			if len(batch) < limit && !taken[r.Key] {
				batch = append(batch, r)
			} else {
				rest = append(rest, r)
			}
			taken[r.Key] = true
		}
		a := to.Write(t.Context(), batch)
		if a.Halt {
			t.Fatalf("halted: %+v", a)
		}
		if most = 0; a.Split {
			most = len(batch) / 2
		}
		if a.RetryAfter > 0 {
			at.pass(a.RetryAfter)
			org.TurnDay()
		}
		var again []*target.Row
		for i, r := range batch {
			result := a.Of(i)
			if !result.Kind.Final() {
				again = append(again, r)
				continue
			}
			if _, twice := settled[r.ID]; twice {
				t.Fatalf("%s is settled twice", r.ID)
			}
			settled[r.ID] = result
		}
		rows = append(again, rest...)
	}
	return settled
}

func TestEveryFormIsDeliveredOrRefusedThroughAStorm(t *testing.T) {
	for name, c := range map[string]struct {
		bulk salesforce.Bulk
		jobs bool
		seed uint64
	}{
		"by calls":                        {bulk: salesforce.Bulk{Off: true}, seed: 11},
		"by jobs when few calls are left": {bulk: salesforce.Bulk{Short: "40%", Poll: 1}, jobs: true, seed: 8},
	} {
		t.Run(name, func(t *testing.T) {
			at := newClock()
			org, url := sandbox(t, salesforcefake.Options{
				DailyLimit: 40, Seed: c.seed, Now: at.now,
				Knobs: salesforcefake.Knobs{P503: 0.03, P503After: 0.02, PHTML: 0.02, PShort: 0.02, PLock: 0.02, PRowError: 0.002, ExpireAfter: 25},
			})
			o := options(url)
			o.Bulk = c.bulk
			// While a job is waited for, nobody but the org can say that the day is over.
			to := open(t, o, target.Deps{Now: at.now, HTTP: client(answered(func(r *http.Response) {
				if r.StatusCode == http.StatusForbidden {
					at.pass(time.Hour)
					org.TurnDay()
				}
			}))})
			rows := storm()
			settled := writeAll(t, to, org, at, rows)
			checkStorm(t, org, rows, settled)
			checkWeather(t, org)
			if !at.now().After(newClock().now()) {
				t.Error("the daily limit was never met")
			}
			calls, ideal := countCalls(org)
			t.Logf("%d calls, %d are ideal", calls, ideal)
			if 10*calls > 11*ideal {
				t.Errorf("%d calls, and %d would do", calls, ideal)
			}
			jobs := 0
			for _, call := range org.Calls() {
				if strings.HasSuffix(call.Path, "/batches") {
					jobs++
				}
			}
			if c.jobs != (jobs > 0) {
				t.Errorf("%d jobs", jobs)
			}
		})
	}
}

// answered calls f with every answer.
type answered func(*http.Response)

func (f answered) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err == nil {
		f(resp)
	}
	return resp, err
}

// checkStorm: every row is delivered or refused with a reason, in the order of each contact, and the org has what was
// delivered last.
func checkStorm(t *testing.T, org *salesforcefake.Sandbox, rows []*target.Row, settled map[string]target.Result) {
	t.Helper()
	reasons := map[string]int{}
	last := map[string]string{}
	for _, r := range rows {
		switch result := settled[r.ID]; {
		case result.Kind == outcome.Delivered && result.ID != "":
			last[r.Key] = scoreOf(t, r.Fields)
		case result.Kind == outcome.Refused && result.Reason != "" && result.Detail != "":
			reasons[result.Reason]++
			if result.Reason == "field_custom_validation_exception" {
				delete(last, r.Key) // by chance: the row may have been taken before, and the answer lost
			}
		default:
			t.Fatalf("%s ends as %+v", r.ID, result)
		}
	}
	for _, reason := range []string{"invalid_email_address", "string_too_long", "invalid_field"} {
		if n := reasons[reason]; n < 150 || n > 170 {
			t.Errorf("%d rows are refused as %s", n, reason)
		}
	}
	score := map[string]string{}
	for _, w := range org.Writes() {
		if w.Error != "" {
			continue
		}
		now := scoreOf(t, w.Fields)
		if now < score[w.Key] {
			t.Fatalf("%s is written %s after %s", w.Key, now, score[w.Key])
		}
		score[w.Key] = now
	}
	for key, wanted := range last {
		r, ok := org.Find("Contact", keyField, key)
		if got := r.Text("Last_Score__c"); !ok || got != wanted {
			t.Fatalf("%s has %q, and %s was delivered last", key, got, wanted)
		}
	}
}

// checkWeather: all that was to go wrong did.
func checkWeather(t *testing.T, org *salesforcefake.Sandbox) {
	t.Helper()
	statuses, locks := map[int]int{}, 0
	for _, c := range org.Calls() {
		statuses[c.Status]++
	}
	for _, w := range org.Writes() {
		if w.Error == "UNABLE_TO_LOCK_ROW" {
			locks++
		}
	}
	if statuses[503] == 0 || statuses[401] == 0 || locks < 50 {
		t.Errorf("fair weather: answers %v and %d locks", statuses, locks)
	}
}

func scoreOf(t *testing.T, fields jsontext.Value) string {
	t.Helper()
	_, rest, ok := strings.Cut(string(fields), `"Last_Score__c":`)
	if !ok {
		t.Fatalf("no score in %s", fields)
	}
	return strings.Trim(strings.FieldsFunc(rest, func(r rune) bool { return r == ',' || r == '}' })[0], `"`)
}

// countCalls is how many calls there were, and how few would do for the rows that were sent: those of calls that came
// to nothing and those that were locked have to be sent again, and each token that expires costs a call.
func countCalls(org *salesforcefake.Sandbox) (calls, ideal int) {
	rows := 0
	for _, c := range org.Calls() {
		calls++
		if c.Status == 401 {
			ideal++
			continue
		}
		rows += c.Rows
		if c.Status == 503 && c.Rows == 0 {
			rows += 200
		}
	}
	return calls, ideal + (rows+199)/200
}

func TestAJobSettlesEveryRowAndTakesFewCalls(t *testing.T) {
	org, url := sandbox(t, salesforcefake.Options{Knobs: salesforcefake.Knobs{PLock: 0.01, JobPolls: 3}, Seed: 3})
	o := options(url)
	o.Bulk.From = 5000
	to := open(t, o, target.Deps{})
	rows := rowsOf(8000, fields)
	rows[17].Fields = []byte(`{"LastName":null}`)
	rows[18].Fields = []byte(`{"LastName":"x","Email":"nobody"}`)
	a := to.Write(t.Context(), rows)
	if got := words(a, 8000)[17:19]; got[0] != "refused required_field_missing" || got[1] != "refused invalid_email_address" {
		t.Errorf("bad rows are %v", got)
	}
	delivered, deferred := count(a, 8000, outcome.Delivered), count(a, 8000, outcome.Deferred)
	if n := len(org.Records("Contact")); n != delivered || delivered+deferred != 7998 || deferred < 40 || deferred > 160 {
		t.Errorf("%d delivered, %d deferred, %d records", delivered, deferred, n)
	}
	if n := len(org.Calls()); n != 9 {
		t.Errorf("%d calls; want 3 to begin, 4 to wait and 2 for the results", n)
	}
	if id := a.Of(0).ID; id == "" || id != org.Records("Contact")[0].ID {
		t.Errorf("the first row's id is %q", id)
	}
}

func TestAJobThatIsNotTakenIsSplit(t *testing.T) {
	_, url := sandbox(t, salesforcefake.Options{})
	o := options(url)
	o.Bulk.From = 300
	rows := rowsOf(400, fields)
	rows[3].Fields = []byte(`{"Nonsense__c":1}`)
	a := open(t, o, target.Deps{}).Write(t.Context(), rows)
	if !a.Split || a.All.Reason != "job_failed" || !strings.Contains(a.All.Detail, "Nonsense__c") {
		t.Errorf("%+v", a)
	}
}

func TestRowsThatAJobDidNotComeToAreDeferred(t *testing.T) {
	_, url := sandbox(t, salesforcefake.Options{Knobs: salesforcefake.Knobs{JobStops: 250}})
	o := options(url)
	o.Bulk.From = 300
	a := open(t, o, target.Deps{}).Write(t.Context(), rowsOf(400, fields))
	if count(a, 400, outcome.Delivered) != 250 || a.Of(399).Reason != "unprocessed" {
		t.Errorf("%d delivered, the last is %+v", count(a, 400, outcome.Delivered), a.Of(399))
	}
}
