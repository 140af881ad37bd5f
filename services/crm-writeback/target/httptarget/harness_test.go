package httptarget

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/goccy/go-yaml"

	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

const upsert, update = crm.Upsert, crm.Update

func row(id, key, mode, fields string) *target.Row {
	return &target.Row{
		ID: id, Object: "members", KeyField: "id", Key: key, Mode: mode, Fields: jsontext.Value(fields),
		User: event.User{ExternalID: key}, EditedAt: time.Date(2026, 3, 2, 9, 15, 1, 476_000_000, time.UTC),
	}
}

func rows(n int, mode, fields string) []*target.Row {
	all := make([]*target.Row, n)
	for i := range all {
		all[i] = row(fmt.Sprintf("w-%06d", i), fmt.Sprintf("m-%04d", i), mode, fields)
	}
	return all
}

// gotten is a request as a server got it.
type gotten struct {
	method, address string
	header          http.Header
	body            []byte
}

// show is a request as a golden file has it.
func (g gotten) show() string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s\n", g.method, g.address)
	for _, name := range slices.Sorted(maps.Keys(g.header)) {
		if name != "Accept-Encoding" {
			fmt.Fprintf(&b, "%s: %s\n", name, g.header.Get(name))
		}
	}
	fmt.Fprintf(&b, "\n%s\n\n", g.body)
	return b.String()
}

// server remembers what it was sent.
type server struct {
	*httptest.Server
	mu       sync.Mutex
	requests []gotten
}

func serve(t testing.TB, h http.Handler) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		s.mu.Lock()
		s.requests = append(s.requests, gotten{r.Method, r.URL.String(), r.Header.Clone(), body})
		s.mu.Unlock()
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) got() []gotten {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// always answers with a status and a body.
func always(status int, body string, header ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

func open(t testing.TB, o Options) target.Target {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	made, err := Open(t.Context(), o, target.Deps{Name: "test", HTTP: &http.Client{Transport: transport}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := made.Close(); err != nil {
			t.Error(err)
		}
		transport.CloseIdleConnections()
	})
	return made
}

// preset reads a file of testdata as an operator's would be read: what it does not know is an error.
func preset(t testing.TB, name, url string) Options {
	t.Helper()
	file, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var o Options
	if err := yaml.NewDecoder(bytes.NewReader(file), yaml.Strict()).Decode(&o); err != nil {
		t.Fatal(err)
	}
	o.URL = url
	return o
}

// fates are what became of n rows, in short: the kind and the reason.
func fates(a target.Answer, n int) []string {
	texts := make([]string, n)
	for i := range texts {
		o := a.Of(i)
		texts[i] = o.Kind.String()
		if o.Reason != "" {
			texts[i] += " " + o.Reason
		}
	}
	return texts
}
