package deadletters

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/receipt"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/pipeline/replay"
)

// Verdict is what happens to a letter.
type Verdict string

// The verdicts. All but Replay keep the letter where it is.
const (
	Replay     Verdict = "replay"     // it goes back to its topic
	Delivered  Verdict = "delivered"  // the destination has it: under its place, or another with its id
	Replayed   Verdict = "replayed"   // it went back before
	Repeated   Verdict = "repeated"   // another of the letters chosen has the same record, or the same event
	NoTopic    Verdict = "no_topic"   // it came by HTTP, or its topic is gone
	Incomplete Verdict = "incomplete" // a part of it was left at its origin
)

// Item is a letter with its verdict.
type Item struct {
	*Letter `json:"-"`
	ID      replay.Place `json:"id"`
	Origin  replay.Place `json:"origin"`
	Verdict Verdict      `json:"verdict"`
	Why     string       `json:"why,omitempty"` // words for a person
}

// Plan is what would happen. Making it moves nothing.
type Plan struct {
	Items []Item `json:"letters"` // those chosen, in the order of their origins
	// Replay is how many go back, Users of how many customers.
	Replay int `json:"replay"`
	Users  int `json:"users"`
	// What a person should know before: of those that go back, how many
	InDoubt    int `json:"in_doubt"`   // Braze may have: the request was sent and never answered
	Halves     int `json:"halves"`     // were taken in part: of a record's attributes and event one was refused
	Attributes int `json:"attributes"` // set attributes: values that were set since are overwritten
	Unreadable int `json:"unreadable"` // were refused for what they are, and will be again unless the service has changed
	Old        int `json:"old"`        // are older than receipts are kept: nobody can say whether another with their id was delivered

	cluster    *replay.Cluster
	partitions map[string]int32
}

// maxHeld bounds the bytes of the letters that are chosen: they are held until they are sent.
const maxHeld = 256 << 20

// hopeless are the reasons that lie in a record's own bytes.
var hopeless = []string{"not_avro", "unknown_schema", "incompatible_schema", "undecodable", "tombstone", "no_user", "key_mismatch"}

// Make chooses letters and finds out what may be done with each.
func Make(ctx context.Context, c *replay.Cluster, f Filter) (*Plan, error) {
	p := &Plan{cluster: c, Items: []Item{}}
	var err error
	if p.partitions, err = c.Existing(ctx); err != nil {
		return nil, err
	}
	marked := map[replay.Place]bool{}
	held := 0
	err = newReader(c).read(ctx, f, func(l *Letter) error {
		if !f.fits(l) {
			return nil
		}
		if held += len(l.Value) + len(l.Key) + 200; held > maxHeld {
			return fmt.Errorf("the letters chosen take more than %d MiB: choose fewer, with --reason, --match, --since or --until", maxHeld>>20)
		}
		p.Items = append(p.Items, Item{Letter: l, ID: l.ID, Origin: l.Origin(), Verdict: Replay})
		return nil
	}, func(of replay.Place) { marked[of] = true })
	if err != nil {
		return nil, err
	}
	for _, id := range f.IDs {
		if !slices.ContainsFunc(p.Items, func(it Item) bool { return it.ID == id }) {
			return nil, fmt.Errorf("there is no dead letter %s (any more) that fits", id)
		}
	}
	slices.SortStableFunc(p.Items, func(a, b Item) int { return a.Origin.Compare(b.Origin) })
	p.judgeAlone(marked)
	if err := p.judgeByCopies(ctx); err != nil {
		return nil, err
	}
	if err := p.judgeByReceipts(ctx); err != nil {
		return nil, err
	}
	p.judgeTogether()
	return p, p.warn(ctx)
}

