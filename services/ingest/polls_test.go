package ingest

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/ingest/webhook"
)

// polledFile is a source whose API stands at an address, sorted by a number of the change.
func polledFile(t *testing.T, address string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sources.yaml")
	text := `sources:
  crm:
    poll:
      url: ` + address + `/contacts?after={since}
      every: 100ms
      rate: 1000/1s
      auth: {scheme: bearer, secret_env: CRM_TOKEN}
      items: .contacts
      paging: {more: .more, sorted: true}
      since: {value: .seq, format: integer, overlap: 0}
      id: .id
      version: .seq
    identity: '{external_id: (.body.id | id)}'
    map: |
      if .body.id == 13 then dead_letter("unmappable"; "unlucky")
      else {to: "profile", set: {seq: .body.seq}} end
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// crm is an API with contacts 1 to n, each at its own number.
type crm struct {
	mu sync.Mutex
	n  int
}

func (c *crm) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	after, err := strconv.Atoi(r.URL.Query().Get("after"))
	if r.Header.Get("Authorization") != "Bearer t0ken" || err != nil {
		http.Error(w, "no", http.StatusUnauthorized)
		return
	}
	var items []string
	first := max(after, 1)
	for seq := first; seq <= c.n && seq < first+10; seq++ {
		items = append(items, fmt.Sprintf(`{"id":%d,"seq":%d}`, seq, seq))
	}
	fmt.Fprintf(w, `{"contacts":[%s],"more":%v}`, strings.Join(items, ","), first+10 <= c.n)
}

func (c *crm) grow(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n += n
}

func TestAnotherReplicaGoesOnWhereOneHasStopped(t *testing.T) {
	t.Setenv("CRM_TOKEN", "t0ken")
	onEveryBroker(t, func(t *testing.T, kafka stream.Config) {
		kafka.SessionTimeout = 6 * time.Second
		api := &crm{n: 40}
		server := httptest.NewServer(api)
		t.Cleanup(server.Close)
		file := polledFile(t, server.URL)
		open := func() *house { return openHouse(t, kafka, func(o *Options) { o.SourcesFile = file }) }
		first := open()
		awaitPolled(t, first, 40)
		second := open()
		api.grow(40)
		awaitPolled(t, first, 80)
		for i, leaver := range []*house{first, second} {
			leaver.close() // the other one, or a new one, goes on
			if i == 1 {
				open()
			}
			api.grow(20)
			awaitPolled(t, second, 100+20*i)
		}
	})
}

// awaitPolled waits until each contact has become a record, or a dead letter, and then sees to it that
// none has become two.
func awaitPolled(t *testing.T, h *house, n int) {
	t.Helper()
	timeout := time.After(time.Minute)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		ids := byID(h.read(t, schema.CustomerProfiles))
		letters := byID(h.read(t, schema.DeadLetters(Name)))
		if len(ids) == n-1 && len(letters) == 1 {
			for id, times := range ids {
				if times != 1 {
					t.Errorf("%s became %d records", id, times)
				}
			}
			return
		}
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("%d records and %d letters of %d contacts", len(ids), len(letters), n)
		}
	}
}

// polledItems reads contacts as a page would have shown them.
func polledItems(t *testing.T, d *door, n int) (*webhook.Polling, []webhook.Item) {
	t.Helper()
	sources, err := LoadSources(polledFile(t, "http://localhost"), func(string) (string, bool) { return "t0ken", true }, "")
	if err != nil {
		t.Fatal(err)
	}
	d.newHooks(sources)
	var items []string
	for i := range n {
		items = append(items, fmt.Sprintf(`{"id":%d,"seq":1}`, i+1))
	}
	polling := sources.Find("crm").Polling()
	page, err := polling.Read(t.Context(), []byte(`{"contacts":[`+strings.Join(items, ",")+`]}`))
	if err != nil {
		t.Fatal(err)
	}
	return polling, page.Items
}

func TestWhatIsPolledWaitsForKafkaAndIsThereOnce(t *testing.T) {
	d := newDoor(nil)
	d.shelf.fail = func(n int) error {
		if n%3 == 1 && n < 20 {
			return kerr.NotEnoughReplicas
		}
		return nil
	}
	polling, items := polledItems(t, d, 20)
	if err := (pollSink{d.Service}).Take(t.Context(), polling, items); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, r := range d.shelf.records {
		ids = append(ids, r.headers["event-id"])
	}
	slices.Sort(ids)
	if len(slices.Compact(ids)) != 19 || len(d.shelf.records) != 19 || len(d.shelf.letters) != 1 {
		t.Errorf("%d records, %d letters", len(d.shelf.records), len(d.shelf.letters))
	}
	if l := d.shelf.letters[0]; string(l.Value) != `{"id":13,"seq":1}` || l.OriginTopic != "/v1/polls/crm" || l.Detail != "unlucky" {
		t.Errorf("%+v", l)
	}
}

func TestWhatKafkaWillNeverTakeIsADeadLetter(t *testing.T) {
	d := newDoor(nil)
	d.shelf.fail = func(n int) error {
		if n == 1 {
			return kerr.MessageTooLarge
		}
		return nil
	}
	polling, items := polledItems(t, d, 3)
	if err := (pollSink{d.Service}).Take(t.Context(), polling, items); err != nil {
		t.Fatal(err)
	}
	if len(d.shelf.records) != 2 || len(d.shelf.letters) != 1 || d.shelf.letters[0].Reason != "refused_by_kafka" {
		t.Errorf("%d records, letters %+v", len(d.shelf.records), d.shelf.letters)
	}
}

// TestAnItemThatFitsNowhereStopsNobody polls items that are too large to be kept, among others.
func TestAnItemThatFitsNowhereStopsNobody(t *testing.T) {
	d := newDoor(nil)
	d.shelf.inline = true
	d.shelf.fail = func(n int) error {
		if n == 3 { // the record of the last, which has yet to become a letter
			return kerr.MessageTooLarge
		}
		return nil
	}
	polling, _ := polledItems(t, d, 0)
	long := strings.Repeat("x", longestLetter)
	page, err := polling.Read(t.Context(), []byte(`{"contacts":[{"id":1,"seq":1},{"id":13,"seq":2,"note":"`+long+`"},{"id":3,"seq":3,"note":"`+long+`"},{"id":4,"seq":4,"note":"`+long+`"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := (pollSink{d.Service}).Take(ctx, polling, page.Items); err != nil {
		t.Fatal(err)
	}
	if len(d.shelf.records) != 2 || len(d.shelf.letters) != 2 {
		t.Fatalf("%d records, %d letters", len(d.shelf.records), len(d.shelf.letters))
	}
	for i, want := range []struct{ reason, id, words string }{{"unmappable", "poll/13/2", "unlucky"}, {"refused_by_kafka", "poll/4/4", "was refused by Kafka"}} {
		l := d.shelf.letters[i]
		if l.Reason != want.reason || l.EventID != want.id || !l.Incomplete() || len(l.Value) > 0 || !strings.HasSuffix(l.Detail, want.words) {
			t.Errorf("letter %d of %d bytes: %s %s: %s", i, len(l.Value), l.Reason, l.EventID, l.Detail)
		}
	}
}

func TestASourceThatIsPolledOnlyIsNobodyToCall(t *testing.T) {
	d := newDoor(nil)
	polledItems(t, d, 1)
	if w := d.ask("POST", "/v1/hooks/crm", "{}"); w.Code != http.StatusNotFound {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
}

func TestWhoStopsPollingStopsWaiting(t *testing.T) {
	d := newDoor(nil)
	d.shelf.fail = func(int) error { return kerr.NotEnoughReplicas }
	polling, items := polledItems(t, d, 3)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := (pollSink{d.Service}).Take(ctx, polling, items); err == nil {
		t.Error("it says that everything is durable")
	}
}
