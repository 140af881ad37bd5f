// Package contentcacher serves approved content to messages while they are rendered: Braze asks for it by
// Connected Content, thousands of times at once, and waits two seconds.
//
// One record's way: [Service.round] reads content.items from its beginning, with every core there is, and lays
// records down as they come (lanes.go, head.go) on a shelf (package shelf); once that is served, pages are made
// in the background, and everything is copied to the disk (settle.go, keep.go, package larder). From then on,
// and after a restart from where the copy ends, place prepares each record that comes (refresh.go). getItem
// finds it there (serve.go), many.go puts several together. What the topic would keep wrongly is written again
// (amend.go). Who may read a collection and what stands in for what is missing is said in CONTENT_FILE
// (collections.go).
//
// Every replica holds all the content and owes nothing to anybody: with Kafka, the registry and the
// sources away it serves on what it has, also after a restart.
package contentcacher

import (
	"context"
	"errors"
	"fmt"
	stdlog "log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/registry"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/content-cacher/larder"
	"github.com/sluicehq/sluice/services/content-cacher/shelf"
)

// Name is the service's name in logs and topics.
const Name = "content-cacher"

// Service is content-cacher.
type Service struct {
	options     Options
	collections *Collections
	kafka       stream.Config
	topic       string // on the cluster
	registry    *registry.Client
	decoder     *avro.ContentDecoder
	letters     *deadletter.Writer // of refresh alone; nil until Kafka was there once
	schema      int                // id of the one that we write content with; 0 until Kafka was there once
	copy        keeping
	lost        atomic.Bool // the copy cannot be used: everything is to be read again
	shelf       atomic.Pointer[shelf.Shelf]
	known       known
	building    *fresh // what takes the shelf's place once it is read to its end; of refresh alone, mostly nil
	settling    settling
	amends      amends
	producer    *stream.Producer // of what amends are; of listen alone, nil until there is any
	log         zerolog.Logger
	metrics     *metrics
	health      *daemon.Health
	heavy       chan struct{}

	// deafSince is when Kafka was heard last, where it cannot be heard; milliseconds since 1970, 0 where it
	// can.
	deafSince atomic.Int64
	heardAt   atomic.Int64
	ready     sync.Once

	server   *http.Server
	listener net.Listener
	patience time.Duration
}

// Open reads the local copy and takes the address; nothing is asked of Kafka yet, which may be away.
func Open(ctx context.Context, c Config, p *daemon.Process) (daemon.Service, error) {
	s, err := open(ctx, c, p)
	if err != nil {
		return nil, err // not s, which would be an interface that holds nil
	}
	return s, nil
}

func open(ctx context.Context, c Config, p *daemon.Process) (*Service, error) {
	collections, err := LoadCollections(c.Content.CollectionsFile, os.LookupEnv)
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
	folder := c.State.Dir
	if folder != "" {
		folder = filepath.Join(folder, Name)
	}
	kept, err := larder.Open(folder, p.Log)
	if err != nil {
		return nil, err
	}
	s := &Service{
		options: c.Content, collections: collections, kafka: c.Kafka, topic: c.Kafka.Topic(schema.ContentItems),
		registry: reg, decoder: avro.NewContentDecoder(avro.FromRegistry(reg)), copy: keeping{larder: kept},
		log: p.Log, health: p.Health, heavy: make(chan struct{}, c.Content.Heavy),
		patience: max(p.DrainTimeout-2*time.Second, p.DrainTimeout/2),
	}
	s.shelf.Store(new(shelf.Shelf))
	s.metrics = newMetrics(p.Metrics, collections, func() shelf.Size { return s.shelf.Load().Size() }, s.age)
	p.Health.Set("content", errNotCaughtUp)
	if err := s.unpack(); err != nil {
		return nil, errors.Join(err, kept.Close())
	}
	if err := s.bind(ctx); err != nil {
		return nil, errors.Join(err, kept.Close())
	}
	return s, nil
}

func (s *Service) bind(ctx context.Context) error {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", s.options.Addr)
	if err != nil {
		return fmt.Errorf("listening on CONTENT_ADDR: %w", err)
	}
	s.listener = listener
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	s.server = &http.Server{
		Handler:           s.routes(),
		Protocols:         protocols,
		ReadHeaderTimeout: s.options.ReadTimeout,
		ReadTimeout:       s.options.ReadTimeout,
		WriteTimeout:      2 * s.options.ReadTimeout,
		IdleTimeout:       s.options.IdleTimeout,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          stdlog.New(s.log, "", 0),
	}
	return nil
}

// Addr is where content is served, with the port that was picked.
func (s *Service) Addr() string { return s.listener.Addr().String() }

// Run serves until the context ends, then lets those who are being answered finish.
func (s *Service) Run(ctx context.Context) error {
	var working sync.WaitGroup
	following, stop := context.WithCancel(ctx)
	s.settling.within = following
	if kept := s.shelf.Load(); s.known.get().Topic != "" {
		working.Go(func() { s.prepareKept(following, kept) })
	}
	working.Go(func() { s.refresh(following) })
	working.Go(func() { s.settleForCopy(following) })
	failed := make(chan error, 1)
	working.Go(func() { failed <- s.server.Serve(s.listener) })
	s.log.Info().Str("addr", s.Addr()).Msg("content is served")

	var err error
	select {
	case err = <-failed:
		err = fmt.Errorf("answering requests: %w", err)
	case <-ctx.Done():
	}
	draining, cancel := context.WithTimeout(context.WithoutCancel(ctx), max(s.patience, time.Second))
	defer cancel()
	if closing := s.server.Shutdown(draining); closing != nil {
		err = errors.Join(err, s.server.Close())
	}
	stop()
	working.Wait()
	s.stopSettling()
	if s.producer != nil {
		s.producer.Close()
	}
	if s.letters != nil {
		s.letters.Close()
	}
	s.registry.Close()
	return errors.Join(err, s.copy.larder.Close())
}

// settleForCopy serves what the copy holds once Kafka has been waited for long enough.
func (s *Service) settleForCopy(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-time.After(s.options.Patience):
	}
	if s.heardAt.Load() == 0 {
		return // there is no copy, or one that was never whole
	}
	s.ready.Do(func() {
		s.deaf()
		s.health.Set("content", nil)
		s.log.Warn().Stringer("age", time.Duration(s.age()*float64(time.Second)).Round(time.Second)).
			Msg("the topic of the content cannot be read yet; serving what the local copy holds")
	})
}

// caughtUp says that everything there is has been read.
func (s *Service) caughtUp() {
	s.ready.Do(func() {
		s.log.Info().Int("items", s.shelf.Load().Size().Items).Msg("the content is read to its end")
	})
	s.health.Set("content", nil)
}

// heard and deaf say whether Kafka can be heard.
func (s *Service) heard() {
	now := time.Now()
	s.heardAt.Store(now.UnixMilli())
	s.known.heard(now)
	if s.deafSince.Swap(0) != 0 {
		s.log.Info().Msg("Kafka is heard again")
	}
}

func (s *Service) deaf() {
	s.deafSince.CompareAndSwap(0, max(1, s.heardAt.Load()))
}

// age is how many seconds Kafka has not been heard; 0 while it is.
func (s *Service) age() float64 {
	since := s.deafSince.Load()
	if since == 0 {
		return 0
	}
	return time.Since(time.UnixMilli(since)).Seconds()
}
