package salesforce_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/pkg/crm/salesforcefake"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

// watched calls f with every request before it goes out.
type watched func(*http.Request)

func (f watched) RoundTrip(r *http.Request) (*http.Response, error) {
	f(r)
	return http.DefaultTransport.RoundTrip(r)
}

func TestAJobWhoseCallerGoesIsAborted(t *testing.T) {
	org, url := sandbox(t, salesforcefake.Options{Knobs: salesforcefake.Knobs{JobPolls: 1 << 30}})
	o := options(url)
	o.Bulk.From = 300
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	to := open(t, o, target.Deps{HTTP: client(watched(func(r *http.Request) {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/jobs/") {
			cancel()
		}
	}))})
	a := to.Write(ctx, rowsOf(400, fields))
	if a.All.Kind != outcome.Deferred || a.All.Reason != "interrupted" {
		t.Errorf("%+v", a)
	}
	calls := org.Calls()
	if last := calls[len(calls)-1]; last.Method != http.MethodPatch || last.Status != 200 {
		t.Errorf("the last call is %+v", last)
	}
	if n := len(org.Records("Contact")); n != 0 {
		t.Errorf("%d records were made", n)
	}
}

func TestAJobThatNeverEndsIsAborted(t *testing.T) {
	at := newClock()
	org, url := sandbox(t, salesforcefake.Options{Knobs: salesforcefake.Knobs{JobPolls: 1 << 30}})
	o := options(url)
	o.Bulk.From, o.Bulk.Wait = 300, time.Hour
	to := open(t, o, target.Deps{Now: at.now, HTTP: client(watched(func(r *http.Request) {
		if r.Method == http.MethodGet {
			at.pass(25 * time.Minute)
		}
	}))})
	a := to.Write(t.Context(), rowsOf(400, fields))
	if a.All.Kind != outcome.Deferred || a.All.Reason != "timeout" || a.Split {
		t.Errorf("%+v", a)
	}
	if calls := org.Calls(); calls[len(calls)-1].Method != http.MethodPatch {
		t.Errorf("the last call is %+v", calls[len(calls)-1])
	}
}

func TestAJobOutlivesBadAnswersWhileItIsWaitedFor(t *testing.T) {
	org, url := sandbox(t, salesforcefake.Options{})
	o := options(url)
	o.Bulk.From = 300
	polls := 0
	to := open(t, o, target.Deps{HTTP: client(watched(func(r *http.Request) {
		if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/jobs/") {
			return
		}
		polls++
		if err := org.SetKnobs(salesforcefake.Knobs{Down: polls < 4}); err != nil {
			t.Error(err)
		}
	}))})
	if a := to.Write(t.Context(), rowsOf(400, fields)); count(a, 400, outcome.Delivered) != 400 {
		t.Errorf("%+v", a.Of(0))
	}
}

func TestTheFormGrowsWhileManyRowsWait(t *testing.T) {
	_, url := sandbox(t, salesforcefake.Options{})
	o := options(url)
	o.Bulk.From = 600
	to := open(t, o, target.Deps{})
	sizes := []int{to.Form().Rows}
	for _, n := range []int{200, 200, 200, 3, 200, 200, 200, 400} {
		to.Write(t.Context(), rowsOf(n, fields))
		sizes = append(sizes, to.Form().Rows)
	}
	if want := []int{200, 200, 200, 10_000, 200, 200, 200, 10_000, 200}; !slices.Equal(sizes, want) {
		t.Errorf("the form takes %v rows, want %v", sizes, want)
	}
}

func TestAShortBudgetMakesJobsOfManyRowsAndCallsOfFew(t *testing.T) {
	org, url := sandbox(t, salesforcefake.Options{DailyLimit: 100})
	o := options(url)
	o.Bulk.Short = "50%"
	to := open(t, o, target.Deps{})
	for range 51 {
		to.Write(t.Context(), rowsOf(1, fields))
	}
	if n := to.Form().Rows; n != 10_000 {
		t.Fatalf("the form takes %d rows", n)
	}
	before := len(org.Calls())
	to.Write(t.Context(), rowsOf(1400, fields))
	if n := len(org.Calls()) - before; n != 7 {
		t.Errorf("1400 rows take %d calls, want 7", n)
	}
	before = len(org.Calls())
	if a := to.Write(t.Context(), rowsOf(3000, fields)); count(a, 3000, outcome.Delivered) != 3000 {
		t.Errorf("%+v", a.Of(0))
	}
	if n := len(org.Calls()) - before; n != 7 {
		t.Errorf("3000 rows take %d calls, want 7", n)
	}
}

