package contentcacher

import (
	"time"

	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/pkg/registry"
	"github.com/sluicehq/sluice/pkg/stream"
)

// Config is everything that can be set.
type Config struct {
	daemon.Config `yaml:",inline"`

	Kafka    stream.Config   `yaml:"kafka"`
	Registry registry.Config `yaml:"registry"`
	State    StateConfig     `yaml:"state"`
	Content  Options         `yaml:"content"`
}

// StateConfig says where the local copy is kept.
type StateConfig struct {
	Dir string `yaml:"dir" env:"STATE_DIR" doc:"folder for local copies of keyed state, a folder in it for each service; what is lost there is restored from Kafka; a temporary one, removed at the end, when empty"`
}

// Options are what only this service knows.
type Options struct {
	Addr string `yaml:"addr" env:"CONTENT_ADDR" default:":8081" doc:"address of the content's own listener; port 0 picks a free one and logs it"`
	// CollectionsFile says who may read what, and what stands in for what is not there.
	CollectionsFile string `yaml:"file" env:"CONTENT_FILE" doc:"YAML file of collections: credentials, locales, default bodies, caching; the one that is built in, which lets everybody read everything, when empty"`
	// Patience is how long a start waits for Kafka before it serves what the local copy holds. A
	// message that is rendered now has two seconds, whatever the state of the cluster.
	Patience time.Duration `yaml:"patience" env:"CONTENT_PATIENCE" default:"10s" min:"0s" max:"10m" doc:"how long a start waits for Kafka before it serves what the local copy on disk holds"`
	// Heavy bounds requests that read many items at the same time. Single items are not bounded: they cost less
	// than turning them away would.
	Heavy       int           `yaml:"heavy" env:"CONTENT_MAX_LISTS" default:"64" min:"1" max:"100000" doc:"lists, picks and batches that are put together at the same time; further ones are answered with the collection's default, or 503"`
	MaxItems    int           `yaml:"max_items" env:"CONTENT_MAX_ITEMS" default:"200" min:"1" max:"1000" doc:"most items in one list or batch"`
	MaxBytes    int           `yaml:"max_bytes" env:"CONTENT_MAX_BYTES" default:"1000000" min:"1000" max:"100000000" doc:"most bytes of one list or batch; Braze takes 1 MB"`
	IdleTimeout time.Duration `yaml:"idle_timeout" env:"CONTENT_IDLE_TIMEOUT" default:"2m" min:"1s" max:"1h" doc:"how long a connection may be idle"`
	ReadTimeout time.Duration `yaml:"read_timeout" env:"CONTENT_READ_TIMEOUT" default:"5s" min:"100ms" max:"1m" doc:"how long a request may take to arrive, and its answer to be read"`
}
