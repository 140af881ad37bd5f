// Package plan decides what is written where, so that a CRM and Braze come to agree and stay so: a form that was submitted
// goes to the CRM, a status that was changed there goes to Braze, and neither comes back for ever.
//
// One record's way: a batch is read from braze.actions, braze.engagements, crm.changes and crm.deliveries and gathered by
// user ([Planner.Process], batch.go). Each record changes what is known of its user and becomes rows of
// crm-writeback.writes (serve.go): an action or engagement by outbound.go, a change that a system reports by
// inbound.go, the answer to an earlier row by feedback.go. Rows, dead letters, the new state and the offsets are
// committed in one transaction, or none of it.
//
// What is known of a field on both sides is in state.go; who wins, and whom that has to be told, in field.go, which is the
// place to read first; which reports of a system are our own writes coming back, in ledger.go. A system that names only
// its own object is understood with link.go.
//
// A write that is planned is expected to arrive, in the order of planning; what never will is taken back when its delivery
// says so. Nobody waits for an answer to decide.
package plan

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/table"
	"github.com/sluicehq/sluice/pkg/topics"
)

// Name is the service whose state, dead letters and group the planner works with.
const Name = "crm-writeback"

// Skew is how far the clocks of two systems are taken to differ at most, where nobody says otherwise.
const Skew = 5 * time.Second

// Options are what a Planner works with.
type Options struct {
	Rules   Rules // a *rules.Set
	Kafka   stream.Config
	Source  avro.Source // of schemas
	IDs     topics.IDs  // of the topics that Topics lists
	Skew    time.Duration
	Log     zerolog.Logger
	Metrics prometheus.Registerer
	// State hears why the state cannot be read, and nil when it can again; it may be nil.
	State func(error)
}

// Planner is the table's work: it is called by one goroutine at a time.
type Planner struct {
	o       Options
	core    *core
	metrics *metrics
	kinds   map[string]kind // of input, by topic on the cluster
	names   [inputs]string  // on the cluster
	writes  string          // on the cluster

	actions     *avro.ActionDecoder
	engagements *avro.EngagementDecoder
	changes     *avro.ChangeDecoder
	changesID   int
	letters     *deadletter.Encoder

	batch batch
}

var _ table.Work = (*Planner)(nil)

// Topics are all that a Planner reads and writes, without prefix, for topics.Prepare.
func Topics() []string {
	return append(inputNames[:], schema.Writes(Name), schema.State(Name), schema.DeadLetters(Name))
}

// New makes a Planner. It connects to nothing.
func New(o Options) (*Planner, error) {
	if o.Rules == nil || o.Source == nil || o.Metrics == nil {
		return nil, errors.New("opening the planner: it needs rules, a source of schemas and a registry of metrics")
	}
	if o.Skew == 0 {
		o.Skew = Skew
	}
	letters, err := deadletter.NewEncoder(o.Kafka, Name, o.IDs[schema.DeadLetters(Name)])
	if err != nil {
		return nil, err
	}
	p := &Planner{
		o: o, core: newCore(o.Rules, o.Skew), metrics: newMetrics(o.Metrics), kinds: map[string]kind{},
		writes:      o.Kafka.Topic(schema.Writes(Name)),
		actions:     avro.NewActionDecoder(o.Source),
		engagements: avro.NewEngagementDecoder(o.Source),
		changes:     avro.NewChangeDecoder(o.Source),
		changesID:   o.IDs[schema.CRMChanges],
		letters:     letters,
	}
	for k, name := range inputNames {
		p.names[k] = o.Kafka.Topic(name)
		p.kinds[p.names[k]] = kind(k)
	}
	return p, nil
}

// Processor is how the table is to be run: group, changelog, topics. Linger, bounds and whom to tell of progress are
// the service's to add.
func (p *Planner) Processor() table.ProcessorOptions {
	return table.ProcessorOptions{
		Group:     p.o.Kafka.Group(Name),
		Changelog: p.o.Kafka.Topic(schema.State(Name)),
		Topics:    p.names[:],
		// Beside the record that it comes from, wherever its producer has put that. Changes go by their key: they change
		// from an object's to its user's.
		ByPartition:   []string{p.writes},
		MaxBatchBytes: map[string]int32{p.o.Kafka.Topic(schema.DeadLetters(Name)): schema.MaxDeadLetterBytes - 1024},
		Log:           p.o.Log,
	}
}

// Watch exports what the processor that runs the planner holds.
func (p *Planner) Watch(stats func() table.ProcessorStats) { p.metrics.watch(stats) }
