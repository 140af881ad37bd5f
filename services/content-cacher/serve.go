package contentcacher

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/sluicehq/sluice/pkg/content"
	"github.com/sluicehq/sluice/services/content-cacher/shelf"
)

// routes are the read path: nothing here waits for anything but a lock that is held for a moment.
func (s *Service) routes() http.Handler {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		e.Add(method, "/v1/content/:collection/:id", s.getItem)
		e.Add(method, "/v1/content/:collection", s.getMany)
	}
	e.RouteNotFound("/*", func(c echo.Context) error {
		s.say(c, http.StatusNotFound, "unknown_path", "GET /v1/content/{collection}/{id} or /v1/content/{collection}")
		return nil
	})
	return e
}

// getItem serves GET /v1/content/{collection}/{id}?locale=de-AT, and with @{version} behind the id that
// version or nothing.
func (s *Service) getItem(c echo.Context) error {
	name, id := param(c, "collection"), param(c, "id")
	rules := s.admit(c, name)
	if rules == nil {
		return nil
	}
	now := time.Now()
	var room [8]string
	chain := rules.AppendChain(room[:0], locale(c))
	f, ok := s.shelf.Load().Get(name, id, chain, now)
	versioned := false
	if !ok {
		// An id may hold an @ itself; only where there is no such item it is a version.
		if base, version, cut := cutVersion(id); cut {
			f, ok = s.shelf.Load().Get(name, base, chain, now)
			ok = ok && f.HasVersion && f.Version == version
			versioned = ok
		}
	}
	if !ok {
		s.missing(c, rules)
		return nil
	}
	s.page(c, rules, f, versioned, now)
	return nil
}

// param is a part of the path. Where a client escapes more than it has to, as url_param_escape in Liquid
// does with the @ before a version, the router leaves that to us.
func param(c echo.Context, name string) string {
	text := c.Param(name)
	if c.Request().URL.RawPath == "" {
		return text
	}
	if plain, err := url.PathUnescape(text); err == nil {
		return plain
	}
	return text
}

func cutVersion(id string) (base string, version int64, ok bool) {
	i := strings.LastIndexByte(id, '@')
	if i <= 0 {
		return "", 0, false
	}
	version, err := strconv.ParseInt(id[i+1:], 10, 64)
	return id[:i], version, err == nil
}

// locale is the one that a reader asks for. Query strings are picked apart by hand: most have nothing else
// in them, and a map of them costs more than all the rest.
func locale(c echo.Context) string {
	query := c.Request().URL.RawQuery
	if rest, ok := strings.CutPrefix(query, "locale="); ok && !strings.ContainsAny(rest, "&%+;") {
		return rest
	}
	if query == "" {
		return ""
	}
	return c.QueryParam("locale")
}

// admit finds a collection's rules, or answers why it may not be read.
func (s *Service) admit(c echo.Context, name string) *Collection {
	rules := s.collections.Find(name)
	if rules == nil {
		s.say(c, http.StatusNotFound, "unknown_collection", "no such collection in CONTENT_FILE")
		return nil
	}
	if !rules.admits(c.Request().Header.Get("Authorization")) {
		c.Response().Header().Set("WWW-Authenticate", `Bearer, Basic realm="content"`)
		s.say(c, http.StatusUnauthorized, "unauthorized", "the collection's credential is needed")
		return nil
	}
	return rules
}

// Values of headers that never change, ready to be put into the map.
var (
	jsonType = []string{"application/json"}
	gzipped  = []string{"gzip"}
	vary     = []string{"Accept-Encoding"}
	noStore  = []string{"no-store"}
)

// page answers with an item.
func (s *Service) page(c echo.Context, rules *Collection, f shelf.Found, versioned bool, now time.Time) {
	r, w := c.Request(), c.Response().Writer
	body, zipped := f.Page.Doc(), false
	if acceptsGzip(r.Header) {
		if z := f.Page.Zipped(); z != nil {
			body, zipped = z, true
		}
	}
	// One piece of memory holds all that is said of this page alone, and one the lists that headers are: what is
	// thrown away after each of very many answers has to be collected by those who wait for others.
	var room [64]byte
	text := f.Page.AppendETag(room[:0], zipped)
	tagged := len(text)
	said := string(strconv.AppendInt(text, int64(len(body)), 10))
	lists := &[2]string{said[:tagged], said[tagged:]}
	etag := lists[0]
	h := w.Header()
	h["Etag"] = lists[0:1:1]
	h["Cache-Control"] = rules.cacheControl(f, versioned, now)
	h["Vary"] = vary
	s.stamp(h)
	if match := r.Header.Get("If-None-Match"); match != "" && matches(match, etag) {
		s.metrics.served(rules, notModified)
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h["Content-Type"] = jsonType
	if zipped {
		h["Content-Encoding"] = gzipped
	}
	h["Content-Length"] = lists[1:2:2]
	s.metrics.served(rules, anItem)
	_, _ = w.Write(body) // who has gone away cannot be told
}

// cacheControl says how long a reader may keep a page: never beyond the moment from which it may not be shown.
func (c *Collection) cacheControl(f shelf.Found, versioned bool, now time.Time) []string {
	if f.Until.IsZero() && !versioned {
		return c.fresh
	}
	most := c.Cache
	if versioned {
		most = content.LongestCache // it never changes, but it may be withdrawn
	}
	if !f.Until.IsZero() {
		most = min(most, f.Until.Sub(now).Truncate(time.Second))
	}
	return []string{c.freshness(most)}
}

// missing answers for what is not there, or may not be shown.
func (s *Service) missing(c echo.Context, rules *Collection) {
	if rules.answer == nil {
		s.metrics.served(rules, missing)
		s.say(c, http.StatusNotFound, "not_found", "no such item that may be shown now")
		return
	}
	s.metrics.served(rules, aDefault)
	s.object(c, http.StatusOK, rules.answer)
}

// object answers with a JSON object that nobody is to keep.
func (s *Service) object(c echo.Context, code int, body []byte) {
	w := c.Response().Writer
	h := w.Header()
	h["Content-Type"], h["Cache-Control"] = jsonType, noStore
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	s.stamp(h)
	w.WriteHeader(code)
	_, _ = w.Write(body)
}

// say answers with an error, as an object like everything else, so that Liquid can ask what it is.
func (s *Service) say(c echo.Context, code int, reason, detail string) {
	s.object(c, code, []byte(`{"ok":false,"default":false,"error":"`+reason+`","detail":"`+detail+`"}`))
}

// stamp says how old what is served is, where Kafka cannot be heard.
func (s *Service) stamp(h http.Header) {
	if since := s.deafSince.Load(); since != 0 {
		h["X-Content-Age"] = []string{strconv.FormatInt(max(0, time.Now().UnixMilli()-since)/1000, 10)}
	}
}

func acceptsGzip(h http.Header) bool {
	accepted := h["Accept-Encoding"]
	if len(accepted) == 0 {
		return false
	}
	for part := range strings.SplitSeq(accepted[0], ",") {
		coding, q, weighted := strings.Cut(strings.TrimSpace(part), ";")
		if coding == "gzip" || coding == "*" {
			return !weighted || !strings.HasSuffix(strings.ReplaceAll(q, " ", ""), "q=0")
		}
	}
	return false
}

// matches reports whether one of the tags of an If-None-Match is ours. The compressed form and the plain one
// say the same.
func matches(header, etag string) bool {
	if header == "*" {
		return true
	}
	for part := range strings.SplitSeq(header, ",") {
		if strings.TrimPrefix(strings.TrimSpace(part), "W/") == etag {
			return true
		}
	}
	return false
}
