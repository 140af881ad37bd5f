package sinks_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/pipeline/replay"
	"github.com/sluicehq/sluice/services/pipeline/replay/replaytest"
	"github.com/sluicehq/sluice/services/pipeline/sinks"
)

var (
	warehouse = sinks.Sink{Name: "warehouse", Kind: "http", Topics: []string{schema.BrazeEngagements}}
	late      = sinks.Sink{Name: "late", Kind: "http", Topics: []string{schema.BrazeEngagements}, Start: "latest"}
)

// filled is a cluster with so many engagements, all of them of one customer.
func filled(t *testing.T, n int) *replaytest.Cluster {
	t.Helper()
	c := replaytest.Start(t)
	for i := range n {
		c.Engagement("cus-1", fmt.Sprintf("e-%d", i))
	}
	return c
}

func commit(t *testing.T, c *replaytest.Cluster, s sinks.Sink, offset int64) {
	t.Helper()
	to := map[int32]int64{0: 0, 1: 0, 2: 0}
	to[replaytest.PartitionOf("cus-1")] = offset
	if err := c.Admin.MoveOffsets(t.Context(), c.Kafka.Group(s.Group()), c.Kafka.Topic(schema.BrazeEngagements), to); err != nil {
		t.Fatal(err)
	}
}

func committed(t *testing.T, c *replaytest.Cluster, s sinks.Sink) int64 {
	t.Helper()
	all, err := c.Admin.Committed(t.Context(), c.Kafka.Group(s.Group()))
	if err != nil {
		t.Fatal(err)
	}
	return all[c.Kafka.Topic(schema.BrazeEngagements)][replaytest.PartitionOf("cus-1")]
}

// work is a member of a sink's group that leaves when the sink is paused, as a replica of currents-fanout does.
func work(t *testing.T, c *replaytest.Cluster, s sinks.Sink, obey bool) {
	t.Helper()
	ctx, leave := context.WithCancel(t.Context())
	joined, ended := make(chan struct{}, 10), make(chan struct{})
	go func() {
		defer close(ended)
		if err := stream.Join(ctx, c.Kafka, stream.Membership{
			Group: c.Kafka.Group(s.Group()), Topic: c.Kafka.Topic(schema.BrazeEngagements),
			Assigned: func([]int32, int32) { joined <- struct{}{} }, Revoked: func([]int32) {},
		}); err != nil {
			t.Errorf("belonging to the group: %v", err)
		}
	}()
	<-joined
	if obey {
		go func() {
			for range time.Tick(20 * time.Millisecond) {
				if said, err := sinks.Pauses(ctx, c.Cluster); err != nil || said[s.Name].Paused {
					leave()
					return
				}
			}
		}()
	}
	t.Cleanup(func() { leave(); <-ended })
}

