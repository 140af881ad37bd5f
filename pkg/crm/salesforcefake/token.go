package salesforcefake

import (
	"cmp"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// session is what a token is good for. It says nothing of how long.
type session struct {
	user string
	left int // calls; below zero: any number
}

// longestAssertion is how far ahead an assertion may expire.
const longestAssertion = 3 * time.Minute

const jwtBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer"

func (s *Sandbox) serveToken(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 1<<16)
	refuse := func(status int, word, text string) {
		send(w, status, map[string]string{"error": word, "error_description": text})
	}
	s.mu.Lock()
	down := s.knobs.Down
	s.mu.Unlock()
	if down {
		http.Error(w, "<html>Down for maintenance</html>", http.StatusServiceUnavailable)
		return
	}
	if err := r.ParseForm(); err != nil {
		refuse(http.StatusBadRequest, "invalid_request", "malformed form")
		return
	}
	var user string
	switch grant := r.PostForm.Get("grant_type"); grant {
	case "client_credentials":
		id, secret := r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
		if name, word, ok := r.BasicAuth(); ok {
			id, secret = name, word
		}
		i := slices.IndexFunc(s.opts.Clients, func(c Client) bool { return c.ID == id })
		if i < 0 {
			refuse(http.StatusBadRequest, "invalid_client_id", "client identifier invalid")
			return
		}
		if !s.opts.Clients[i].Secret.Equal(secret) {
			refuse(http.StatusBadRequest, "invalid_client", "invalid client credentials")
			return
		}
		user = cmp.Or(s.opts.Clients[i].User, DefaultUser)
	case jwtBearer:
		app, err := s.assertion(r.PostForm.Get("assertion"))
		if err != nil {
			refuse(http.StatusBadRequest, "invalid_grant", err.Error())
			return
		}
		user = cmp.Or(app.User, DefaultUser)
	default:
		refuse(http.StatusBadRequest, "unsupported_grant_type", "grant type not supported")
		return
	}
	base := s.opts.URL
	if base == "" {
		base = "http://" + r.Host
		if r.TLS != nil {
			base = "https://" + r.Host
		}
	}
	send(w, http.StatusOK, map[string]string{
		"access_token": s.issue(user), "instance_url": base, "token_type": "Bearer", "scope": "api",
		"id": base + "/id/" + organization + "/" + user, "issued_at": fmt.Sprint(s.opts.Now().UnixMilli()), "signature": "sandbox",
	})
}

func (s *Sandbox) issue(user string) string {
	var random [24]byte
	_, _ = rand.Read(random[:])
	token := organization + "!" + hex.EncodeToString(random[:])
	s.mu.Lock()
	defer s.mu.Unlock()
	left := -1
	if s.knobs.ExpireAfter > 0 {
		left = s.knobs.ExpireAfter
	}
	s.tokens[token] = &session{user: user, left: left}
	return token
}

// ExpireTokens ends all sessions, as an administrator can.
func (s *Sandbox) ExpireTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
}

// assertion checks a JWT: its signature, and everything in it.
func (s *Sandbox) assertion(text string) (*App, error) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return nil, errors.New("invalid assertion")
	}
	var header struct {
		Alg string `json:"alg"`
	}
	var claims struct {
		Iss string `json:"iss"`
		Sub string `json:"sub"`
		Aud string `json:"aud"`
		Exp int64  `json:"exp"`
	}
	for i, into := range []any{&header, &claims} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil || json.Unmarshal(raw, into) != nil {
			return nil, errors.New("invalid assertion")
		}
	}
	i := slices.IndexFunc(s.opts.Apps, func(a App) bool { return a.ConsumerKey == claims.Iss })
	if i < 0 {
		return nil, errors.New("client identifier invalid")
	}
	app := &s.opts.Apps[i]
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err != nil || header.Alg != "RS256" || rsa.VerifyPKCS1v15(app.Key, crypto.SHA256, sum[:], signature) != nil {
		return nil, errors.New("invalid assertion")
	}
	now := s.opts.Now()
	exp := time.Unix(claims.Exp, 0)
	switch {
	case claims.Sub != app.Username:
		return nil, errors.New("user hasn't approved this consumer")
	case claims.Aud != cmp.Or(app.Audience, "https://login.salesforce.com"):
		return nil, errors.New("audience is invalid")
	case !exp.After(now):
		return nil, errors.New("expired authorization code")
	case exp.Sub(now) > longestAssertion:
		return nil, errors.New("assertion expires too far in the future")
	}
	return app, nil
}
