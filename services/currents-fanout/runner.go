package currentsfanout

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"golang.org/x/time/rate"

	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/pkg/retry"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
	"github.com/sluicehq/sluice/services/currents-fanout/watch"
)

// runner is what one sink's events go through. Nothing of it is shared with other sinks but what cannot be
// held up by one of them.
type runner struct {
	config    SinkConfig
	service   Config
	log       zerolog.Logger
	health    *daemon.Health
	feeds     *feeds
	doubles   *doubles
	watch     *watch.Watch // nil where nobody watches
	letters   letterWriter
	metrics   *sinkMetrics
	sink      sink.Sink
	stretcher sink.Stretcher // the sink, if it takes stretches
	selector  *selector
	redactor  *redactor
	window    window
	limiter   *rate.Limiter // nil where there is no bound
	gate      gate
	schedule  retry.Schedule
	keepEvery time.Duration // see there
	seed      maphash.Seed

	held      atomic.Int64 // records taken and not settled
	heldBytes atomic.Int64 // of their values
	consumer  atomic.Pointer[stream.Consumer]
	failed    atomic.Pointer[context.CancelCauseFunc] // ends the consumer, for its records to be read again

	mu      sync.Mutex
	parts   map[place]*part
	lanes   []*lane
	quiet   *sync.Cond    // a part has nothing held any more
	arrived chan struct{} // something is in an inbox
	busy    chan struct{} // as many stretches may be written at once as it has room for
	paused  Pause
	told    chan struct{} // closed when paused is no more what it was
	leave   context.CancelFunc
}

// letterWriter writes dead letters. Tests have another.
type letterWriter interface {
	Write(ctx context.Context, l letter, done func(error))
}

// httpTimeout bounds a request of a sink that speaks HTTP, body and all.
const httpTimeout = time.Minute

func (s *Service) newRunner(ctx context.Context, c SinkConfig, share int64, m *metrics, p *daemon.Process) (*runner, error) {
	log := p.Log.With().Str("sink", c.Name).Logger()
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = c.Concurrency
	opened, err := c.kind.Open(ctx, c.Options, sink.Deps{
		Name: c.Name,
		HTTP: &http.Client{
			Timeout: httpTimeout, Transport: transport,
			// A POST that is redirected becomes a GET, whose 200 would be taken for a delivery.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		Metrics: prometheus.WrapRegistererWith(prometheus.Labels{"sink": c.Name}, p.Metrics),
		Log:     log,
	})
	if err != nil {
		return nil, err
	}
	r := newRunner(c, s.config, share, opened, log)
	r.health, r.feeds, r.doubles, r.watch = p.Health, s.feeds, s.doubles, s.watch
	r.letters, r.metrics = s.letters, m.of(c.Name)
	return r, nil
}

// newRunner makes what needs neither Kafka nor a registry.
func newRunner(c SinkConfig, service Config, share int64, opened sink.Sink, log zerolog.Logger) *runner {
	r := &runner{
		config: c, service: service, log: log, sink: opened,
		selector: newSelector(c.Filter), redactor: newRedactor(c.Redact),
		window:    windowOf(share),
		schedule:  retry.Schedule{Base: 50 * time.Millisecond, Cap: 30 * time.Second}, // the gate is what spares a far end that is down
		keepEvery: keepEvery,
		seed:      maphash.MakeSeed(),
		parts:     map[place]*part{},
		arrived:   make(chan struct{}, 1),
		busy:      make(chan struct{}, c.Concurrency),
		told:      make(chan struct{}),
	}
	r.quiet = sync.NewCond(&r.mu)
	r.stretcher, _ = opened.(sink.Stretcher)
	if !c.Rate.IsZero() {
		// Without bursts: who allows a hundred in a second does not mean two hundred around a full one.
		r.limiter = rate.NewLimiter(rate.Every(c.Rate.Per/time.Duration(c.Rate.Count)), 1)
	}
	if r.stretcher == nil {
		for range c.Concurrency {
			r.lanes = append(r.lanes, &lane{runner: r, wake: make(chan struct{}, 1)})
		}
	}
	return r
}

// run works until the context ends, and then until everything is given back.
func (r *runner) run(ctx context.Context) {
	side, stop := context.WithCancel(context.WithoutCancel(ctx)) // outlives the consumer, which waits for what is under way
	var all sync.WaitGroup
	for _, l := range r.lanes {
		all.Go(func() { l.run(side) })
	}
	if r.stretcher == nil {
		all.Go(func() { r.sort(side) })
	}
	for pause := time.Second; r.awaitLeave(ctx); pause = min(2*pause, time.Minute) {
		began := time.Now()
		if err := r.consume(ctx); err != nil && ctx.Err() == nil {
			r.log.Error().Err(err).Msg("reading the topics came to an end; it is begun again")
			if time.Since(began) > time.Minute {
				pause = time.Second
			}
			wait(ctx, pause)
		}
	}
	stop()
	all.Wait()
}

// awaitLeave waits while the sink is paused. It reports false when the context ends.
func (r *runner) awaitLeave(ctx context.Context) bool {
	for ctx.Err() == nil {
		r.mu.Lock()
		is, told := r.paused, r.told
		r.mu.Unlock()
		if !is.Paused {
			return true
		}
		visit := time.NewTimer(r.untilVisit(is, time.Now()))
		select {
		case <-ctx.Done():
		case <-told:
		case <-visit.C:
			r.keepOffsets(ctx, told)
		}
		visit.Stop()
	}
	return false
}

// consume is a member of the sink's group until the context ends, the sink is paused, or something cannot be done.
func (r *runner) consume(ctx context.Context) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	r.failed.Store(&fail)
	leaving, leave := context.WithCancel(ctx)
	defer leave()
	r.mu.Lock()
	r.leave = leave
	if r.paused.Paused {
		leave()
	}
	r.mu.Unlock()
	consumer, err := stream.NewConsumer(r.service.Kafka, r.membership(r.window), r)
	if err != nil {
		return err
	}
	r.consumer.Store(consumer)
	defer r.consumer.Store(nil)
	err = consumer.Run(leaving)
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		err = errors.Join(err, cause)
	}
	return err
}

