package table

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/rs/zerolog"
)

// Config says where a process keeps the local copies of its tables.
type Config struct {
	Dir        string `yaml:"dir" env:"STATE_DIR" doc:"folder for local copies of keyed state, a folder in it for each service; what is lost there is restored from Kafka; a temporary one, removed at the end, when empty"`
	CacheBytes int64  `yaml:"cache_bytes" env:"STATE_CACHE_BYTES" default:"134217728" min:"1048576" max:"68719476736" doc:"memory for recently used state, in bytes"`
}

// Open opens the store of a service.
func (c Config) Open(service string, log zerolog.Logger) (*Store, error) {
	o := StoreOptions{Dir: filepath.Join(c.Dir, service), CacheBytes: c.CacheBytes, Log: log}
	if c.Dir == "" {
		dir, err := os.MkdirTemp("", "sluice-"+service+"-")
		if err != nil {
			return nil, fmt.Errorf("making a folder for the state (STATE_DIR): %w", err)
		}
		o.Dir, o.Temporary = dir, true
	}
	s, err := OpenStore(o)
	if err != nil {
		return nil, fmt.Errorf("opening the state (STATE_DIR): %w", err)
	}
	return s, nil
}
