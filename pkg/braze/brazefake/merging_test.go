package brazefake_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/braze/brazefake"
)

// life makes calls about who is who, which must all be accepted.
func life(t *testing.T, s *brazefake.Sandbox, calls ...[2]string) {
	t.Helper()
	for _, c := range calls {
		if status, answer := call(s, "POST", c[0], c[1]); status/100 != 2 {
			t.Fatalf("status %d: %s", status, answer)
		}
	}
}

func identify(list, known, id string) [2]string {
	return [2]string{"/users/identify", fmt.Sprintf(`{%q:[{"external_id":%q,%s}]}`, list, id, known)}
}

func mergeOf(from, into string) [2]string {
	return [2]string{"/users/merge", `{"merge_updates":[{"identifier_to_merge":{` + from + `},"identifier_to_keep":{` + into + `}}]}`}
}

// is what a profile comes to, for comparing.
func is(t *testing.T, s *brazefake.Sandbox, user string) string {
	t.Helper()
	p, found := s.Profile(user)
	if !found {
		return "nobody"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s tier=%s n=%s events=%d", p.ExternalID, p.Custom["tier"], p.Custom["n"], p.EventCount)
	if p.Alias != nil {
		fmt.Fprintf(&b, " alias=%s:%s", p.Alias.Label, p.Alias.Name)
	}
	for _, a := range p.MoreAliases {
		fmt.Fprintf(&b, " alias=%s:%s", a.Label, a.Name)
	}
	return b.String()
}

func TestWhoIsWhoChanges(t *testing.T) {
	const (
		lead   = `"user_alias":{"alias_label":"lead","alias_name":"7"}`
		byMail = `"email":"ada@example.org","prioritization":["unidentified"]`
	)
	// Who there is: by what they go, and what is set.
	type known struct{ name, attributes string }
	var (
		asLead   = known{lead, `"_update_existing_only":false,"tier":"lead","n":1`}
		asCRM    = known{`"external_id":"crm"`, `"tier":"gold"`}
		mailOnly = known{`"email":"ada@example.org"`, `"tier":"mail"`}
		x        = known{`"external_id":"x"`, `"email":"ada@example.org"`}
		y        = known{`"external_id":"y"`, `"email":"ada@example.org"`}
	)
	tests := []struct {
		name   string
		people []known
		calls  [][2]string
		want   map[string]string
		last   string // outcome of the last change
	}{
		{
			name: "an unknown external id is given to the alias", people: []known{asLead},
			calls: [][2]string{identify("aliases_to_identify", lead, "crm")},
			want:  map[string]string{"crm": `crm tier="lead" n=1 events=1 alias=lead:7`, "alias:lead:7": `crm tier="lead" n=1 events=1 alias=lead:7`},
			last:  "given the external id",
		},
		{
			name: "a known one takes the alias in, and what it has wins", people: []known{asLead, asCRM},
			calls: [][2]string{identify("aliases_to_identify", lead, "crm")},
			want:  map[string]string{"crm": `crm tier="gold" n=1 events=2 alias=lead:7`, "alias:lead:7": `crm tier="gold" n=1 events=2 alias=lead:7`},
			last:  "merged",
		},
		{
			name: "not when it has an alias with that label", people: []known{asLead, asCRM},
			calls: [][2]string{{"/users/alias/new", `{"user_aliases":[{"external_id":"crm","alias_label":"lead","alias_name":"8"}]}`}, identify("aliases_to_identify", lead, "crm")},
			want:  map[string]string{"crm": `crm tier="gold" n= events=1 alias=lead:8`, "alias:lead:7": ` tier="lead" n=1 events=1 alias=lead:7`},
			last:  "not merged: there is an alias with that label",
		},
		{
			name: "names of aliases are case-sensitive", people: []known{asLead, asCRM},
			calls: [][2]string{identify("aliases_to_identify", strings.Replace(lead, "lead", "Lead", 1), "crm")},
			want:  map[string]string{"alias:lead:7": ` tier="lead" n=1 events=1 alias=lead:7`},
			last:  "nobody matches, or more than one do",
		},
		{
			name: "who has an external id keeps it", people: []known{asLead},
			calls: [][2]string{identify("aliases_to_identify", lead, "crm"), identify("aliases_to_identify", lead, "other")},
			want:  map[string]string{"crm": `crm tier="lead" n=1 events=1 alias=lead:7`, "other": "nobody"},
			last:  "has an external id already",
		},
		{
			name: "an email-only user is identified", people: []known{mailOnly},
			calls: [][2]string{identify("emails_to_identify", byMail, "crm")},
			want:  map[string]string{"crm": `crm tier="mail" n= events=1`, "email:ada@example.org": `crm tier="mail" n= events=1`},
			last:  "given the external id",
		},
		{
			name: "of several with the address none, unless the rules leave one", people: []known{x, y},
			calls: [][2]string{identify("emails_to_identify", `"email":"ada@example.org","prioritization":["identified"]`, "crm")},
			want:  map[string]string{"crm": "nobody", "x": `x tier= n= events=1`},
			last:  "nobody matches, or more than one do",
		},
		{
			name: "the most recently updated is one", people: []known{x, y, {`"external_id":"crm"`, `"a":1`}},
			calls: [][2]string{mergeOf(`"email":"ada@example.org","prioritization":["identified","most_recently_updated"]`, `"external_id":"crm"`)},
			want:  map[string]string{"crm": "crm tier= n= events=2", "x": "x tier= n= events=1", "y": "nobody"},
			last:  "merged",
		},
		{
			name: "merging copies what is missing and sums counters", people: []known{asLead, asCRM},
			calls: [][2]string{mergeOf(lead, `"external_id":"crm"`)},
			want:  map[string]string{"crm": `crm tier="gold" n=1 events=2 alias=lead:7`},
			last:  "merged",
		},
		{
			name: "merging again finds nobody", people: []known{{`"external_id":"old"`, `"n":1`}, asCRM},
			calls: [][2]string{mergeOf(`"external_id":"old"`, `"external_id":"crm"`), mergeOf(`"external_id":"old"`, `"external_id":"crm"`)},
			want:  map[string]string{"crm": `crm tier="gold" n=1 events=2`, "old": "nobody"},
			last:  "not merged: nobody matches, or more than one do",
		},
		{
			name: "nobody is merged into himself", people: []known{asCRM},
			calls: [][2]string{mergeOf(`"external_id":"crm"`, `"external_id":"crm"`)},
			want:  map[string]string{"crm": `crm tier="gold" n= events=1`},
			last:  "not merged: they are the same",
		},
		{
			name: "two phones that are none are merged with nobody", people: []known{asCRM},
			calls: [][2]string{mergeOf(`"phone":"1","prioritization":["identified"]`, `"phone":"2","prioritization":["identified"]`)},
			want:  map[string]string{"crm": `crm tier="gold" n= events=1`},
			last:  "not merged: nobody matches, or more than one do",
		},
		{
			name: "an alias is added to who is known", people: []known{asCRM},
			calls: [][2]string{{"/users/alias/new", `{"user_aliases":[{"external_id":"crm","alias_label":"cart","alias_name":"c1"},{"external_id":"crm","alias_label":"lead","alias_name":"7"}]}`}},
			want:  map[string]string{"alias:cart:c1": `crm tier="gold" n= events=1 alias=cart:c1 alias=lead:7`},
			last:  "added",
		},
		{
			name: "and to nobody else", calls: [][2]string{{"/users/alias/new", `{"user_aliases":[{"external_id":"crm","alias_label":"cart","alias_name":"c1"}]}`}},
			want: map[string]string{"alias:cart:c1": "nobody", "crm": "nobody"}, last: "no such user",
		},
		{
			name: "one without an external id makes somebody", calls: [][2]string{{"/users/alias/new", `{"user_aliases":[{"alias_label":"cart","alias_name":"c1"}]}`}},
			want: map[string]string{"alias:cart:c1": " tier= n= events=0 alias=cart:c1"}, last: "created",
		},
		{
			name: "who is renamed goes by both names", people: []known{asCRM},
			calls: [][2]string{{"/users/external_ids/rename", `{"external_id_renames":[{"current_external_id":"crm","new_external_id":"acct"}]}`}},
			want:  map[string]string{"crm": `acct tier="gold" n= events=1`, "acct": `acct tier="gold" n= events=1`}, last: "renamed",
		},
		{
			name: "deleting by a deprecated name deletes the whole user", people: []known{asCRM},
			calls: [][2]string{{"/users/external_ids/rename", `{"external_id_renames":[{"current_external_id":"crm","new_external_id":"acct"}]}`}, {"/users/delete", `{"external_ids":["crm"]}`}},
			want:  map[string]string{"crm": "nobody", "acct": "nobody"}, last: "deleted",
		},
		{
			name: "who is deleted can be made anew", people: []known{asLead},
			calls: [][2]string{{"/users/delete", `{"user_aliases":[{"alias_label":"lead","alias_name":"7"}]}`}, {"/users/alias/new", `{"user_aliases":[{"alias_label":"lead","alias_name":"7"}]}`}},
			want:  map[string]string{"alias:lead:7": " tier= n= events=0 alias=lead:7"}, last: "created",
		},
		{
			name: "of several with the address only one is deleted", people: []known{x, mailOnly},
			calls: [][2]string{{"/users/delete", `{"email_addresses":[{"email":"ada@example.org","prioritization":["identified"]}]}`}},
			want:  map[string]string{"x": "nobody"}, last: "deleted",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := brazefake.New(brazefake.Options{})
			for _, p := range tt.people {
				attributes(t, s, "{"+p.name+","+p.attributes+"}")
				send(t, s, `{"events":[{`+p.name+`,"name":"e","time":"2026-03-04"}]}`)
			}
			life(t, s, tt.calls...)
			got := map[string]string{}
			for user := range tt.want {
				got[user] = is(t, s, user)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("people (-want +got):\n%s", diff)
			}
			if changes := s.Changes(); changes[len(changes)-1].Outcome != tt.last {
				t.Errorf("outcome %q, want %q", changes[len(changes)-1].Outcome, tt.last)
			}
		})
	}
}

