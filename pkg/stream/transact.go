package stream

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TransactHandler does the work of a Transactor. Its methods are never called at the same time, and no
// partition comes or goes while Process or Ended runs.
type TransactHandler interface {
	// Assigned is told every partition that is ours from now on, by topic. Nothing known from before counts
	// any more, even of a partition that stays: somebody else may have had it in between. No record of a
	// partition comes before Resume is called for it. Assigned returns soon.
	Assigned(parts map[string][]int32)
	// Revoked says that nothing is ours until Assigned is called again. It comes before every Assigned, and may
	// come twice.
	Revoked()
	// Process does the work of one batch and emits what comes of it. The batch may be empty.
	Process(ctx context.Context, b *Batch) error
	// Ended says what became of the batch. With nil it is committed: what it emitted and that its records
	// are done. With an error nothing of it has happened, and its records come again; where the
	// connection was lost at the worst moment it may have been committed after all, and then the records do
	// not come again. Either way Assigned follows before the next record, if the outcome is not known.
	Ended(b *Batch, err error)
}

// ErrAborted says that a batch was given up because its partitions are being moved.
var ErrAborted = errors.New("the transaction was aborted: partitions are being moved")

// TransactorOptions shape a Transactor.
type TransactorOptions struct {
	Group  string   // on the cluster
	Topics []string // on the cluster
	// ID is the transactional id: the group's name, the host's, the process's and a random part when empty. It
	// begins with the group's name, so that an access rule can name the prefix.
	ID string
	// Timeout is when the brokers give up a transaction whose owner is gone: so long readers may have to wait
	// behind it. 15 s when 0.
	Timeout time.Duration

	Linger     time.Duration // how long a batch waits for company from its first record on
	MaxRecords int           // in one batch; 20,000 when 0
	MaxBytes   int64         // of keys and values in one batch; 32 MiB when 0
	Tick       time.Duration // without a record an empty batch comes this often; 1 s when 0

	// Patience is how long the group waits for a batch under way before partitions move without us, and the batch is
	// lost; a minute when 0.
	Patience time.Duration

	// ByPartition names topics (on the cluster) whose records say their partition themselves. All others
	// are placed by key as Kafka's own clients place them (murmur2).
	ByPartition []string
	// MaxBatchBytes bounds the batches of records produced to a topic (on the cluster), before compression;
	// 1,000,012 for topics not named, as Kafka's own clients have it.
	MaxBatchBytes map[string]int32
	Log           zerolog.Logger
}

// Transactor reads topics as a member of a group and writes others, so that what is written and how far it
// has read become durable together or not at all: from topic to topic exactly once.
//
// One batch is one transaction. A member that lost its partitions cannot commit any more, because every
// transaction also commits an offset, with the generation of the group in which the partitions were
// assigned; where a batch has read nothing, and only a timer has fired, it commits an offset once more.
type Transactor struct {
	o       TransactorOptions
	opts    []kgo.Opt
	handler TransactHandler

	client atomic.Pointer[kgo.Client] // of the running session
	moved  atomic.Bool                // the group was rebalanced since the last batch
	hurry  hurry                      // a rebalance waits for the batch under way

	mu    sync.Mutex
	owned ownership
	stats TransactStats
	heads map[place]int64 // records behind the end of a partition, as last heard
}

// ownership is what the group has given us.
type ownership struct {
	parts      map[string][]int32
	member     string // who we were when they were assigned; nothing is ours when empty
	generation int32
}

// TransactStats is what a Transactor holds, and what it has done.
type TransactStats struct {
	Partitions int
	Held       int   // records taken in and not committed
	HeldBytes  int64 // of their keys and values
	Oldest     time.Time
	Behind     int64 // records between what was taken in and the ends of the topics, as last heard
	Committed  int64 // transactions
	Aborted    int64 // batches whose work had no effect
}

// NewTransactor joins no group yet: Run does.
func NewTransactor(c Config, o TransactorOptions, h TransactHandler) (*Transactor, error) {
	o = o.withDefaults()
	opts, err := c.options()
	if err != nil {
		return nil, err
	}
	t := &Transactor{o: o, handler: h, heads: map[place]int64{}}
	if c.SessionTimeout > 0 {
		opts = append(opts, kgo.SessionTimeout(c.SessionTimeout), kgo.HeartbeatInterval(max(c.SessionTimeout/15, 100*time.Millisecond)))
	}
	t.opts = append(opts,
		patient(),
		kgo.ConsumerGroup(o.Group),
		kgo.ConsumeTopics(o.Topics...),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		// Range puts partition n of every topic on one member: a user is owned by one process.
		kgo.Balancers(kgo.RangeBalancer()),
		// A batch under way is finished before partitions move: that is cheaper than doing it again.
		kgo.BlockRebalanceOnPoll(),
		kgo.RebalanceTimeout(o.Patience),
		kgo.OnPartitionsCallbackBlocked(func(context.Context, *kgo.Client) { t.hurry.now() }),
		kgo.OnPartitionsAssigned(t.onAssigned),
		kgo.OnPartitionsRevoked(t.onRevoked),
		kgo.OnPartitionsLost(t.onRevoked),
		kgo.FetchMaxBytes(8<<20),
		kgo.FetchMaxPartitionBytes(1<<20),
		kgo.FetchMaxWait(500*time.Millisecond),

		kgo.TransactionalID(o.ID),
		kgo.TransactionTimeout(o.Timeout),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerBatchCompression(c.codec(), kgo.NoCompression()),
		kgo.ProducerBatchMaxBytesFn(func(topic string) int32 {
			if n := o.MaxBatchBytes[topic]; n > 0 {
				return n
			}
			return 1_000_012
		}),
		kgo.MaxBufferedBytes(64<<20),
		kgo.MaxBufferedRecords(200_000),
		kgo.RecordPartitioner(newPartitioner(o.ByPartition)),
	)
	return t, nil
}

