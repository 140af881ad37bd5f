package salesforce_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/pkg/crm/salesforcefake"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
	"github.com/sluicehq/sluice/services/crm-writeback/target/salesforce"
)

func newKey(t *testing.T) (*rsa.PrivateKey, config.Secret) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return key, config.Secret(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func TestASignedAssertionIsTakenOnlyAsItShouldBe(t *testing.T) {
	key, text := newKey(t)
	_, others := newKey(t)
	_, url := sandbox(t, salesforcefake.Options{Apps: []salesforcefake.App{{
		ConsumerKey: "3MVG9", Username: "sluice@acme.example", User: "0055e00000Demo9AAC", Key: &key.PublicKey,
	}}})
	good := salesforce.Auth{ConsumerKey: "3MVG9", Username: "sluice@acme.example", PrivateKey: text}
	file := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(file, []byte(text.Reveal()), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*salesforce.Auth)
		want   string
	}{
		"as it should be":    {func(*salesforce.Auth) {}, "delivered"},
		"a key in a file":    {func(a *salesforce.Auth) { a.PrivateKey, a.PrivateKeyRef = "", file }, "delivered"},
		"another's key":      {func(a *salesforce.Auth) { a.PrivateKey = others }, "deferred unauthorized"},
		"another user":       {func(a *salesforce.Auth) { a.Username = "eve@acme.example" }, "deferred unauthorized"},
		"another app":        {func(a *salesforce.Auth) { a.ConsumerKey = "x" }, "deferred unauthorized"},
		"the wrong audience": {func(a *salesforce.Auth) { a.Audience = "https://test.salesforce.com" }, "deferred unauthorized"},
	} {
		t.Run(name, func(t *testing.T) {
			o := salesforce.Options{URL: url, Auth: good}
			c.change(&o.Auth)
			a := open(t, o, target.Deps{}).Write(t.Context(), rowsOf(1, fields))
			want(t, a, 1, c.want)
			if a.Halt != (c.want != "delivered") {
				t.Errorf("halt is %v", a.Halt)
			}
		})
	}
}

func TestAWrongSecretStopsTheTarget(t *testing.T) {
	_, url := sandbox(t, salesforcefake.Options{})
	o := options(url)
	o.Auth.ClientSecret = "guessed"
	a := open(t, o, target.Deps{}).Write(t.Context(), rowsOf(1, fields))
	want(t, a, 1, "deferred unauthorized")
	if !a.Halt || !strings.Contains(a.All.Detail, "invalid client credentials") || strings.Contains(a.All.Detail, "guessed") {
		t.Errorf("halt %v, %q", a.Halt, a.All.Detail)
	}
}

func TestAnExpiredTokenIsRenewedOnceAndTheCallRepeated(t *testing.T) {
	org, url := sandbox(t, salesforcefake.Options{})
	to := open(t, options(url), target.Deps{})
	want(t, to.Write(t.Context(), rowsOf(1, fields)), 1, "delivered")
	org.ExpireTokens()
	want(t, to.Write(t.Context(), rowsOf(2, fields)), 2, "delivered", "delivered")
	var statuses []int
	for _, c := range org.Calls() {
		statuses = append(statuses, c.Status)
	}
	if want := []int{200, 401, 200}; !slices.Equal(statuses, want) {
		t.Errorf("calls were answered %v, want %v", statuses, want)
	}
}

func TestTokensThatAreNeverGoodAreAskedForTwice(t *testing.T) {
	var tokens, calls atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if strings.HasSuffix(r.URL.Path, "/token") {
			tokens.Add(1)
			_, _ = w.Write([]byte(`{"access_token":"t","token_type":"Bearer"}`))
			return
		}
		calls.Add(1)
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(fault("INVALID_SESSION_ID")))
	}))
	t.Cleanup(server.Close)
	a := open(t, options(server.URL), target.Deps{}).Write(t.Context(), rowsOf(3, fields))
	if !a.Halt || tokens.Load() != 2 || calls.Load() != 2 {
		t.Errorf("halt %v after %d tokens and %d calls; want true, 2 and 2", a.Halt, tokens.Load(), calls.Load())
	}
}

func TestATokenIsSentOnlyWhereItMayGo(t *testing.T) {
	for name, c := range map[string]struct{ answer, want string }{
		"an instance":              {`{"access_token":"t","instance_url":"HERE"}`, "delivered"},
		"none":                     {`{"access_token":"t"}`, "delivered"},
		"a URL that is none":       {`{"access_token":"t","instance_url":"ftp://there"}`, "deferred no_token"},
		"one with credentials":     {`{"access_token":"t","instance_url":"http://a:b@there"}`, "deferred no_token"},
		"a token service at night": {`{"token":"t"}`, "deferred no_token"},
	} {
		t.Run(name, func(t *testing.T) {
			var server *httptest.Server
			server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				if strings.HasSuffix(r.URL.Path, "/token") {
					_, _ = w.Write([]byte(strings.ReplaceAll(c.answer, "HERE", server.URL)))
					return
				}
				_, _ = w.Write([]byte(`[{"id":"001D000000IqhSL","success":true}]`))
			}))
			t.Cleanup(server.Close)
			want(t, open(t, options(server.URL), target.Deps{}).Write(t.Context(), rowsOf(1, fields)), 1, c.want)
		})
	}
}
