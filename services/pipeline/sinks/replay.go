package sinks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/pipeline/replay"
)

// Order is what an operator wants a sink to have once more.
type Order struct {
	Sink Sink
	From replay.Edge
	Only string // topic without prefix; all that the sink reads when empty
	By   string // who wants it
}

// Plan is what would happen. Making it moves nothing.
type Plan struct {
	Order   Order           `json:"-"`
	Sink    string          `json:"sink"`
	Group   string          `json:"group"` // on the cluster
	Records int64           `json:"records"`
	Parts   []Move          `json:"partitions"`
	Pause   *Pause          `json:"paused,omitempty"` // as it was found; Do looks again
	Wait    time.Duration   `json:"-"`                // for the group to be empty; 2 minutes when 0
	Tell    func(step Step) `json:"-"`                // of each step; nil for nobody

	cluster *replay.Cluster
}

// Move is how far a partition is set back.
type Move struct {
	Topic     string `json:"topic"` // on the cluster
	Partition int32  `json:"partition"`
	Committed int64  `json:"committed"`
	From      int64  `json:"from"`
}

// Step is a word about how far it has come.
type Step string

// replaying begins the reason of a pause that a replay has made: by it one that was interrupted is known.
const replaying = "sluice replay"

// Make finds out what an order means: the records of each partition from there on, up to what the sink has
// committed. Those behind that it gets anyway.
func Make(ctx context.Context, c *replay.Cluster, o Order) (*Plan, error) {
	p := &Plan{Order: o, Sink: o.Sink.Name, Group: c.Kafka.Group(o.Sink.Group()), Parts: []Move{}, cluster: c}
	said, err := Pauses(ctx, c)
	if err != nil {
		return nil, err
	}
	if s := said[o.Sink.Name]; s.Paused {
		p.Pause = &s
	}
	switch {
	case o.Only != "" && !slices.Contains(o.Sink.topics(), o.Only):
		return nil, fmt.Errorf("the sink %s does not read %s", o.Sink.Name, o.Only)
	case o.From.ByOffset && o.From.Offset > 0:
		return nil, errors.New("one offset stands for other records in each partition: give a time, or start")
	}
	return p, p.look(ctx)
}

// look finds the partitions that are to be set back, as far as the sink has come by now.
func (p *Plan) look(ctx context.Context) error {
	committed, err := p.cluster.Admin.Committed(ctx, p.Group)
	if err != nil {
		return err
	}
	p.Parts, p.Records = []Move{}, 0
	for _, name := range p.Order.Sink.topics() {
		if p.Order.Only != "" && p.Order.Only != name {
			continue
		}
		if err := p.add(ctx, p.cluster.Kafka.Topic(name), committed); err != nil {
			return err
		}
	}
	return nil
}

// add plans for one topic.
func (p *Plan) add(ctx context.Context, topic string, committed map[string]map[int32]int64) error {
	if committed[topic] == nil {
		return nil // what it has not begun to read it will get as it is
	}
	c := p.cluster
	extents, err := c.Admin.Extents(ctx, topic)
	if err != nil {
		return err
	}
	from := map[int32]int64{}
	if !p.Order.From.ByOffset {
		if from, err = c.Admin.OffsetsAt(ctx, topic, p.Order.From.At); err != nil {
			return err
		}
	}
	for n := range int32(len(extents)) { //nolint:gosec // a topic has no billions of partitions
		at, has := committed[topic][n]
		if to := max(from[n], extents[n].First); has && to < at {
			p.Parts = append(p.Parts, Move{topic, n, at, to})
			p.Records += at - to
		}
	}
	return nil
}

// Ours reports whether the pause that was found is that of a replay which the same person began and which did not come to
// its end.
func (p *Plan) Ours() bool {
	return p.Pause != nil && replays(*p.Pause) && p.Pause.By == p.Order.By
}

// replays reports whether a pause was made by a replay.
func replays(s Pause) bool { return s.Paused && strings.HasPrefix(s.Why, replaying) }

