package table

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable/block"
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
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       64,
		LBaseMaxBytes:               64 << 20,
		MaxOpenFiles:                1000,
		Logger:                      pebbleLog{o.Log, broken},
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
	// Keys are changed all over, so that merging rewrites nearly everything each time: values stand in files of their own
	// and stay there until two fifths of a file are of no use any more. That halved the work of updating a
	// million users at random; what would be gained on the disk by compressing is not worth the time either.
	opts.Experimental.ValueSeparationPolicy = func() pebble.ValueSeparationPolicy {
		return pebble.ValueSeparationPolicy{
			Enabled: true, MinimumSize: 128, MaxBlobReferenceDepth: 1000,
			RewriteMinimumAge: 10 * time.Second, TargetGarbageRatio: 0.4,
		}
	}
	for i := range opts.Levels {
		opts.Levels[i].Compression = func() *block.CompressionProfile { return block.NoCompression }
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
