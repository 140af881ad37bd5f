package webhook

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/itchyny/gojq"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/pkg/jsontree"
)

// Polling is how a source is asked: its [Poll] with variables and secrets filled in, and the programs
// that read pages.
type Polling struct {
	Poll
	Secret   config.Secret // for PollAuth
	ClientID config.Secret

	source   *Source
	disabled string
}

// pollPrograms read pages, and the items on them; nil where the source has none.
type pollPrograms struct{ items, next, more, since, id, version, deleted, gone *program }

// Page is what an answer holds.
type Page struct {
	Items []Item
	Next  string // what the program for it says; empty for the end
	More  *bool  // nil where there is no program for it
}

// Bounds on a page, beside that on its bytes.
const (
	maxPageItems  = 10_000
	maxPageValues = 2_000_000
	pageDeadline  = 10 * time.Second
)

// pollPrograms compiles what is said of polling.
func (c *compiler) pollPrograms(p *Poll) pollPrograms {
	field := func(name, text string) *program { return c.program("poll."+name, text) }
	return pollPrograms{
		items: field("items", p.Items), next: field("paging.next", p.Paging.Next), more: field("paging.more", p.Paging.More),
		since: field("since.value", p.Since.Value), id: field("id", p.ID), version: field("version", p.Version),
		deleted: field("deleted", p.Deleted), gone: field("gone", p.Gone),
	}
}

// newPolling fills in what the environment has to say; nil where the source is not polled.
func (s *Source) newPolling(o Options) (*Polling, error) {
	if s.spec.Poll.URL == "" {
		return nil, nil
	}
	p := &Polling{Poll: s.spec.Poll, source: s}
	missing := p.fillAll(o)
	for _, secret := range []struct {
		env string
		to  *config.Secret
	}{{p.Auth.SecretEnv, &p.Secret}, {p.Auth.ClientIDEnv, &p.ClientID}} {
		if secret.env == "" {
			continue
		}
		var err error
		if *secret.to, err = oneSecret(o, secret.env); err != nil {
			return nil, err
		}
		if *secret.to == "" {
			missing = append(missing, secret.env)
		}
	}
	if len(missing) > 0 {
		p.disabled = "set " + strings.Join(missing, " and ")
		return p, nil
	}
	err := errors.Join(addressProblem("poll.url", p.URL), addressProblem("poll.paging.url", p.Paging.URL))
	if p.Auth.Scheme == schemeOAuth2 {
		err = errors.Join(err, addressProblem("poll.auth.token_url", p.Auth.TokenURL))
	}
	return p, err
}

// Name is the source's.
func (p *Polling) Name() string { return p.source.name }

// Disabled says why the source is not asked, or is empty.
func (p *Polling) Disabled() string { return p.disabled }

// Read takes the items out of a page. An error is one of the page as a whole: it is not what it ought
// to be, and nothing may be concluded from it.
func (p *Polling) Read(ctx context.Context, body []byte) (Page, error) {
	ctx, cancel := context.WithTimeout(ctx, pageDeadline)
	defer cancel()
	if p.IsFeed() {
		return p.sampleOf(ctx, body)
	}
	whole, err := jsontree.Read(body, jsontree.Options{Most: maxPageValues})
	if err != nil {
		return Page{}, err
	}
	settings := p.source.programs.settings
	yielded, err := p.source.programs.poll.items.runUpTo(ctx, settings, whole, maxPageItems)
	if err != nil {
		return Page{}, err
	}
	if len(yielded) == 1 {
		if array, ok := yielded[0].([]any); ok {
			yielded = array
		}
	}
	if len(yielded) > maxPageItems {
		return Page{}, fmt.Errorf("poll.items: more than %d items on one page", maxPageItems)
	}
	page := Page{Items: make([]Item, 0, len(yielded))}
	for i, v := range yielded {
		if _, ok := v.(map[string]any); !ok {
			return Page{}, fmt.Errorf("poll.items: what it yields, number %d, is no object", i)
		}
		item, err := p.item(ctx, v)
		if err != nil {
			return Page{}, err
		}
		page.Items = append(page.Items, item)
	}
	if p.source.programs.poll.next != nil {
		next, err := p.source.programs.poll.next.first(ctx, settings, whole)
		if err != nil {
			return Page{}, err
		}
		if next, err = idText(next); err != nil {
			return Page{}, fmt.Errorf("poll.paging.next: %w", err)
		}
		page.Next, _ = next.(string)
	}
	if p.source.programs.poll.more != nil {
		more, err := p.source.programs.poll.more.holds(ctx, settings, whole)
		if err != nil {
			return Page{}, err
		}
		page.More = &more
	}
	return page, nil
}

// item asks the programs about one. Only one whose change cannot be dated fails the page: the cursor
// would pass it by.
func (p *Polling) item(ctx context.Context, v any) (Item, error) {
	it := Item{value: v}
	var err error
	if it.JSON, err = gojq.Marshal(v); err != nil {
		return Item{}, fmt.Errorf("encoding an item: %w", err)
	}
	if it.Since, err = p.text(ctx, p.source.programs.poll.since, v); err != nil {
		return Item{}, err
	}
	if it.ID, it.Err = p.text(ctx, p.source.programs.poll.id, v); it.Err == nil && it.ID == "" {
		it.Err = errors.New("poll.id: it yields nothing")
	}
	if it.Err == nil {
		it.Version, it.Err = p.text(ctx, p.source.programs.poll.version, v)
	}
	if it.Err == nil && p.source.programs.poll.deleted != nil {
		it.Gone, it.Err = p.source.programs.poll.deleted.holds(ctx, p.source.programs.settings, v)
	}
	if it.Err != nil {
		if err := ctx.Err(); err != nil { // the programs were broken off, which says nothing of the item
			return Item{}, err
		}
		it.ID = ""
	}
	if it.Version == "" {
		sum := sha256.Sum256(it.JSON)
		it.Version, it.Hashed = hex.EncodeToString(sum[:16]), true
	}
	return it, nil
}

// text is what a program yields first, as a text; empty for nothing.
func (p *Polling) text(ctx context.Context, one *program, v any) (string, error) {
	if one == nil {
		return "", nil
	}
	v, err := one.first(ctx, p.source.programs.settings, v)
	if err != nil {
		return "", err
	}
	if v, err = idText(v); err != nil {
		return "", fmt.Errorf("%s: %w", one.what, err)
	}
	text, _ := v.(string)
	return text, nil
}
