package daemon

import (
	"context"
	"io"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/rs/zerolog"
)

// Process is what surrounds a service: where it logs, counts, and says whether it is ready. Tests may
// make one by hand from its exported fields; only NewProcess opens the operators' server.
type Process struct {
	Name string
	// Log names the component in every line.
	Log zerolog.Logger
	// Metrics is the component's own registry. What is registered here appears on /metrics under the
	// label component=Name, so components of one process may use the same metric names.
	Metrics *prometheus.Registry
	// Health decides what /readyz answers.
	Health *Health
	// DrainTimeout is how long Run waits for a service that was told to stop; zero is not at all.
	DrainTimeout time.Duration

	root *prometheus.Registry // all components and the process itself
	base zerolog.Logger       // Log before it named a component
	ops  *opsServer
}

// componentKey is the field of a log line and the label of a metric that say who speaks.
const componentKey = "component"

// NewProcess opens what surrounds a service and starts to answer operators, who learn from /readyz that
// it is not ready yet. Log lines go to logTo, normally os.Stderr. Close it when done.
func NewProcess(ctx context.Context, name string, cfg Config, logTo io.Writer) (*Process, error) {
	root := prometheus.NewRegistry()
	build := ReadBuild()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "sluice_build_info", Help: "What this process was built from; always 1.",
		ConstLabels: prometheus.Labels{
			componentKey: name, "version": build.Version, "revision": build.Revision, "go": build.Go,
		},
	})
	info.Set(1)
	root.MustRegister(info, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	p := &Process{
		Health: &Health{}, DrainTimeout: cfg.DrainTimeout, root: root, base: newLogger(cfg.Log, logTo),
	}
	p.name(name)
	p.Health.Set(processCheck, errStarting)
	ops, err := startOps(ctx, cfg.Ops, p)
	if err != nil {
		return nil, err
	}
	p.ops = ops
	p.Log.Info().Str("ops_addr", p.OpsAddr()).Str("version", build.Version).Msg("operators are answered")
	return p, nil
}

// name gives the process its name, and with it a registry and a logger.
func (p *Process) name(name string) {
	p.Name = name
	p.Log = p.base.With().Str(componentKey, name).Logger()
	p.Metrics = prometheus.NewRegistry()
	if p.root != nil {
		prometheus.WrapRegistererWith(prometheus.Labels{componentKey: name}, p.root).MustRegister(p.Metrics)
	}
}

// Named returns the process as one of its components sees it: the same server and drain timeout, but
// log lines, metrics and checks that carry the component's name.
func (p *Process) Named(name string) *Process {
	part := *p
	if part.root == nil { // made by hand
		part.base = p.Log
	}
	part.name(name)
	part.Health = p.Health.named(name)
	return &part
}

// OpsAddr is where operators are answered, with the port that was picked; empty without a server.
func (p *Process) OpsAddr() string {
	if p.ops == nil {
		return ""
	}
	return p.ops.addr
}

// Close stops answering operators.
func (p *Process) Close() {
	if p.ops != nil {
		p.ops.close()
	}
}
