package table

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/stream"
)

// Work is what a Processor does. Its methods are never called at the same time, and no partition moves while
// one runs.
type Work interface {
	// Process handles the records of a batch, in order, and what is due. There may be no records: the batch is
	// then a tick. With an error nothing of the batch happens, and its records come again after a pause.
	Process(ctx context.Context, tx *Tx) error
	// Ended says what became of a batch that was processed. With nil it is committed, and this is the moment to count it.
	// Otherwise it had no effect, and its records come again: stream.ErrAborted says that partitions moved,
	// stream.Permanent that Kafka will never take a record that the batch emitted.
	Ended(tx *Tx, err error)
}

// ProcessorOptions shape a Processor.
type ProcessorOptions struct {
	Group     string   // on the cluster
	Topics    []string // on the cluster, with as many partitions as Changelog
	Changelog string   // on the cluster; compacted

	// ByPartition names topics (on the cluster) to which records are emitted that say their partition
	// themselves. All others are placed by key as Kafka's own clients place them (murmur2).
	ByPartition []string
	// MaxBatchBytes bounds the batches of records produced to a topic (on the cluster); see
	// stream.TransactorOptions.
	MaxBatchBytes   map[string]int32
	TransactionalID string // see stream.TransactorOptions

	Linger     time.Duration // how long a batch waits for company from its first record on
	MaxRecords int           // in one batch; 20,000 when 0
	MaxBytes   int64         // of keys and values in one batch; 32 MiB when 0
	Tick       time.Duration // Process is called at least this often; 1 s when 0

	// Patience is how long the group waits for a batch under way before partitions move without us, and the batch is
	// lost; a minute when 0.
	Patience time.Duration

	// Progress is told every second how far restoring has come, and at its end. It may be nil.
	Progress func(Progress)
	Log      zerolog.Logger
}

// Processor reads topics, keeps state, and emits records, exactly once.
type Processor struct {
	o     ProcessorOptions
	kafka stream.Config
	store *Store
	work  Work
	t     *stream.Transactor
	log   *stream.Changelog
	limit int // bytes of a key and its value
	tx    *Tx // the one under way; made once
	hot   *hot
	wrote time.Time // when hot was written to the disk last for its age
	torn  bool      // the copy lacks what it should have

	mu       sync.Mutex
	running  context.Context
	assigned []int32
	turn     uint64 // counts assignments: what a restoration of an earlier one finds out is void
	table    uint16
	epoch    uint64
	ready    map[int32]*part
	kept     map[int32]part // as they were when they were ours last
	tags     uint32
	job      *job
	progress restored
}

// part is a partition of ours whose copy is complete.
type part struct {
	number int32
	tag    uint32    // of its values in memory: another one when somebody else may have changed them
	topic  [16]byte  // the changelog's id
	next   int64     // the offset of the changelog that the copy reaches up to
	asOf   time.Time // when the copy reached up to there
	noted  bool      // next and asOf are written
	dueAt  int64     // nothing in the copy is due before
}

// ProcessorStats is what a Processor holds and has done.
type ProcessorStats struct {
	stream.TransactStats
	Ready     int   // partitions whose state is complete
	Restoring int   // partitions that wait for theirs
	Restored  int64 // records read to restore them, of RestoreOf at most
	RestoreOf int64
}

// NewProcessor joins no group yet: Run does.
func NewProcessor(kafka stream.Config, store *Store, o ProcessorOptions, work Work) (*Processor, error) {
	if o.Changelog == "" || len(o.Topics) == 0 || o.Group == "" {
		return nil, errors.New("creating a processor: it needs a group, topics and a changelog")
	}
	p := &Processor{o: o, kafka: kafka, store: store, work: work, ready: map[int32]*part{}, kept: map[int32]part{}, wrote: time.Now()}
	p.limit = 1_000_012
	if n := o.MaxBatchBytes[o.Changelog]; n > 0 {
		p.limit = int(n)
	}
	p.limit -= 512 // what a batch and a record take around them
	p.hot = newHot(store.o.CacheBytes*3/4, p.limit)
	p.tx = &Tx{p: p}
	var err error
	p.t, err = stream.NewTransactor(kafka, stream.TransactorOptions{
		Group: o.Group, Topics: o.Topics, ID: o.TransactionalID,
		Linger: o.Linger, MaxRecords: o.MaxRecords, MaxBytes: o.MaxBytes, Tick: o.Tick, Patience: o.Patience,
		ByPartition:   append(slices.Clone(o.ByPartition), o.Changelog),
		MaxBatchBytes: o.MaxBatchBytes,
		Log:           o.Log,
	}, handler{p})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// Run works until the context ends; then it finishes the batch under way, leaves the group and returns nil.
func (p *Processor) Run(ctx context.Context) error {
	var err error
	if p.log, err = stream.NewChangelog(p.kafka, p.o.Changelog); err != nil {
		return err
	}
	defer p.log.Close()
	if err := p.checkTopics(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	p.mu.Lock()
	p.running = ctx
	p.mu.Unlock()
	err = p.t.Run(ctx)
	p.mu.Lock()
	last := p.forget()
	p.mu.Unlock()
	last.wait()
	return err
}

// checkTopics makes sure that the topics fit one another and that the changelog keeps what it is given. While Kafka
// cannot be asked it waits.
func (p *Processor) checkTopics(ctx context.Context) error {
	admin, err := stream.NewAdmin(p.kafka)
	if err != nil {
		return err
	}
	defer admin.Close()
	for {
		err := p.checkTopicsOnce(ctx, admin)
		if err == nil || !stream.Passing(err) {
			return err
		}
		p.o.Log.Warn().Err(err).Msg("looking at the topics")
		if !wait(ctx, time.Second) {
			return nil
		}
	}
}

func (p *Processor) checkTopicsOnce(ctx context.Context, admin *stream.Admin) error {
	states, err := admin.Topics(ctx, []string{"cleanup.policy", "delete.retention.ms"}, append([]string{p.o.Changelog}, p.o.Topics...)...)
	if err != nil {
		return err
	}
	log := states[0]
	for _, s := range states {
		switch {
		case !s.Exists:
			return fmt.Errorf("looking at the topics: %s does not exist", s.Name)
		case s.Partitions != log.Partitions:
			return fmt.Errorf("looking at the topics: %s has %d partitions and its changelog %s %d: they must be as many", s.Name, s.Partitions, log.Name, log.Partitions)
		}
	}
	if policy := log.Configs["cleanup.policy"]; policy != "compact" {
		return fmt.Errorf("looking at the topics: %s has cleanup.policy=%s, which loses state: it must be compact", log.Name, policy)
	}
	kept, err := strconv.ParseInt(log.Configs["delete.retention.ms"], 10, 64)
	if err != nil || kept < TombstoneRetention.Milliseconds() {
		return fmt.Errorf("looking at the topics: %s has delete.retention.ms=%s: it must be %d at least, or a copy could miss what was deleted", log.Name, log.Configs["delete.retention.ms"], TombstoneRetention.Milliseconds())
	}
	return nil
}

// Stats looks at what is held and what has been done.
func (p *Processor) Stats() ProcessorStats {
	s := ProcessorStats{TransactStats: p.t.Stats()}
	p.mu.Lock()
	defer p.mu.Unlock()
	s.Ready = len(p.ready)
	s.Restoring = len(p.assigned) - len(p.ready)
	s.Restored, s.RestoreOf = p.progress.records.Load(), p.progress.of.Load()
	return s
}

// wait lets time pass and reports whether the context is still alive.
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