// membership is what the sink's group reads.
func (r *runner) membership(w window) stream.ConsumerOptions {
	kafka := r.service.Kafka
	consumed := []string{kafka.Topic(schema.Retries(Name))}
	for _, t := range r.config.Topics {
		consumed = append(consumed, kafka.Topic(t))
	}
	return stream.ConsumerOptions{
		Group:         kafka.Group(Group(r.config.Name)),
		Topics:        consumed,
		WindowRecords: w.records,
		WindowBytes:   w.bytes,
		FetchBytes:    w.fetch,
		CommitEvery:   r.service.Fanout.CommitEvery,
		FromEnd:       r.config.Start == "latest",
		Log:           r.log.Level(zerolog.WarnLevel),
	}
}

// fail has everything read again that is not settled.
func (r *runner) fail(err error) {
	if f := r.failed.Load(); f != nil {
		(*f)(err)
	}
}

// setPaused has the sink leave its group, so that its offsets can be moved, or come back.
func (r *runner) setPaused(p Pause) {
	r.mu.Lock()
	defer r.mu.Unlock()
	was := r.paused
	if was == p {
		return
	}
	r.paused = p
	close(r.told)
	r.told = make(chan struct{})
	switch {
	case p.Paused && !was.Paused:
		r.log.Info().Str("by", p.By).Str("why", p.Why).Msg("the sink is paused: it leaves its group")
		if r.leave != nil {
			r.leave()
		}
	case was.Paused && !p.Paused:
		r.log.Info().Msg("the sink goes on")
	}
}

// wakeLanes has lanes, or stretches, look again whether they may go on.
func (r *runner) wakeLanes() {
	for _, l := range r.lanes {
		signal(l.wake)
	}
	if r.stretcher == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.parts {
		signal(p.stretch.wake)
	}
}

// signal wakes whoever waits for c, without waiting itself.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // it has been woken already
	}
}

// wait reports false when the context ends first.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// notice logs once for each level of the failure budget that is used up.
func (r *runner) notice(now time.Time) {
	fraction, level := r.gate.spent(now, r.config.FailureBudget)
	r.metrics.budget.Set(fraction)
	if level == 0 {
		return
	}
	_, words, since := r.gate.look()
	r.log.Error().Int("percent", level).Dur("failing_for", now.Sub(since)).Str("budget", r.config.FailureBudget.String()).Str("said", words).
		Msg(fmt.Sprintf("the sink has used up %d %% of its failure budget; nothing is dropped, but the topic keeps events for so long only", level))
	r.metrics.notices(level)
}
