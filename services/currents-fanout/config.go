package currentsfanout

import (
	"errors"
	"time"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/pkg/registry"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/table"
	"github.com/sluicehq/sluice/pkg/yamlfile"
	"github.com/sluicehq/sluice/services/currents-fanout/watch"
)

// Config is everything that can be set.
type Config struct {
	daemon.Config `yaml:",inline"`

	Kafka    stream.Config   `yaml:"kafka"`
	Registry registry.Config `yaml:"registry"`
	State    table.Config    `yaml:"state"`
	Fanout   Options         `yaml:"fanout"`
	Watch    watch.Config    `yaml:"watch"`
}

// Validate reports what cannot work together.
func (c Config) Validate() error {
	if c.DrainTimeout > 0 && c.Fanout.Drain >= c.DrainTimeout {
		// The process would be gone before what has come to an end was committed, and would send it again.
		return config.Problem{Field: "fanout.drain", Value: c.Fanout.Drain.String(), Allowed: "less than DRAIN_TIMEOUT, which is " + c.DrainTimeout.String()}
	}
	return nil
}

// Options are what only this service knows.
type Options struct {
	// SinksFile says who gets what. Without one nobody gets anything: the topics are there to be tapped.
	SinksFile string `yaml:"sinks_file" env:"SINKS_FILE" doc:"YAML file of sinks: who gets which events, and how; none when empty"`
	// DedupWindow is longer than the 7 days for which Braze keeps what it could not deliver.
	DedupWindow time.Duration `yaml:"dedup_window" env:"CURRENTS_DEDUP_WINDOW" default:"192h" min:"0s" max:"2160h" doc:"how long after an event a record with the same id is a double of it and goes to no sink; 0 lets doubles pass, else a minute at least"`
	// Memory bounds what all sinks hold together, however many there are and whatever they do.
	Memory yamlfile.Size `yaml:"memory" env:"FANOUT_MEMORY" default:"512MiB" doc:"memory for events that sinks have not taken yet, shared by all of them as their own bounds say; 16MiB at least"`
	// DedupMemory is for knowing at once that an event is no double, which nearly all are not.
	DedupMemory yamlfile.Size `yaml:"dedup_memory" env:"FANOUT_DEDUP_MEMORY" default:"64MiB" doc:"memory for recognising new events without asking the disk, of all topics together: two bytes for each of the dedup window"`
	// Drain leaves time, before DRAIN_TIMEOUT, for the commits.
	Drain        time.Duration `yaml:"drain" env:"FANOUT_DRAIN" default:"10s" min:"0s" max:"10m" doc:"how long batches under way may take when the process is told to stop, or a partition goes to another; less than DRAIN_TIMEOUT"`
	WriteTimeout time.Duration `yaml:"write_timeout" env:"FANOUT_WRITE_TIMEOUT" default:"5m" min:"1s" max:"1h" doc:"longest time a sink may take over one batch before it is given up and tried again"`
	CommitEvery  time.Duration `yaml:"commit_every" env:"FANOUT_COMMIT_EVERY" default:"500ms" min:"10ms" max:"1m" doc:"time between commits of what is settled"`
}

// minMemory is less than which no sink could hold a single large event.
const minMemory = 16 << 20

// Validate reports what cannot be.
func (o Options) Validate() error {
	var problems []error
	if o.DedupWindow > 0 && o.DedupWindow < time.Minute {
		problems = append(problems, config.Problem{Field: "dedup_window", Value: o.DedupWindow.String(), Allowed: "0s, or a minute at least"})
	}
	if o.Memory < minMemory {
		problems = append(problems, config.Problem{Field: "memory", Value: o.Memory.String(), Allowed: "at least " + yamlfile.Size(minMemory).String()})
	}
	if o.DedupMemory < 1<<20 {
		problems = append(problems, config.Problem{Field: "dedup_memory", Value: o.DedupMemory.String(), Allowed: "at least 1MiB"})
	}
	return errors.Join(problems...)
}
