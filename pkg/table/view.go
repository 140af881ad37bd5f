package table

import (
	"context"
	"errors"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/stream"
)

// ViewOptions shape a View.
type ViewOptions struct {
	Topic  string        // on the cluster
	Window time.Duration // entries are forgotten when they are older; a minute at least
	// Decode finds the entry in a record; ok is false when there is none. What it returns may be part of the record.
	Decode func(r *stream.Record) (key, value []byte, ok bool)
	// MemoryBytes bounds what is kept in memory to know at once that a key is not there: two bytes or a little
	// more for an entry. 64 MiB when 0. Beyond it absent keys cost reads from the disk.
	MemoryBytes int64
	// Progress is told every second how far Assign has come, and at its end. It may be nil.
	Progress func(Progress)
	Log      zerolog.Logger
	Now      func() time.Time // time.Now when nil
}

// View is a copy of the recent past of a topic, by key. Whoever owns a partition of it appends to the topic, tells
// the View (Add), and nobody else appends there.
//
// Entries stand in buckets of a third of the window, so that what has become too old is dropped in one stroke. Each
// bucket has a filter in memory (filter.go), because nearly every key that is asked for is not there.
type View struct {
	o      ViewOptions
	store  *Store
	log    *stream.Changelog
	bucket time.Duration
	seed   maphash.Seed
	budget budget
	parts  atomic.Pointer[[]*viewPart] // by number; nil where it is not ours

	ctx     context.Context // until Close
	cancel  context.CancelFunc
	side    sync.WaitGroup
	wake    chan struct{} // there is much to be written
	pending atomic.Int64  // entries added and not written
	room    *sync.Cond    // for waiting until there is less
	assign  sync.Mutex    // one restoration at a time
	counts  restored
	expired uint32 // buckets below are deleted
}

// viewPart is a partition of a View that is ours.
type viewPart struct {
	number int32
	table  uint16
	epoch  uint64
	of     int32 // partitions of the topic
	copied mark

	filters atomic.Pointer[[]*filter] // the newest first

	mu       sync.Mutex
	fresh    *pile      // added and not written
	writing  *pile      // being written
	next     int64      // behind the last that was added
	gone     bool       // another viewPart has taken over what was fresh
	flushing sync.Mutex // held while writing
}

// ViewStats is what a View holds.
type ViewStats struct {
	Partitions  int
	Entries     int64 // in the window, and a bucket more
	FilterBytes int64
	Pending     int64 // added and not yet written to the disk
}

// OpenView copies nothing yet: Assign does.
func OpenView(kafka stream.Config, store *Store, o ViewOptions) (*View, error) {
	if o.Topic == "" || o.Decode == nil || o.Window < time.Minute {
		return nil, errors.New("opening a view: it needs a topic, a decoder and a window of a minute at least")
	}
	if o.MemoryBytes == 0 {
		o.MemoryBytes = 64 << 20
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	log, err := stream.NewChangelog(kafka, o.Topic)
	if err != nil {
		return nil, err
	}
	v := &View{
		o: o, store: store, log: log,
		bucket: o.Window / 3,
		seed:   maphash.MakeSeed(),
		budget: budget{limit: o.MemoryBytes},
		wake:   make(chan struct{}, 1),
		room:   sync.NewCond(new(sync.Mutex)),
	}
	v.start()
	return v, nil
}

func (v *View) start() {
	v.parts.Store(new([]*viewPart))
	v.ctx, v.cancel = context.WithCancel(context.Background())
	v.side.Go(v.write)
}

func (v *View) stop() {
	v.cancel()
	v.side.Wait()
}

// Close writes what was added to the local copy. The Store is closed after it.
func (v *View) Close() error {
	v.stop()
	v.log.Close()
	var failed error
	for _, p := range v.ours() {
		if err := v.flush(p); !damaged(err) { // a damaged copy is restored at the next start
			failed = errors.Join(failed, err)
		}
	}
	return failed
}

// Stats looks at what is held.
func (v *View) Stats() ViewStats {
	s := ViewStats{FilterBytes: v.budget.used.Load(), Pending: v.pending.Load()}
	for _, p := range v.ours() {
		s.Partitions++
		p.mu.Lock()
		for _, f := range *p.filters.Load() {
			s.Entries += f.count
		}
		p.mu.Unlock()
	}
	return s
}

// ours are the partitions that are assigned.
func (v *View) ours() []*viewPart {
	var ours []*viewPart
	for _, p := range *v.parts.Load() {
		if p != nil {
			ours = append(ours, p)
		}
	}
	return ours
}

// part is a partition of ours; nil when it is not.
func (v *View) part(number int32) *viewPart {
	parts := *v.parts.Load()
	if int(number) >= len(parts) || number < 0 {
		return nil
	}
	return parts[number]
}

// publish makes p the partition of that number; nil takes it away. v.assign is held.
func (v *View) publish(number int32, p *viewPart) {
	parts := slices.Clone(*v.parts.Load())
	for int(number) >= len(parts) {
		parts = append(parts, nil)
	}
	old := parts[number]
	parts[number] = p
	v.parts.Store(&parts)
	if old == nil {
		return
	}
	old.mu.Lock()
	defer old.mu.Unlock()
	old.gone = true
	if p != nil {
		v.inherit(p, old)
	}
	v.pending.Add(-int64(old.fresh.len()))
	old.fresh = nil
	for _, f := range *old.filters.Load() {
		f.drop(&v.budget)
	}
}

// inherit takes over what was added while the partition was restored. The lock of old is held: what is added
// from now on waits for it.
func (v *View) inherit(p, old *viewPart) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = max(p.next, old.next)
	for _, from := range []*pile{old.writing, old.fresh} {
		_ = from.each(func(key []byte, e entry) error {
			v.enter(p, key, e, v.bucketOf(e.at), maphash.Bytes(v.seed, key))
			return nil
		})
	}
}

// bucketOf is the bucket of a time.
func (v *View) bucketOf(ms int64) uint32 { return uint32(max(ms, 0) / v.bucket.Milliseconds()) }

// oldest is when an entry must have come to count, in milliseconds.
func (v *View) oldest() int64 { return v.o.Now().Add(-v.o.Window).UnixMilli() }
