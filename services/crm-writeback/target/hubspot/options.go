package hubspot

import (
	"cmp"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/config"
)

// Options say which portal is written to, and as whom.
type Options struct {
	URL     string        `yaml:"url" doc:"where HubSpot's API is; https://api.hubapi.com when empty"`
	Token   config.Secret `yaml:"token" doc:"access token of a private app"`
	OAuth   OAuth         `yaml:"oauth"`
	Timeout time.Duration `yaml:"timeout" min:"100ms" max:"10m" doc:"longest wait for one answer, with its body; 30s when 0"`
	Notes   Notes         `yaml:"notes"`
}

// OAuth is an app that is installed in the portal, instead of a private app's token.
type OAuth struct {
	ClientID     string        `yaml:"client_id" doc:"the app's client id"`
	ClientSecret config.Secret `yaml:"client_secret" doc:"its secret"`
	RefreshToken config.Secret `yaml:"refresh_token" doc:"got when the app was installed in the portal"`
	TokenURL     string        `yaml:"token_url" doc:"where access tokens are had; /oauth/v1/token of the API when empty"`
}

// Notes are how rules with mode note are written.
type Notes struct {
	Object   string `yaml:"object" doc:"kind of object that a note is; notes when empty"`
	About    string `yaml:"about" doc:"kind of object that a note is about, where a rule's object is the note itself; contacts when empty"`
	Key      string `yaml:"key" doc:"unique property of that, which holds the user's external id; braze_external_id when empty"`
	Property string `yaml:"property" doc:"its unique property that holds the id of the write, so that a repetition does not make a second note; sluice_write_id when empty"`
	Time     string `yaml:"time" doc:"its property that holds the time of the edit where the rule does not set it; hs_timestamp when empty"`
}

const (
	defaultURL     = "https://api.hubapi.com"
	defaultTimeout = 30 * time.Second
)

func (o Options) withDefaults() Options {
	o.URL = strings.TrimSuffix(cmp.Or(o.URL, defaultURL), "/")
	o.Timeout = cmp.Or(o.Timeout, defaultTimeout)
	o.OAuth.TokenURL = cmp.Or(o.OAuth.TokenURL, o.URL+"/oauth/v1/token")
	o.Notes.Object = cmp.Or(o.Notes.Object, "notes")
	o.Notes.About = cmp.Or(o.Notes.About, "contacts")
	o.Notes.Key = cmp.Or(o.Notes.Key, "braze_external_id")
	o.Notes.Property = cmp.Or(o.Notes.Property, "sluice_write_id")
	o.Notes.Time = cmp.Or(o.Notes.Time, "hs_timestamp")
	return o
}

// Validate reports everything that is wrong, as config.Problems.
func (o Options) Validate() error {
	o = o.withDefaults()
	var problems []error
	wrong := func(field string, value any, allowed string) {
		problems = append(problems, config.Problem{Field: field, Value: value, Allowed: allowed})
	}
	if !whole(o.URL) {
		wrong("url", nil, "a whole URL that begins with https:// or http://, without a user or a query")
	}
	if u, err := url.Parse(o.OAuth.TokenURL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
		wrong("oauth.token_url", nil, "a whole URL that begins with https:// or http://")
	}
	if o.Timeout < 100*time.Millisecond || o.Timeout > 10*time.Minute {
		wrong("timeout", o.Timeout.String(), "a time from 100ms to 10m")
	}
	given := func(s config.Secret) bool { return s.Reveal() != "" }
	switch oauth := o.OAuth.ClientID != "" || given(o.OAuth.ClientSecret) || given(o.OAuth.RefreshToken); {
	case given(o.Token) && oauth:
		wrong("token", o.Token, "either a private app's token or oauth, not both")
	case !given(o.Token) && !oauth:
		wrong("token", nil, "a private app's token is needed, or oauth")
	case oauth && (o.OAuth.ClientID == "" || !given(o.OAuth.ClientSecret) || !given(o.OAuth.RefreshToken)):
		wrong("oauth", nil, "all of client_id, client_secret and refresh_token")
	}
	return errors.Join(problems...)
}

// whole reports whether a text is a URL behind which a path can be put.
func whole(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https") && u.RawQuery == "" && u.Fragment == "" && u.User == nil
}
