// Package brazesender takes customers' events, and what differs in their profiles, from Kafka to Braze.
//
// One record's way: [Sender.Take] decodes it and decides with route whether it is sent at all; the
// lane queues it behind the other records of its user; once that user has no request under way and a
// request is full or due, pack moves it into one; flush calls Braze and reads a verdict for every
// object; settle writes the receipt, and the dead letter before it where Braze will never take the
// record; only then may the consumer commit past it.
//
// Braze promises no order between two requests, has no idempotency key and answers 201 for a request
// of which single objects failed. So a user is never in two requests at once, a request never
// rearranges a user, and every object of an answer is read.
package brazesender

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/quota"
	"github.com/sluicehq/sluice/pkg/registry"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/table"
	"github.com/sluicehq/sluice/pkg/topics"
	"github.com/sluicehq/sluice/services/braze-sender/catalog"
	"github.com/sluicehq/sluice/services/braze-sender/routes"
)

// Name is the service's name in logs, groups and topics.
const Name = "braze-sender"

// Config is everything that can be set.
type Config struct {
	daemon.Config `yaml:",inline"`

	Kafka    stream.Config   `yaml:"kafka"`
	Registry registry.Config `yaml:"registry"`
	State    table.Config    `yaml:"state"`
	Braze    braze.Config    `yaml:"braze"`
	Sender   Options         `yaml:"sender"`
}

// Options are what only this service knows.
type Options struct {
	// Linger is how long a lone object waits for company. Longer means fewer calls against Braze's
	// quota; shorter means a cart reminder that leaves while the cart is warm.
	Linger time.Duration `yaml:"linger" env:"BRAZE_LINGER" default:"200ms" min:"0s" max:"1m" doc:"longest wait of a lone object for company"`
	// UserSpacing keeps apart two requests that write the same attribute of a user differently:
	// Braze may apply them in either order.
	UserSpacing time.Duration `yaml:"user_spacing" env:"BRAZE_USER_SPACING" default:"2s" min:"0s" max:"5m" doc:"least time between two requests that give one attribute of a user different values"`
	InFlight    int           `yaml:"in_flight" env:"BRAZE_IN_FLIGHT" default:"128" min:"1" max:"2000" doc:"requests under way at once; each of them for other users"`
	// InDoubt is what happens to an event whose request was written but never answered.
	InDoubt string `yaml:"in_doubt" env:"BRAZE_IN_DOUBT" default:"resend" oneof:"resend park" doc:"an event whose request got no answer: resend it, perhaps doubling it, or park it as a dead letter"`
	// RoutesFile says which record becomes what. Without one every event is sent as it is, and every commerce
	// event as the recommended event that it stands for.
	RoutesFile string `yaml:"routes_file" env:"ROUTES_FILE" doc:"YAML file of routes: which record becomes what; everything as it is when empty"`
	// OrderWait is for refunds and cancellations that overtook their order on the way to the topic.
	OrderWait time.Duration `yaml:"order_wait" env:"BRAZE_ORDER_WAIT" default:"1m" min:"0s" max:"1h" doc:"longest wait of a refund or cancellation for an order that has not been seen"`
	// ContentFile is content-cacher's: of its collections those that are catalogs are kept in step from here,
	// where Braze's budgets are.
	ContentFile string `yaml:"content_file" env:"CONTENT_FILE" doc:"YAML file of collections of content: those with catalog: true are kept as catalogs in Braze; none when empty"`
	// DedupWindow costs a local copy of as many receipts, which a new owner of a partition reads first. It
	// counts from the delivery. It cannot be longer than receipts are kept, which is 7 days.
	DedupWindow time.Duration `yaml:"dedup_window" env:"DEDUP_WINDOW" default:"24h" min:"0s" max:"168h" doc:"how long a record is skipped that tells of one that was delivered: of the same customer, with the same source and id; 0 sends it again, else a minute at least"`
	// Bulk is a beta of Braze's that has to be enabled for the account.
	Bulk       bool  `yaml:"bulk" env:"BRAZE_BULK" default:"false" doc:"send backfill to /users/track/bulk, where Braze has enabled it"`
	Rates      Rates `yaml:"rates"`
	PageEvents bool  `yaml:"page_events" env:"BRAZE_PAGE_EVENTS" default:"false" doc:"send page and screen views too"`
	// Window bounds memory, whatever Braze does: beyond it nothing more is taken from Kafka.
	Window      int           `yaml:"window" env:"BRAZE_WINDOW" default:"40000" min:"100" max:"1000000" doc:"records taken and not settled before no more are taken; also how far a partition may be ahead of its commit"`
	WindowBytes int64         `yaml:"window_bytes" env:"BRAZE_WINDOW_BYTES" default:"134217728" min:"1048576" max:"4294967296" doc:"the same in bytes of records"`
	CommitEvery time.Duration `yaml:"commit_every" env:"BRAZE_COMMIT_EVERY" default:"500ms" min:"10ms" max:"1m" doc:"time between commits of what is settled"`
}

// Rates are the budgets beside that of /users/track; Braze raises them on request.
type Rates struct {
	General       quota.Rate `yaml:"general" env:"BRAZE_RATE_GENERAL" default:"250000/1h" doc:"requests to endpoints without a limit of their own, sends to named recipients among them"`
	UserLifecycle quota.Rate `yaml:"user_lifecycle" env:"BRAZE_RATE_USER_LIFECYCLE" default:"20000/1m" doc:"requests to identify, alias, merge and delete users"`
	Subscription  quota.Rate `yaml:"subscription" env:"BRAZE_RATE_SUBSCRIPTION" default:"5000/1m" doc:"requests that set subscription states"`
	Bulk          quota.Rate `yaml:"bulk" env:"BRAZE_RATE_BULK" default:"50/1s" doc:"requests to /users/track/bulk"`
	Catalogs      quota.Rate `yaml:"catalogs" env:"BRAZE_RATE_CATALOGS" default:"50/1m" doc:"requests that make catalogs"`
	CatalogFields quota.Rate `yaml:"catalog_fields" env:"BRAZE_RATE_CATALOG_FIELDS" default:"50/1m" doc:"requests that add fields to catalogs"`
	CatalogItems  quota.Rate `yaml:"catalog_items" env:"BRAZE_RATE_CATALOG_ITEMS" default:"16000/1m" doc:"requests about items of catalogs"`
}

