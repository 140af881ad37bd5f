package registry

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/sr"
)

const (
	// maxCached is how many schemas are kept, and how many ids that were not found.
	maxCached = 10_000
	// maxCachedBytes is how much text is kept: a registry of large schemas must not fill the memory.
	maxCachedBytes = 64 << 20
	// notFoundFor is how long an id stays unknown without asking again. A schema may be registered
	// after the first record that names it was seen, by a replica that lags.
	notFoundFor = 5 * time.Second
	// lookupTimeout bounds all attempts for one id, whoever is waiting.
	lookupTimeout = 30 * time.Second
)

// SchemaByID is the text of the schema with this id. The registry is asked once for an id, however
// many ask at the same time, and what it answered is kept; "not found" is kept for five seconds, and
// trouble on the way is not kept. [ErrNotFound] and [ErrUnsupported] mean that a record with this id
// cannot be read; any other error means that nobody knows.
func (c *Client) SchemaByID(ctx context.Context, id int) (string, error) {
	if id <= 0 {
		// Transaction markers, read by clients that do not filter them, look like id 0.
		return "", fmt.Errorf("schema id %d: %w", id, ErrNotFound)
	}
	if text, known, err := c.schemas.get(id); known {
		return text, err
	}
	// The call outlives whoever came first: others wait for it too.
	result := c.flight.DoChan(strconv.Itoa(id), func() (any, error) {
		if text, known, err := c.schemas.get(id); known { // came while this call was being set up
			return text, err
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookupTimeout)
		defer cancel()
		text, err := c.fetch(ctx, id)
		c.schemas.put(id, text, err)
		return text, err
	})
	select {
	case <-ctx.Done():
		return "", fmt.Errorf("reading schema %d: %w", id, ctx.Err())
	case r := <-result:
		text, _ := r.Val.(string)
		return text, r.Err
	}
}

func (c *Client) fetch(ctx context.Context, id int) (string, error) {
	found, err := call(ctx, func(ctx context.Context) (sr.Schema, error) { return c.sr.SchemaByID(ctx, id) })
	switch {
	case err != nil:
		return "", fmt.Errorf("reading schema %d: %w", id, err)
	case found.Type != sr.TypeAvro:
		return "", fmt.Errorf("schema %d is %s: %w", id, found.Type, ErrUnsupported)
	case len(found.References) > 0:
		return "", fmt.Errorf("schema %d refers to others: %w", id, ErrUnsupported)
	case len(found.Schema) > MaxSchemaBytes:
		return "", fmt.Errorf("schema %d has %d bytes: %w", id, len(found.Schema), ErrUnsupported)
	}
	return found.Schema, nil
}

// schemaCache keeps schemas by id, the least recently asked for leaving first, and the ids that have
// none. The two are apart, so that a stream of made-up ids cannot push the real ones out.
type schemaCache struct {
	mu    sync.Mutex
	texts map[int]*list.Element // of cached
	used  list.List             // newest at the front
	bytes int
	none  map[int]refusal
}

type cached struct {
	id   int
	text string
}

type refusal struct {
	err   error
	until time.Time
}

// get is what the registry said about an id; known is false when it must be asked.
func (s *schemaCache) get(id int) (text string, known bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, found := s.texts[id]; found {
		s.used.MoveToFront(e)
		return e.Value.(cached).text, true, nil
	}
	if r, found := s.none[id]; found && time.Now().Before(r.until) {
		return "", true, r.err
	}
	return "", false, nil
}

func (s *schemaCache) put(id int, text string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrUnsupported):
		if s.none == nil || len(s.none) >= maxCached {
			s.none = make(map[int]refusal) // at worst each is asked for again
		}
		s.none[id] = refusal{err: err, until: time.Now().Add(notFoundFor)}
	case err != nil:
	default:
		delete(s.none, id)
		if s.texts == nil {
			s.texts = make(map[int]*list.Element)
		}
		if _, found := s.texts[id]; found {
			return
		}
		s.texts[id] = s.used.PushFront(cached{id, text})
		s.bytes += len(text)
		for len(s.texts) > maxCached || s.bytes > maxCachedBytes {
			oldest := s.used.Remove(s.used.Back()).(cached)
			delete(s.texts, oldest.id)
			s.bytes -= len(oldest.text)
		}
	}
}
