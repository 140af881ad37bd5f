package replay

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sluicehq/sluice/pkg/stream"
)

// ActiveError says that a group has members, and so cannot be set back.
type ActiveError struct {
	Service string
	Group   string
	Members []stream.Member
}

// Error says what to do.
func (e *ActiveError) Error() string {
	who := map[string]bool{}
	for _, m := range e.Members {
		who[fmt.Sprintf("%s at %s", m.ClientID, strings.TrimPrefix(m.Host, "/"))] = true
	}
	return fmt.Sprintf("the group %s is at work (%s), and Kafka lets nobody move the offsets of a group that is: "+
		"stop every replica of %s (one that was killed counts until its session ends), replay, and start them again; "+
		"or give --copy, which needs no pause", e.Group, strings.Join(slices.Sorted(maps.Keys(who)), ", "), e.Service)
}

// Idle returns an *ActiveError while anybody belongs to the plan's group.
func (p *Plan) Idle(ctx context.Context) error {
	members, err := p.cluster.Admin.Members(ctx, p.Group)
	if err != nil {
		return err
	}
	if len(members) > 0 {
		return &ActiveError{p.Order.Service, p.Group, members}
	}
	return nil
}

// Move sets the group's offsets back to where the stretches begin, without a note: the service then
// delivers everything from there on again, receipts or not. Should a member have joined meanwhile,
// Kafka refuses it.
func (p *Plan) Move(ctx context.Context) error {
	if err := p.Idle(ctx); err != nil {
		return err
	}
	to := map[int32]int64{}
	for _, s := range p.Stretches {
		to[s.Partition] = s.From
	}
	return p.cluster.Admin.MoveOffsets(ctx, p.Group, p.Topic, to)
}
