package table

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rs/zerolog"
)

// StoreOptions shape a Store.
type StoreOptions struct {
	// Dir is where the copies are; made when missing. Everything in it can be restored from Kafka.
	Dir string
	// CacheBytes is the memory for what stands on the disk, or will: three quarters for values, in each Processor, and
	// one quarter for blocks of the disk. 128 MiB when 0.
	CacheBytes int64
	// MemtableBytes is what the database gathers before it writes; twice as much is in use while it writes. Views
	// and timers go through it, values of Processors do not. 8 MiB when 0.
	MemtableBytes int64
	// Temporary says that Close removes the folder.
	Temporary bool
	Log       zerolog.Logger
}

// Store holds the local copies of one process, of all its tables and partitions, in one Pebble.
type Store struct {
	o    StoreOptions
	lock *pebble.Lock

	// mu is held for reading while the database is used, and for writing while it is replaced.
	mu     sync.RWMutex
	db     *pebble.DB
	broken *atomic.Bool // of db
	epoch  uint64       // counts databases: what was read from one is worth nothing in the next
	tables map[string]uint16
	closed bool

	wiped    atomic.Int64
	leftover sync.WaitGroup // broken databases on their way out
}

// StoreStats is what a Store takes.
type StoreStats struct {
	DiskBytes     int64
	CacheBytes    int64
	MemtableBytes int64
	Wiped         int64 // databases thrown away because they were damaged
}

var (
	errClosed  = errors.New("the store is closed")
	errBroken  = errors.New("the local copy is damaged")
	errRenewed = errors.New("the local copy was damaged and has been thrown away")
)

// OpenStore opens the local copies. It is refused while another process has them open.
func OpenStore(o StoreOptions) (*Store, error) {
	if o.CacheBytes == 0 {
		o.CacheBytes = 128 << 20
	}
	if o.MemtableBytes == 0 {
		o.MemtableBytes = 8 << 20
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	lock, err := pebble.LockDirectory(o.Dir, vfs.Default)
	if err != nil {
		return nil, fmt.Errorf("opening the store %s, which one process may have open at a time: %w", o.Dir, err)
	}
	s := &Store{o: o, lock: lock}
	if err := s.open(s.newest()); err != nil {
		// Whatever is wrong with it: what is in there can be had again.
		o.Log.Warn().Err(err).Str("dir", o.Dir).Msg("the local copy cannot be opened; it is thrown away")
		s.wiped.Add(1)
		if err = s.open(""); err != nil {
			return nil, errors.Join(fmt.Errorf("opening the store %s: %w", o.Dir, err), lock.Close())
		}
	}
	return s, nil
}

// folders begin with this; there is one, and for a moment there may be leftovers.
const folderPrefix = "copy-"

// newest is the folder that was opened last; empty when there is none.
func (s *Store) newest() string {
	folders, err := filepath.Glob(filepath.Join(s.o.Dir, folderPrefix+"*"))
	if err != nil || len(folders) == 0 {
		return ""
	}
	return folders[len(folders)-1] // in the order of their names, which are times
}

// open makes a folder the database, a new one when it is "", and removes all others.
func (s *Store) open(folder string) error {
	if folder == "" {
		folder = filepath.Join(s.o.Dir, folderPrefix+time.Now().UTC().Format("20060102T150405.000000000"))
	}
	broken := new(atomic.Bool)
	db, err := openPebble(folder, s.o, broken)
	if err != nil {
		return err
	}
	tables, err := loadTables(db)
	if err == nil {
		err = dropStale(db, time.Now())
	}
	if err != nil {
		return errors.Join(err, db.Close())
	}
	s.db, s.broken, s.tables = db, broken, tables
	s.epoch++
	s.removeAllBut(filepath.Base(folder))
	return nil
}

func (s *Store) removeAllBut(keep string) {
	entries, err := os.ReadDir(s.o.Dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), folderPrefix) && e.Name() != keep {
			if err := os.RemoveAll(filepath.Join(s.o.Dir, e.Name())); err != nil {
				s.o.Log.Warn().Err(err).Msg("removing an old local copy")
			}
		}
	}
}

// Close writes what is in memory to the disk: the next start is a warm one. Processors and views have to be
// done with.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	var err error
	if !s.broken.Load() && !s.o.Temporary {
		err = s.db.Flush()
	}
	err = errors.Join(err, s.db.Close())
	s.leftover.Wait()
	err = errors.Join(err, s.lock.Close())
	if s.o.Temporary {
		err = errors.Join(err, os.RemoveAll(s.o.Dir))
	}
	if err != nil {
		return fmt.Errorf("closing the store: %w", err)
	}
	return nil
}

// abandon closes the files and leaves out what a process that is killed leaves out. Tests call it.
func (s *Store) abandon() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return errors.Join(s.db.Close(), s.lock.Close())
}

// use calls f with the database of an epoch. A damage that shows condemns it.
func (s *Store) use(epoch uint64, f func(db *pebble.DB) error) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	switch {
	case s.closed:
		return errClosed
	case s.epoch != epoch:
		return errRenewed
	case s.broken.Load():
		return errBroken
	}
	err := f(s.db)
	if pebble.IsCorruptionError(err) {
		s.broken.Store(true)
		err = fmt.Errorf("%w: %w", errBroken, err)
	}
	return err
}

// renew replaces a damaged database by an empty one and returns the epoch that counts from then on. It does nothing
// where the database is sound.
func (s *Store) renew() (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return s.epoch, errClosed
	}
	if !s.broken.Load() {
		return s.epoch, nil
	}
	old := s.db
	if err := s.open(""); err != nil {
		return s.epoch, fmt.Errorf("beginning a new local copy: %w", err)
	}
	s.wiped.Add(1)
	s.o.Log.Warn().Str("dir", s.o.Dir).Msg("the local copy was damaged; it is restored from Kafka")
	s.leftover.Go(func() {
		defer func() { _ = recover() }() // a database in such a state may well panic
		_ = old.Close()
	})
	return s.epoch, nil
}

// condemn says that the database of an epoch holds what we did not write.
func (s *Store) condemn(epoch uint64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.epoch == epoch {
		s.broken.Store(true)
	}
}

// sound reports whether the database of an epoch is still in use and not damaged.
func (s *Store) sound(epoch uint64) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return !s.closed && s.epoch == epoch && !s.broken.Load()
}

// Stats looks at what the store takes.
func (s *Store) Stats() StoreStats {
	s.mu.RLock()
	defer s.mu.RUnlock()
	stats := StoreStats{Wiped: s.wiped.Load()}
	if s.closed {
		return stats
	}
	m := s.db.Metrics()
	stats.DiskBytes = int64(m.DiskSpaceUsage())
	stats.CacheBytes = m.BlockCache.Size
	stats.MemtableBytes = int64(m.MemTable.Size)
	return stats
}
