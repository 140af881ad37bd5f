package table

import (
	"fmt"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/rs/zerolog"
)

// openPebble opens a database that says so in broken, instead of ending the process, when it is damaged.
func openPebble(folder string, o StoreOptions, broken *atomic.Bool) (*pebble.DB, error) {
	// The database takes what its memtables need out of the cache: one is filled while another is written.
	cache := pebble.NewCache(o.CacheBytes/4 + 2*o.MemtableBytes)
	defer cache.Unref() // the database has its own hold on it
	opts := &pebble.Options{
		Cache:                       cache,
		DisableWAL:                  true, // the topic is the log
		MemTableSize:                uint64(o.MemtableBytes),
		MemTableStopWritesThreshold: 2,
		FormatMajorVersion:          pebble.FormatNewest,
		// Each time values are written they are spread over all keys, so that merging them rewrites nearly everything:
		// it is better done seldom. What is asked for meanwhile is mostly in memory, or filtered.
		L0CompactionThreshold: 8,
		L0StopWritesThreshold: 64,
		LBaseMaxBytes:         512 << 20,
		MaxOpenFiles:          1000,
		Logger:                pebbleLog{o.Log, broken},
		EventListener: &pebble.EventListener{
			BackgroundError: func(err error) {
				o.Log.Warn().Err(err).Msg("the local copy's background work failed")
				if pebble.IsCorruptionError(err) {
					broken.Store(true)
				}
			},
			DataCorruption: func(info pebble.DataCorruptionInfo) {
				o.Log.Warn().Err(info.Details).Str("file", info.Path).Msg("the local copy is damaged")
				broken.Store(true)
			},
		},
	}
	for i := range opts.Levels {
		opts.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		opts.Levels[i].BlockSize = 4 << 10
		opts.Levels[i].IndexBlockSize = 64 << 10
	}
	db, err := pebble.Open(folder, opts)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", folder, err)
	}
	return db, nil
}

// pebbleLog is where the database speaks. What it holds for fatal concerns this copy only.
type pebbleLog struct {
	log    zerolog.Logger
	broken *atomic.Bool
}

// Infof drops what the database tells of its daily work.
func (pebbleLog) Infof(string, ...any) {}

// Errorf passes an error on.
func (l pebbleLog) Errorf(format string, args ...any) {
	l.log.Warn().Msgf("the local copy: "+format, args...)
}

// Fatalf condemns the database. Its callers return an error after it.
func (l pebbleLog) Fatalf(format string, args ...any) {
	l.broken.Store(true)
	l.log.Error().Msgf("the local copy: "+format, args...)
}
