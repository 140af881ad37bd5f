package poll

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/services/ingest/webhook"
)

// target is where a page is asked for.
type target struct{ url, body string }

// target of the page that the round stands before.
func (w *worker) target(from mark, at string) (target, error) {
	p, g := w.polling, w.polling.Paging
	address, body := p.URL, p.Body
	if at != "" {
		address, body = g.URL, g.Body
	}
	values := map[string]string{
		"{since}": w.scale.write(from), "{limit}": strconv.Itoa(g.Size), "{cursor}": "",
		"{page}": strconv.Itoa(*g.Start), "{offset}": strconv.Itoa(*g.Start),
	}
	switch {
	case at == "":
	case g.Kind == webhook.PagingLink:
		base, err := url.Parse(fillIn(p.URL, values, url.QueryEscape))
		if err != nil {
			return target{}, fmt.Errorf("reading poll.url: %w", withoutURL(err))
		}
		address, err = within(base, at)
		return target{address, fillIn(body, values, jsonEscape)}, err
	default:
		values["{"+g.Kind+"}"] = at
	}
	return target{fillIn(address, values, url.QueryEscape), fillIn(body, values, jsonEscape)}, nil
}

func fillIn(text string, values map[string]string, escape func(string) string) string {
	return webhook.Placeholder.ReplaceAllStringFunc(text, func(place string) string { return escape(values[place]) })
}

// jsonEscape is a text as it stands between quotation marks.
func jsonEscape(text string) string {
	quoted, err := jsontext.AppendQuote(nil, text)
	if err != nil || len(quoted) < 2 {
		return ""
	}
	return string(quoted[1 : len(quoted)-1])
}

var (
	errCircle = errors.New("a page names as the next one a page that this round has read already")
	errStuck  = errors.New("there is more, but nothing says how to ask for it")
	errPlace  = errors.New("the cursor of the next page is too long")
)

// following is where the page behind this one is; more is false behind the last.
func (w *worker) following(at string, page *webhook.Page, header http.Header) (next string, more bool, err error) {
	g := w.polling.Paging
	if page.More != nil && !*page.More {
		return page.Next, false, nil // the cursor may be good for the next round
	}
	switch g.Kind {
	case webhook.PagingLink:
		if next = page.Next; g.Next == "" {
			next = nextLink(header.Values("Link"))
		}
		more = next != ""
	case webhook.PagingCursor:
		next, more = page.Next, page.Next != ""
	case webhook.PagingPage, webhook.PagingOffset:
		if next, err = number(at, *g.Start, g.Kind == webhook.PagingPage, len(page.Items)); err != nil {
			return "", false, err
		}
		more = len(page.Items) > 0 && len(page.Items) >= g.Size
		if page.More != nil {
			more = len(page.Items) > 0
		}
	default:
		more = page.More != nil
	}
	switch {
	case more && g.Kind != webhook.PagingNone && (next == at || w.places[hashOf(next)]):
		return "", false, errCircle
	case len(next) > longestPlace:
		return "", false, errPlace
	}
	return next, more, nil
}

// number is that of the next page, or of its first item.
func number(at string, start int, pages bool, items int) (string, error) {
	n := start
	if at != "" {
		var err error
		if n, err = strconv.Atoi(at); err != nil {
			return "", fmt.Errorf("reading the number of a page: %w", err)
		}
	}
	if pages {
		items = 1
	}
	return strconv.Itoa(n + items), nil
}
