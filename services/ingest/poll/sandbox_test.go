package poll

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// sandbox is an enterprise's API, strict about what it is asked: it knows contacts, in the order in
// which they changed or in that of their ids, pages them in four ways, and has bad days.
type sandbox struct {
	t    *testing.T
	kind string // of paging
	byID bool
	size int

	mu       sync.Mutex
	contacts map[int]*contact
	nextID   int
	moves    int
	token    int // the one that is good
	requests []string
	tokens   int
	// before is called with every request for a page, under the lock; what it returns, unless nil, is
	// the answer.
	before func(n int, r *http.Request) http.HandlerFunc
}

type contact struct {
	ID      int    `json:"id"`
	Rev     int    `json:"rev"`
	Updated int64  `json:"-"` // seconds
	At      string `json:"updated_at"`
	Email   string `json:"email"`
	Deleted bool   `json:"deleted,omitempty"`
	move    int    // among those that changed in the same second
}

func newSandbox(t *testing.T, kind string, byID bool, size int) *sandbox {
	return &sandbox{t: t, kind: kind, byID: byID, size: size, contacts: map[int]*contact{}, nextID: 1, token: 1}
}

// change makes a new version of a contact, or a new contact for 0, as of now.
func (s *sandbox) change(id int) {
	c := s.contacts[id]
	if c == nil {
		id = s.nextID
		s.nextID++
		c = &contact{ID: id, Email: fmt.Sprintf("c%d@example.com", id)}
		s.contacts[id] = c
	}
	s.moves++
	c.Rev++
	c.move = s.moves
	c.Updated = time.Now().Unix()
	c.At = time.Unix(c.Updated, 0).UTC().Format(time.RFC3339)
}

// list is what a request sees, in order.
func (s *sandbox) list(since time.Time) []*contact {
	all := slices.SortedFunc(maps.Values(s.contacts), func(a, b *contact) int {
		if s.byID {
			return cmp.Compare(a.ID, b.ID)
		}
		return cmp.Or(cmp.Compare(a.Updated, b.Updated), cmp.Compare(a.move, b.move))
	})
	return slices.DeleteFunc(all, func(c *contact) bool { return c.Updated < since.Unix() })
}