// judgeAlone says what a letter by itself says.
func (p *Plan) judgeAlone(marked map[replay.Place]bool) {
	for i := range p.Items {
		it := &p.Items[i]
		switch {
		case it.OriginPartition < 0:
			it.keep(NoTopic, "it came by HTTP to "+it.OriginTopic+" and never stood on a topic: whoever sent it may send it again")
		case p.partitions[it.OriginTopic] == 0:
			it.keep(NoTopic, "there is no topic "+it.OriginTopic)
		case it.Incomplete():
			it.keep(Incomplete, "it was too large to be kept whole; sluice replay sends it from its topic while it is there")
		case marked[it.Origin]:
			it.keep(Replayed, "a mark among the dead letters says so")
		}
	}
}

func (it *Item) keep(v Verdict, why string) { it.Verdict, it.Why = v, why }

// partitionsOf is where copies and receipts of a letter's record may stand: in its own partition, and
// where its key belongs.
func (p *Plan) partitionsOf(it *Item) []int32 {
	n := p.partitions[it.OriginTopic]
	return []int32{it.OriginPartition, stream.PartitionOf(it.Key, n)}
}

// open groups the letters that are to go back by their topic.
func (p *Plan) open() map[string][]*Item {
	topics := map[string][]*Item{}
	for i := range p.Items {
		if it := &p.Items[i]; it.Verdict == Replay {
			topics[it.OriginTopic] = append(topics[it.OriginTopic], it)
		}
	}
	return topics
}

// judgeByCopies looks on the topics for what has gone back before.
func (p *Plan) judgeByCopies(ctx context.Context) error {
	for topic, items := range p.open() {
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
				it.keep(Replayed, "as "+replay.PlaceOf(r).String())
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
type same struct{ topic, key, id string }

func (it *Item) event() same { return same{it.OriginTopic, string(it.Key), it.EventID} }

// judgeByReceipts looks for what has arrived, under the letter's place or under another with its id.
func (p *Plan) judgeByReceipts(ctx context.Context) error {
	services := map[string][]*Item{}
	for _, items := range p.open() {
		for _, it := range items {
			services[it.Service] = append(services[it.Service], it)
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
			for _, it := range events[same{slip.Topic, slip.UserID, slip.EventID}] {
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
	places, events := map[replay.Place]*Item{}, map[same]*Item{}
	for i := range p.Items {
		it := &p.Items[i]
		if it.Verdict != Replay {
			continue
		}
		if first := places[it.Origin]; first != nil {
			it.keep(Repeated, "the same record as "+first.ID.String())
			continue
		}
		if first := events[it.event()]; first != nil && it.EventID != "" {
			it.keep(Repeated, "the same event as "+first.ID.String())
			continue
		}
		places[it.Origin], events[it.event()] = it, it
	}
}

// warn counts what a person should know about those that go back.
func (p *Plan) warn(ctx context.Context) error {
	decoder := avro.NewEventDecoder(p.cluster.Schemas)
	users := map[string]bool{}
	receipts, _ := schema.Find(schema.BrazeDeliveries)
	for i := range p.Items {
		it := &p.Items[i]
		if it.Verdict != Replay {
			continue
		}
		p.Replay++
		users[string(it.Key)] = true
		switch {
		case it.Reason == "in_doubt":
			p.InDoubt++
		case slices.Contains(hopeless, it.Reason):
			p.Unreadable++
		}
		if time.Since(it.AppendedAt) > receipts.Retention {
			p.Old++
		}
		if p.cluster.Ours(it.OriginTopic) != schema.CustomerEvents {
			continue
		}
		var e event.Event
		if _, err := decoder.Decode(ctx, it.Value, &e); err != nil {
			if _, ok := avro.AsUnreadable(err); ok {
				continue
			}
			return fmt.Errorf("decoding the record of %s: %w", it.ID, err)
		}
		if len(e.Attributes) > 0 {
			p.Attributes++
			if it.Reason == "item_error" && (strings.Contains(it.Detail, "attributes: ") != strings.Contains(it.Detail, "events: ")) {
				p.Halves++
			}
		}
	}
	p.Users = len(users)
	return nil
}

// ErrEverything is returned for a filter that means every letter there is, without having been told so.
var ErrEverything = errors.New("say which letters: by --service, --reason, --match, --since, --until, by their IDs, or --all")