func TestRenamesAreRefusedSingly(t *testing.T) {
	for _, texts := range []bool{false, true} {
		s := brazefake.New(brazefake.Options{Knobs: brazefake.Knobs{RenameErrorTexts: texts}})
		c := serve(t, s, 10*time.Second)
		knows(t, s, "a", "b", "c")
		accepted(t, c, &braze.Renames{Renames: []braze.Rename{{Current: "c", New: "c2"}}})
		answer := c.Call(t.Context(), braze.NewCall(nil, &braze.Renames{Renames: []braze.Rename{
			{Current: "nobody", New: "x"}, {Current: "a", New: "a2"}, {Current: "c", New: "y"}, {Current: "b", New: "c2"},
		}}))
		if answer.Verdict != braze.Accepted {
			t.Fatalf("%+v", answer)
		}
		want := map[int]string{0: "does not exist", 2: "is deprecated", 3: "is in use"}
		for _, item := range answer.Items {
			if !strings.Contains(item.Type, want[item.Index]) || want[item.Index] == "" {
				t.Errorf("item %+v, want %q", item, want[item.Index])
			}
			delete(want, item.Index)
		}
		if len(want) > 0 {
			t.Errorf("not refused: %v", want)
		}
	}
}

func TestExportReadsWhatIsKnown(t *testing.T) {
	s := brazefake.New(brazefake.Options{})
	c := serve(t, s, 10*time.Second)
	attributes(t, s, `{"external_id":"a","email":"ada@example.org","n":820982911946154508}`)
	now := time.Now().UTC().Format(time.RFC3339)
	send(t, s, `{"events":[{"external_id":"a","name":"e","time":"`+now+`"},{"external_id":"a","name":"e","time":"`+now+`"},{"external_id":"a","name":"old","time":"2020-01-01"}]}`)
	answer := accepted(t, c, &braze.ExportUsers{ExternalIDs: []string{"a", "gone"}, Fields: []string{"external_id", "custom_attributes", "custom_events"}})
	body := strings.Join(strings.Fields(string(answer.Body)), "")
	for _, want := range []string{`"external_id":"a"`, `"n":820982911946154508`, `"name":"e"`, `"count":2`, `"invalid_user_ids":["gone"]`, `"message":"success"`} {
		if !strings.Contains(body, want) {
			t.Errorf("%s does not say %s", body, want)
		}
	}
	for _, not := range []string{`"old"`, "ada@example.org"} {
		if strings.Contains(body, not) {
			t.Errorf("%s says %s", body, not)
		}
	}
	if err := s.SetKnobs(brazefake.Knobs{ExportAnyFields: true}); err != nil {
		t.Fatal(err)
	}
	if status, all := call(s, "POST", "/users/export/ids", `{"email_address":"ada@example.org"}`); status != 201 || !strings.Contains(all, "ada@example.org") {
		t.Errorf("status %d: %s", status, all)
	}
}

