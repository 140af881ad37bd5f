package webhook

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Item is one thing that a page shows.
type Item struct {
	JSON    []byte // as the program for items yields it, numbers as they were sent
	ID      string // empty where Err says why
	Version string // the item's own, or a hash
	Hashed  bool   // Version is a hash of the item, so that what it was before it may be again
	Again   string // part of the event id of what is told anew though it was told before; empty for what was not
	Since   string // as the program for it says; empty where it says nothing
	Gone    bool   // it is no more
	Err     error  // of the programs for id, version and deleted: such an item is a dead letter

	value any
}

// Missed is the item for what a round over everything does not show any more.
func (p *Polling) Missed(id, version string) Item {
	return Item{JSON: []byte(`{"id":` + quoted(id) + `}`), ID: id, Version: version, Gone: true, value: map[string]any{"id": id}}
}

// Path stands for the source where a webhook has the path that it came to.
func (p *Polling) Path() string { return "/v1/polls/" + p.source.name }

// Translate says what an item means, as [Source.Translate] does for what a webhook brings.
func (p *Polling) Translate(ctx context.Context, it Item, received time.Time) Message {
	ctx, cancel := context.WithTimeout(ctx, pageDeadline) // nobody waits for an answer
	defer cancel()
	t := translation{
		ctx: ctx, source: p.source, polled: &it, headers: map[string]any{}, query: map[string]any{},
		request: &Request{Method: http.MethodGet, URL: &url.URL{Path: p.Path()}, Body: it.JSON, Received: received},
	}
	return t.message(piece{end: len(it.JSON), value: it.value, err: it.Err})
}

// key is the event id: the same for the same version of an item.
func (it *Item) key(hash string) string {
	if it.ID == "" {
		return hash
	}
	key := "poll/" + it.ID
	if it.Gone {
		key += "/gone"
	}
	if key += "/" + it.Version; it.Again != "" {
		key += "/" + it.Again
	}
	return fitID(key)
}