func TestASpentBudgetAsksForNoMoreRowsThanACallTakes(t *testing.T) {
	at := newClock()
	_, url := sandbox(t, salesforcefake.Options{DailyLimit: 200, Now: at.now})
	o := options(url)
	o.Daily.Budget = "50%"
	to := open(t, o, target.Deps{Now: at.now})
	for range 95 {
		to.Write(t.Context(), rowsOf(1, fields))
	}
	for n := 95; n < 105; n++ {
		if rows := to.Form().Rows; rows != 200 {
			t.Fatalf("after %d calls of 100 the form takes %d rows, of which a call can take 200 and no job can be made", n, rows)
		}
		if a := to.Write(t.Context(), rowsOf(200, fields)); a.Each == nil && n < 100 || a.Each != nil && n > 100 {
			t.Errorf("call %d: %+v", n, a.All)
		}
	}
	at.pass(15 * time.Minute)
	if a := to.Write(t.Context(), rowsOf(200, fields)); count(a, 200, outcome.Delivered) != 200 {
		t.Errorf("the call that asks for room: %+v", a.Of(0))
	}
}

func TestWhatCSVCannotSayGoesAsACall(t *testing.T) {
	org, url := sandbox(t, salesforcefake.Options{})
	o := options(url)
	o.Bulk.From = 300
	to := open(t, o, target.Deps{})
	rows := rowsOf(700, fields)
	for _, i := range []int{350, 640, 650, 660} { // one after many, and some so near that no job fits in between
		rows[i].Fields = []byte(`{"LastName":"#N/A"}`)
	}
	if a := to.Write(t.Context(), rows); count(a, 700, outcome.Delivered) != 700 {
		t.Errorf("%v", a.Of(350))
	}
	if n := len(org.Calls()); n != 9 {
		t.Errorf("%d calls, want 7 of a job and 2 more", n)
	}
	if r, _ := org.Find("Contact", keyField, "u00350"); r.Text("LastName") != "#N/A" {
		t.Errorf("the name is %q", r.Text("LastName"))
	}
}

func TestASpentBudgetMakesNoCall(t *testing.T) {
	at := newClock()
	org, url := sandbox(t, salesforcefake.Options{})
	o := options(url)
	o.Daily.Budget, o.Bulk.Off = "2", true
	to := open(t, o, target.Deps{Now: at.now})
	want(t, to.Write(t.Context(), rowsOf(1, fields)), 1, "delivered")
	a := to.Write(t.Context(), rowsOf(450, fields))
	if count(a, 450, outcome.Delivered) != 200 || a.Of(449).Reason != "daily_limit" || a.RetryAfter < 23*time.Hour {
		t.Errorf("%d delivered, the last %v, after %v", count(a, 450, outcome.Delivered), a.Of(449), a.RetryAfter)
	}
	if n := len(org.Calls()); n != 2 {
		t.Errorf("%d calls", n)
	}
	at.pass(a.RetryAfter)
	want(t, to.Write(t.Context(), rowsOf(1, fields)), 1, "delivered")
}

func TestNotesGoAsAJobToo(t *testing.T) {
	org, url := sandbox(t, salesforcefake.Options{})
	o := options(url)
	o.Bulk.From, o.Note.Field = 300, "Sluice_Write_Id__c"
	to := open(t, o, target.Deps{})
	if _, err := org.Insert("", "Contact", []byte(`{"LastName":"Osei","Braze_External_Id__c":"48213"}`)); err != nil {
		t.Fatal(err)
	}
	rows := rowsOf(300, `{"Subject":"a form","Who":{"attributes":{"type":"Contact"},"Braze_External_Id__c":"48213"}}`)
	for _, r := range rows {
		r.Object, r.Mode, r.KeyField = "Task", crm.Note, ""
	}
	for range 2 {
		if a := to.Write(t.Context(), rows); count(a, 300, outcome.Delivered) != 300 {
			t.Errorf("%+v", a.Of(0))
		}
	}
	tasks := org.Records("Task")
	if len(tasks) != 300 || tasks[0].Text("WhoId") != org.Records("Contact")[0].ID {
		t.Errorf("%d tasks, of %q", len(tasks), tasks[0].Text("WhoId"))
	}
}
