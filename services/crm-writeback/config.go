package crmwriteback

import (
	"time"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/pkg/registry"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/table"
)

// Config is everything that can be set beside writeback.yaml.
type Config struct {
	daemon.Config `yaml:",inline"`

	Kafka     stream.Config   `yaml:"kafka"`
	Registry  registry.Config `yaml:"registry"`
	State     table.Config    `yaml:"state"`
	Writeback Options         `yaml:"writeback"`

	// Environment is where writeback.yaml finds what it names as ${NAME}; the process's own when nil.
	Environment func(name string) (string, bool) `yaml:"-"`
}

// Validate reports what cannot work together.
func (c Config) Validate() error {
	if c.DrainTimeout > 0 && c.Writeback.Drain >= c.DrainTimeout {
		// The process would be gone before what a system has taken was written down, and would write it again.
		return config.Problem{Field: "writeback.drain", Value: c.Writeback.Drain.String(), Allowed: "less than DRAIN_TIMEOUT, which is " + c.DrainTimeout.String()}
	}
	return nil
}

// Options are what only this service knows.
type Options struct {
	// File says which systems there are and what is written to them. What a target may hold and how fast it is called
	// stands there too.
	File string `yaml:"file" env:"WRITEBACK_FILE" doc:"YAML file of systems, objects, fields and rules; the one that is built in when empty"`
	// Linger is the planner's; how long a row waits for company is each target's own.
	Linger time.Duration `yaml:"linger" env:"WRITEBACK_LINGER" default:"200ms" min:"0s" max:"1m" doc:"how long records gather before they are planned in one transaction"`
	// Batch bounds the planner's memory.
	Batch      int   `yaml:"batch" env:"WRITEBACK_BATCH" default:"10000" min:"1" max:"1000000" doc:"most records planned in one transaction"`
	BatchBytes int64 `yaml:"batch_bytes" env:"WRITEBACK_BATCH_BYTES" default:"16777216" min:"1048576" max:"1073741824" doc:"the same in bytes of records"`
	// RowPatience counts only while the system takes other rows: one that is down is waited for.
	RowPatience time.Duration `yaml:"row_patience" env:"WRITEBACK_ROW_PATIENCE" default:"1h" min:"1s" max:"168h" doc:"how long one row may be put off, as by a lock, while its system takes others, before it is a dead letter"`
	// CallTimeout is the last resort: each kind bounds its requests itself, and how long it waits for a job.
	CallTimeout time.Duration `yaml:"call_timeout" env:"WRITEBACK_CALL_TIMEOUT" default:"1h" min:"1s" max:"48h" doc:"longest time a call to a system may take with all its requests, jobs included, before it is given up and made again"`
	// Drain leaves time, before DRAIN_TIMEOUT, for the commits.
	Drain       time.Duration `yaml:"drain" env:"WRITEBACK_DRAIN" default:"10s" min:"0s" max:"10m" doc:"how long calls under way may take when the process is told to stop, or a partition goes to another; less than DRAIN_TIMEOUT"`
	CommitEvery time.Duration `yaml:"commit_every" env:"WRITEBACK_COMMIT_EVERY" default:"500ms" min:"10ms" max:"1m" doc:"time between commits of what is settled"`
}