// Validate reports what cannot be.
func (o Options) Validate() error {
	if o.DedupWindow > 0 && o.DedupWindow < time.Minute {
		return config.Problem{Field: "dedup_window", Value: o.DedupWindow.String(), Allowed: "0s, or a minute at least"}
	}
	return nil
}

// Sender is the service.
type Sender struct {
	config  Config
	log     zerolog.Logger
	health  *daemon.Health
	metrics *metrics
	feeds   feeds
	routes  *routes.Table

	client     *braze.Client
	lines      *lines
	lane       *lane
	settler    *settler
	recall     recall
	window     *window // nil where nobody minds repeats
	parking    parking
	requestIDs requestIDs
	stopped    string // what readiness was told of Braze; the lane's goroutine owns it
	flowing    bool   // likewise, of Kafka

	consumer *stream.Consumer
	catalogs *catalog.Keeper // nil where there are none
	closers  []func()
}

// Open connects to Kafka and the registry, and prepares the topics. It is what daemon.Main runs.
func Open(ctx context.Context, c Config, p *daemon.Process) (daemon.Service, error) {
	table, err := routes.Load(c.Sender.RoutesFile)
	if err != nil {
		return nil, err
	}
	catalogs, err := catalogRules(c.Sender.ContentFile)
	if err != nil {
		return nil, err
	}
	reg, err := registry.New(c.Registry)
	if err != nil {
		return nil, err
	}
	if c.Kafka.ClientID == "" {
		c.Kafka.ClientID = Name
	}
	names := append(feedNames[:], schema.BrazeDeliveries, schema.DeadLetters(Name), schema.State(Name))
	if len(catalogs) > 0 {
		names = append(names, schema.ContentItems)
	}
	ids, err := topics.Prepare(ctx, c.Kafka, reg, names...)
	if err != nil {
		return nil, fmt.Errorf("preparing topics: %w", err)
	}
	client, err := braze.New(c.Braze, nil)
	if err != nil {
		return nil, err
	}
	receipts, err := stream.NewProducer(c.Kafka, stream.ProducerOptions{
		Linger:      5 * time.Millisecond, // receipts of one answer come as a burst
		ByPartition: []string{c.Kafka.Topic(schema.BrazeDeliveries)},
	})
	if err != nil {
		return nil, err
	}
	letters, err := deadletter.Open(c.Kafka, Name, ids[schema.DeadLetters(Name)])
	if err != nil {
		return nil, err
	}
	s := &Sender{
		config:  c,
		log:     p.Log,
		health:  p.Health,
		metrics: newMetrics(p.Metrics),
		feeds:   newFeeds(c.Kafka, avro.FromRegistry(reg)),
		routes:  table,

		client:     client,
		requestIDs: newRequestIDs(),
		flowing:    true,
		closers:    []func(){receipts.Close, letters.Close},
	}
	s.settler = &settler{
		receipts: receipts, letters: letters,
		topic: c.Kafka.Topic(schema.BrazeDeliveries), id: ids[schema.BrazeDeliveries],
		metrics: s.metrics,
	}
	if len(catalogs) > 0 {
		s.catalogs = newCatalogs(c, catalogs, client, letters, reg, p)
	}
	if c.Sender.DedupWindow > 0 {
		if err := s.openWindow(); err != nil {
			s.close()
			return nil, err
		}
	}
	s.settler.quiet.L, s.settler.ack = &s.settler.mu, s.settler.durable
	s.lines = newLines(c.Braze, c.Sender)
	s.lane = newLane(s)
	s.consumer, err = stream.NewConsumer(c.Kafka, stream.ConsumerOptions{
		Group:         c.Kafka.Group(Name),
		Topics:        s.feeds.topics[:],
		Receipts:      c.Kafka.Topic(schema.BrazeDeliveries),
		ReceiptsBy:    receipts,
		WindowRecords: c.Sender.Window,
		WindowBytes:   c.Sender.WindowBytes,
		CommitEvery:   c.Sender.CommitEvery,
		Log:           p.Log,
	}, s)
	if err != nil {
		s.close()
		return nil, err
	}
	s.metrics.watch(s.consumer.Stats)
	return s, nil
}

// Run sends until the context ends, then drains: requests under way are answered, their receipts
// written, the offsets committed. Records that are merely queued stay on the topic.
func (s *Sender) Run(ctx context.Context) error {
	defer s.close()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	s.settler.failed = fail
	if s.window != nil {
		s.window.failed = fail
	}

	// The lane outlives the consumer: it is asked to finish while the consumer gives up partitions.
	laneCtx, stopLane := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.lane.run(laneCtx)
	}()
	catalogs := s.keepCatalogs(ctx, fail)
	err := s.consumer.Run(ctx)
	stopLane()
	<-done
	fail(nil) // the catalogs too, if it is the consumer that has failed
	catalogs.Wait()
	if cause := context.Cause(ctx); err == nil && cause != nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	return err
}

// close lets go of what Open has opened.
func (s *Sender) close() {
	for _, c := range s.closers {
		c()
	}
}
