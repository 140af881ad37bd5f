package hubspot

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicehq/sluice/pkg/crm/hubspotfake"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

// settle writes rows as a writer does, but without haste: what is deferred comes again after a pause, halves go by
// themselves. It returns what became of each, by its id, and how many calls of Write it took.
func settle(t *testing.T, to target.Target, all []*target.Row) (map[string]outcome.Outcome, int) {
	t.Helper()
	fates, writes := map[string]outcome.Outcome{}, 0
	form := to.Form()
	var waiting [][]*target.Row
	for ; len(all) > 0; all = all[min(form.Rows, len(all)):] {
		waiting = append(waiting, all[:min(form.Rows, len(all))])
	}
	for ; len(waiting) > 0 && writes < 2000; writes++ {
		batch := waiting[0]
		waiting = waiting[1:]
		a := to.Write(t.Context(), batch)
		if a.Halt {
			t.Fatalf("halted: %+v", a)
		}
		if a.Split {
			waiting = append(waiting, batch[:len(batch)/2], batch[len(batch)/2:])
			continue
		}
		var again []*target.Row
		for i, r := range batch {
			if o := a.Of(i).Outcome; o.Kind.Final() {
				fates[r.ID] = o
			} else {
				again = append(again, r)
			}
		}
		if len(again) > 0 {
			waiting = append(waiting, again)
			timer := time.NewTimer(max(a.RetryAfter, time.Second))
			<-timer.C
		}
	}
	return fates, writes
}

func TestEveryRowEndsOnBadDays(t *testing.T) {
	for seed := range uint64(5) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := hubspotfake.New(hubspotfake.Options{
					Seed: seed, PerInterval: 10, OAuth: hubspotfake.OAuth{ClientID: "app", ClientSecret: "secret", RefreshToken: "refresh", Life: 3 * time.Minute},
				})
				s.SetKnobs(hubspotfake.Knobs{P5xxBefore: 0.05, P5xxAfter: 0.1, PDropBefore: 0.05, PDropAfter: 0.1, PLocked: 0.05})
				made, err := Open(t.Context(), Options{
					URL: "http://hubspot.example", OAuth: OAuth{ClientID: "app", ClientSecret: "secret", RefreshToken: "refresh"},
				}, target.Deps{HTTP: &http.Client{Transport: direct{s}}})
				if err != nil {
					t.Fatal(err)
				}
				bad := map[string]string{}
				write := func(mode string, n int) map[string]outcome.Outcome {
					batch := rows(n, mode, "")
					for i, r := range batch {
						r.ID = mode + r.ID
						r.Fields = fmt.Appendf(nil, `{"city":"%s-%d"}`, mode, i)
						if mode == note {
							r.Fields = fmt.Appendf(nil, `{"hs_note_body":"%s-%d"}`, mode, i)
						}
						switch {
						case mode == upsert && i%97 == 13: // fails its call
							r.Fields, bad[r.ID] = []byte(`{"email":"nobody"}`), "refused validation_error"
						case mode == upsert && i%31 == 7: // fails alone
							r.Fields, bad[r.ID] = []byte(`{"loyalty_points":"many"}`), "refused validation_error"
						}
					}
					fates, writes := settle(t, made, batch)
					t.Logf("%s: %d writes for %d rows, %v", mode, writes, n, s.Calls())
					return fates
				}
				check := func(mode string, n int, fates map[string]outcome.Outcome, missing func(i int) bool) {
					for i := range n {
						id := fmt.Sprintf("%sw-%06d", mode, i)
						want := "delivered "
						if missing(i) {
							want = "skipped missing"
						}
						if bad[id] != "" {
							want = bad[id]
						}
						if got := fates[id].Kind.String() + " " + fates[id].Reason; got != want {
							t.Errorf("%s: %s, want %s", id, got, want)
						}
					}
				}
				absent := func(i int) bool { return i >= 400 || bad[fmt.Sprintf("%sw-%06d", upsert, i)] != "" }
				check(upsert, 400, write(upsert, 400), func(int) bool { return false })
				check(update, 450, write(update, 450), absent)
				check(note, 450, write(note, 450), absent)
				want := 0
				for i := range 400 {
					if absent(i) {
						continue
					}
					want++
					o, _ := s.Find("contacts", "braze_external_id", fmt.Sprintf("crm-%04d", i))
					if o.Properties["city"] != fmt.Sprintf("update-%d", i) {
						t.Errorf("contact %d: %v", i, o.Properties)
					}
				}
				notes := s.Objects("notes")
				for _, n := range notes {
					if len(n.About) != 1 {
						t.Errorf("note %s is about %v", n.ID, n.About)
					}
				}
				if len(notes) != want || len(s.Objects("contacts")) != want {
					t.Errorf("%d notes and %d contacts, want %d", len(notes), len(s.Objects("contacts")), want)
				}
			})
		})
	}
}
