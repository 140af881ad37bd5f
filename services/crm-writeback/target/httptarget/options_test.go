package httptarget

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

func TestOptionsAreChecked(t *testing.T) {
	for _, test := range []struct {
		o    Options
		want string
	}{
		{Options{}, ""},
		{Options{URL: "-"}, "url: "},
		{Options{URL: "ftp://x.example"}, "url: "},
		{Options{URL: "https://user:hidden@x.example"}, "url: "},
		{Options{Method: "get"}, `method: "GET"`},
		{Options{Method: "if"}, `method: "IF"`},
		{Options{Method: ".mode |"}, "method: "},
		{Options{Path: `"/a`}, "path: "},
		{Options{Body: "nosuch(1)"}, "body: "},
		{Options{HeadersFrom: "{"}, "headers_from: "},
		{Options{Verdicts: "[\n.x |\n]"}, "at line 3"},
		{Options{Encoding: "xml"}, `encoding: "xml"`},
		{Options{Headers: map[string]config.Secret{"Content-Length": "1"}}, "headers.Content-Length"},
		{Options{Headers: map[string]config.Secret{"X-Key": "hidden\n"}}, "headers.X-Key"},
		{Options{IDHeader: "no header"}, "id_header"},
		{Options{Batch: Batch{Rows: -1}}, "batch.rows"},
		{Options{Batch: Batch{Rows: 1, Bytes: 1}}, "batch.bytes"},
		{Options{Calls: 65}, "calls"},
		{Options{TLS: TLS{CertFile: "x"}}, "tls.cert_file"},
		{Options{Timeout: time.Hour}, "timeout"},
		{Options{Auth: Auth{Secret: "hidden"}}, "auth.scheme"},
		{Options{Auth: Auth{Scheme: "magic"}}, `auth.scheme: "magic"`},
		{Options{Auth: Auth{Scheme: "bearer"}}, "auth.secret"},
		{Options{Auth: Auth{Scheme: "basic", Secret: "hidden"}}, "auth.username"},
		{Options{Auth: Auth{Scheme: "header", Secret: "hidden"}}, "auth.header"},
		{Options{Auth: Auth{Scheme: "oauth2", ClientID: "a", Secret: "hidden", TokenURL: "x"}}, "auth.token_url"},
	} {
		if test.o.URL == "" {
			test.o.URL = "https://x.example"
		}
		if test.o.URL == "-" {
			test.o.URL = ""
		}
		err := test.o.Validate()
		if (test.want == "") != (err == nil) || err != nil && (!strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hidden")) {
			t.Errorf("%+v: %v", test.o, err)
		}
	}
}

func TestCredentials(t *testing.T) {
	far := serve(t, always(200, ""))
	for _, test := range []struct {
		auth         Auth
		header, want string
	}{
		{Auth{}, "Authorization", ""},
		{Auth{Scheme: "bearer", Secret: "tok"}, "Authorization", "Bearer tok"},
		{Auth{Scheme: "basic", Username: "me", Secret: "pass"}, "Authorization", "Basic bWU6cGFzcw=="},
		{Auth{Scheme: "header", Header: "x-api-key", Secret: "k"}, "X-Api-Key", "k"},
	} {
		open(t, Options{URL: far.URL, Auth: test.auth}).Write(t.Context(), rows(1, upsert, `{}`))
		all := far.got()
		if got := all[len(all)-1].header.Get(test.header); got != test.want {
			t.Errorf("%s: got %q, want %q", test.auth.Scheme, got, test.want)
		}
	}
}

func TestATokenIsRenewedOnceAndThenAPersonIsAskedFor(t *testing.T) {
	for _, status := range []int{401, 403} {
		var issued, good atomic.Int32
		is := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprintf(w, `{"access_token":"token-%d","token_type":"Bearer","expires_in":3600}`, issued.Add(1))
		}))
		far := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != fmt.Sprintf("Bearer token-%d", good.Load()) {
				w.WriteHeader(status)
			}
		}))
		made := open(t, Options{URL: far.URL, Auth: Auth{
			Scheme: "oauth2", ClientID: "me", Secret: "s3cret", TokenURL: is.URL, Scopes: []string{"write"}, Params: map[string]string{"audience": "crm"},
		}})
		write := func() target.Answer { return made.Write(t.Context(), rows(1, upsert, `{"a":1}`)) }
		good.Store(1)
		for range 3 {
			if a := write(); a.All.Kind.String() != "delivered" {
				t.Errorf("%+v", a)
			}
		}
		good.Store(2) // the first is not good any more, though it says so
		if a := write(); a.All.Kind.String() != "delivered" || issued.Load() != 2 || len(far.got()) != 5 {
			t.Errorf("%+v", a)
		}
		good.Store(99)
		if a := write(); !a.Halt || len(far.got()) != 7 || issued.Load() != 3 {
			t.Errorf("%+v, %d requests", a, len(far.got()))
		}
		if body := string(is.got()[0].body); !strings.Contains(body, "audience=crm") || !strings.Contains(body, "scope=write") {
			t.Error(body)
		}
		if body := string(far.got()[4].body); body != `{"a":1}` {
			t.Error(body) // the repetition has it again
		}
	}
}

func TestIDsOfCalls(t *testing.T) {
	far := serve(t, always(200, ""))
	ids := func(o Options, batches ...[]*target.Row) (got []string) {
		before := len(far.got())
		o.URL, o.IDHeader = far.URL, "Idempotency-Key"
		made := open(t, o)
		for _, batch := range batches {
			if a := made.Write(t.Context(), batch); a.RequestID != far.got()[len(far.got())-1].header.Get("Idempotency-Key") {
				t.Errorf("%+v", a)
			}
		}
		for _, r := range far.got()[before:] {
			got = append(got, r.header.Get("Idempotency-Key"))
		}
		return got
	}
	all := rows(4, upsert, `{}`)
	got := ids(Options{Batch: Batch{Rows: 10}}, all, rows(4, upsert, `{}`), all[:3], []*target.Row{all[1], all[0], all[2], all[3]})
	if got[0] != got[1] || got[0] == got[2] || got[0] == got[3] || !strings.HasPrefix(got[0], "batch_") {
		t.Errorf("%q", got)
	}
	if got := ids(Options{}, all[:1]); got[0] != all[0].ID {
		t.Errorf("%q", got)
	}
	if got := ids(Options{}, []*target.Row{row("a\r\nX-Evil: 1", "m", upsert, `{}`)}); !strings.HasPrefix(got[0], "sha256_") {
		t.Errorf("%q", got)
	}
	var body struct{ Rows []map[string]any }
	open(t, Options{URL: far.URL, Batch: Batch{Rows: 10}}).Write(t.Context(), rows(2, upsert, `{"a":1}`))
	if r := far.got()[len(far.got())-1]; json.Unmarshal(r.body, &body) != nil || len(body.Rows) != 2 || body.Rows[1]["a"] != 1.0 {
		t.Errorf("%s", r.body)
	}
}
