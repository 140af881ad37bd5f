package salesforce

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"golang.org/x/oauth2/jwt"

	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

// lifetime of an assertion. Salesforce's pages name three minutes and five; clocks differ, and one token needs one
// assertion, so this is shorter than either.
const lifetime = 2 * time.Minute

// session is a token with the instance that it is good for. Salesforce does not say for how long: until it is refused.
type session struct {
	token string
	base  *url.URL
}

// sessions keeps one for all who call.
type sessions struct {
	fetch  func(context.Context) (*oauth2.Token, error)
	home   *url.URL
	client *http.Client
	turn   chan struct{} // a lock that can be waited for with a context
	now    *session
}

func (s *settings) sessions(client *http.Client) (*sessions, error) {
	address := s.base.JoinPath("/services/oauth2/token").String()
	held := &sessions{home: s.base, client: client, turn: make(chan struct{}, 1)}
	if s.Auth.Grant == grantJWT {
		key, err := s.key()
		if err != nil {
			return nil, err
		}
		c := &jwt.Config{
			Email: s.Auth.ConsumerKey, Subject: s.Auth.Username, PrivateKey: key,
			TokenURL: address, Audience: s.audience, Expires: lifetime,
		}
		held.fetch = func(ctx context.Context) (*oauth2.Token, error) { return c.TokenSource(ctx).Token() }
		return held, nil
	}
	c := &clientcredentials.Config{
		ClientID: s.Auth.ClientID, ClientSecret: s.Auth.ClientSecret.Reveal(),
		TokenURL: address, AuthStyle: oauth2.AuthStyleInParams,
	}
	held.fetch = c.Token
	return held, nil
}

// get returns the session, made anew where there is none. Others wait meanwhile: they need the same one.
func (s *sessions) get(ctx context.Context) (*session, bool, error) {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, false, context.Cause(ctx)
	}
	defer func() { <-s.turn }()
	if s.now != nil {
		return s.now, false, nil
	}
	token, err := s.fetch(context.WithValue(ctx, oauth2.HTTPClient, s.client))
	if err != nil {
		return nil, false, err
	}
	base := s.home
	if text, ok := token.Extra("instance_url").(string); ok && text != "" {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != s.home.Scheme {
			return nil, false, errors.New("the token's instance_url is no URL to send it to")
		}
		base = &url.URL{Scheme: u.Scheme, Host: u.Host}
	}
	s.now = &session{token: token.AccessToken, base: base}
	return s.now, true, nil
}

// drop forgets a session that was refused, unless somebody has made a newer one since.
func (s *sessions) drop(refused *session) {
	s.turn <- struct{}{}
	if s.now == refused {
		s.now = nil
	}
	<-s.turn
}

// noToken tells a token that we shall not get from one that we do not get now.
func noToken(ctx context.Context, err error) target.Answer {
	refused, ok := errors.AsType[*oauth2.RetrieveError](err)
	if !ok || refused.Response == nil {
		a := unreachable(ctx, err)
		if _, sent := errors.AsType[*url.Error](err); !sent && a.All.Reason == reasonUnreachable {
			a.All.Reason = reasonNoToken
		}
		a.All.Detail = "fetching a token: " + a.All.Detail
		return a
	}
	var said struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	_ = json.Unmarshal(refused.Body, &said)
	detail := printable(fmt.Sprintf("fetching a token: %d %s: %s", refused.Response.StatusCode, said.Error, said.Description))
	status := refused.Response.StatusCode
	var a target.Answer
	// "unknown_error" comes with the words to try again, and with a 400.
	if status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout || said.Error == "unknown_error" {
		a = target.Deferred(reasonUnavailable, detail, pause(refused.Response.Header))
	} else {
		a = target.Deferred(reasonUnauthorized, detail, 0)
		a.Halt = true
	}
	a.Status = status
	return a
}