func TestAListSaysHowFarEachSinkIsAndWhoHasPausedIt(t *testing.T) {
	t.Parallel()
	c := filled(t, 5)
	commit(t, c, warehouse, 3)
	since := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	pause := sinks.Pause{Paused: true, Since: since, By: "mara", Why: "moving house"}
	for name, p := range map[string]sinks.Pause{"warehouse": pause, "gone": {Paused: true, By: "mara"}, "late": {By: "mara"}} {
		if err := sinks.Say(t.Context(), c.Cluster, name, p); err != nil {
			t.Fatal(err)
		}
	}
	list, err := sinks.List(t.Context(), c.Cluster, []sinks.Sink{warehouse, late, {Name: "fresh", Kind: "files", Topics: []string{schema.BrazeEngagements}}})
	if err != nil {
		t.Fatal(err)
	}
	type row struct {
		Name  string
		State sinks.State
		Lag   int64
		By    string
	}
	var got []row
	for _, s := range list {
		r := row{s.Name, s.State, s.Lag, ""}
		if s.Pause != nil {
			r.By = s.Pause.By
		}
		got = append(got, r)
	}
	want := []row{{"warehouse", sinks.Paused, 2, "mara"}, {"late", sinks.Idle, 0, ""}, {"fresh", sinks.Idle, 5, ""}, {"gone", sinks.Unknown, 5, "mara"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(&pause, list[0].Pause); diff != "" {
		t.Errorf("the pause (-want +got):\n%s", diff)
	}
	parts := map[string]int{}
	for _, e := range list[0].Parts {
		parts[c.Ours(e.Topic)]++
	}
	if diff := cmp.Diff(map[string]int{schema.BrazeEngagements: 3, schema.Retries(sinks.Service): 3}, parts); diff != "" {
		t.Errorf("partitions (-want +got):\n%s", diff)
	}
}

func TestASinkIsSetBackWhileNobodyWorksForItAndGoesOn(t *testing.T) {
	t.Parallel()
	c := filled(t, 10)
	commit(t, c, warehouse, 8)
	work(t, c, warehouse, true)
	// The records are a second apart.
	p, err := sinks.Make(t.Context(), c.Cluster, sinks.Order{Sink: warehouse, From: replay.Edge{At: replaytest.Began.Add(3 * time.Second)}, By: "mara"})
	if err != nil {
		t.Fatal(err)
	}
	if p.Records != 5 || committed(t, c, warehouse) != 8 {
		t.Fatalf("the plan is %+v, and moves nothing", p)
	}
	var steps []string
	p.Tell = func(s sinks.Step) { steps = append(steps, string(s)) }
	if err := p.Do(t.Context()); err != nil {
		t.Fatal(err)
	}
	if at := committed(t, c, warehouse); at != 3 {
		t.Errorf("it goes on at %d", at)
	}
	said, err := sinks.Pauses(t.Context(), c.Cluster)
	if err != nil || said["warehouse"].Paused {
		t.Errorf("afterwards %+v, %v", said, err)
	}
	if len(steps) < 4 || !strings.Contains(steps[1], "waiting for the 1 members") {
		t.Errorf("it told %q", steps)
	}
}

func TestAnInterruptedReplaySaysHowToGoOnAndIsTakenUp(t *testing.T) {
	t.Parallel()
	c := filled(t, 10)
	commit(t, c, warehouse, 8)
	work(t, c, warehouse, false) // who does not listen
	order := sinks.Order{Sink: warehouse, From: replay.Edge{ByOffset: true}, By: "mara"}
	p, err := sinks.Make(t.Context(), c.Cluster, order)
	if err != nil {
		t.Fatal(err)
	}
	p.Wait = 500 * time.Millisecond
	if err := p.Do(t.Context()); err == nil || !strings.Contains(err.Error(), "sluice sinks resume warehouse") {
		t.Fatalf("it ends with %v", err)
	}
	again, err := sinks.Make(t.Context(), c.Cluster, order)
	if err != nil || !again.Ours() || again.Records != 8 {
		t.Fatalf("found again: %+v, %v", again, err)
	}
}

func TestASinkThatSomebodyPausedStaysSoAfterAReplay(t *testing.T) {
	t.Parallel()
	c := filled(t, 4)
	commit(t, c, warehouse, 4)
	if err := sinks.Say(t.Context(), c.Cluster, "warehouse", sinks.Pause{Paused: true, By: "mara", Why: "moving house"}); err != nil {
		t.Fatal(err)
	}
	p, err := sinks.Make(t.Context(), c.Cluster, sinks.Order{Sink: warehouse, From: replay.Edge{ByOffset: true}, By: "ada"})
	if err != nil || p.Ours() {
		t.Fatalf("%+v, %v", p, err)
	}
	if err := p.Do(t.Context()); err != nil {
		t.Fatal(err)
	}
	said, err := sinks.Pauses(t.Context(), c.Cluster)
	if err != nil || !said["warehouse"].Paused || said["warehouse"].By != "mara" || committed(t, c, warehouse) != 0 {
		t.Errorf("afterwards %+v at %d, %v", said, committed(t, c, warehouse), err)
	}
}

// TestAPauseThatComesAfterThePlanIsNotOverwritten: between the plan and the order to go on a person has thought about it, and so
// may have another.
func TestAPauseThatComesAfterThePlanIsNotOverwritten(t *testing.T) {
	t.Parallel()
	mara := sinks.Pause{Paused: true, Since: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC), By: "mara", Why: "moving house"}
	order := sinks.Order{Sink: warehouse, From: replay.Edge{ByOffset: true}, By: "ada"}
	paused := func(t *testing.T, c *replaytest.Cluster) sinks.Pause {
		t.Helper()
		said, err := sinks.Pauses(t.Context(), c.Cluster)
		if err != nil {
			t.Fatal(err)
		}
		return said["warehouse"]
	}
	t.Run("before anything is done", func(t *testing.T) {
		t.Parallel()
		c := filled(t, 4)
		commit(t, c, warehouse, 4)
		p, err := sinks.Make(t.Context(), c.Cluster, order)
		if err != nil {
			t.Fatal(err)
		}
		if err := sinks.Say(t.Context(), c.Cluster, "warehouse", mara); err != nil {
			t.Fatal(err)
		}
		if err := p.Do(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(mara, paused(t, c)); diff != "" || committed(t, c, warehouse) != 0 {
			t.Errorf("at %d the pause is (-want +got):\n%s", committed(t, c, warehouse), diff)
		}
	})
	t.Run("while it is being set back", func(t *testing.T) {
		t.Parallel()
		c := filled(t, 4)
		commit(t, c, warehouse, 4)
		p, err := sinks.Make(t.Context(), c.Cluster, order)
		if err != nil {
			t.Fatal(err)
		}
		p.Tell = func(s sinks.Step) {
			if strings.HasPrefix(string(s), "setting ") {
				if err := sinks.Say(t.Context(), c.Cluster, "warehouse", mara); err != nil {
					t.Error(err)
				}
			}
		}
		if err := p.Do(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(mara, paused(t, c)); diff != "" {
			t.Errorf("the pause (-want +got):\n%s", diff)
		}
	})
	t.Run("by another replay", func(t *testing.T) {
		t.Parallel()
		c := filled(t, 4)
		commit(t, c, warehouse, 4)
		p, err := sinks.Make(t.Context(), c.Cluster, order)
		if err != nil {
			t.Fatal(err)
		}
		theirs := sinks.Pause{Paused: true, Since: mara.Since, By: "mara", Why: "sluice replay: it is being set back, and goes on by itself"}
		if err := sinks.Say(t.Context(), c.Cluster, "warehouse", theirs); err != nil {
			t.Fatal(err)
		}
		if err := p.Do(t.Context()); err == nil || !strings.Contains(err.Error(), "is being set back by mara") {
			t.Errorf("the error is %v", err)
		}
		if diff := cmp.Diff(theirs, paused(t, c)); diff != "" || committed(t, c, warehouse) != 4 {
			t.Errorf("at %d the pause is (-want +got):\n%s", committed(t, c, warehouse), diff)
		}
	})
}

func TestARangeThatASinkHasNotComePastMovesNothing(t *testing.T) {
	t.Parallel()
	c := filled(t, 4)
	commit(t, c, warehouse, 2)
	for _, from := range []replay.Edge{{At: replaytest.Began.Add(3 * time.Second)}, {At: time.Now()}} {
		p, err := sinks.Make(t.Context(), c.Cluster, sinks.Order{Sink: warehouse, From: from})
		if err != nil || p.Records != 0 || len(p.Parts) > 0 {
			t.Errorf("from %v: %+v, %v", from, p, err)
		}
	}
	if _, err := sinks.Make(t.Context(), c.Cluster, sinks.Order{Sink: warehouse, From: replay.Edge{ByOffset: true, Offset: 3}}); err == nil {
		t.Error("one offset is taken for all partitions")
	}
	if _, err := sinks.Make(t.Context(), c.Cluster, sinks.Order{Sink: warehouse, Only: schema.BrazeActions, From: replay.Edge{ByOffset: true}}); err == nil {
		t.Error("it is set back on a topic that it does not read")
	}
}
