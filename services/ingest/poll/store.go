package poll

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/stream"
)

// store keeps checkpoints.
type store interface {
	// load reads what the last owner has left into state, and into known unless that is nil.
	load(ctx context.Context, source string, state *checkpoint, known *known) error
	// save returns once the parts of known that have changed, and the checkpoint, are durable.
	save(ctx context.Context, source string, state *checkpoint, parts map[int][]byte) error
}

// topicStore keeps them on a compacted topic: under the source's name, and its parts beside it.
type topicStore struct {
	kafka    stream.Config
	topic    string // on the cluster
	producer *stream.Producer
	number   int32 // of the partition
	log      zerolog.Logger
}

func (s *topicStore) save(ctx context.Context, source string, state *checkpoint, parts map[int][]byte) error {
	text, err := state.encode()
	if err != nil {
		return err
	}
	var records []*stream.Record
	for n, part := range parts {
		records = append(records, &stream.Record{Topic: s.topic, Partition: s.number, Key: []byte(partKey(source, n)), Value: part})
	}
	// The parts first: what a checkpoint says has been read they must know.
	if len(records) > 0 {
		if err := s.producer.ProduceAll(ctx, records...); err != nil {
			return fmt.Errorf("writing known items: %w", err)
		}
	}
	if err := s.producer.ProduceAll(ctx, &stream.Record{Topic: s.topic, Partition: s.number, Key: []byte(source), Value: text}); err != nil {
		return fmt.Errorf("writing the checkpoint: %w", err)
	}
	return nil
}

// load reads the partition to its end.
func (s *topicStore) load(ctx context.Context, source string, state *checkpoint, known *known) error {
	l := loading{source: source, state: state, known: known}
	*state = checkpoint{}
	err := stream.Read(ctx, s.kafka, stream.Range{Topic: s.topic, From: map[int32]int64{s.number: 0}}, func(r *stream.Record) error {
		if err := l.take(r.Key, r.Value); err != nil {
			s.log.Error().Err(err).Int64("offset", r.Offset).Msg("passing over a checkpoint that cannot be read: what it says is read again")
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading checkpoints: %w", err)
	}
	return nil
}

// loading takes in the records of a partition, in their order.
type loading struct {
	source string
	state  *checkpoint
	known  *known
	epochs [parts]int64
}

func (l *loading) take(key, value []byte) error {
	name, number, isPart := strings.Cut(string(key), "/known/")
	if name != l.source || value == nil {
		return nil
	}
	if !isPart {
		c, err := decodeCheckpoint(value)
		if err == nil && c.Epoch >= l.state.Epoch { // else whoever wrote it was the owner no more
			*l.state = c
		}
		return err
	}
	if l.known == nil {
		return nil
	}
	n, err := strconv.Atoi(number)
	if err != nil || n < 0 || n >= parts {
		return errCheckpoint
	}
	var p part
	if err := json.Unmarshal(value, &p); err != nil {
		return fmt.Errorf("decoding known items: %w", err)
	}
	if p.Epoch >= l.epochs[n] {
		l.epochs[n] = p.Epoch
		l.known.load(n, p)
	}
	return nil
}
