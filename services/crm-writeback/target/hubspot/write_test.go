package hubspot

import (
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/crm/hubspotfake"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

func TestAHundredRowsAreOneCallAndEachHasItsID(t *testing.T) {
	p := open(t, hubspotfake.Options{}, Options{})
	a := p.Write(t.Context(), rows(100, upsert, `{"hs_email_optout":true,"loyalty_points":9007199254740993,"firstname":null,"topics":["a","b"]}`))
	for i := range 100 {
		if got := a.Of(i); got.Kind.String() != "delivered" || got.ID == "" {
			t.Fatalf("row %d: %+v", i, got)
		}
	}
	if diff := cmp.Diff(map[string]int{"contacts/batch/upsert": 1}, p.Calls()); diff != "" {
		t.Error(diff)
	}
	o, _ := p.Find("contacts", "braze_external_id", "crm-0042")
	want := map[string]string{
		"braze_external_id": "crm-0042", "hs_email_optout": "true", "loyalty_points": "9007199254740993", "topics": "a;b", "hs_object_id": o.ID,
	}
	if diff := cmp.Diff(want, o.Properties); diff != "" || a.Of(42).ID != o.ID {
		t.Error(diff, a.Of(42).ID)
	}
	if a.Status != 200 || a.RequestID == "" {
		t.Errorf("status %d, request %q", a.Status, a.RequestID)
	}
}

func TestRowsThatAreNotTakenAreToldApart(t *testing.T) {
	p := open(t, hubspotfake.Options{}, Options{})
	batch := rows(5, upsert, `{"loyalty_tier":"gold"}`)
	batch[1].Fields = []byte(`{"loyalty_tier":"platinum"}`)
	batch[3].Fields = []byte(`{"loyalty_tier":{"is":"an object"}}`)
	batch[4].Fields = []byte(`{"loyalty_tier":"gold","topics":["a;b"]}`)
	a := p.Write(t.Context(), batch)
	want := []string{"delivered", "refused validation_error", "delivered", "refused unsupported_value", "refused unsupported_value"}
	if diff := cmp.Diff(want, fates(a, 5)); diff != "" || a.Split || a.Halt || a.Status != 207 {
		t.Errorf("%+v\n%s", a, diff)
	}
	if want := "Property values were not valid: loyalty_tier was not one of the allowed options: [bronze, silver, gold]"; a.Of(1).Detail != want {
		t.Error(a.Of(1).Detail)
	}
}

func TestOneBadRowThatFailsTheWholeCallIsFoundByHalves(t *testing.T) {
	p := open(t, hubspotfake.Options{}, Options{})
	batch := rows(8, upsert, `{"city":"Graz"}`)
	batch[5].Fields = []byte(`{"email":"not an address"}`)
	var refused, delivered int
	for work := [][2]int{{0, 8}}; len(work) > 0; work = work[1:] {
		from, to := work[0][0], work[0][1]
		switch a := p.Write(t.Context(), batch[from:to]); {
		case a.Split:
			mid := (from + to) / 2
			work = append(work, [2]int{from, mid}, [2]int{mid, to})
		case to-from == 1 && from == 5:
			if a.All.Kind.String() != "refused" || a.All.Reason != "validation_error" {
				t.Errorf("%+v", a)
			}
			refused++
		default:
			delivered += len(slices.DeleteFunc(fates(a, to-from), func(f string) bool { return f != "delivered" }))
		}
	}
	if refused != 1 || delivered != 7 {
		t.Errorf("%d refused, %d delivered", refused, delivered)
	}
}

func TestAnUpdateLeavesWhoIsMissingMissing(t *testing.T) {
	p := open(t, hubspotfake.Options{}, Options{})
	for _, key := range []string{"crm-0000", "CRM-0002"} {
		if _, err := p.Edit(hubspotfake.Edit{Key: key, Properties: map[string]string{"city": "Linz"}}); err != nil {
			t.Fatal(err)
		}
	}
	a := p.Write(t.Context(), rows(4, update, `{"city":"Graz"}`))
	if diff := cmp.Diff([]string{"delivered", "skipped missing", "delivered", "skipped missing"}, fates(a, 4)); diff != "" {
		t.Error(diff)
	}
	o, _ := p.Find("contacts", "braze_external_id", "crm-0002")
	if n := len(p.Objects("contacts")); n != 2 || o.Properties["city"] != "Graz" || a.Of(2).ID != o.ID {
		t.Errorf("%d contacts, %v", n, o)
	}
	if diff := cmp.Diff(map[string]int{"contacts/batch/read": 1, "contacts/batch/update": 1}, p.Calls()); diff != "" {
		t.Error(diff)
	}

	a = p.Write(t.Context(), []*target.Row{row("w-9", "nobody", update, `{"city":"Graz"}`)})
	if diff := cmp.Diff([]string{"skipped missing"}, fates(a, 1)); diff != "" || p.Calls()["contacts/batch/update"] != 1 {
		t.Error(diff, p.Calls())
	}
}

func TestACallThatMayGoInHalvesGoesAsAWhole(t *testing.T) {
	p := open(t, hubspotfake.Options{}, Options{})
	for _, key := range []string{"crm-0001", "crm-0002"} {
		if _, err := p.Edit(hubspotfake.Edit{Key: key}); err != nil {
			t.Fatal(err)
		}
	}
	batch := rows(3, update, `{"email":"nobody"}`) // the first is missing
	if a := p.Write(t.Context(), batch); !a.Split || a.Each != nil || a.All.Kind.String() != "deferred" {
		t.Errorf("%+v", a)
	}
	// What is missing and one that is at fault: nothing is left to halve.
	if diff := cmp.Diff([]string{"skipped missing", "refused validation_error"}, fates(p.Write(t.Context(), batch[:2]), 2)); diff != "" {
		t.Error(diff)
	}
	p.FailNext(hubspotfake.Fault{}, hubspotfake.Fault{Status: 403})
	if a := p.Write(t.Context(), batch[:2]); !a.Halt || a.Each != nil || a.All.Reason != "forbidden" {
		t.Errorf("%+v", a)
	}
}

func TestWhoGoesBetweenTwoCallsIsMissing(t *testing.T) {
	for _, mode := range []string{update, note} {
		s := hubspotfake.New(hubspotfake.Options{})
		if _, err := s.Edit(hubspotfake.Edit{Key: "crm-0000"}); err != nil {
			t.Fatal(err)
		}
		far := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.ServeHTTP(w, r)
			s.Delete("contacts", "braze_external_id", "crm-0000")
		})
		a := against(t, far, Options{}, nil).Write(t.Context(), rows(1, mode, `{}`))
		if diff := cmp.Diff([]string{"skipped missing"}, fates(a, 1)); diff != "" {
			t.Errorf("%s: %s", mode, diff)
		}
	}
}

