package ingest

import (
	"errors"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/pkg/quota"
	"github.com/sluicehq/sluice/pkg/registry"
	"github.com/sluicehq/sluice/pkg/stream"
)

// Config is the service's configuration.
type Config struct {
	daemon.Config `yaml:",inline"`
	Kafka         stream.Config   `yaml:"kafka"`
	Registry      registry.Config `yaml:"registry"`
	Ingest        Options         `yaml:"ingest"`
}

// Options shape the front door.
type Options struct {
	Addr string `yaml:"addr" env:"INGEST_ADDR" default:":8080" doc:"where the front door listens; port 0 picks a free one and logs it"`
	Keys Keys   `yaml:"keys" env:"INGEST_KEYS" required:"true" doc:"API keys, write keys of tracking clients included: a comma list of name:key, name:key:source|source or name:key:source|source:erase, or in a file a YAML list of name, key, sources and erase"`

	// Rate is each key's own. A request counts once, however many items it has.
	Rate quota.Rate `yaml:"rate" env:"INGEST_RATE" doc:"requests that a key may make, such as 1000/s; no limit when empty"`

	// MaxBody is measured again after decompression, so that a small body cannot grow without end.
	MaxBody int `yaml:"max_body" env:"INGEST_MAX_BODY" default:"5000000" min:"1000" max:"100000000" doc:"largest body in bytes, compressed or not"`
	// MaxHeld is what keeps a slow Kafka from filling the memory with requests that wait for it.
	MaxHeld int64 `yaml:"max_held" env:"INGEST_MAX_HELD" default:"268435456" min:"1000" doc:"bytes of bodies held at once; beyond it requests are answered 503 unread"`

	// DeliveryTimeout must be less than the patience of those who call (vendors: 4 to 15 s).
	DeliveryTimeout time.Duration `yaml:"delivery_timeout" env:"INGEST_DELIVERY_TIMEOUT" default:"4s" min:"1s" max:"5m" doc:"longest wait for Kafka before a request is answered 503"`
	// Linger costs each request its length, and saves a fifth of the work where requests bring one
	// event each (README).
	Linger time.Duration `yaml:"linger" env:"INGEST_LINGER" default:"1ms" min:"0s" max:"1s" doc:"wait of a lone record for company on its way to Kafka"`

	// ReadTimeout is also how long a client may hold a connection hostage with a slow body.
	ReadTimeout time.Duration `yaml:"read_timeout" env:"INGEST_READ_TIMEOUT" default:"30s" min:"1s" max:"10m" doc:"longest time for a request to arrive whole"`
	IdleTimeout time.Duration `yaml:"idle_timeout" env:"INGEST_IDLE_TIMEOUT" default:"2m" min:"1s" max:"1h" doc:"how long a connection may wait for its next request"`
	// DrainPause lets clients learn that a connection will close before it does.
	DrainPause time.Duration `yaml:"drain_pause" env:"INGEST_DRAIN_PAUSE" default:"500ms" min:"0s" max:"1m" doc:"how long idle connections stay open once the process is told to stop, while answers announce that they will close"`

	DedupEntries int           `yaml:"dedup_entries" env:"INGEST_DEDUP_ENTRIES" default:"1000000" min:"0" max:"100000000" doc:"ids remembered by each replica, about 60 bytes each; 0 remembers none"`
	DedupWindow  time.Duration `yaml:"dedup_window" env:"DEDUP_WINDOW" default:"24h" min:"0s" max:"168h" doc:"how long an id is remembered at most"`

	// CurrentsTokens are what Braze's connectors prove themselves with. Without any the path answers 503: a
	// connector that is told 401 or 404 is switched off.
	CurrentsTokens Tokens `yaml:"currents_tokens" env:"BRAZE_CURRENTS_TOKENS" doc:"bearer tokens that Currents' custom HTTP connector may send to POST /v1/braze/currents, a comma list or one on each line; several while one is replaced"`
	// CurrentsMaxBody must let a hundred large events through, and a single one of 900 KB in any case.
	CurrentsMaxBody int `yaml:"currents_max_body" env:"BRAZE_CURRENTS_MAX_BODY" default:"20000000" min:"1000000" max:"100000000" doc:"largest batch of Currents in bytes, compressed or not; Braze sends in parts what is larger"`
	// CurrentsDedupEntries bridge the time between a batch that was answered 503 and its repeat, no more: an
	// event may come twice days apart, and is found behind the topic.
	CurrentsDedupEntries int `yaml:"currents_dedup_entries" env:"BRAZE_CURRENTS_DEDUP_ENTRIES" default:"250000" min:"0" max:"100000000" doc:"ids of Currents' events remembered by each replica, about 60 bytes each; 0 remembers none"`

	// SourcesFile says how to verify and to translate what vendors send to POST /v1/hooks/{source}.
	SourcesFile string `yaml:"sources_file" env:"SOURCES_FILE" doc:"YAML file of the sources of webhooks, and of actions; a built-in one with cloudinary, contentful, hubspot, salesforce, shopify, stripe and zendesk when empty"`

	// CORSOrigins concern the tracking API alone: a browser has no business with the rest.
	CORSOrigins []string `yaml:"cors_origins" env:"INGEST_CORS_ORIGINS" default:"*" doc:"web origins whose pages may use the tracking API, such as https://shop.example.com; * for all"`
}

// Validate reports what the tags cannot.
func (o Options) Validate() error {
	problems := append(o.Keys.problems(), o.CurrentsTokens.problems()...)
	if _, _, err := net.SplitHostPort(o.Addr); err != nil {
		problems = append(problems, config.Problem{Field: "addr", Value: o.Addr, Allowed: "host:port or :port"})
	}
	for _, origin := range o.CORSOrigins {
		if origin != "*" && !strings.HasPrefix(origin, "https://") && !strings.HasPrefix(origin, "http://") {
			problems = append(problems, config.Problem{Field: "cors_origins", Value: origin, Allowed: "* or origins such as https://shop.example.com"})
		}
	}
	return errors.Join(problems...)
}

// wellKnownKey is the key that everybody knows, for trying things out on one's own machine.
const wellKnownKey config.Secret = "dev"

// opensToAll reports whether the well-known key opens a door that others can reach.
func (o Options) opensToAll() bool {
	host, _, err := net.SplitHostPort(o.Addr)
	ip := net.ParseIP(host)
	local := err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
	return !local && (o.takesWellKnownKey() || slices.Contains(o.CurrentsTokens, wellKnownKey))
}

func (o Options) takesWellKnownKey() bool {
	return slices.ContainsFunc(o.Keys, func(k Key) bool { return k.Key == wellKnownKey })
}
