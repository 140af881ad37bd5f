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
	"github.com/sluicehq/sluice/pkg/schema"
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
	Held       Verdict = "held"       // its service has not committed past the record, and may come to it again
	NoTopic    Verdict = "no_topic"   // it came by HTTP, or its topic is gone
	Incomplete Verdict = "incomplete" // a part of it was left at its origin
	Outdated   Verdict = "outdated"   // it is the difference between what Braze had then and what it was to have
)

// Item is a letter with its verdict.
type Item struct {
	*Letter `json:"-"`
	ID      replay.Place `json:"id"`
	Origin  replay.Place `json:"origin"`
	Sink    string       `json:"sink,omitempty"` // of currents-fanout, to which it goes back, or target of crm-writeback
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
	if err := p.findOwn(ctx); err != nil {
		return nil, err
	}
	marked := map[record]bool{}
	held := 0
	err = newReader(c).read(ctx, f, func(l *Letter) error {
		if !f.fits(l) {
			return nil
		}
		if held += len(l.Value) + len(l.Key) + 200; held > maxHeld {
			return fmt.Errorf("the letters chosen take more than %d MiB: choose fewer, with --reason, --match, --since or --until", maxHeld>>20)
		}
		p.Items = append(p.Items, Item{Letter: l, ID: l.ID, Origin: l.Origin(), Sink: l.Sink, Verdict: Replay})
		return nil
	}, func(of record) { marked[of] = true })
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
	if err := p.judgeDifferences(ctx); err != nil {
		return nil, err
	}
	if err := p.judgeByCommits(ctx); err != nil {
		return nil, err
	}
	if err := p.judgeByCopies(ctx); err != nil {
		return nil, err
	}
	if err := p.judgeByReceipts(ctx); err != nil {
		return nil, err
	}
	p.judgeTogether()
	return p, p.warn(ctx)
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
		if it.Service != fanout && time.Since(it.AppendedAt) > receipts.Retention {
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
