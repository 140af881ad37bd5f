// Package filesink writes events into files that a warehouse reads: Parquet or Avro, in folders as Hive
// names them, on a disk or in the object store of a cloud.
//
// It takes whole stretches of a partition and not batches, so that a reader that only knows a glob sees
// each event once. Of a stretch there are three kinds of objects, written in this order:
//
//	_stretches/TOPIC-PARTITION-FIRST.json                          where it ends: created only if absent
//	event_type=TYPE/date=DAY/TOPIC-PARTITION-FIRST-N.parquet       its events, by type and day
//	_manifest/TOPIC-PARTITION-FIRST.json                           what was written: all of it is there
//
// A crash between any two of them is mended by the same stretch once more: the intent says where it
// ended, names follow from where it begins, and bytes from its events alone, so that what is there is
// written over with itself. Two processes that own a partition for a moment both create the intent;
// one of them is told that it was overtaken. Where offsets were set back into the middle of what is
// written, neighbour.go keeps the new stretches from overlapping the old ones.
//
// One stretch's way: [Sink.WriteStretch], pieces (which events make which file), claim (the intent),
// encode (row.go and member.go read an event into cells; parquet.go and avro.go write them), conclude.
// FILES.md tells readers of the files what they find.
package filesink

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/rs/zerolog"
	"gocloud.dev/blob"
	_ "gocloud.dev/blob/fileblob" // file://

	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// Sink writes files. It is safe for several goroutines, as long as each partition is one's.
type Sink struct {
	options  Options
	tables   *tables
	encoders chan *encoder
	metrics  *metrics
	log      zerolog.Logger
	swept    func(path string) error // removes what a killed process left beside a file; nil in clouds

	proven atomic.Bool // that the store creates only what is absent was looked at

	mu    sync.Mutex
	lasts map[place]last

	opening sync.Mutex
	open    func(ctx context.Context) (objects, error)
	opened  objects
}

var _ sink.Owner = (*Sink)(nil)

// mostEncoders bounds the memory for encoding: each holds a part of the rows of one file.
const mostEncoders = 4

// errOpening says that there is not even a client: credentials cannot be found, a parameter is unknown.
var errOpening = errors.New("opening the bucket")

// Open makes a Sink. It asks nothing of the store yet, and for credentials only when the first stretch
// comes.
func Open(_ context.Context, o Options, d sink.Deps) (sink.Sink, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	u, err := url.Parse(o.URL)
	if err != nil {
		return nil, fmt.Errorf("reading the bucket's URL: %w", err)
	}
	dir := localDir(u)
	prefix := strings.Trim(o.Prefix, "/")
	if prefix != "" {
		prefix += "/"
	}
	s, err := newSink(o, d, func(ctx context.Context) (objects, error) {
		b, err := blob.OpenBucket(ctx, u.String())
		if err != nil {
			return nil, err
		}
		return &bucket{blobs: b, dir: dir, prefix: prefix, timeout: o.UploadTimeout}, nil
	})
	if err != nil {
		return nil, err
	}
	if dir != "" {
		s.swept = func(path string) error { return sweep(filepath.Join(dir, filepath.FromSlash(prefix+path))) }
	}
	return s, nil
}

// localDir is the folder of a file:// URL, to whose parameters it adds what we need: temporary files
// beside the final ones, since a rename across file systems is none; no files with attributes, which
// readers would find; and the folder itself.
func localDir(u *url.URL) string {
	if u.Scheme != "file" {
		return ""
	}
	q := u.Query()
	q.Set("no_tmp_dir", "true")
	q.Set("metadata", "skip")
	q.Set("create_dir", "true")
	u.RawQuery = q.Encode()
	dir := filepath.FromSlash(u.Path)
	if u.Host == "." {
		dir = strings.TrimPrefix(dir, string(filepath.Separator))
	}
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	return dir
}

func newSink(o Options, d sink.Deps, open func(context.Context) (objects, error)) (*Sink, error) {
	s := &Sink{options: o, log: d.Log, open: open, lasts: map[place]last{}}
	var err error
	if s.metrics, err = newMetrics(d.Metrics); err != nil {
		return nil, fmt.Errorf("registering metrics: %w", err)
	}
	if s.tables, err = newTables(typed); err != nil {
		return nil, err
	}
	n := min(runtime.GOMAXPROCS(0), mostEncoders)
	s.encoders = make(chan *encoder, n)
	for range n {
		e, err := newEncoder(&s.options)
		if err != nil {
			return nil, err
		}
		s.encoders <- e
	}
	return s, nil
}

// objects is the bucket. Where it could not be opened, the next call tries again: credentials may have
// come by then.
func (s *Sink) objects(ctx context.Context) (objects, error) {
	s.opening.Lock()
	defer s.opening.Unlock()
	if s.opened != nil {
		return s.opened, nil
	}
	o, err := s.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errOpening, err)
	}
	s.opened = o
	return o, nil
}

// Write says that a batch without offsets is not how this sink is used: nothing of it is written.
func (s *Sink) Write(context.Context, []*sink.Event) sink.Answer {
	return halt("stretches_only", "files are written by stretches of a partition, not by batches")
}

// Close lets go of connections.
func (s *Sink) Close() error {
	s.opening.Lock()
	defer s.opening.Unlock()
	o := s.opened
	s.opened = nil
	if o == nil {
		return nil
	}
	return o.close()
}
