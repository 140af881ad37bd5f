// Package pipeline is Sluice in one process: every service, and stand-ins for whatever is not
// configured. It is what sluice run runs, and what the end-to-end tests run.
//
//	config.go     one configuration for all; what nobody has set is local
//	standins.go   the embedded Kafka and schema registry, and the Braze sandbox
//	reports.go    what the sandbox reports back to the front door
//	crmsandbox.go three CRMs to write to, which tell the front door what changes in them
//	localsinks.go where engagement goes when nobody has said where
//	modules.go    the services in the order of the flows, and the flows
//	stages.go     who stops when: those that write before those that read
//	progress.go   the law in one line, every few seconds
//	banner.go     where everything is, and a first curl
//
// No service knows that it shares a process: each is opened as its own binary opens it, with a
// configuration that points at the stand-ins, and talks to them over the same protocols as anywhere.
package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/pkg/crm/hubspotfake"
	"github.com/sluicehq/sluice/pkg/crm/loyaltyfake"
	"github.com/sluicehq/sluice/pkg/crm/salesforcefake"
	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/services/ingest"
	"github.com/sluicehq/sluice/services/pipeline/simulate"

	contentcacher "github.com/sluicehq/sluice/services/content-cacher"
	crmwriteback "github.com/sluicehq/sluice/services/crm-writeback"
	currentsfanout "github.com/sluicehq/sluice/services/currents-fanout"
)

// Options are what the command line adds to the configuration.
type Options struct {
	Targets  []string // services to run; all when empty
	Simulate bool     // let invented customers come in through the front door
	// Terminal is told, in words for a person, where everything is and how it goes; nil for nobody.
	Terminal io.Writer
}

// Pipeline is a process that runs everything. It is a daemon.Service.
type Pipeline struct {
	config   Config
	options  Options
	standins *standins
	places   Places
	stages   []*stage
	group    daemon.Group
	counters counters
	calm     *Law // when nothing was on its way any more; of the stages, one is waited for after the other
}

// Places is where everything is, with the ports that were picked. What this process does not have is
// empty.
type Places struct {
	Door     string // URL of the front door
	Ops      string // URL of the operators' server
	Kafka    string // bootstrap address
	Registry string // URL
	Sandbox  string // URL of the Braze sandbox
	Braze    string // URL that events are sent to: the sandbox's, or the real endpoint
	CRM      string // URL of the sandbox of CRMs
	Sinks    string // file of the sinks
	Content  string // URL that content is read from
	Files    string // folder into which engagement is written, where nobody has configured sinks
}

// Open starts the stand-ins and opens the services. Run runs them; without Run, Close ends what was
// started. Of an address that is taken the error names the variable to set.
func Open(ctx context.Context, c Config, o Options, p *daemon.Process) (*Pipeline, error) {
	picked, err := checkTargets(o.Targets)
	if err != nil {
		return nil, err
	}
	if o.Terminal == nil {
		o.Terminal = io.Discard
	}
	c.PickSeed()
	picks := picksOf(picked)
	s, err := startStandins(ctx, &c, picks, p)
	if err != nil {
		return nil, err
	}
	l := &Pipeline{config: c, options: o, standins: s, counters: counters{}}
	l.places = Places{
		Kafka: c.Sender.Kafka.Brokers[0], Registry: c.Sender.Registry.URL,
		Sandbox: s.brazeURL, Ops: "http://" + reachable(p.OpsAddr()),
	}
	if picks.sends {
		l.places.Braze = c.Sender.Braze.Endpoint
	}
	if picks.fansOut {
		l.places.Sinks = c.Fanout.Fanout.SinksFile
	}
	if s.crm != nil {
		l.places.CRM = s.crm.url
	}
	if s.sinks != nil {
		l.places.Files = s.sinks.folder
	}
	if err := l.open(ctx, picked, p); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return l, nil
}

// picks are what services that were picked need beside them.
type picks struct{ sends, fansOut, writesBack bool }

func picksOf(picked []module) picks {
	has := func(name string) bool {
		return slices.ContainsFunc(picked, func(m module) bool { return m.name == name })
	}
	return picks{
		sends:   slices.ContainsFunc(picked, func(m module) bool { return m.sends }),
		fansOut: has(currentsfanout.Name), writesBack: has(crmwriteback.Name),
	}
}

// addresses are the variables that say where a service listens.
var addresses = map[string]string{ingest.Name: "INGEST_ADDR", contentcacher.Name: "CONTENT_ADDR"}

