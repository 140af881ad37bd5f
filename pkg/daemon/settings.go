package daemon

import "time"

// Config is the part of a configuration that every process has. A service's own Config embeds it:
//
//	type Config struct {
//		daemon.Config `yaml:",inline"`
//		Kafka stream.Config `yaml:"kafka"`
//	}
type Config struct {
	Ops OpsConfig `yaml:"ops"`
	Log LogConfig `yaml:"log"`
	// DrainTimeout should be a few seconds less than the orchestrator's grace period (Kubernetes
	// gives 30s), or the process is killed before it can say what it still held.
	DrainTimeout time.Duration `yaml:"drain_timeout" env:"DRAIN_TIMEOUT" default:"25s" min:"0s" doc:"longest wait for a service to finish what it holds when the process is told to stop"`
}

// OpsConfig is where operators and their tools find the process.
type OpsConfig struct {
	Addr string `yaml:"addr" env:"OPS_ADDR" default:":9090" required:"true" doc:"address of /healthz, /readyz, /metrics and /debug/pprof; port 0 picks a free one and logs it"`
}

// LogConfig is how much is said, and in which form.
type LogConfig struct {
	Level  string `yaml:"level" env:"LOG_LEVEL" default:"info" oneof:"trace debug info warn error" doc:"the least important lines that are still written"`
	Format string `yaml:"format" env:"LOG_FORMAT" default:"auto" oneof:"auto json console" doc:"form of a line; auto is console on a terminal and json elsewhere"`
}

// Configured is a service's configuration, which has a [Config] inside. Embedding one is enough.
type Configured interface {
	DaemonConfig() Config
}

// DaemonConfig makes whatever embeds a Config [Configured].
func (c Config) DaemonConfig() Config { return c }

// Sections are the top-level keys of the one YAML file that serves every binary; a process passes over
// those that are not its own.
var Sections = []string{"kafka", "registry", "braze", "ingest", "sender", "ops", "log", "drain_timeout", "sandbox", "simulate"}
