// Package pgsink writes what Braze reports into PostgreSQL, each event once.
//
// A batch is one transaction: its rows are copied into a temporary table, and from there inserted where no row of the
// same id stands yet. An event never changes once Braze has said it, so a row that is there already is left alone:
// a batch that is written twice, by two processes or after a lost answer, ends as one that was written once.
//
// Where to read about what:
//
//	which tables and columns there are   column.go, names.go
//	making and widening them             tables.go, plan.go
//	an event becomes a row               row.go, members.go
//	what PostgreSQL would not take       repair.go: one odd event never stops a batch
//	the rows' bytes                      stream.go, copy.go
//	the transaction                      write.go
//	what an error means                  classify.go
//
// POSTGRES.md, beside the service's README, tells an operator about rights, indexes and old rows.
package pgsink

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/currents"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// mostStrangers is how many types that the catalogue does not know get a table of their own in one process. Braze brings
// a dozen a year; whoever sends thousands must not fill the database's catalogue.
const mostStrangers = 500

// connectLimit is how long making a connection may take.
const connectLimit = 10 * time.Second

type postgres struct {
	options Options
	pool    *pgxpool.Pool
	log     zerolog.Logger
	rows    *prometheus.CounterVec // state
	mended  prometheus.Counter

	single  *target // nil in the layout per_type
	actions *target
	scratch sync.Pool // of *row

	mu        sync.Mutex
	types     map[string]*target // of the layout per_type, by type of event
	strangers int
	plans     map[*target]*plan
	making    chan struct{} // holds one token: who has it may make tables
}

// Open makes a sink. It does not wait for the server: the first batch connects.
func Open(_ context.Context, o Options, d sink.Deps) (sink.Sink, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.filled()
	cfg, err := pgxpool.ParseConfig(o.DSN.Reveal())
	if err != nil {
		return nil, fmt.Errorf("reading the connection string: it is not %s", dsnForm)
	}
	cfg.MaxConns = int32(o.Connections)
	cfg.MinConns, cfg.MinIdleConns = 0, 0
	if cfg.ConnConfig.ConnectTimeout == 0 || cfg.ConnConfig.ConnectTimeout > connectLimit {
		cfg.ConnConfig.ConnectTimeout = connectLimit
	}
	// Nothing is prepared under a name: behind a pooler that gives every transaction another server, it would not be there.
	cfg.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
	if _, said := cfg.ConnConfig.RuntimeParams["application_name"]; !said {
		cfg.ConnConfig.RuntimeParams["application_name"] = "sluice " + d.Name
	}
	pool, err := pgxpool.NewWithConfig(context.Background(), cfg) // its context is for its own chores
	if err != nil {
		return nil, fmt.Errorf("making the pool of connections: %w", err)
	}
	s := &postgres{
		options: o, pool: pool, log: d.Log,
		actions: &target{name: o.Actions, comment: "Webhooks that campaigns and Canvases sent, written by Sluice.", columns: actionColumns},
		types:   map[string]*target{},
		plans:   map[*target]*plan{},
		making:  make(chan struct{}, 1),
		rows: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_currents_fanout_postgres_rows_total", Help: "Rows handed to PostgreSQL, by state: inserted, or there already.",
		}, []string{"state"}),
		mended: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sluice_currents_fanout_postgres_repaired_total", Help: "Events of which PostgreSQL could not take every character or number; the exact text is in event_text.",
		}),
	}
	s.scratch.New = func() any { return newRow() }
	if o.Layout == Single {
		s.single = singleTarget(o.Table)
	}
	if d.Metrics != nil {
		d.Metrics.MustRegister(s.rows, s.mended)
	}
	return s, nil
}

// Close waits for batches that are on their way and lets go of the connections.
func (s *postgres) Close() error {
	s.pool.Close()
	return nil
}

// group is the part of a batch that goes into one table.
type group struct {
	target *target
	plan   *plan
	events []int // indices of the batch
}

// Write stores a batch in one transaction.
func (s *postgres) Write(ctx context.Context, batch []*sink.Event) sink.Answer {
	// The server bounds its statements; this is for one that says nothing any more.
	ctx, cancel := context.WithTimeout(ctx, connectLimit+2*s.options.StatementTimeout)
	defer cancel()
	refused := map[int]outcome.Outcome{}
	groups := s.sort(batch, refused)
	taken, err := s.store(ctx, batch, groups, refused)
	if err != nil {
		for _, g := range groups {
			s.forget(g.target, err)
		}
		return compose(classify(err, taken, s.options.Create), len(batch), refused)
	}
	return compose(sink.Delivered(), len(batch), refused)
}

// sort says which table each event goes into. The tables are in one order for all writers, and so are the rows in each: two
// that write the same events wait for one another, and never both at the same time.
func (s *postgres) sort(batch []*sink.Event, refused map[int]outcome.Outcome) []*group {
	var groups []*group
	at := map[*target]*group{}
	for i, e := range batch {
		t, why := s.target(e)
		if t == nil {
			refused[i] = why
			continue
		}
		g := at[t]
		if g == nil {
			g = &group{target: t}
			at[t] = g
			groups = append(groups, g)
		}
		g.events = append(g.events, i)
	}
	slices.SortFunc(groups, func(a, b *group) int { return strings.Compare(a.target.name, b.target.name) })
	return groups
}

// target is the table of an event, or why there is none.
func (s *postgres) target(e *sink.Event) (*target, outcome.Outcome) {
	switch {
	case e.Action != nil:
		return s.actions, outcome.Outcome{}
	case e.Engagement == nil:
		return nil, outcome.Outcome{Kind: outcome.Refused, Reason: "undecodable", Detail: "neither an engagement nor an action"}
	case s.single != nil:
		return s.single, outcome.Outcome{}
	}
	name := e.Engagement.Type
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.types[name]; t != nil {
		return t, outcome.Outcome{}
	}
	if _, known := currents.Lookup(name); !known {
		if s.strangers == mostStrangers {
			return nil, outcome.Outcome{
				Kind: outcome.Refused, Reason: "too_many_types",
				Detail: strconv.Itoa(mostStrangers) + " types of event that are not in the catalogue have a table already",
			}
		}
		s.strangers++
	}
	t := newTarget(s.options.Prefix, name)
	s.types[name] = t
	return t, outcome.Outcome{}
}

// compose is the answer for a whole batch, some of whose events were refused here and the rest answered by the server.
// What is not final is said of all of them: the refused ones will be refused again.
func compose(rest sink.Answer, n int, refused map[int]outcome.Outcome) sink.Answer {
	if len(refused) == 0 || !rest.All.Kind.Final() {
		return rest
	}
	each := make([]outcome.Outcome, n)
	for i := range each {
		if o, ok := refused[i]; ok {
			each[i] = o
		} else {
			each[i] = rest.All
		}
	}
	return sink.Answer{Each: each}
}
