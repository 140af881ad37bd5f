package httpsink

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

func TestFixedCredentials(t *testing.T) {
	far := serve(t, always(200, ""))
	for _, test := range []struct {
		auth   Auth
		header string
		want   string
	}{
		{Auth{}, "Authorization", ""},
		{Auth{Scheme: "bearer", Secret: "tok"}, "Authorization", "Bearer tok"},
		{Auth{Scheme: "basic", Username: "me", Secret: "pass"}, "Authorization", "Basic bWU6cGFzcw=="},
		{Auth{Scheme: "header", Header: "x-api-key", Secret: "k"}, "X-Api-Key", "k"},
	} {
		open(t, Options{URL: far.URL, Auth: test.auth}).Write(t.Context(), engagements(1))
		all := far.got()
		if got := all[len(all)-1].header.Get(test.header); got != test.want {
			t.Errorf("%s: got %q, want %q", test.auth.Scheme, got, test.want)
		}
	}
}

// issuer gives out tokens, each good for an hour by what it says.
type issuer struct {
	*httptest.Server
	issued atomic.Int32
	status atomic.Int32 // what it answers instead, when not 0
	last   atomic.Pointer[http.Request]
}

func newIssuer(t *testing.T) *issuer {
	is := &issuer{}
	is.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		is.last.Store(r)
		w.Header().Set("Content-Type", "application/json")
		if status := int(is.status.Load()); status != 0 {
			w.Header().Set("Retry-After", "4")
			w.Header().Set("Location", "https://elsewhere.example/")
			w.WriteHeader(status)
			_, _ = fmt.Fprintf(w, `{"error":"invalid_client","error_description":%q}`, r.Form)
			return
		}
		_, _ = fmt.Fprintf(w, `{"access_token":"token-%d","token_type":"Bearer","expires_in":3600}`, is.issued.Add(1))
	}))
	t.Cleanup(is.Close)
	return is
}

func (is *issuer) auth() Auth {
	return Auth{Scheme: "oauth2", ClientID: "me", Secret: "s3cret", TokenURL: is.URL, Scopes: []string{"write"}, Params: map[string]string{"audience": "events"}}
}

func TestATokenIsFetchedOnceAndRenewedWhenRefused(t *testing.T) {
	is := newIssuer(t)
	var good atomic.Int32 // the number of the token that is taken
	good.Store(1)
	far := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		if r.Header.Get("Authorization") != fmt.Sprintf("Bearer token-%d", good.Load()) {
			w.WriteHeader(401)
		}
	})
	s := open(t, Options{URL: far.URL, Auth: is.auth()})
	var lanes sync.WaitGroup
	for range 4 {
		lanes.Go(func() {
			for range 5 {
				if a := s.Write(t.Context(), engagements(2)); a.All.Kind != outcome.Delivered {
					t.Errorf("%+v", a)
				}
			}
		})
	}
	lanes.Wait()
	if n := is.issued.Load(); n != 1 {
		t.Errorf("%d tokens for one", n)
	}
	if form := is.last.Load().Form; form.Get("audience") != "events" || form.Get("scope") != "write" || form.Get("grant_type") != "client_credentials" {
		t.Error(form)
	}

	good.Store(2) // the first is not good any more, though it says so
	for range 4 {
		lanes.Go(func() {
			if a := s.Write(t.Context(), engagements(2)); a.All.Kind != outcome.Delivered {
				t.Errorf("%+v", a)
			}
		})
	}
	lanes.Wait()
	if n := is.issued.Load(); n != 2 {
		t.Errorf("%d tokens for two", n)
	}

	good.Store(99) // none is good: it is tried once more, and then a person is asked for
	before := len(far.got())
	if a := s.Write(t.Context(), engagements(2)); !a.Halt || a.All.Reason != reasonUnauthorized {
		t.Errorf("%+v", a)
	}
	if n := len(far.got()) - before; n != 2 {
		t.Errorf("%d requests", n)
	}
}

func TestATokenThatIsNotToBeHad(t *testing.T) {
	far := serve(t, always(200, ""))
	for _, test := range []struct {
		status int
		reason string
		halt   bool
		after  time.Duration
	}{
		{400, "unauthorized", true, 0},
		{401, "unauthorized", true, 0},
		{307, "unauthorized", true, 0}, // it is not followed: the client's secret is in the request
		{429, "rate_limited", false, 4 * time.Second},
		{503, "unavailable", false, 4 * time.Second},
		{500, "unavailable", false, 4 * time.Second},
	} {
		is := newIssuer(t)
		is.status.Store(int32(test.status))
		a := open(t, Options{URL: far.URL, Auth: is.auth()}).Write(t.Context(), engagements(2))
		if a.All.Kind != outcome.Deferred || a.All.Reason != test.reason || a.Halt != test.halt || a.RetryAfter != test.after || a.Split {
			t.Errorf("%d: %+v", test.status, a)
		}
		if !strings.HasPrefix(a.All.Detail, "fetching a token: ") || strings.Contains(a.All.Detail, "s3cret") {
			t.Errorf("%d: %q", test.status, a.All.Detail)
		}
	}
	is := newIssuer(t)
	is.Close()
	if a := open(t, Options{URL: far.URL, Auth: is.auth()}).Write(t.Context(), engagements(2)); a.All.Reason != reasonUnreachable || a.Halt {
		t.Errorf("%+v", a)
	}
	if n := len(far.got()); n != 0 {
		t.Errorf("%d requests without a token", n)
	}
}

func TestWaitingForATokenEndsWithTheContext(t *testing.T) {
	far := serve(t, always(200, ""))
	stuck := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or the server would not notice that the client is gone
		<-r.Context().Done()
	}))
	t.Cleanup(stuck.Close)
	s := open(t, Options{URL: far.URL, Auth: Auth{Scheme: "oauth2", ClientID: "me", Secret: "s", TokenURL: stuck.URL}})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	var lanes sync.WaitGroup
	for range 3 {
		lanes.Go(func() {
			if a := s.Write(ctx, engagements(1)); a.All.Reason != reasonInterrupted {
				t.Errorf("%+v", a)
			}
		})
	}
	lanes.Wait()
}

func TestAServiceAccountOfGoogle(t *testing.T) {
	is := newIssuer(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]string{
		"type": "service_account", "client_email": "sluice@project.example", "private_key_id": "1", "token_uri": is.URL,
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})),
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	far := serve(t, always(200, `{"kind":"bigquery#tableDataInsertAllResponse"}`))
	s := open(t, Options{Preset: "bigquery", URL: far.URL, Auth: Auth{KeyFile: file}})
	for range 2 {
		if a := s.Write(t.Context(), engagements(2)); a.All.Kind != outcome.Delivered {
			t.Errorf("%+v", a)
		}
	}
	if got := far.got()[1].header.Get("Authorization"); got != "Bearer token-1" {
		t.Error(got)
	}
	if grant := is.last.Load().Form.Get("grant_type"); grant != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
		t.Error(grant)
	}

	if err := os.WriteFile(file, []byte(`{"type":"external_account","hidden":"1"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), Options{Preset: "bigquery", URL: far.URL, Auth: Auth{KeyFile: file}}, sink.Deps{Name: "x"})
	if err == nil || strings.Contains(err.Error(), "hidden") {
		t.Error(err)
	}
}
