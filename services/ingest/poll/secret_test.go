package poll

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/services/ingest/webhook"
)

// TestTheClientsSecretIsNotSentOn lets the server of tokens send us to another one.
func TestTheClientsSecretIsNotSentOn(t *testing.T) {
	for _, code := range []int{http.StatusTemporaryRedirect, http.StatusPermanentRedirect, http.StatusFound} {
		var asked []string
		thief := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_ = r.ParseForm()
			asked = append(asked, r.Host+" "+r.Header.Get("Authorization")+" "+r.PostForm.Encode())
		}))
		elsewhere, err := url.Parse(thief.URL)
		if err != nil {
			t.Fatal(err)
		}
		elsewhere.Host = "localhost:" + elsewhere.Port() // another host than 127.0.0.1
		home := httptest.NewServer(http.RedirectHandler(elsewhere.String(), code))
		p := &webhook.Polling{
			Poll:   webhook.Poll{Timeout: time.Second, Auth: webhook.PollAuth{Scheme: "oauth2", TokenURL: home.URL}},
			Secret: config.Secret("s3cret"), ClientID: "us",
		}
		err = newClient(p, http.DefaultTransport).who.put(t.Context(), http.Header{})
		home.Close()
		thief.Close()
		if f, ok := errors.AsType[*failure](err); !ok || f.kind != locked || len(asked) > 0 {
			t.Errorf("%d: %v; asked there: %q", code, err, asked)
		}
	}
}

// TestKeysInAddressesAreNotTold makes every request fail that has one.
func TestKeysInAddressesAreNotTold(t *testing.T) {
	const key = "s3cret"
	p := func(change func(*webhook.Polling)) *webhook.Polling {
		p := &webhook.Polling{Poll: webhook.Poll{Method: "GET", MaxBytes: 1000, Timeout: time.Second}}
		change(p)
		return p
	}
	base := &url.URL{Scheme: "https", Host: "crm.example.com"}
	for name, fails := range map[string]func() error{
		"nobody answers": func() error {
			where := target{url: "http://127.0.0.1:1/x?api_key=" + key}
			_, err := newClient(p(func(*webhook.Polling) {}), http.DefaultTransport).ask(t.Context(), where, validators{})
			if err != nil && !strings.Contains(err.Error(), "127.0.0.1:1") {
				t.Errorf("it does not say who: %v", err)
			}
			return err
		},
		"no address": func() error {
			_, err := newClient(p(func(*webhook.Polling) {}), http.DefaultTransport).ask(t.Context(), target{url: "http://[::1/x?api_key=" + key}, validators{})
			return err
		},
		"nobody gives tokens": func() error {
			source := p(func(p *webhook.Polling) {
				p.Auth = webhook.PollAuth{Scheme: "oauth2", TokenURL: "http://127.0.0.1:1/token?client_secret=" + key}
			})
			return newClient(source, http.DefaultTransport).who.put(t.Context(), http.Header{})
		},
		"a next page that is nowhere": func() error {
			_, err := within(base, "http://[::1/x?api_key="+key)
			return err
		},
		"a next page elsewhere": func() error {
			_, err := within(base, "https://u:"+key+"@other.example.com/x?api_key="+key)
			return err
		},
	} {
		if err := fails(); err == nil || strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestACheckpointHoldsNoAddressOfAnUnchangedPage(t *testing.T) {
	where := target{url: "https://crm.example.com/x?api_key=s3cret"}
	v := validatorsOf(where, answer{header: http.Header{"Etag": {"e"}}})
	text, err := (&checkpoint{Epoch: 1, Validators: v}).encode()
	if err != nil || strings.Contains(string(text), "s3cret") {
		t.Errorf("%s, %v", text, err)
	}
	r, err := newClient(&webhook.Polling{Poll: webhook.Poll{Method: "GET"}}, http.DefaultTransport).request(t.Context(), where, v)
	if err != nil || r.Header.Get("If-None-Match") != "e" {
		t.Errorf("it is not asked whether it has changed: %v, %v", r, err)
	}
}
