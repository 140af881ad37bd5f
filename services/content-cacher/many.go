package contentcacher

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/sluicehq/sluice/services/content-cacher/shelf"
)

// usual is how many items a list has where nothing else is asked for.
const usual = 20

// getMany serves GET /v1/content/{collection}: a list (?tag=…&limit=…&order=newest|oldest), items by their
// ids (?ids=a,b), or one item that is a customer's (?for=…).
func (s *Service) getMany(c echo.Context) error {
	name := param(c, "collection")
	rules := s.admit(c, name)
	if rules == nil {
		return nil
	}
	select {
	case s.heavy <- struct{}{}:
		defer func() { <-s.heavy }()
	default:
		s.shed(c, rules)
		return nil
	}
	ask := c.QueryParams()
	q := shelf.Query{Locales: rules.Chain(ask.Get("locale")), Tags: ask["tag"], Limit: min(usual, s.options.MaxItems)}
	if text := ask.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			s.say(c, http.StatusBadRequest, "invalid_limit", "limit is a number from 1 on")
			return nil
		}
		q.Limit = min(n, s.options.MaxItems)
	}
	switch ask.Get("order") {
	case "", "newest":
	case "oldest":
		q.Oldest = true
	default:
		s.say(c, http.StatusBadRequest, "invalid_order", "order is newest or oldest")
		return nil
	}
	now := time.Now()
	switch {
	case ask.Has("for"):
		f, ok := s.shelf.Load().Pick(name, q, ask.Get("for"), now)
		if !ok {
			s.missing(c, rules)
			return nil
		}
		s.page(c, rules, f, false, now)
	case ask.Has("ids"):
		s.batch(c, rules, name, strings.Split(ask.Get("ids"), ","), q, now)
	default:
		s.list(c, rules, s.shelf.Load().List(name, q, now), now)
	}
	return nil
}

// list answers with items in order.
//
//	{"ok":true,"default":false,"count":2,"items":[{…},{…}]}
func (s *Service) list(c echo.Context, rules *Collection, items []shelf.Found, now time.Time) {
	if len(items) == 0 && rules.empty != nil {
		s.metrics.served(rules, aDefault)
		s.object(c, http.StatusOK, rules.empty)
		return
	}
	size := 0
	items = slices.DeleteFunc(items, func(f shelf.Found) bool { // what does not fit leaves room for what does
		n := len(f.Page.Doc()) + 1
		if size+n > s.options.MaxBytes {
			return true
		}
		size += n
		return false
	})
	b := make([]byte, 0, size+128)
	b = append(b, `{"ok":true,"default":false,"count":`...)
	b = strconv.AppendInt(b, int64(len(items)), 10)
	b = append(b, `,"items":[`...)
	for i, f := range items {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, f.Page.Doc()...)
	}
	s.many(c, rules, append(b, `]}`...), items, now)
}

// batch answers with items by their ids.
//
//	{"ok":true,"default":false,"count":1,"items":{"a":{…}},"missing":["b"]}
func (s *Service) batch(c echo.Context, rules *Collection, name string, ids []string, q shelf.Query, now time.Time) {
	if len(ids) > s.options.MaxItems {
		s.say(c, http.StatusBadRequest, "too_many_ids", "at most "+strconv.Itoa(s.options.MaxItems)+" ids")
		return
	}
	var items, missing []byte
	var found []shelf.Found
	seen := make(map[string]bool, len(ids))
	for _, id := range ids {
		if id == "" || seen[id] {
			continue
		}
		seen[id] = true
		f, ok := s.shelf.Load().Get(name, id, q.Locales, now)
		if !ok || len(items)+len(f.Page.Doc()) > s.options.MaxBytes {
			missing = append(appendQuoted(missing, id), ',')
			continue
		}
		items = append(appendQuoted(items, id), ':')
		items = append(append(items, f.Page.Doc()...), ',')
		found = append(found, f)
	}
	b := []byte(`{"ok":true,"default":false,"count":`)
	b = strconv.AppendInt(b, int64(len(found)), 10)
	b = append(append(b, `,"items":{`...), trimComma(items)...)
	b = append(append(b, `},"missing":[`...), trimComma(missing)...)
	s.many(c, rules, append(b, `]}`...), found, now)
}

// many answers with several items: it may be kept as long as the one that may be kept shortest.
func (s *Service) many(c echo.Context, rules *Collection, body []byte, items []shelf.Found, now time.Time) {
	shortest := shelf.Found{}
	for _, f := range items {
		if !f.Until.IsZero() && (shortest.Until.IsZero() || f.Until.Before(shortest.Until)) {
			shortest = f
		}
	}
	s.metrics.served(rules, aList)
	h := c.Response().Writer.Header()
	h["Content-Type"] = jsonType
	h["Cache-Control"] = rules.cacheControl(shortest, false, now)
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	s.stamp(h)
	_, _ = c.Response().Writer.Write(body)
}

// shed turns away what reads many items, when too many do so at once: with something valid at once, since
// a reader has two seconds and a 5xx counts against the whole host.
func (s *Service) shed(c echo.Context, rules *Collection) {
	s.metrics.served(rules, shed)
	switch {
	case rules.answer != nil && c.QueryParam("for") != "":
		s.object(c, http.StatusOK, rules.answer)
	case rules.empty != nil:
		s.object(c, http.StatusOK, rules.empty)
	default:
		c.Response().Header().Set("Retry-After", "1")
		s.say(c, http.StatusServiceUnavailable, "busy", "too many lists at once; single items are served on")
	}
}