func TestANoteIsMadeOnceHoweverOftenItIsWritten(t *testing.T) {
	p := open(t, hubspotfake.Options{}, Options{})
	about, err := p.Edit(hubspotfake.Edit{Key: "crm-0000"})
	if err != nil {
		t.Fatal(err)
	}
	batch := rows(2, note, `{"hs_note_body":"opened the autumn mail"}`)
	// The answer of each of the three calls is lost once.
	for range 3 {
		for passes := range 3 {
			p.FailNext(append(make([]hubspotfake.Fault, passes), hubspotfake.Fault{Status: 502, After: true})...)
			if a := p.Write(t.Context(), batch); a.Of(0).Kind.String() != "deferred" || a.Halt {
				t.Fatalf("%+v", a)
			}
		}
	}
	a := p.Write(t.Context(), batch)
	if diff := cmp.Diff([]string{"delivered", "skipped missing"}, fates(a, 2)); diff != "" || a.Of(0).ID != about.ID {
		t.Error(diff, a.Of(0))
	}
	notes := p.Objects("notes")
	if len(notes) != 1 {
		t.Fatalf("%d notes", len(notes))
	}
	want := map[string]string{
		"sluice_write_id": "w-000000", "hs_note_body": "opened the autumn mail", "hs_timestamp": "2026-03-02T09:15:01.476Z", "hs_object_id": notes[0].ID,
	}
	if diff := cmp.Diff(want, notes[0].Properties); diff != "" || !slices.Equal(notes[0].About, []string{about.ID}) {
		t.Error(diff, notes[0].About)
	}
}

// The planner gives notes the id of the write for a key; whom they are about, the user says then.
func TestNotesAreAboutTheUserWhereTheirKeyIsTheirOwn(t *testing.T) {
	p := open(t, hubspotfake.Options{}, Options{})
	about, err := p.Edit(hubspotfake.Edit{Key: "crm-0000"})
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range []string{"contacts", "notes"} {
		var batch []*target.Row
		for i := range 3 {
			r := row(object+string(rune('0'+i)), "crm-0000", note, `{"hs_note_body":"called"}`)
			r.Object, r.Key = object, r.ID
			if object == "notes" {
				r.KeyField = ""
			}
			batch = append(batch, r)
		}
		a := p.Write(t.Context(), batch)
		if diff := cmp.Diff([]string{"delivered", "delivered", "delivered"}, fates(a, 3)); diff != "" || a.Of(2).ID != about.ID {
			t.Errorf("%s: %+v\n%s", object, a, diff)
		}
	}
	if n := len(p.Objects("notes")); n != 6 || p.Calls()["contacts/batch/read"] != 2 {
		t.Errorf("%d notes, %v", n, p.Calls())
	}
}

func TestARowWithoutAKeyIsSkippedAlone(t *testing.T) {
	p := open(t, hubspotfake.Options{}, Options{})
	for _, mode := range []string{upsert, update, note} {
		batch := rows(2, mode, `{}`)
		batch[0].Key = ""
		batch[0].User.ExternalID = ""
		if got := fates(p.Write(t.Context(), batch), 2); got[0] != "skipped no_key" || got[1] == got[0] {
			t.Errorf("%s: %q", mode, got)
		}
		if got := fates(p.Write(t.Context(), batch[:1]), 1); got[0] != "skipped no_key" {
			t.Errorf("%s: %q", mode, got)
		}
	}
}