// open opens the services one after the other.
func (l *Pipeline) open(ctx context.Context, picked []module, p *daemon.Process) error {
	var upstream *stage
	for _, m := range picked {
		part := p.Named(m.name)
		service, err := m.open(part.Log.WithContext(ctx), l.config, part)
		if err != nil {
			return fmt.Errorf("opening %s: %w", m.name, Taken(err, cmp.Or(addresses[m.name], "INGEST_ADDR")))
		}
		if listening, ok := service.(interface{ Addr() string }); ok {
			switch url := "http://" + reachable(listening.Addr()); m.name {
			case ingest.Name:
				l.places.Door = url
			case contentcacher.Name:
				l.places.Content = url
			}
		}
		l.counters[m.name] = part.Metrics
		upstream = l.stage(service, upstream)
		l.group.Add(part, upstream)
	}
	if err := l.openCRM(p); err != nil {
		return err
	}
	if l.options.Simulate {
		if l.places.Door == "" {
			return errors.New("simulating customers: they need the front door, which is not among the targets")
		}
		l.visit(p.Named("simulate"), &crowd{pipeline: l})
	}
	if l.standins.sandbox != nil && l.places.Door != "" && l.config.Sandbox.Currents && l.config.currentsToken() != "" {
		l.visit(p.Named("sandbox"), &reports{pipeline: l})
	}
	return nil
}

// openCRM lets the sandbox of CRMs answer, now that the front door's address is known to it.
func (l *Pipeline) openCRM(p *daemon.Process) error {
	s := l.standins.crm
	if s == nil {
		return nil
	}
	if err := s.serve(l.places.Door, l.config.DoorKey()); err != nil {
		return err
	}
	if l.places.Door != "" {
		l.visit(p.Named("crm-sandbox"), s)
	}
	return nil
}

// visit adds somebody who comes to the front door, and leaves before it shuts.
func (l *Pipeline) visit(p *daemon.Process, visitor daemon.Service) {
	first := l.stages[0]
	s := &stage{service: visitor, upstream: first.upstream, ended: make(chan struct{})}
	first.upstream = s
	l.group.Add(p, s)
}

// stage puts a service behind the one before it.
func (l *Pipeline) stage(service daemon.Service, upstream *stage) *stage {
	s := &stage{service: service, upstream: upstream, ended: make(chan struct{})}
	if upstream != nil && l.config.Local.Kafka && l.config.Sandbox.DataDir == "" {
		s.settle = l.settled // what is left on the topics is lost with them
	}
	l.stages = append(l.stages, s)
	return s
}

// CRM is the sandbox of CRMs, for tests: an org of Salesforce, a portal of HubSpot and a loyalty programme; nil without one.
func (l *Pipeline) CRM() (*salesforcefake.Sandbox, *hubspotfake.Sandbox, *loyaltyfake.Sandbox) {
	if s := l.standins.crm; s != nil {
		return s.org, s.hubspot, s.loyalty
	}
	return nil, nil, nil
}

// Places is where everything is.
func (l *Pipeline) Places() Places { return l.places }

// Metrics is the registry of one service's metrics; nil for one that does not run here.
func (l *Pipeline) Metrics(service string) *prometheus.Registry { return l.counters[service] }

// Run tells the terminal where everything is, runs the services until ctx ends or one of them does,
// and then ends the stand-ins. It returns nil after a drain.
func (l *Pipeline) Run(ctx context.Context) error {
	l.welcome(l.options.Terminal)
	done := make(chan struct{})
	reported := l.reportProgress(done)
	err := l.group.Run(ctx)
	close(done)
	<-reported
	l.farewell(l.options.Terminal)
	return errors.Join(err, l.standins.Close())
}

// Held says what the services still hold.
func (l *Pipeline) Held() string { return l.group.Held() }

// Close ends the stand-ins of a pipeline that was opened and not run.
func (l *Pipeline) Close() error { return l.standins.Close() }

// crowd is the invented customers, as a service among the others.
type crowd struct {
	pipeline *Pipeline
}

// Run lets customers come until ctx ends.
func (c *crowd) Run(ctx context.Context) error {
	l := c.pipeline
	door := simulate.Door{URL: l.places.Door, Key: l.config.DoorKey()}
	s := l.config.Simulate
	_, err := door.Send(ctx,
		simulate.Telling{Seed: s.Seed, Customers: s.Customers, Mishaps: simulate.FrontDoor},
		// However long Kafka is away: the customers are still there when it comes back.
		simulate.Pace{Rate: s.Rate, Patience: 24 * time.Hour})
	return err
}
