package deadletters

import (
	"context"
	"fmt"
	"strings"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/pipeline/replay"
)

// suffix is what the topics of dead letters end in.
var suffix = schema.DeadLetters("")

// Services are those that have dead letters.
func Services() []string {
	var names []string
	for _, t := range schema.Tables() {
		if name, ok := strings.CutSuffix(t.Name, suffix); ok {
			names = append(names, name)
		}
	}
	return names
}

// reader reads the dead-letter topics there are.
type reader struct {
	cluster     *replay.Cluster
	decoder     *deadletter.Decoder
	unreadable  []replay.Place // records that are no letters; the first few
	unreadables int
}

func newReader(c *replay.Cluster) *reader {
	return &reader{cluster: c, decoder: deadletter.NewDecoder(c.Schemas)}
}

// someUnreadable is how many records that are no letters are named.
const someUnreadable = 5

// read calls letter with every letter that may fit the filter, and mark with every record that was
// replayed, in the order of each partition.
func (rd *reader) read(ctx context.Context, f Filter, letter func(*Letter) error, mark func(of record)) error {
	existing, err := rd.cluster.Existing(ctx)
	if err != nil {
		return err
	}
	for _, service := range f.services() {
		topic := rd.cluster.Kafka.Topic(schema.DeadLetters(service))
		if existing[topic] == 0 {
			continue
		}
		err := rd.cluster.Read(ctx, stream.Range{Topic: topic, Since: f.Since}, func(r *stream.Record) error {
			if !f.worthDecoding(r) {
				return nil
			}
			l, err := rd.decode(ctx, service, r)
			if l == nil || err != nil {
				return err
			}
			if l.Reason == deadletter.Replayed {
				mark(l.record())
				return nil
			}
			return letter(l)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// decode returns nil for a record that is no letter.
func (rd *reader) decode(ctx context.Context, service string, r *stream.Record) (*Letter, error) {
	l, err := rd.decoder.Decode(ctx, r.Value)
	if _, ok := avro.AsUnreadable(err); ok {
		if rd.unreadables++; len(rd.unreadable) < someUnreadable {
			rd.unreadable = append(rd.unreadable, replay.PlaceOf(r))
		}
		return nil, nil //nolint:nilnil // as the comment says
	}
	if err != nil {
		return nil, err
	}
	return &Letter{Letter: l, ID: replay.PlaceOf(r), At: r.Timestamp, Service: service, Sink: sinkOf(&l)}, nil
}

// Find reads one letter.
func Find(ctx context.Context, c *replay.Cluster, id replay.Place) (*Letter, error) {
	service, ok := strings.CutSuffix(c.Ours(id.Topic), suffix)
	if !ok {
		return nil, fmt.Errorf("%s is no topic of dead letters; there are those of %s", id.Topic, strings.Join(Services(), ", "))
	}
	rd := newReader(c)
	var found *Letter
	r := stream.Range{
		Topic: id.Topic,
		From:  map[int32]int64{id.Partition: id.Offset}, Until: map[int32]int64{id.Partition: id.Offset + 1},
	}
	err := c.Read(ctx, r, func(rec *stream.Record) (err error) {
		if rec.Offset == id.Offset {
			found, err = rd.decode(ctx, service, rec)
		}
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case rd.unreadables > 0:
		return nil, fmt.Errorf("what stands at %s is no dead letter; sluice tap shows it", id)
	case found == nil:
		return nil, fmt.Errorf("there is no dead letter %s (any more)", id)
	}
	return found, nil
}

// ParseID reads the ID of a letter, with or without the prefix of its topic.
func ParseID(text, prefix string) (replay.Place, error) {
	id, err := replay.ParsePlace(text)
	if err != nil {
		return id, fmt.Errorf("%q: want the ID of a dead letter, such as braze-sender.deadletters/3/17", text)
	}
	if !strings.HasPrefix(id.Topic, prefix) {
		id.Topic = prefix + id.Topic
	}
	return id, nil
}
