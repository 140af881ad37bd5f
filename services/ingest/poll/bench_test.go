package poll

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/services/ingest/webhook"
)

// desk is one source with everything around it, in the memory of a test.
type desk struct {
	polls *Polls
	shelf *shelf
	store *memoryStore
	log   io.Writer
}

func newDesk(t *testing.T, file string, api http.Handler) *desk {
	t.Helper()
	sources, err := webhook.Parse([]byte(file), webhook.Options{Env: func(name string) (string, bool) {
		v, ok := map[string]string{"ID": "us", "SECRET": "s3cret"}[name]
		return v, ok
	}})
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{shelf: &shelf{taken: map[string]int{}}, store: &memoryStore{records: map[string][]byte{}}, log: zerolog.NewTestWriter(t)}
	source := sources.All()[0].Polling()
	if source.Disabled() != "" {
		t.Fatal(source.Disabled())
	}
	d.polls, err = New(Options{
		Sources: []*webhook.Polling{source}, Sink: d.shelf, Metrics: prometheus.NewRegistry(),
		Log: zerolog.New(d.log).Level(zerolog.WarnLevel), Transport: wire{api},
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// worker is a new owner of the source.
func (d *desk) worker() *worker { return d.polls.worker(d.polls.o.Sources[0], d.store) }

// start runs a new owner until stop, which waits.
func (d *desk) start(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { d.worker().run(ctx) })
	return func() { cancel(); running.Wait() }
}

// shelf is a Sink.
type shelf struct {
	mu      sync.Mutex
	taken   map[string]int // by source's event id
	order   []string
	outputs []webhook.Output
	letters []webhook.Message
	before  func() error // asked with every page
	after   func()
}

func (s *shelf) Take(ctx context.Context, source *webhook.Polling, items []webhook.Item) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.before != nil {
		if err := s.before(); err != nil {
			return err
		}
	}
	for _, it := range items {
		m := source.Translate(ctx, it, time.Now())
		s.taken[m.Key]++
		s.order = append(s.order, m.Key)
		s.outputs = append(s.outputs, m.Outputs...)
		if m.Refuse != "" {
			s.letters = append(s.letters, m)
		}
	}
	if s.after != nil {
		s.after()
	}
	return nil
}

// memoryStore goes through the same bytes as the topic does.
type memoryStore struct {
	mu      sync.Mutex
	records map[string][]byte
	saves   int
	fail    func() error
}

func (s *memoryStore) load(_ context.Context, source string, state *checkpoint, known *known) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := loading{source: source, state: state, known: known}
	for key, value := range s.records {
		if err := l.take([]byte(key), value); err != nil {
			return err
		}
	}
	return nil
}

var errCrashed = errors.New("the process has died")

func (s *memoryStore) save(ctx context.Context, source string, state *checkpoint, parts map[int][]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.fail != nil {
		if err := s.fail(); err != nil {
			return err
		}
	}
	text, err := state.encode()
	if err != nil {
		return err
	}
	s.saves++
	next := maps.Clone(s.records)
	next[source] = text
	for n, part := range parts {
		next[partKey(source, n)] = part
	}
	s.records = next
	return nil
}

func key(id, rev int) string { return fmt.Sprintf("poll/%d/%d", id, rev) }