func TestBulkAndSyncHaveTheirOwnLimits(t *testing.T) {
	s := brazefake.New(brazefake.Options{})
	c := serve(t, s, 10*time.Second)
	objects := func(n int, user func(int) string) []byte {
		var r braze.Request
		for i := range n {
			r.Append(braze.Events, fmt.Appendf(nil, `{"external_id":%q,"name":"e","time":"2026-03-04"}`, user(i)))
		}
		return r.AppendBody(nil)
	}
	own := func(i int) string { return fmt.Sprint("u", i) }
	same := func(int) string { return "a" }
	for name, tt := range map[string]struct {
		answer braze.Answer
		want   braze.Verdict
	}{
		"1,000 in bulk":              {c.TrackBulk(t.Context(), objects(1000, own), [3]int{0, 1000, 0}), braze.Accepted},
		"1,001 in bulk":              {c.TrackBulk(t.Context(), objects(1001, own), [3]int{0, 1001, 0}), braze.Malformed},
		"100 of one user":            {c.TrackBulk(t.Context(), objects(100, same), [3]int{0, 100, 0}), braze.Accepted},
		"101 of one user":            {c.TrackBulk(t.Context(), objects(101, same), [3]int{0, 101, 0}), braze.Malformed},
		"more than 2 MB in bulk":     {c.TrackBulk(t.Context(), []byte(strings.Repeat(" ", 2<<20)+"{}"), [3]int{}), braze.Malformed},
		"one synchronously":          {c.TrackSync(t.Context(), objects(1, same), [3]int{0, 1, 0}), braze.Accepted},
		"two synchronously":          {c.TrackSync(t.Context(), objects(2, same), [3]int{0, 2, 0}), braze.Malformed},
		"a bad one, synchronously":   {c.TrackSync(t.Context(), []byte(`{"events":[{"external_id":"a","name":"e","time":"soon"}]}`), [3]int{0, 1, 0}), braze.Accepted},
		"an attribute synchronously": {c.TrackSync(t.Context(), []byte(`{"attributes":[{"external_id":"a","tier":"gold"}]}`), [3]int{1, 0, 0}), braze.Accepted},
	} {
		if tt.answer.Verdict != tt.want || (len(tt.answer.Items) == 1) != strings.HasPrefix(name, "a bad one") {
			t.Errorf("%s: %v %s %v, want %v", name, tt.answer.Verdict, tt.answer.Message, tt.answer.Items, tt.want)
		}
	}
	if err := s.SetKnobs(brazefake.Knobs{ApplyDelayMin: time.Hour}); err != nil {
		t.Fatal(err)
	}
	for body, want := range map[string]string{
		`{"attributes":[{"external_id":"b","tier":"gold"}]}`:                                                  `{"users":[{"custom_attributes":{"tier":"gold"},"external_id":"b"}],"message":"success"}`,
		`{"attributes":[{"external_id":"nobody","_update_existing_only":true,"tier":"gold"}]}`:                `{"users":[],"message":"success"}`,
		`{"events":[{"external_id":"b","name":"e","time":"2026-03-04T00:00:00Z"}]}`:                           `"custom_events":[{"name":"e","first":"2026-03-04T00:00:00Z"`,
		`{"purchases":[{"external_id":"b","product_id":"p","currency":"EUR","price":1,"time":"2026-03-04"}]}`: `"purchase_events":[{"product_id":"p"`,
	} {
		status, answer := call(s, "POST", "/users/track/sync", body)
		if got := strings.Join(strings.Fields(answer), ""); status != 201 || !strings.Contains(got, want) {
			t.Errorf("status %d, %s, want it applied by now: %s", status, got, want)
		}
	}
}
