package sinks

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/services/pipeline/replay"
)

// State is what a sink is doing.
type State string

// The states.
const (
	Running  State = "running"   // somebody works for it
	Paused   State = "paused"    // somebody has said so, and nobody works for it
	Stopping State = "pausing"   // somebody has said so, and somebody works for it still
	Idle     State = "no member" // it is to run, and no replica of currents-fanout works for it
	Unknown  State = "unknown"   // it is paused or was, and no configuration here names it
)

// Status is how far a sink is.
type Status struct {
	Name    string   `json:"name"`
	Kind    string   `json:"kind,omitempty"`
	State   State    `json:"state"`
	Members int      `json:"members"`
	Lag     int64    `json:"lag"` // records that it has yet to settle
	Pause   *Pause   `json:"pause,omitempty"`
	Parts   []Extent `json:"partitions"`
}

// Extent is how far a sink is in one partition.
type Extent struct {
	Topic     string `json:"topic"` // on the cluster
	Partition int32  `json:"partition"`
	Committed int64  `json:"committed"` // -1 when it has committed nothing
	End       int64  `json:"end"`
	Lag       int64  `json:"lag"`
}

// List looks at every sink that is configured, and at those that somebody has said something of, which
// includes one that is gone from the file.
func List(ctx context.Context, c *replay.Cluster, configured []Sink) ([]Status, error) {
	said, err := Pauses(ctx, c)
	if err != nil {
		return nil, err
	}
	all := slices.Clone(configured)
	for _, name := range slices.Sorted(maps.Keys(said)) {
		if said[name].Paused && !slices.ContainsFunc(all, func(s Sink) bool { return s.Name == name }) {
			all = append(all, Sink{Name: name})
		}
	}
	list := make([]Status, 0, len(all))
	for _, s := range all {
		status, err := look(ctx, c, s, said[s.Name])
		if err != nil {
			return nil, fmt.Errorf("looking at the sink %s: %w", s.Name, err)
		}
		list = append(list, status)
	}
	return list, nil
}

func look(ctx context.Context, c *replay.Cluster, s Sink, p Pause) (Status, error) {
	status := Status{Name: s.Name, Kind: s.Kind, Parts: []Extent{}}
	group := c.Kafka.Group(s.Group())
	members, err := c.Admin.Members(ctx, group)
	if err != nil {
		return status, err
	}
	status.Members = len(members)
	committed, err := c.Admin.Committed(ctx, group)
	if err != nil {
		return status, err
	}
	for _, name := range append(slices.Clone(s.topics()), schema.Retries(Service)) {
		parts, err := extents(ctx, c, c.Kafka.Topic(name), committed, s.Start == "latest")
		if err != nil {
			return status, err
		}
		status.Parts = append(status.Parts, parts...)
	}
	for _, e := range status.Parts {
		status.Lag += e.Lag
	}
	if p.Paused {
		status.Pause = &p
	}
	switch {
	case s.Kind == "":
		status.State = Unknown
	case p.Paused && status.Members > 0:
		status.State = Stopping
	case p.Paused:
		status.State = Paused
	case status.Members > 0:
		status.State = Running
	default:
		status.State = Idle
	}
	return status, nil
}

// extents are the partitions of a topic; none where there is no such topic.
func extents(ctx context.Context, c *replay.Cluster, topic string, committed map[string]map[int32]int64, latest bool) ([]Extent, error) {
	states, err := c.Admin.Topics(ctx, nil, topic)
	if err != nil {
		return nil, err
	}
	if len(states) == 0 || !states[0].Exists {
		return nil, nil
	}
	held, err := c.Admin.Extents(ctx, topic)
	if err != nil {
		return nil, err
	}
	var parts []Extent
	for _, n := range slices.Sorted(maps.Keys(held)) {
		e := Extent{Topic: topic, Partition: n, Committed: -1, End: held[n].End}
		at, has := committed[topic][n]
		switch {
		case has:
			e.Committed = at
			e.Lag = max(0, e.End-max(at, held[n].First))
		case !latest:
			e.Lag = e.End - held[n].First
		}
		parts = append(parts, e)
	}
	return parts, nil
}
