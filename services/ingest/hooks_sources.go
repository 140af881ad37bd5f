package ingest

import (
	_ "embed"
	"fmt"
	"net"
	"os"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/services/ingest/webhook"
)

//go:embed sources.yaml
var shippedSources []byte

// ShippedSources is the text of the file of sources that is built in.
func ShippedSources() []byte { return shippedSources }

// LoadSources reads the sources of a file, or those that are built in where there is none. A secret for
// trying things out takes the place of those that nobody has set; empty means none.
func LoadSources(file string, env func(string) (string, bool), devSecret string) (*webhook.Sources, error) {
	text := shippedSources
	if file != "" {
		var err error
		if text, err = os.ReadFile(file); err != nil {
			return nil, fmt.Errorf("reading SOURCES_FILE: %w", err)
		}
	}
	sources, err := webhook.Parse(text, webhook.Options{
		Presets: shippedSources, Env: env, ReadFile: os.ReadFile, DevSecret: config.Secret(devSecret),
	})
	if err != nil && file != "" {
		return nil, fmt.Errorf("reading SOURCES_FILE %s: %w", file, err)
	}
	return sources, err
}

// devSecret is the secret of webhooks that have none, on one's own machine: where the door takes the
// key that everybody knows, and nobody else can reach it.
func (o Options) devSecret() string {
	host, _, err := net.SplitHostPort(o.Addr)
	ip := net.ParseIP(host)
	loopback := err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
	if loopback && o.takesWellKnownKey() {
		return wellKnownKey.Reveal()
	}
	return ""
}

// announce tells at start which sources will be taken, by whom they are missed, and that a secret is
// one that everybody knows.
func announce(log zerolog.Logger, sources *webhook.Sources, dev string) {
	for _, source := range sources.All() {
		switch {
		case !source.Calls(): // it is polled
		case source.Disabled() != "":
			log.Info().Str("source", source.Name()).Msg("this source of webhooks takes nothing: " + source.Disabled())
		case source.Dev():
			log.Info().Str("source", source.Name()).Str("secret", dev).
				Msg("this source of webhooks has no secret of its own; from this machine it takes the one that everybody knows")
		}
	}
}
