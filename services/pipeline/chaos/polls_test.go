package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
)

// shop is a system that does not call: its customers are asked for, page by page, and it counts how many ask at once.
type shop struct {
	mu       sync.Mutex
	revision int // of every customer
	asking   int
	most     int
}

const (
	customers   = 40
	perPage     = 10
	firstChange = "2026-03-02T09:00:00Z"
)

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	revision := s.revision
	s.asking++
	s.most = max(s.most, s.asking)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.asking--
	}()
	var page int
	if _, err := fmt.Sscan(r.URL.Query().Get("page"), &page); err != nil {
		http.Error(w, "no page", http.StatusBadRequest)
		return
	}
	var list []map[string]any
	for id := (page - 1) * perPage; id < min(page*perPage, customers); id++ {
		list = append(list, map[string]any{"id": fmt.Sprint("c", id), "revision": revision, "updated_at": firstChange})
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"customers": list, "more": page*perPage < customers})
}

func (s *shop) change() (revision int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revision++
	return s.revision
}

const shopFile = `sources:
  shop:
    poll:
      url: URL/customers?page={page}&per_page={limit}
      every: 1s
      items: .customers
      paging: {kind: page, size: 10, more: .more}
      id: .id
      version: .revision
    time: .body.updated_at
    identity: '{external_id: .body.id}'
    map: |
      {to: "profile", set: {revision: .body.revision}}
`

// TestWhoPollsIsReplacedWhenKilled kills whichever replica of ingest polls a source, again and again: another takes over
// from its checkpoint, one at a time, and every change is told, each under one id.
func TestWhoPollsIsReplacedWhenKilled(t *testing.T) {
	s := newStage(t, 0)
	ctx, cancel := within(t.Context(), 4*time.Minute, "the polls")
	defer cancel()
	source := &shop{}
	server := httptest.NewServer(source)
	defer server.Close()
	file := filepath.Join(s.dir, "sources.yaml")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(shopFile, "URL", server.URL)), 0o600); err != nil {
		t.Fatal(err)
	}
	bin := build(t, "ingest")
	var doors []*stand
	for i := range 2 {
		door := s.stand("ingest", fmt.Sprint("ingest-", i), bin, schema.CustomerProfiles,
			"INGEST_ADDR=127.0.0.1:0", "INGEST_KEYS=shop:a-long-random-key", "SOURCES_FILE="+file)
		if err := door.start(ctx, true); err != nil {
			t.Fatal(err)
		}
		doors = append(doors, door)
	}
	for round := range 3 {
		revision := source.change()
		s.awaitRevision(ctx, revision)
		owner := owners(ctx, t, doors)
		s.say("round %d: revision %d is told; %s polls, and is killed", round, revision, owner.name)
		killed := owner.now
		if err := killed.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := killed.gone(ctx); err != nil {
			t.Fatal(err)
		}
		revision = source.change()
		s.awaitRevision(ctx, revision) // by the other, once the group has missed the dead one
		if err := owner.start(ctx, true); err != nil {
			t.Fatal(err)
		}
	}
	source.mu.Lock()
	defer source.mu.Unlock()
	if source.most > 1 {
		t.Errorf("%d asked at once", source.most)
	}
	// A page that was told and not yet noted is told once more by whoever comes next, under the same ids.
	ids, states := map[string]bool{}, map[string]bool{}
	for _, p := range s.changes(ctx) {
		ids[p.ID], states[p.User.ExternalID+string(p.Set)] = true, true
	}
	if len(ids) != len(states) || len(states) < customers*source.revision {
		t.Errorf("%d states of customers were told under %d ids; there were %d at least", len(states), len(ids), customers*source.revision)
	}
}

// owners finds the one replica that polls.
func owners(ctx context.Context, t *testing.T, doors []*stand) (owner *stand) {
	t.Helper()
	err := until(ctx, 50*time.Millisecond, func() bool {
		owner = nil
		n := 0
		for _, d := range doors {
			if strings.Contains(d.now.metrics(ctx), `sluice_ingest_poll_owned{component="ingest",source="shop"} 1`) {
				owner = d
				n++
			}
		}
		return n == 1
	})
	if err != nil {
		t.Fatalf("finding who polls: %v", err)
	}
	return owner
}

// metrics is what the process says of itself; empty when it cannot be asked.
func (c *child) metrics(ctx context.Context) string {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.ops+"/metrics", nil)
	if err != nil {
		return ""
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return ""
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return ""
	}
	return string(text)
}

// awaitRevision waits until every customer has been told of with a revision.
func (s *stage) awaitRevision(ctx context.Context, revision int) {
	s.t.Helper()
	want, got := map[string]string{}, map[string]string{}
	for id := range customers {
		want[fmt.Sprint("c", id)] = fmt.Sprintf(`{"revision":%d}`, revision)
	}
	err := until(ctx, 200*time.Millisecond, func() bool {
		clear(got)
		for _, p := range s.changes(ctx) {
			got[p.User.ExternalID] = string(p.Set)
		}
		return cmp.Equal(want, got)
	})
	if err != nil {
		s.t.Fatalf("waiting for revision %d: %v (-want +got)\n%s", revision, err, cmp.Diff(want, got))
	}
}

// changes reads customer.profiles, each customer's in order.
func (s *stage) changes(ctx context.Context) (list []event.Profile) {
	s.t.Helper()
	decoder := avro.NewProfileDecoder(latest(schema.CustomerProfiles))
	err := stream.Read(ctx, s.kafka, stream.Range{Topic: s.kafka.Topic(schema.CustomerProfiles)}, func(r *stream.Record) error {
		var p event.Profile
		if _, err := decoder.Decode(ctx, r.Value, &p); err != nil {
			return err
		}
		list = append(list, p)
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return list
}
