// Package ingest is the front door: it takes events over HTTP, from the systems of an enterprise and
// from tracking clients as they are, and answers yes only when Kafka has them for good.
//
// One record's path, each step a function to search for:
//
//	postItems, postSegment    a request comes in (events.go, segment.go)
//	readBody                  bounded before it is read, and again once it is decompressed (body.go)
//	parseEvents, …Content     JSON in place into items; a problem names the item's field (parse.go, scan.go)
//	accept                    each item's id is claimed, its record encoded and produced, in order (accept.go)
//	window.claim, settle      a repeat of what is durable is a duplicate; of what is not yet, it waits (window.go)
//	slot.settled              every in-sync replica has the record, or will not (request.go)
//	answer                    a verdict for each item; 503 if Kafka would not have one of them (answer.go)
//
// Webhooks of vendors begin with postHook (hooks.go): package webhook finds out who sends and what it
// means, and what it makes of a body goes through the parsers above like anybody's.
//
// What Braze itself tells comes in two ways: batches of Currents begin with postCurrents (currents.go) and are
// read by package currents, webhooks of campaigns with postAction (actions.go). Braze sends neither again once it
// has heard a yes, nor after most noes, so that whatever cannot become a record becomes a dead letter.
//
// Messages of tracking clients take a turn behind parsing: parseMessages and translate make events and
// profile changes of them (message.go, translate.go), and what cannot become either is kept as a dead
// letter, since such clients do not learn of single items.
package ingest

import (
	"context"
	"errors"
	"fmt"
	stdlog "log"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/registry"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/topics"
	"github.com/sluicehq/sluice/services/ingest/webhook"
)

// Name is the service's name, also in front of its dead letters.
const Name = "ingest"

// Service is the front door.
type Service struct {
	options     Options
	producer    Producer
	letters     Letters
	events      topic
	profiles    topic
	commerce    topic
	cases       topic
	engagements topic
	actions     topic
	contents    topic
	changes     topic
	partitions  int32 // of contents
	log         zerolog.Logger

	sources  *webhook.Sources
	hooks    map[string]*hook            // sources of webhooks, and those that are polled, by name
	poll     func(context.Context) error // asks the latter until the context ends; nil where there are none
	currents *currentsDoor
	window   *window
	ring     ring
	metrics  *metrics
	held     atomic.Int64 // bytes of bodies

	server   *http.Server
	listener net.Listener
	draining atomic.Bool
	patience time.Duration // for requests that are under way when told to stop
	close    func(context.Context) error
}

// Producer writes records; done is called once every in-sync replica has the record, or will not.
type Producer interface {
	Produce(ctx context.Context, r *stream.Record, done func(*stream.Record, error))
}

// Letters keeps what cannot become a record; done is called once the letter is durable, or will not be.
type Letters interface {
	Write(ctx context.Context, l deadletter.Letter, done func(error))
}

// Deps are what a Service works with.
type Deps struct {
	Producer Producer
	Letters  Letters
	Kafka    stream.Config // for the names of topics
	IDs      topics.IDs    // of the schemas of all topics that it writes to
	// ContentPartitions is how many partitions the topic of content has. Producer must take records of that
	// topic to the partition that they say themselves.
	ContentPartitions int32
	Sources           *webhook.Sources // of webhooks, and what is known of actions; nil for none
	Metrics           prometheus.Registerer
	Log               zerolog.Logger
}

// New makes a front door that neither listens nor connects to anything. Its [Service.Handler] answers.
func New(o Options, d Deps) *Service {
	s := &Service{
		options: o, producer: d.Producer, letters: d.Letters, log: d.Log,
		events:      topic{d.Kafka.Topic(schema.CustomerEvents), d.IDs[schema.CustomerEvents]},
		profiles:    topic{d.Kafka.Topic(schema.CustomerProfiles), d.IDs[schema.CustomerProfiles]},
		commerce:    topic{d.Kafka.Topic(schema.CommerceEvents), d.IDs[schema.CommerceEvents]},
		cases:       topic{d.Kafka.Topic(schema.SupportCases), d.IDs[schema.SupportCases]},
		engagements: topic{d.Kafka.Topic(schema.BrazeEngagements), d.IDs[schema.BrazeEngagements]},
		actions:     topic{d.Kafka.Topic(schema.BrazeActions), d.IDs[schema.BrazeActions]},
		contents:    topic{d.Kafka.Topic(schema.ContentItems), d.IDs[schema.ContentItems]},
		changes:     topic{d.Kafka.Topic(schema.CRMChanges), d.IDs[schema.CRMChanges]},
		partitions:  d.ContentPartitions,
		sources:     d.Sources,
		window:      newWindow(o.DedupEntries, o.DedupWindow),
		close:       func(context.Context) error { return nil },
	}
	s.metrics = newMetrics(d.Metrics, s.window, func() float64 { return float64(s.held.Load()) })
	s.ring = newRing(o.Keys, o.opensToAll(), o.Rate, s.window, s.metrics)
	s.newHooks(d.Sources)
	s.currents = s.newCurrents(d.Metrics)
	return s
}

// Open connects to Kafka and the registry and begins to listen; nobody is answered before Run.
func Open(ctx context.Context, c Config, p *daemon.Process) (daemon.Service, error) {
	s, err := open(ctx, c, p)
	if err != nil {
		return nil, err // not s, which would be an interface that holds nil
	}
	return s, nil
}

