package deadletters

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/receipt"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/pipeline/replay"
)

// judgeAlone says what a letter by itself says.
func (p *Plan) judgeAlone(marked map[record]bool) {
	for i := range p.Items {
		it := &p.Items[i]
		switch {
		case it.OriginPartition < 0:
			it.keep(NoTopic, "it came by HTTP to "+it.OriginTopic+" and never stood on a topic: whoever sent it may send it again")
		case p.partitions[p.target(it)] == 0:
			it.keep(NoTopic, "there is no topic "+p.target(it))
		case it.Service == fanout && it.Sink == "":
			it.keep(NoTopic, "it does not say which sink gave it up")
		case it.Incomplete():
			it.keep(Incomplete, "it was too large to be kept whole; sluice replay sends it from its topic while it is there")
		case marked[it.record()]:
			it.keep(Replayed, "a mark among the dead letters says so")
		}
	}
}

// judgeDifferences keeps back what attribute-sync has made of profiles: it was right when it was made, and may
// put an old value over a newer one now. attribute-sync has forgotten what was refused, and tells Braze again
// when a source says it again. A trigger is an event like any other.
func (p *Plan) judgeDifferences(ctx context.Context) error {
	decoder := avro.NewUpdateDecoder(p.cluster.Schemas)
	for _, it := range p.open()[p.cluster.Kafka.Topic(schema.BrazeAttributes)] {
		var u event.Update
		_, err := decoder.Decode(ctx, it.Value, &u)
		if _, unreadable := avro.AsUnreadable(err); err != nil && !unreadable {
			return err
		}
		if u.Attributes != nil {
			it.keep(Outdated, "profiles have moved on; replay the records that it came from (sluice trace names them), or wait until a source says it again")
		}
	}
	return nil
}

func (it *Item) keep(v Verdict, why string) { it.Verdict, it.Why = v, why }

// partitionsOf is where copies and receipts of a letter's record may stand: in its own partition, and
// where its key belongs.
func (p *Plan) partitionsOf(it *Item) []int32 {
	n := p.partitions[p.target(it)]
	return []int32{it.OriginPartition, stream.PartitionOf(it.Key, n)}
}

// open groups the letters that are to go back by the topic of their record.
func (p *Plan) open() map[string][]*Item {
	return p.openBy(func(it *Item) string { return it.OriginTopic })
}

func (p *Plan) openBy(topic func(*Item) string) map[string][]*Item {
	topics := map[string][]*Item{}
	for i := range p.Items {
		if it := &p.Items[i]; it.Verdict == Replay {
			topics[topic(it)] = append(topics[topic(it)], it)
		}
	}
	return topics
}

// judgeByCommits keeps back what its service may come to by itself: it died between the letter and the
// commit, or somebody has set its offset back. What is just being settled is told apart from that a
// moment later.
func (p *Plan) judgeByCommits(ctx context.Context) error {
	committed := map[string]map[string]map[int32]int64{}
	for topic, items := range p.open() {
		for _, it := range items {
			group := it.group()
			if committed[group] == nil {
				offsets, err := p.cluster.Admin.Committed(ctx, p.cluster.Kafka.Group(group))
				if err != nil {
					return err
				}
				committed[group] = offsets
			}
			if commit, ok := committed[group][topic][it.OriginPartition]; ok && it.OriginOffset >= commit {
				it.keep(Held, group+" has not committed past it, and may come to it again")
			}
		}
	}
	return nil
}

// judgeByCopies looks on the topics for what has gone back before.
func (p *Plan) judgeByCopies(ctx context.Context) error {
	for topic, items := range p.openBy(p.target) {
		numbers, places := map[int32]bool{}, map[replay.Place][]*Item{}
		var since time.Time
		for _, it := range items {
			for _, n := range p.partitionsOf(it) {
				numbers[n] = true
			}
			places[it.Origin] = append(places[it.Origin], it)
			since = earliest(since, it.At)
		}
		err := p.cluster.Copies(ctx, topic, numbers, replay.Before(since, replay.Ahead), func(of replay.Place, r *stream.Record) {
			for _, it := range places[of] {
				if it.Sink == "" || it.Sink == header(r.Headers, sinkHeader) {
					it.keep(Replayed, "as "+replay.PlaceOf(r).String())
				}
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// same is an event of one customer on one topic.
type same struct{ topic, key, id, sink string }

func (it *Item) event() same { return same{it.OriginTopic, string(it.Key), it.EventID, it.Sink} }

// judgeByReceipts looks for what has arrived, under the letter's place or under another with its id.
func (p *Plan) judgeByReceipts(ctx context.Context) error {
	services := map[string][]*Item{}
	for _, items := range p.open() {
		for _, it := range items {
			if it.Service != fanout { // what its sinks have taken is in no receipt
				services[it.Service] = append(services[it.Service], it)
			}
		}
	}
	for service, items := range services {
		numbers, places, events := map[int32]bool{}, map[replay.Place][]*Item{}, map[same][]*Item{}
		var since time.Time
		for _, it := range items {
			for _, n := range p.partitionsOf(it) {
				numbers[n] = true
			}
			places[it.Origin] = append(places[it.Origin], it)
			if it.EventID != "" {
				events[it.event()] = append(events[it.event()], it)
			}
			since = earliest(since, it.AppendedAt)
		}
		err := p.cluster.Receipts(ctx, service, numbers, replay.Before(since, replay.SameID+replay.Ahead), func(slip *receipt.Receipt) error {
			if slip.Outcome.Kind != outcome.Delivered {
				return nil
			}
			at := replay.Place{Topic: slip.Topic, Partition: slip.Partition, Offset: slip.Offset}
			for _, it := range places[at] {
				it.keep(Delivered, "its receipt says so")
			}
			for _, it := range events[same{topic: slip.Topic, key: slip.UserID, id: slip.EventID}] {
				if it.Verdict == Replay {
					it.keep(Delivered, "as "+at.String()+", which has the same id")
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// judgeTogether keeps back what would go twice: two letters about one record (a service that dies
// between a letter and its receipt leaves two), or two records with one id.
func (p *Plan) judgeTogether() {
	places, events := map[record]*Item{}, map[same]*Item{}
	for i := range p.Items {
		it := &p.Items[i]
		if it.Verdict != Replay {
			continue
		}
		if first := places[it.record()]; first != nil {
			it.keep(Repeated, "the same record as "+first.ID.String())
			continue
		}
		if first := events[it.event()]; first != nil && it.EventID != "" {
			it.keep(Repeated, "the same event as "+first.ID.String())
			continue
		}
		places[it.record()], events[it.event()] = it, it
	}
}
