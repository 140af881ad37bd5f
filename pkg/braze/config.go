package braze

import (
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/pkg/quota"
)

// Config is the section "braze" of a service that talks to Braze.
type Config struct {
	// Endpoint is configuration and never derived from the name of an instance, because the names
	// follow no rule: rest.iad-01.braze.com, rest.us-10.braze.com, rest.fra-01.braze.eu (braze-docs:
	// basics). A valid key at the wrong one is answered 401.
	Endpoint string `yaml:"rest_endpoint" env:"BRAZE_REST_ENDPOINT" required:"true" doc:"REST endpoint of the workspace's instance, such as https://rest.iad-01.braze.com"`
	// APIKey belongs to one workspace and carries its permissions for good: one that lacks users.track
	// cannot be given it (braze-docs: basics).
	APIKey config.Secret `yaml:"api_key" env:"BRAZE_API_KEY" required:"true" doc:"REST API key with the permission users.track"`
	// MaxObjects below the default is for contracts that were told 50.
	MaxObjects int `yaml:"max_objects" env:"BRAZE_MAX_OBJECTS" default:"75" min:"2" max:"75" doc:"objects in a request to /users/track, over its three arrays together"`
	// LegacyArrays is for accounts on legacy rate limits. Wrongly set, every full request is answered 400.
	LegacyArrays bool `yaml:"legacy_arrays" env:"BRAZE_LEGACY_ARRAYS" default:"false" doc:"count max_objects for each of the three arrays by itself, as accounts on legacy limits may"`
	// Rate is what the workspace may send. The headers of Braze's answers correct it downward.
	Rate quota.Rate `yaml:"rate" env:"BRAZE_RATE" default:"3000/3s" doc:"requests to /users/track that the workspace may make, shared by all replicas"`
	// Timeout bounds a whole call. When it strikes, nobody knows whether Braze has applied the request,
	// so it should be rare: too short a timeout makes duplicates.
	Timeout time.Duration `yaml:"timeout" env:"BRAZE_TIMEOUT" default:"30s" min:"100ms" max:"5m" doc:"longest wait for an answer; when it is over the request is in doubt"`
}

// Validate checks what tags cannot say.
func (c *Config) Validate() error {
	_, err := c.base()
	return err
}

// base is the endpoint as a URL that paths can be joined to.
func (c *Config) base() (*url.URL, error) {
	problem := func(allowed string) error {
		return config.Problem{Field: "rest_endpoint", Value: c.Endpoint, Allowed: allowed}
	}
	u, err := url.Parse(strings.TrimRight(c.Endpoint, "/"))
	switch {
	case c.Endpoint == "":
		return nil, config.Problem{Field: "rest_endpoint", Allowed: "set it to an http or https address"}
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "":
		return nil, problem("an http or https address such as https://rest.iad-01.braze.com")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, problem("an address without user, query or fragment")
	case strings.HasPrefix(u.Host, "sdk."):
		return nil, problem("the instance's REST host, not its SDK host")
	}
	if u.Path == "" {
		u.Path = "/" // or what is joined to it would be a relative path
	}
	return u, nil
}

var errNoKey = errors.New("no API key")
