// Package attributesync finds out what Braze has to be told of customers' profiles: only what differs from
// what it has, in an order that no late or repeated report can disturb, exactly once from topic to topic.
//
// One batch's way: records of several topics are read for up to a linger, [Service.Process] gathers them
// by customer (batch.go), takes each customer's state from the table, lets the records change it one after
// the other (apply.go), and asks what Braze has to be told in the end (emit.go). What is told, what is
// refused, the new state and the offsets are committed in one transaction, or none of it (package table).
//
// What a field is and who may write it is package profile; what support cases mean, package cases; what
// orders come to, package spending. These three are pure, and so the place to read first.
package attributesync

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/registry"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/table"
	"github.com/sluicehq/sluice/pkg/topics"
)

// Name is the service's name in logs, groups and topics.
const Name = "attribute-sync"

// Config is everything that can be set.
type Config struct {
	daemon.Config `yaml:",inline"`

	Kafka    stream.Config   `yaml:"kafka"`
	Registry registry.Config `yaml:"registry"`
	State    table.Config    `yaml:"state"`
	Sync     Options         `yaml:"attributes"`
}

// Options are what only this service knows.
type Options struct {
	// Linger is how long changes of a customer gather. Longer folds more of them into one; shorter has the
	// profile follow sooner.
	Linger time.Duration `yaml:"linger" env:"ATTRIBUTE_LINGER" default:"1s" min:"0s" max:"1m" doc:"how long changes of a profile wait for others, to be told to Braze as one"`
	// FieldsFile says who may write what. Without one whoever writes last has the last word.
	FieldsFile string `yaml:"fields_file" env:"FIELDS_FILE" doc:"YAML file of attributes: who may write which, and what cases and orders leave on a profile; the one that is built in when empty"`
	// Batch bounds memory: a transaction holds so many records and what they become.
	Batch      int           `yaml:"batch" env:"ATTRIBUTE_BATCH" default:"10000" min:"1" max:"1000000" doc:"most records in one transaction"`
	BatchBytes int64         `yaml:"batch_bytes" env:"ATTRIBUTE_BATCH_BYTES" default:"16777216" min:"1048576" max:"1073741824" doc:"the same in bytes of records"`
	Repeats    time.Duration `yaml:"dedup_window" env:"DEDUP_WINDOW" default:"24h" min:"0s" max:"168h" doc:"how long the id of a record is remembered, so that a repeat of it is skipped"`
}

// Service is attribute-sync.
type Service struct {
	log       zerolog.Logger
	metrics   *metrics
	fields    *Fields
	profiles  *avro.ProfileDecoder
	commerce  *avro.CommerceDecoder
	cases     *avro.CaseDecoder
	letters   *deadletter.Encoder
	kinds     map[string]kind // of input, by topic on the cluster
	updates   topic
	health    *daemon.Health
	processor *table.Processor
	store     *table.Store
	batch     batch
}

// topic is where something is written, and the id of its schema.
type topic struct {
	name string // on the cluster
	id   int
}

// Open connects to Kafka and the registry, prepares the topics and opens the local copy of the state. It is
// what daemon.Main runs.
func Open(ctx context.Context, c Config, p *daemon.Process) (daemon.Service, error) {
	fields, err := LoadFields(c.Sync.FieldsFile)
	if err != nil {
		return nil, err
	}
	fields.Profile.DedupWindow = max(c.Sync.Repeats, time.Millisecond) // in which nothing comes twice
	reg, err := registry.New(c.Registry)
	if err != nil {
		return nil, err
	}
	if c.Kafka.ClientID == "" {
		c.Kafka.ClientID = Name
	}
	ids, err := topics.Prepare(ctx, c.Kafka, reg, schema.CustomerProfiles, schema.CommerceEvents, schema.SupportCases,
		schema.BrazeAttributes, schema.BrazeDeliveries, schema.DeadLetters(Name), schema.State(Name))
	if err != nil {
		return nil, fmt.Errorf("preparing topics: %w", err)
	}
	letters, err := deadletter.NewEncoder(c.Kafka, Name, ids[schema.DeadLetters(Name)])
	if err != nil {
		return nil, err
	}
	store, err := c.State.Open(Name, p.Log)
	if err != nil {
		return nil, err
	}
	s := &Service{
		log:      p.Log,
		health:   p.Health,
		metrics:  newMetrics(p.Metrics),
		fields:   fields,
		profiles: avro.NewProfileDecoder(avro.FromRegistry(reg)),
		commerce: avro.NewCommerceDecoder(avro.FromRegistry(reg)),
		cases:    avro.NewCaseDecoder(avro.FromRegistry(reg)),
		letters:  letters,
		kinds:    map[string]kind{},
		updates:  topic{c.Kafka.Topic(schema.BrazeAttributes), ids[schema.BrazeAttributes]},
		store:    store,
	}
	var inputs []string
	for k, name := range inputNames {
		s.kinds[c.Kafka.Topic(name)] = kind(k)
		inputs = append(inputs, c.Kafka.Topic(name))
	}
	s.processor, err = table.NewProcessor(c.Kafka, store, table.ProcessorOptions{
		Group:     c.Kafka.Group(Name),
		Changelog: c.Kafka.Topic(schema.State(Name)),
		Topics:    inputs,
		// Beside the record that it comes from, wherever its producer has put that.
		ByPartition:   []string{s.updates.name},
		MaxBatchBytes: map[string]int32{c.Kafka.Topic(schema.DeadLetters(Name)): schema.MaxDeadLetterBytes - 1024},
		Linger:        c.Sync.Linger,
		MaxRecords:    c.Sync.Batch,
		MaxBytes:      c.Sync.BatchBytes,
		Progress:      s.restoring,
		Log:           p.Log,
	}, s)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	s.metrics.watch(s.processor.Stats)
	return s, nil
}

// Run works until the context ends, then finishes and commits the batch in hand.
func (s *Service) Run(ctx context.Context) error {
	return errors.Join(s.processor.Run(ctx), s.store.Close())
}

// Held says what would be lost sight of now.
func (s *Service) Held() string {
	if n := s.processor.Stats().Held; n > 0 {
		return fmt.Sprintf("%d records of profiles, orders and cases", n)
	}
	return ""
}

// restoring tells how the local copy fills.
func (s *Service) restoring(p table.Progress) {
	e := s.log.Info().Int("partitions", p.Partitions).Int64("records", p.Records).Int64("of", p.Of).Float64("per_second", p.Rate())
	if p.Done {
		e.Dur("took", p.Elapsed).Msg("the state is restored")
		return
	}
	e.Msg("restoring the state")
}
