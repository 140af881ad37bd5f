package pipeline_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/services/pipeline"
)

// contacts is a CRM that does not call: whoever wants to know asks for a page.
type contacts struct {
	mu   sync.Mutex
	list []map[string]any
	asks int
}

const pageOfContacts = 2

func (c *contacts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asks++
	since, page := r.URL.Query().Get("updated_after"), 0
	page, _ = strconv.Atoi(r.URL.Query().Get("page"))
	changed := slices.DeleteFunc(slices.Clone(c.list), func(one map[string]any) bool { return one["updated_at"].(string) < since })
	from := min(max(page-1, 0)*pageOfContacts, len(changed))
	to := min(from+pageOfContacts, len(changed))
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"contacts": changed[from:to], "has_more": to < len(changed)})
}

// change gives a contact a new revision.
func (c *contacts) change(id int, revision int, at, plan string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = slices.DeleteFunc(c.list, func(one map[string]any) bool { return one["id"] == id })
	c.list = append(c.list, map[string]any{"id": id, "revision": revision, "updated_at": at, "plan": plan})
}

func (c *contacts) asked() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asks
}

func TestWhatASystemSaysWhenAskedArrivesAndCostsOnlyWhatChanged(t *testing.T) {
	t.Parallel()
	onEveryCluster(t, func(t *testing.T, c cluster) {
		crm := &contacts{}
		for id := 1; id <= 5; id++ { // three pages, all changed at one moment
			crm.change(id, 1, "2026-03-02T09:15:04Z", "basic")
		}
		server := httptest.NewServer(crm)
		t.Cleanup(server.Close)
		file := filepath.Join(t.TempDir(), "sources.yaml")
		if err := os.WriteFile(file, []byte(`sources:
  crm:
    poll:
      url: `+server.URL+`/contacts?updated_after={since}&sort=updated_at&page={page}&per_page={limit}
      every: 1s
      items: .contacts
      paging: {kind: page, size: 2, more: .has_more, sorted: true}
      since: {value: .updated_at, overlap: 1m}
      id: .id
      version: .revision
    time: .body.updated_at
    identity: '{external_id: (.body.id | id)}'
    map: |
      {to: "profile", set: {plan: .body.plan}}
`), 0o600); err != nil {
			t.Fatal(err)
		}
		r := start(t, load(t, append(slices.Clone(c.environ), "SOURCES_FILE="+file)...), pipeline.Options{})
		await(t, "every contact has been taken in", func() bool { return r.Law().Polls == 5 })
		r.lawful(pipeline.Books{})
		for id := 1; id <= 5; id++ {
			if diff := cmp.Diff(map[string]string{"plan": `"basic"`}, r.profile(strconv.Itoa(id))); diff != "" {
				t.Errorf("contact %d (-want +got):\n%s", id, diff)
			}
		}
		crm.change(3, 2, "2026-03-02T09:16:00Z", "gold")
		await(t, "the change has been taken in", func() bool { return r.Law().Polls == 6 })
		asked := crm.asked()
		await(t, "everything has been shown once more", func() bool { return crm.asked() > asked+6 })
		r.lawful(pipeline.Books{})
		if got := r.profile("3"); got["plan"] != `"gold"` {
			t.Errorf("the contact that has changed is %v", got)
		}
		for id, want := range map[string]int{"1": 1, "2": 1, "3": 2, "4": 1, "5": 1} {
			if paid := r.paid(id); paid != want {
				t.Errorf("of contact %s Braze was sent %d objects of attributes, want %d", id, paid, want)
			}
		}
	})
}
