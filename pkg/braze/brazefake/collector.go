package brazefake

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
)

// collector takes what a fan-out of Currents sends to analytics, and tells doubles by their id as such a
// system does. It is no part of Braze; it stands here so that the way back can be seen to its end.
type collector struct {
	mu     sync.Mutex
	books  Collection
	ids    map[string]int // how often each came, of the last maxCollected
	oldest []string
	last   []Collected
}

// Collection is what the collector has got.
type Collection struct {
	Requests int            `json:"requests"`
	Events   int            `json:"events"`   // all that came
	Distinct int            `json:"distinct"` // ids
	Doubled  int            `json:"doubled"`  // events whose id had come before
	NoID     int            `json:"without_id"`
	Types    map[string]int `json:"types"`
	Last     []Collected    `json:"last"` // newest first
}

// Collected is one event as it came.
type Collected struct {
	At    time.Time       `json:"at"`
	ID    string          `json:"id"`
	Type  string          `json:"event_type"`
	Again bool            `json:"again,omitempty"`
	Event json.RawMessage `json:"event"`
}

const (
	maxCollected   = 200_000 // ids that are remembered
	maxCollectedBy = 1_000   // events
	maxCollect     = 16 << 20
)

func (c *collector) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.books, c.ids, c.oldest, c.last = Collection{}, nil, nil, nil
}

// collect answers POST /_sandbox/collector: one JSON object, several behind one another (NDJSON), an array of
// them, or an object with the one member events, gzipped or not.
func (s *Sandbox) collect(w http.ResponseWriter, r *http.Request) {
	events, err := readCollected(w, r)
	if err != nil {
		status := http.StatusBadRequest
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			status = http.StatusRequestEntityTooLarge
		}
		writeJSON(w, status, map[string]string{"error": err.Error()})
		return
	}
	s.collector.take(events)
	writeJSON(w, http.StatusOK, map[string]int{"accepted": len(events)})
}

func readCollected(w http.ResponseWriter, r *http.Request) ([]json.RawMessage, error) {
	var body io.Reader = http.MaxBytesReader(w, r.Body, maxCollect)
	if r.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(body)
		if err != nil {
			return nil, fmt.Errorf("unzipping the body: %w", err)
		}
		body = http.MaxBytesReader(w, io.NopCloser(unzipped), maxCollect)
	}
	var events []json.RawMessage
	for d := json.NewDecoder(body); ; {
		var value json.RawMessage
		switch err := d.Decode(&value); {
		case errors.Is(err, io.EOF):
			return events, nil
		case err != nil:
			return nil, fmt.Errorf("reading the body: %w", err)
		}
		value = bytes.TrimSpace(value)
		var within []json.RawMessage
		var wrapped struct {
			Events []json.RawMessage `json:"events"`
		}
		switch {
		case value[0] == '[' && json.Unmarshal(value, &within) == nil:
			events = append(events, within...)
		case value[0] == '{' && json.Unmarshal(value, &wrapped) == nil && wrapped.Events != nil:
			events = append(events, wrapped.Events...)
		case value[0] == '{':
			events = append(events, value)
		default:
			return nil, errors.New("want JSON objects, or an array of them")
		}
	}
}

func (c *collector) take(events []json.RawMessage) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ids == nil {
		c.ids, c.books.Types = map[string]int{}, map[string]int{}
	}
	c.books.Requests++
	for _, raw := range events {
		e := Collected{At: time.Now(), Event: raw}
		var said struct {
			ID   string `json:"id"`
			Type string `json:"event_type"`
		}
		if json.Unmarshal(raw, &said) == nil {
			e.ID, e.Type = said.ID, said.Type
		}
		c.books.Events++
		if e.ID == "" {
			c.books.NoID++
		} else {
			e.Again = c.known(e.ID)
		}
		if !e.Again {
			c.books.Types[e.Type]++
		}
		if len(c.last) >= maxCollectedBy {
			c.last = append(c.last[:0], c.last[maxCollectedBy/10:]...)
		}
		c.last = append(c.last, e)
	}
}

// known remembers an id, and says whether it came before.
func (c *collector) known(id string) bool {
	if c.ids[id]++; c.ids[id] > 1 {
		c.books.Doubled++
		return true
	}
	c.books.Distinct++
	if c.oldest = append(c.oldest, id); len(c.oldest) > maxCollected {
		delete(c.ids, c.oldest[0])
		c.oldest = c.oldest[1:]
	}
	return false
}

// Collected is what the collector has got, with at most so many of the last events.
func (s *Sandbox) Collected(most int) Collection {
	c := &s.collector
	c.mu.Lock()
	defer c.mu.Unlock()
	books := c.books
	books.Types, books.Last = maps.Clone(c.books.Types), []Collected{}
	for _, e := range slices.Backward(c.last) {
		if len(books.Last) == most {
			break
		}
		books.Last = append(books.Last, e)
	}
	return books
}
