package stream_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/stream/embedded"
)

// owners notes who has which partition, and whether ever two had the same.
type owners struct {
	mu      sync.Mutex
	changed chan struct{}
	of      map[int32]string
	twice   []int32
}

func (o *owners) membership(c stream.Config, who string) stream.Membership {
	return stream.Membership{
		Group: c.Group("polls"), Topic: c.Topic("work"), Log: zerolog.Nop(),
		Assigned: func(parts []int32, of int32) {
			o.change(func() {
				for _, p := range parts {
					if o.of[p] != "" || p >= of {
						o.twice = append(o.twice, p)
					}
					o.of[p] = who
				}
			})
		},
		Revoked: func(parts []int32) {
			o.change(func() {
				for _, p := range parts {
					delete(o.of, p)
				}
			})
		},
	}
}

func (o *owners) change(f func()) {
	o.mu.Lock()
	f()
	o.mu.Unlock()
	select {
	case o.changed <- struct{}{}:
	default:
	}
}

// await waits until each of the members has a share, and together they have everything.
func (o *owners) await(t *testing.T, partitions int, members ...string) {
	t.Helper()
	timeout := time.After(30 * time.Second)
	for {
		o.mu.Lock()
		var seen []string
		for _, who := range o.of {
			seen = append(seen, who)
		}
		slices.Sort(seen)
		all, now := len(seen) == partitions, slices.Compact(seen)
		o.mu.Unlock()
		if all && slices.Equal(now, members) {
			return
		}
		select {
		case <-o.changed:
		case <-timeout:
			t.Fatalf("%v have the partitions, want %v", now, members)
		}
	}
}

func TestEachPartitionHasExactlyOneMember(t *testing.T) {
	broker, err := embedded.Start(t.Context(), embedded.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = broker.Close() })
	c := stream.Config{Brokers: broker.Brokers(), Compression: "none", ReplicationFactor: -1}
	admin, err := stream.NewAdmin(c)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if err := admin.CreateTopic(t.Context(), c.Topic("work"), 4, nil); err != nil {
		t.Fatal(err)
	}
	o := &owners{changed: make(chan struct{}, 1), of: map[int32]string{}}
	join := func(who string) (leave func()) {
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error, 1)
		go func() { left <- stream.Join(ctx, c, o.membership(c, who)) }()
		return func() {
			cancel()
			if err := <-left; err != nil {
				t.Error(err)
			}
		}
	}
	leaveA := join("a")
	o.await(t, 4, "a")
	leaveB := join("b")
	o.await(t, 4, "a", "b")
	leaveA()
	o.await(t, 4, "b")
	leaveB()
	if len(o.of) > 0 || len(o.twice) > 0 {
		t.Errorf("after everybody left: %v; two had %v", o.of, o.twice)
	}
}