func (o TransactorOptions) withDefaults() TransactorOptions {
	if o.ID == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "host"
		}
		o.ID = fmt.Sprintf("%s-%s-%d-%s", o.Group, host, os.Getpid(), strings.ToLower(rand.Text()[:8]))
	}
	if o.Timeout == 0 {
		o.Timeout = 15 * time.Second
	}
	if o.MaxRecords == 0 {
		o.MaxRecords = 20_000
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 32 << 20
	}
	if o.Tick == 0 {
		o.Tick = time.Second
	}
	if o.Patience == 0 {
		o.Patience = time.Minute
	}
	return o
}

// Run works until the context ends; then it finishes the batch under way, leaves the group and returns
// nil. A session with Kafka that cannot go on is closed and a new one is begun.
func (t *Transactor) Run(ctx context.Context) error {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		started := time.Now()
		err := t.session(ctx)
		if ctx.Err() != nil {
			return nil
		}
		t.o.Log.Warn().Err(err).Msg("beginning a new session with Kafka")
		if time.Since(started) > time.Minute {
			wait = 100 * time.Millisecond
		}
		pause(ctx, wait)
	}
}

// session is a member of the group with a transactional producer, until either is of no use any more.
func (t *Transactor) session(ctx context.Context) error {
	s, err := kgo.NewGroupTransactSession(t.opts...)
	if err != nil {
		return fmt.Errorf("creating the Kafka transactor: %w", err)
	}
	t.client.Store(s.Client())
	defer s.CloseAllowingRebalance() // leaves the group, which calls onRevoked
	failures := 0
	for ctx.Err() == nil {
		b, err := t.gather(ctx, s)
		if err == nil && b != nil {
			err = t.transact(s, b)
		}
		t.hurry.over() // before it is allowed: what is called from then on is meant for the next batch
		s.AllowRebalance()
		switch {
		case errors.As(err, new(fatalError)):
			return err
		case errors.As(err, new(workError)):
			failures++
			t.o.Log.Warn().Err(err).Int("records", len(b.Records)).Msg("the batch had no effect and is done again")
			pause(ctx, min(100*time.Millisecond<<min(failures-1, 6), 5*time.Second))
		case err != nil:
			return err
		default:
			failures = 0
		}
	}
	return nil
}

// pause waits, or for the context to end.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// onAssigned is told the whole assignment, since range assigns anew all there is. Nothing is fetched until the
// handler says so.
func (t *Transactor) onAssigned(_ context.Context, client *kgo.Client, parts map[string][]int32) {
	t.moved.Store(true)
	t.client.Store(client) // it may join before its constructor has returned, and Resume is meant for this one
	t.handler.Revoked()    // so that nobody resumes them on account of an earlier assignment
	client.PauseFetchPartitions(parts)
	member, generation := client.GroupMetadata()
	t.mu.Lock()
	t.owned = ownership{parts, member, generation}
	t.stats.Partitions = 0
	for _, numbers := range parts {
		t.stats.Partitions += len(numbers)
	}
	clear(t.heads)
	t.mu.Unlock()
	t.handler.Assigned(parts)
}

// onRevoked gives everything back: either some of it comes again with the next assignment, or it was lost.
// The session leaves the call out when it is a second one without a batch in between; Assigned, which
// is never left out, says all that matters.
func (t *Transactor) onRevoked(_ context.Context, client *kgo.Client, _ map[string][]int32) {
	t.moved.Store(true)
	t.mu.Lock()
	was := t.owned
	t.owned = ownership{}
	t.stats.Partitions = 0
	clear(t.heads)
	t.mu.Unlock()
	// A pause outlives the assignment inside the client.
	client.ResumeFetchPartitions(was.parts)
	t.handler.Revoked()
}

// Resume lets the records of partitions come, of every topic that has such a partition. It may be called from
// any goroutine; of a partition that is not ours it does nothing that lasts.
func (t *Transactor) Resume(numbers ...int32) {
	if client := t.client.Load(); client != nil {
		client.ResumeFetchPartitions(t.everywhere(numbers))
	}
}

// Pause holds records of partitions back again.
func (t *Transactor) Pause(numbers ...int32) {
	if client := t.client.Load(); client != nil {
		client.PauseFetchPartitions(t.everywhere(numbers))
	}
}

func (t *Transactor) everywhere(numbers []int32) map[string][]int32 {
	parts := map[string][]int32{}
	for _, topic := range t.o.Topics {
		parts[topic] = numbers
	}
	return parts
}

// Stats looks at what is held. Oldest is the timestamp of the oldest record held, zero when there is none.
func (t *Transactor) Stats() TransactStats {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.stats
	for _, n := range t.heads {
		s.Behind += n
	}
	return s
}
