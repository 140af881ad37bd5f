package pipeline

import (
	"context"

	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/services/ingest"

	attributesync "github.com/sluicehq/sluice/services/attribute-sync"
	brazesender "github.com/sluicehq/sluice/services/braze-sender"
	contentcacher "github.com/sluicehq/sluice/services/content-cacher"
	crmwriteback "github.com/sluicehq/sluice/services/crm-writeback"
	currentsfanout "github.com/sluicehq/sluice/services/currents-fanout"
)

// module is a service as this process runs it.
type module struct {
	name string
	open func(context.Context, Config, *daemon.Process) (daemon.Service, error)
	// sends says that the service talks to Braze, so that a sandbox is of use.
	sends bool
}

// modules are the services, in the order in which records pass through them. They are opened in this
// order and stop in it: who writes stops before who reads. What the one after ingest writes goes through the rest.
var modules = []module{
	{name: ingest.Name, open: func(ctx context.Context, c Config, p *daemon.Process) (daemon.Service, error) {
		return ingest.Open(ctx, c.Ingest, p)
	}},
	{name: crmwriteback.Name, open: func(ctx context.Context, c Config, p *daemon.Process) (daemon.Service, error) {
		return crmwriteback.Open(ctx, c.Writeback, p)
	}},
	{name: attributesync.Name, open: func(ctx context.Context, c Config, p *daemon.Process) (daemon.Service, error) {
		return attributesync.Open(ctx, c.Sync, p)
	}},
	{name: brazesender.Name, sends: true, open: func(ctx context.Context, c Config, p *daemon.Process) (daemon.Service, error) {
		return brazesender.Open(ctx, c.Sender, p)
	}},
	{name: currentsfanout.Name, open: func(ctx context.Context, c Config, p *daemon.Process) (daemon.Service, error) {
		return currentsfanout.Open(ctx, c.Fanout, p)
	}},
	{name: contentcacher.Name, open: func(ctx context.Context, c Config, p *daemon.Process) (daemon.Service, error) {
		return contentcacher.Open(ctx, c.Content, p)
	}},
}

// flow is one of the ways that data takes through Sluice.
type flow struct {
	what string
	way  string
	// needs are the services without which the flow does not run.
	needs []string
}

var flows = []flow{
	{
		what: "customers' key actions to Braze", way: "ingest > customer.events > braze-sender",
		needs: []string{ingest.Name, brazesender.Name},
	},
	{
		what: "profile attributes to Braze", way: "ingest > customer.profiles > attribute-sync > braze.attributes > braze-sender",
		needs: []string{ingest.Name, attributesync.Name, brazesender.Name},
	},
	{
		what: "engagement from Braze to analytics", way: "Currents > ingest > braze.engagements > currents-fanout > sinks",
		needs: []string{ingest.Name, currentsfanout.Name},
	},
	{
		what: "orders, shipments and payments to Braze", way: "ingest > commerce.events > braze-sender",
		needs: []string{ingest.Name, brazesender.Name},
	},
	{
		what: "support cases to Braze", way: "ingest > support.cases > attribute-sync > braze.attributes > braze-sender",
		needs: []string{ingest.Name, attributesync.Name, brazesender.Name},
	},
	{
		what: "approved content for Connected Content", way: "ingest > content.items > content-cacher > Connected Content",
		needs: []string{ingest.Name, contentcacher.Name},
	},
	{
		what: "CRM and loyalty systems, both ways", way: "Braze > ingest > crm-writeback > CRM > ingest > crm-writeback > customer.profiles > attribute-sync > Braze",
		needs: []string{ingest.Name, crmwriteback.Name, attributesync.Name, brazesender.Name},
	},
}

// state says in words whether a flow runs in a process that runs the services given.
func (f flow) state(running func(name string) bool) (state, detail string) {
	missing := ""
	for _, name := range f.needs {
		if !running(name) {
			missing += " " + name
		}
	}
	switch {
	case missing == "":
		return "running", f.way
	default:
		return "in part", "not in this process:" + missing
	}
}
