package deadletters

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/pipeline/replay"
)

// fanout is the service of which every letter is about one of its sinks. Such a letter does not go back to
// its record's topic, where every sink would get it again, but to a topic beside it that names the sink.
const fanout = "currents-fanout"

// writeback is the service whose letters are about one of its targets, where they name one. They go back to the topic that
// they stood on: it is the service's own, and whoever it is not meant for passes over it.
const writeback = "crm-writeback"

// The headers by which those topics say whose a record is, and where it stood.
const (
	sinkHeader   = "sink"
	targetHeader = "target"
	topicHeader  = "origin-topic" // without prefix
)

// sinkOf is the sink, or the target, that gave a record up; empty for a letter of a service that has none.
func sinkOf(l *deadletter.Letter) string {
	return cmp.Or(header(l.Headers, sinkHeader), header(l.Headers, targetHeader))
}

// findOwn looks whether there are the topics of those two: they are no tables, and so none of those that are looked into.
func (p *Plan) findOwn(ctx context.Context) error {
	states, err := p.cluster.Admin.Topics(ctx, nil, p.cluster.Kafka.Topic(schema.Retries(fanout)), p.cluster.Kafka.Topic(schema.Writes(writeback)))
	if err != nil {
		return err
	}
	for _, s := range states {
		if s.Exists {
			p.partitions[s.Name] = s.Partitions
		}
	}
	return nil
}

// group is the consumer group, without prefix, that has come past the record, or not.
func (it *Item) group() string {
	if it.Service == fanout || it.Service == writeback && it.Sink != "" {
		return it.Service + "." + it.Sink
	}
	return it.Service
}

// target is the topic, on the cluster, to which a letter goes back.
func (p *Plan) target(it *Item) string {
	if it.Service == fanout {
		return p.cluster.Kafka.Topic(schema.Retries(fanout))
	}
	return it.OriginTopic
}

// copy is the record that goes back.
func (p *Plan) copy(it *Item) *stream.Record {
	target, headers := p.target(it), it.Headers
	if it.Service == fanout {
		// One that was tried once more already stood on that topic before, and says where it stood first.
		origin := cmp.Or(header(headers, topicHeader), p.cluster.Ours(it.OriginTopic))
		headers = slices.DeleteFunc(slices.Clone(headers), func(h stream.Header) bool { return h.Key == sinkHeader || h.Key == topicHeader })
		headers = append(headers, stream.Header{Key: sinkHeader, Value: []byte(it.Sink)}, stream.Header{Key: topicHeader, Value: []byte(origin)})
	}
	r := replay.Copy(it.Origin, it.Key, it.Value, headers, p.partitions[target])
	r.Topic = target
	return r
}

// markHeaders name the sink in the mark that a letter of a sink leaves behind.
func (it *Item) markHeaders() []stream.Header {
	if it.Sink == "" {
		return nil
	}
	return []stream.Header{{Key: sinkHeader, Value: []byte(it.Sink)}}
}

// header is the value of the last header of that name; empty without one.
func header(headers []stream.Header, name string) string {
	for _, h := range slices.Backward(headers) {
		if strings.EqualFold(h.Key, name) {
			return string(h.Value)
		}
	}
	return ""
}
