package hubspotfake

import (
	"crypto/subtle"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// OAuth is an app that is installed in the portal. Without a ClientID there is none.
type OAuth struct {
	ClientID, ClientSecret, RefreshToken string
	Life                                 time.Duration // of an access token; 30 min when 0
}

// token gives out access tokens for the refresh token (hubspot: OAuth, refresh an access token).
func (s *Sandbox) token(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	o := &s.options.OAuth
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls["oauth/v1/token"]++
	if f := s.knobs.Down; f {
		Fault{Status: http.StatusServiceUnavailable}.answer(w)
		return
	}
	if err := r.ParseForm(); err != nil || o.ClientID == "" || r.PostForm.Get("grant_type") != "refresh_token" ||
		!same(r.PostForm.Get("client_id"), o.ClientID) || !same(r.PostForm.Get("client_secret"), o.ClientSecret) ||
		!same(r.PostForm.Get("refresh_token"), o.RefreshToken) {
		reply{status: http.StatusBadRequest, body: map[string]string{"status": "BAD_REFRESH_TOKEN", "message": "missing or unknown refresh token"}}.send(w)
		return
	}
	life := o.Life
	if life == 0 {
		life = 30 * time.Minute
	}
	s.issued++
	token := fmt.Sprintf("access-%d", s.issued)
	s.tokens[token] = s.options.Now().Add(life)
	reply{status: http.StatusOK, body: map[string]any{
		"access_token": token, "refresh_token": o.RefreshToken, "token_type": "bearer", "expires_in": int(life / time.Second),
	}}.send(w)
}

// authorize says who asks, or the answer for somebody who may not. The lock is held.
func (s *Sandbox) authorize(r *http.Request) (oauth bool, bad *reply) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return false, unauthorized("INVALID_AUTHENTICATION", "Authentication credentials not found.")
	}
	if slices.ContainsFunc(s.options.Tokens, func(t string) bool { return same(t, token) }) {
		return false, nil
	}
	until, known := s.tokens[token]
	switch {
	case !known:
		return false, unauthorized("INVALID_AUTHENTICATION", "The token is not known.")
	case !s.options.Now().Before(until):
		return true, unauthorized("EXPIRED_AUTHENTICATION", "The OAuth token used to make this call expired.")
	}
	return true, nil
}

// ExpireTokens lets every access token of OAuth run out at once.
func (s *Sandbox) ExpireTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for token := range s.tokens {
		s.tokens[token] = time.Time{}
	}
}

// SetTokens exchanges the private apps' tokens.
func (s *Sandbox) SetTokens(tokens ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.options.Tokens = slices.Clone(tokens)
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

func unauthorized(category, message string) *reply {
	return &reply{status: http.StatusUnauthorized, body: errorBody{Status: "error", Message: message, CorrelationID: correlation, Category: category}}
}
