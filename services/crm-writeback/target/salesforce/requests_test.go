package salesforce_test

import (
	"net/http"
	"testing"

	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/pkg/crm/salesforcefake"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
	"github.com/sluicehq/sluice/services/crm-writeback/target/salesforce"
)

func TestTheRequestsAreThoseOfTheDocumentation(t *testing.T) {
	note := func(id string) *target.Row {
		return &target.Row{ID: id, Object: "Task", Key: id, Mode: crm.Note, Fields: []byte(
			`{"Subject":"Newsletter form","Who":{"attributes":{"type":"Contact"},"Braze_External_Id__c":"48213"}}`)}
	}
	update := func(key string) *target.Row {
		r := row(key, `{"Title":null}`)
		r.Mode = crm.Update
		return r
	}
	for name, c := range map[string]struct {
		options func(*salesforce.Options)
		before  []*target.Row
		rows    []*target.Row
		want    []string
	}{
		"upsert": {
			options: func(o *salesforce.Options) { o.AllowDuplicates, o.Client = true, "sluice-eu" },
			rows: []*target.Row{
				row("48213", `{"Email":"mira.osei@example.com","HasOptedOutOfEmail":true,"LastName":"Osei","Title":null}`),
				row(`a"b`, ` { "LastName" : "O" } `),
			},
			want: []string{"delivered", "delivered"},
		},
		"update": {
			before: []*target.Row{row("48213", fields), row(`o'brien\1`, fields)},
			rows:   []*target.Row{update("48213"), update("nobody"), update(`o'brien\1`)},
			want:   []string{"delivered", "skipped missing", "delivered"},
		},
		"update_number_key": {
			options: func(o *salesforce.Options) { o.NumberKeys = []string{"Contact.Member_Number__c"} },
			before: []*target.Row{{
				ID: "w", Object: "Contact", KeyField: "Member_Number__c", Key: "77", Mode: crm.Upsert, Fields: []byte(fields),
			}},
			rows: []*target.Row{
				{ID: "w1", Object: "Contact", KeyField: "Member_Number__c", Key: "77", Mode: crm.Update, Fields: []byte(fields)},
				{ID: "w2", Object: "Contact", KeyField: "Member_Number__c", Key: "7x", Mode: crm.Update, Fields: []byte(fields)},
			},
			want: []string{"delivered", "skipped missing"},
		},
		"note_upsert": {
			options: func(o *salesforce.Options) { o.Note.Field = "Sluice_Write_Id__c" },
			before:  []*target.Row{row("48213", fields)},
			rows:    []*target.Row{note("w-1"), note("w-2")},
			want:    []string{"delivered", "delivered"},
		},
		"note_search": {
			options: func(o *salesforce.Options) { o.Note = salesforce.Note{Field: "Source_Id__c", Search: true} },
			before:  []*target.Row{row("48213", fields)},
			rows:    []*target.Row{note("w-1")},
			want:    []string{"delivered"},
		},
		"bulk": {
			options: func(o *salesforce.Options) { o.Bulk.From = 201 },
			before:  rowsOf(1, fields),
			rows: append([]*target.Row{
				row("u1", `{"LastName":"O, \"Neill\"\nof Cork","Title":null,"HasOptedOutOfEmail":false}`),
				row("u2", `{"LastName":"","Account":{"Account_Number__c":"A-1"}}`),
			}, rowsOf(199, `{"Last_Score__c":1}`)...),
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, url := sandbox(t, salesforcefake.Options{})
			o := options(url)
			if c.options != nil {
				c.options(&o)
			}
			recorded := &recorder{next: http.DefaultTransport}
			to := open(t, o, target.Deps{HTTP: client(recorded)})
			for _, r := range c.before {
				if a := to.Write(t.Context(), []*target.Row{r}); a.Of(0).Reason != "" {
					t.Fatalf("preparing the org: %+v", a)
				}
			}
			recorded.text.Reset()
			a := to.Write(t.Context(), c.rows)
			golden(t, "requests/"+name+".txt", recorded.text.Bytes())
			if c.want != nil {
				want(t, a, len(c.rows), c.want...)
			}
		})
	}
}

func TestANoteThatIsWrittenAgainStandsThereOnce(t *testing.T) {
	for name, note := range map[string]salesforce.Note{
		"an external id":   {Field: "Sluice_Write_Id__c"},
		"a field searched": {Field: "Source_Id__c", Search: true},
	} {
		t.Run(name, func(t *testing.T) {
			org, url := sandbox(t, salesforcefake.Options{})
			o := options(url)
			o.Note = note
			to := open(t, o, target.Deps{})
			rows := []*target.Row{
				{ID: "w-1", Object: "Task", Mode: crm.Note, Fields: []byte(`{"Subject":"a"}`)},
				{ID: "w-2", Object: "Task", Mode: crm.Note, Fields: []byte(`{"Subject":"b"}`)},
			}
			first := to.Write(t.Context(), rows[:1])
			again := to.Write(t.Context(), rows)
			want(t, again, 2, "delivered", "delivered")
			if n := len(org.Records("Task")); n != 2 {
				t.Errorf("%d tasks, want 2", n)
			}
			if first.Of(0).ID == "" || first.Of(0).ID != again.Of(0).ID {
				t.Errorf("the note has the ids %q and %q", first.Of(0).ID, again.Of(0).ID)
			}
		})
	}
}

func TestAnUpdateMakesNothing(t *testing.T) {
	org, url := sandbox(t, salesforcefake.Options{})
	to := open(t, options(url), target.Deps{})
	rows := rowsOf(450, fields)
	for _, r := range rows {
		r.Mode = crm.Update
	}
	if a := to.Write(t.Context(), rows[:300]); count(a, 300, 2) != 300 {
		t.Fatalf("not all are skipped: %v", words(a, 300))
	}
	if n := len(org.Records("Contact")); n != 0 {
		t.Fatalf("%d contacts were made", n)
	}
	for i := range 100 {
		if _, err := org.Insert("", "Contact", []byte(`{"LastName":"x","Braze_External_Id__c":"U`+rows[i].Key[1:]+`"}`)); err != nil {
			t.Fatal(err)
		}
	}
	a := to.Write(t.Context(), rows)
	if delivered, skipped := count(a, 450, 1), count(a, 450, 2); delivered != 100 || skipped != 350 {
		t.Errorf("%d delivered, %d skipped; want 100 and 350", delivered, skipped)
	}
	if a.Of(0).ID == "" || a.Of(0).ID != org.Records("Contact")[0].ID {
		t.Error("an update does not say which record it was")
	}
}