// Do pauses the sink, waits until nobody works for it, sets it back, and lets it go on. A sink that somebody else has
// paused, before or meanwhile, stays so; one that somebody else is setting back is left alone. Interrupted, it leaves
// the sink paused, and a second Do takes it up: offsets that were moved are where they ought to be, and the pause is
// known for its own.
func (p *Plan) Do(ctx context.Context) error {
	c, name := p.cluster, p.Sink
	if err := p.pause(ctx); err != nil {
		return err
	}
	if err := p.move(ctx); err != nil {
		return fmt.Errorf("%w\nThe sink %s is paused. Give the same command again to go on, or sluice sinks resume %s to leave it as it is", err, name, name)
	}
	said, err := Pauses(ctx, c)
	if err != nil {
		return fmt.Errorf("%w\nThe sink %s is set back and paused: sluice sinks resume %s lets it go on", err, name, name)
	}
	switch now := said[name]; {
	case !now.Paused:
		p.tell("%s goes on: %s has let it", name, now.By)
		return nil
	case !replays(now) || now.By != p.Order.By:
		p.tell("%s stays paused, as %s has left it; sluice sinks resume %s lets it go on", name, now.By, name)
		return nil
	}
	if err := Say(ctx, c, name, Pause{Since: time.Now().UTC(), By: p.Order.By, Why: replaying + ": done"}); err != nil {
		return fmt.Errorf("%w\nThe sink %s is set back and paused: sluice sinks resume %s lets it go on", err, name, name)
	}
	p.tell("%s goes on", name)
	return nil
}

// pause has the sink paused, unless somebody has done so since the plan was made: what a colleague says is not to be
// overwritten, for nobody would know afterwards that the sink was to stand still.
func (p *Plan) pause(ctx context.Context) error {
	said, err := Pauses(ctx, p.cluster)
	if err != nil {
		return err
	}
	p.Pause = nil
	if now := said[p.Sink]; now.Paused {
		p.Pause = &now
	}
	switch {
	case p.Pause == nil:
	case replays(*p.Pause) && !p.Ours():
		return fmt.Errorf("%s is being set back by %s, or was when that was interrupted: sluice sinks resume %s ends that", p.Sink, p.Pause.By, p.Sink)
	default:
		return nil
	}
	p.tell("pausing %s", p.Sink)
	why := replaying + ": it is being set back, and goes on by itself"
	return Say(ctx, p.cluster, p.Sink, Pause{Paused: true, Since: time.Now().UTC(), By: p.Order.By, Why: why})
}

// move sets the group back once it is empty: Kafka lets nobody do that before.
func (p *Plan) move(ctx context.Context) error {
	if err := p.empty(ctx); err != nil {
		return err
	}
	if err := p.look(ctx); err != nil { // it has come further since the plan was made
		return err
	}
	topics := map[string]map[int32]int64{}
	for _, m := range p.Parts {
		if topics[m.Topic] == nil {
			topics[m.Topic] = map[int32]int64{}
		}
		topics[m.Topic][m.Partition] = m.From
	}
	for topic, to := range topics {
		p.tell("setting %s back on %s", p.Group, topic)
		if err := p.cluster.Admin.MoveOffsets(ctx, p.Group, topic, to); err != nil {
			return fmt.Errorf("setting %s back on %s: %w", p.Group, topic, err)
		}
	}
	return nil
}

// empty waits until the group has no members.
func (p *Plan) empty(ctx context.Context) error {
	wait := p.Wait
	if wait <= 0 {
		wait = 2 * time.Minute
	}
	limit := time.NewTimer(wait)
	defer limit.Stop()
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	told := 0
	for {
		members, err := p.cluster.Admin.Members(ctx, p.Group)
		if err != nil && !stream.Passing(err) {
			return err
		}
		if err == nil && len(members) == 0 {
			return nil
		}
		if err == nil && len(members) != told {
			told = len(members)
			p.tell("waiting for the %d members of %s to leave", told, p.Group)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-limit.C:
			return fmt.Errorf("the group %s still has %d members after %v: is a replica of currents-fanout of another version at work, or one that was killed a moment ago?", p.Group, len(members), wait)
		case <-tick.C:
		}
	}
}

func (p *Plan) tell(format string, args ...any) {
	if p.Tell != nil {
		p.Tell(Step(fmt.Sprintf(format, args...)))
	}
}
