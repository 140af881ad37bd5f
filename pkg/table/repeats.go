package table

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/stream"
)

// RepeatsOptions shape a Repeats.
type RepeatsOptions struct {
	Topic  string        // on the cluster
	Window time.Duration // a record repeats an earlier one that is at most so much older; a minute at least
	// Key finds the key of a record; ok is false where there is none, and the record repeats nothing then. What it
	// returns may be part of the record. An error says that it cannot be told now: it is asked again. Several goroutines
	// ask at the same time, some of them with a context that has ended: they cannot wait.
	Key func(ctx context.Context, r *stream.Record) (key []byte, ok bool, err error)
	// MemoryBytes bounds what is kept in memory to know at once that a key is new: two bytes or a little more
	// for one. 64 MiB when 0. Beyond it new keys cost reads from the disk.
	MemoryBytes int64
	// Offered says that everybody who holds a partition offers all that he reads of it (Offer). Nothing is read then but what
	// somebody has come to before it could be entered.
	Offered bool
	// Share is what MemoryBytes would be where several Repeats have it together; nil for an own one.
	Share *RepeatsMemory
	Log   zerolog.Logger
}

// Repeats tells which records of a topic repeat an earlier one: those before which, in the same partition and at most
// the window older by their timestamps, a record with the same key stands.
//
// That is a property of the topic alone, whoever asks and whenever. Who has seen the first of them, or is
// reading it for the second time, does not matter: so it serves many consumer groups at once, and a group
// whose offsets were moved back is told the same again.
//
// It reads the partitions that somebody holds, once for all of them, ahead of or behind those who ask, and does not even
// that while one of them gives it what he has read himself (Offer). Of
// each key it keeps the time at which it came last, in buckets of a third of the window as a View does; of each
// offset one bit. Both are in the Store, so that the next start reads the rest of the topic only. The first
// start reads the window before the day that has just passed, or everything there is where somebody is
// further behind.
type Repeats struct {
	o      RepeatsOptions
	kafka  stream.Config
	store  *Store
	log    *stream.Changelog
	bucket time.Duration
	seed   maphash.Seed
	budget *budget

	ctx    context.Context // until Close
	cancel context.CancelFunc
	side   sync.WaitGroup

	known atomic.Pointer[map[int32]*repeatsPart] // those of parts that are ready

	mu       sync.Mutex
	parts    map[int32]*repeatsPart
	follower *stream.Follower
	seen     map[int32]int64 // how far follower may have read
	moved    chan struct{}   // closed when more is known than when it was made
	failing  error
}

// repeatsPart is a partition that somebody holds, or did not long ago. Where its copy is begun anew another one takes its
// place.
type repeatsPart struct {
	number  int32
	table   uint16
	epoch   uint64
	topic   [16]byte
	end     int64 // of the topic, when its copy was looked at
	trusted int64 // from this offset on the bits are complete
	next    atomic.Int64
	bits    bitmap

	// Of Repeats.mu.
	held   int       // by how many
	left   time.Time // since when by nobody
	need   int64     // the least offset that was asked for
	ready  bool      // it is being read, or fed
	follow bool      // the follower reads it
	wanted int64     // whoever is furthest ahead has read up to here

	scan      sync.Mutex // held while records are entered
	gone      bool       // nothing may be written any more
	latest    int64      // the newest timestamp, in milliseconds; what is older by the window is forgotten
	forgotten uint32     // buckets below are deleted
	filters   []*filter  // the newest first
	unwritten *pile      // keys that are entered and not on the disk; nil for none
}

// unheld is how long a partition is read on that nobody holds: a rebalance gives up everything for a moment.
const unheld = 2 * time.Minute

// recently is how far behind a holder may be for the first start to read no more than the window before it.
const recently = 24 * time.Hour

// RepeatsStats is what a Repeats holds.
type RepeatsStats struct {
	Partitions  int   // known so far as the topic goes, or nearly
	Opening     int   // partitions whose copy is being looked at
	FilterBytes int64 // memory for new keys; of all that share it
	Failing     error // why it is not getting on; nil when it is
}

// RepeatsMemory is memory that several Repeats have together.
type RepeatsMemory struct{ budget budget }

// NewRepeatsMemory bounds it.
func NewRepeatsMemory(bytes int64) *RepeatsMemory { return &RepeatsMemory{budget{limit: bytes}} }