func open(ctx context.Context, c Config, p *daemon.Process) (*Service, error) {
	if c.Kafka.ClientID == "" {
		c.Kafka.ClientID = p.Name
	}
	dev := c.Ingest.devSecret()
	sources, err := LoadSources(c.Ingest.SourcesFile, os.LookupEnv, dev)
	if err != nil {
		return nil, err
	}
	announce(p.Log, sources, dev)
	client, err := registry.New(c.Registry)
	if err != nil {
		return nil, err
	}
	letters := schema.DeadLetters(Name)
	ids, err := topics.Prepare(ctx, c.Kafka, client, schema.CustomerEvents, schema.CustomerProfiles, schema.CommerceEvents, schema.SupportCases, schema.ContentItems,
		schema.BrazeEngagements, schema.BrazeActions, schema.CRMChanges, letters, schema.PollState)
	if err != nil {
		return nil, fmt.Errorf("preparing topics: %w", err)
	}
	partitions, err := contentPartitions(ctx, c.Kafka)
	if err != nil {
		return nil, err
	}
	producer, err := stream.NewProducer(c.Kafka, stream.ProducerOptions{
		Linger: c.Ingest.Linger, DeliveryTimeout: c.Ingest.DeliveryTimeout, ByPartition: []string{c.Kafka.Topic(schema.ContentItems)},
	})
	if err != nil {
		return nil, err
	}
	writer, err := deadletter.Open(c.Kafka, Name, ids[letters])
	if err != nil {
		producer.Close()
		return nil, err
	}
	s := New(c.Ingest, Deps{
		Producer: producer, Letters: writer, Kafka: c.Kafka, IDs: ids, ContentPartitions: partitions, Sources: sources, Metrics: p.Metrics, Log: p.Log,
	})
	s.close = func(ctx context.Context) error {
		defer producer.Close()
		defer writer.Close()
		// Every request has its answer by now. What is still on its way was answered "unavailable",
		// and its sender will come again: it is given a moment, and is no reason to fail.
		ctx, cancel := context.WithTimeout(ctx, lastMoment)
		defer cancel()
		if err := producer.Flush(ctx); err != nil {
			s.log.Warn().Err(err).Msg("leaving records behind that were answered as unavailable")
		}
		return nil
	}
	if err := s.openPolls(c.Kafka, sources, p); err != nil {
		return nil, errors.Join(err, s.close(ctx))
	}
	if err := s.listen(ctx, p.DrainTimeout); err != nil {
		return nil, errors.Join(err, s.close(ctx))
	}
	p.Health.Register("kafka", s.ready(producer.Ping))
	if c.Ingest.opensToAll() {
		s.log.Warn().Str("addr", s.Addr()).Msg(`the key "dev", which everybody knows, opens this door to others; make one with: openssl rand -hex 16`)
	}
	return s, nil
}

// lastMoment is how long a drain waits for Kafka once nobody waits for an answer any more.
const lastMoment = 3 * time.Second

// listen takes the address, so that whoever opened the service can tell it.
func (s *Service) listen(ctx context.Context, drain time.Duration) error {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", s.options.Addr)
	if err != nil {
		return fmt.Errorf("listening on INGEST_ADDR: %w", err)
	}
	s.listener = listener
	s.patience = max(drain-5*time.Second, drain/2)
	s.server = &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: min(10*time.Second, s.options.ReadTimeout),
		ReadTimeout:       s.options.ReadTimeout,
		WriteTimeout:      s.options.ReadTimeout + s.options.DeliveryTimeout + 10*time.Second,
		IdleTimeout:       s.options.IdleTimeout,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          stdlog.New(s.log, "", 0),
	}
	return nil
}

// Addr is where the front door listens, with the port that was picked.
func (s *Service) Addr() string { return s.listener.Addr().String() }

// Run answers requests until the context ends, then drains: it takes no new connections, answers what
// is under way, lets go of the connections, and sees to it that nothing is left on its way to Kafka.
func (s *Service) Run(ctx context.Context) error {
	var serving sync.WaitGroup
	failed := make(chan error, 1)
	serving.Go(func() { failed <- s.server.Serve(s.listener) })
	defer serving.Wait()
	endPolls := s.startPolls(ctx)
	s.log.Info().Str("addr", s.Addr()).Msg("the front door is open")

	var err error
	select {
	case err = <-failed:
		err = fmt.Errorf("answering requests: %w", err)
	case <-ctx.Done():
	}
	// The context is over; draining has its own.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), max(s.patience, time.Second))
	defer cancel()
	return errors.Join(err, s.drain(ctx, endPolls))
}

// drain ends what Run began.
func (s *Service) drain(ctx context.Context, endPolls func()) error {
	// The listener first, so that a client which is told to leave finds no door to come back by. From
	// then on each answer says that its connection will close: if connections were simply closed, a
	// request that is just on its way on one would get no answer at all.
	_ = s.listener.Close()
	s.draining.Store(true)
	select {
	case <-ctx.Done():
	case <-time.After(s.options.DrainPause):
	}
	err := s.server.Shutdown(ctx)
	if err != nil {
		// What is cut off here was never answered yes.
		s.log.Warn().Err(err).Msg("cutting off requests that would not end")
		err = s.server.Close()
	}
	endPolls() // what it makes goes the same way
	return errors.Join(err, s.close(ctx))
}

// Held says what still waits, for the log of a drain that took too long.
func (s *Service) Held() string {
	if n := s.held.Load(); n > 0 {
		return fmt.Sprintf("requests of %d bytes that wait for Kafka", n)
	}
	return ""
}