func (s *sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.URL.Path == "/token" {
		s.giveToken(w, r)
		return
	}
	s.requests = append(s.requests, r.URL.RequestURI())
	if s.before != nil {
		if answer := s.before(len(s.requests), r); answer != nil {
			answer(w, r)
			return
		}
	}
	if r.Header.Get("Authorization") != "Bearer t"+strconv.Itoa(s.token) {
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	q, ok := s.asked(w, r)
	if !ok {
		return
	}
	since, err := time.Parse(time.RFC3339, q.Get("since"))
	if q.Get("cursor") == "" && err != nil {
		http.Error(w, "since", http.StatusBadRequest)
		return
	}
	s.page(w, q, since)
}

// asked refuses whatever is not exactly what the documentation says.
func (s *sandbox) asked(w http.ResponseWriter, r *http.Request) (url.Values, bool) {
	q := r.URL.Query()
	allowed := map[string][]string{
		"page": {"since", "page", "limit"}, "offset": {"since", "offset", "limit"}, "link": {"since", "at"}, "cursor": {"since", "cursor"}, "none": {"since"},
	}[s.kind]
	for name, values := range q {
		if !slices.Contains(allowed, name) || len(values) != 1 || values[0] == "" {
			http.Error(w, "unknown or empty parameter "+name, http.StatusBadRequest)
			return nil, false
		}
	}
	if r.Method != http.MethodGet || r.URL.Path != "/contacts" || r.Header.Get("Accept") != "application/json" {
		http.Error(w, "no such thing", http.StatusNotFound)
		return nil, false
	}
	if limit := q.Get("limit"); limit != "" && limit != strconv.Itoa(s.size) {
		http.Error(w, "limit", http.StatusBadRequest)
		return nil, false
	}
	return q, true
}

func (s *sandbox) page(w http.ResponseWriter, q url.Values, since time.Time) {
	answer := map[string]any{}
	all, from := s.list(since), 0
	switch s.kind {
	case "page":
		n, _ := strconv.Atoi(q.Get("page"))
		from = (n - 1) * s.size
	case "offset":
		from, _ = strconv.Atoi(q.Get("offset"))
	case "link":
		from, _ = strconv.Atoi(q.Get("at"))
	case "cursor": // a good one: it points behind a contact, not to a number
		if after := q.Get("cursor"); after != "" {
			var updated int64
			var move int
			if _, err := fmt.Sscanf(after, "c-%d-%d", &updated, &move); err != nil {
				http.Error(w, "cursor", http.StatusBadRequest)
				return
			}
			all = s.list(time.Time{})
			from = slices.IndexFunc(all, func(c *contact) bool {
				return c.Updated > updated || c.Updated == updated && c.move > move
			})
			if from < 0 {
				from = len(all)
			}
		}
	}
	from = max(0, min(from, len(all)))
	to := min(from+s.size, len(all))
	shown := all[from:to]
	answer["contacts"] = append([]*contact{}, shown...)
	switch {
	case s.kind == "link" && to < len(all):
		w.Header().Set("Link", fmt.Sprintf(`</contacts?since=%s&at=%d>; rel="next", </contacts>; rel="first"`, q.Get("since"), to))
	case s.kind == "cursor" && to < len(all):
		last := shown[len(shown)-1]
		answer["next"] = fmt.Sprintf("c-%d-%d", last.Updated, last.move)
	case s.kind == "none":
		answer["more"] = to < len(all)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

func (s *sandbox) giveToken(w http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	if id != "us" || secret != "s3cret" || r.FormValue("grant_type") != "client_credentials" {
		http.Error(w, `{"error":"invalid_client"}`, http.StatusUnauthorized)
		return
	}
	s.tokens++
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(w, `{"access_token":"t%d","token_type":"bearer"}`, s.token)
}

// wire carries requests to a handler without a network, so that time can be a test's own.
type wire struct{ http.Handler }

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	served := r.Clone(r.Context())
	if served.Body == nil {
		served.Body = http.NoBody
	}
	rec := httptest.NewRecorder()
	cut := func() (cut bool) {
		defer func() {
			if p := recover(); p != nil {
				if err, ok := p.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
					panic(p)
				}
				cut = true
			}
		}()
		w.ServeHTTP(rec, served)
		return false
	}()
	resp := rec.Result()
	resp.Request = r
	if cut {
		resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(rec.Body.Bytes()), halfway{}))
	}
	return resp, nil
}

// halfway is a connection that ends in the middle.
type halfway struct{}

func (halfway) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func status(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

func body(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

func cutOff(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, `{"contacts":[{"id":`)
	panic(http.ErrAbortHandler)
}

// file is a file of sources for the sandbox.
func (s *sandbox) file(more ...string) string {
	address := map[string]string{
		"page": "?since={since}&page={page}&limit={limit}", "offset": "?since={since}&offset={offset}&limit={limit}",
		"link": "?since={since}", "cursor": "?since={since}", "none": "?since={since}",
	}[s.kind]
	paging := map[string]string{
		"page": "kind: page, size: %d", "offset": "kind: offset, size: %d", "link": "kind: link",
		"cursor": "kind: cursor, next: .next, url: 'http://localhost/contacts?cursor={cursor}'", "none": "kind: none, more: .more",
	}[s.kind]
	if strings.Contains(paging, "%d") {
		paging = fmt.Sprintf(paging, s.size)
	}
	if s.kind != "cursor" {
		paging += fmt.Sprintf(", sorted: %v", !s.byID)
	}
	return `sources:
  crm:
    poll:
      url: http://localhost/contacts` + address + `
      every: 1m
      auth: {scheme: oauth2, token_url: http://localhost/token, client_id_env: ID, secret_env: SECRET}
      items: .contacts
      paging: {` + paging + `}
      since: {value: .updated_at, overlap: 30s}
      id: .id
      version: .rev
` + strings.Join(more, "") + `    identity: '{external_id: (.body.id | id)}'
    map: |
      {to: "profile", set: {email: .body.email}}
`
}