// OpenRepeats reads nothing yet: Hold does.
func OpenRepeats(kafka stream.Config, store *Store, o RepeatsOptions) (*Repeats, error) {
	if o.Topic == "" || o.Key == nil || o.Window < time.Minute {
		return nil, errors.New("looking for repeats: it takes a topic, a key and a window of a minute at least")
	}
	if o.MemoryBytes == 0 {
		o.MemoryBytes = 64 << 20
	}
	if o.Share == nil {
		o.Share = NewRepeatsMemory(o.MemoryBytes)
	}
	log, err := stream.NewChangelog(kafka, o.Topic)
	if err != nil {
		return nil, err
	}
	follower, err := stream.NewFollower(kafka, o.Topic)
	if err != nil {
		log.Close()
		return nil, err
	}
	r := &Repeats{
		o: o, kafka: kafka, store: store, log: log, follower: follower,
		bucket: o.Window / 3, seed: maphash.MakeSeed(), budget: &o.Share.budget,
		parts: map[int32]*repeatsPart{}, seen: map[int32]int64{}, moved: make(chan struct{}),
	}
	r.known.Store(new(map[int32]*repeatsPart))
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.side.Go(r.run)
	r.side.Go(r.tidy)
	return r, nil
}

// Close ends the reading. The Store is closed after it.
func (r *Repeats) Close() {
	r.cancel()
	r.side.Wait()
	for _, p := range r.parts {
		r.retire(p)
	}
	r.follower.Close()
	r.log.Close()
}

// Hold says that Repeat will be asked of a partition, from an offset on. It does not wait. Each Hold is
// followed by a Release.
func (r *Repeats) Hold(partition int32, from int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.parts[partition]
	switch {
	case p == nil:
		p = &repeatsPart{number: partition, need: from}
		r.parts[partition] = p
		r.open(p, nil, false)
	case p.ready && from < p.trusted:
		r.o.Log.Info().Int32("partition", partition).Msg("somebody reads further back than repeats are known: the partition is read from its beginning")
		p = r.reopen(p, true)
	}
	p.need = min(p.need, from)
	p.held++
	p.wanted = max(p.wanted, from)
	r.steer(p)
}

// Release takes a Hold back. What is known stays in the Store.
func (r *Repeats) Release(partition int32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.parts[partition]; p != nil {
		if p.held--; p.held == 0 {
			p.left = time.Now()
		}
	}
}

// Repeat reports whether a record repeats an earlier one. It is not known while the partition has not been read so
// far; see Moved. It costs some 30 ns.
func (r *Repeats) Repeat(partition int32, offset int64) (repeat, known bool) {
	p := (*r.known.Load())[partition]
	if p == nil || offset < p.trusted || offset >= p.next.Load() {
		return false, false
	}
	repeat, err := r.bit(p, offset)
	if err != nil {
		r.stumbled(p, err)
		return false, false
	}
	return repeat, true
}

// Moved returns a channel that is closed as soon as more is known than now. Ask for it before Repeat.
func (r *Repeats) Moved() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.moved
}

// Stats looks at what is held.
func (r *Repeats) Stats() RepeatsStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := RepeatsStats{FilterBytes: r.budget.used.Load(), Failing: r.failing}
	for _, p := range r.parts {
		if p.ready {
			s.Partitions++
		} else {
			s.Opening++
		}
	}
	return s
}

// announce wakes whoever waits to know more. The lock is held.
func (r *Repeats) announce() {
	close(r.moved)
	r.moved = make(chan struct{})
}

// trouble notes why it is not getting on; nil when it is.
func (r *Repeats) trouble(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil && r.ctx.Err() == nil && r.failing == nil {
		r.o.Log.Warn().Err(err).Msg("looking for repeats; it is tried again")
	}
	r.failing = err
}

// tidy lets go of partitions that nobody holds any more.
func (r *Repeats) tidy() {
	tick := time.NewTicker(unheld / 4)
	defer tick.Stop()
	for {
		select {
		case <-r.ctx.Done():
			return
		case <-tick.C:
		}
		for _, p := range r.letGo() {
			r.retire(p)
		}
	}
}

// letGo takes out what nobody has held for long.
func (r *Repeats) letGo() (gone []*repeatsPart) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for number, p := range r.parts {
		if p.ready && p.held == 0 && time.Since(p.left) > unheld {
			r.follower.Leave(number)
			p.follow = false
			delete(r.parts, number)
			gone = append(gone, p)
		}
	}
	if len(gone) > 0 {
		r.publish()
	}
	return gone
}

// publish shows Repeat which partitions are ready. The lock is held.
func (r *Repeats) publish() {
	known := map[int32]*repeatsPart{}
	for number, p := range r.parts {
		if p.ready {
			known[number] = p
		}
	}
	r.known.Store(&known)
}

// retire ends a partition that is not among the parts any more. When it returns nothing of it is written.
func (r *Repeats) retire(p *repeatsPart) {
	p.scan.Lock()
	defer p.scan.Unlock()
	if err := r.flush(p); err != nil && !damaged(err) {
		r.o.Log.Warn().Err(err).Int32("partition", p.number).Msg("some records are read again to find what repeats")
	}
	p.gone = true
	for _, f := range p.filters {
		f.drop(r.budget)
	}
	p.filters = nil
}
