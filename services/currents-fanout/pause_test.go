package currentsfanout_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	currentsfanout "github.com/sluicehq/sluice/services/currents-fanout"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

func TestAPausedSinkLeavesItsGroupAndCanBeSentBack(t *testing.T) {
	t.Parallel()
	s := newScene(t, "sinks: [{name: one, kind: fake, "+quick+"}]", "one")
	s.pause("one", true)
	records, ids, _ := s.clicks(60, 5)
	s.produce(records...)
	r := s.start()
	r.await("the pause", func() bool { is := r.stats("one"); return is.State == "paused" && is.Said == "test: to see" })
	if got := s.ends["one"].ids(); len(got) > 0 {
		t.Errorf("a sink that was paused before the start got %v", got)
	}
	s.pause("one", false)
	r.await("all of it", func() bool { return len(s.ends["one"].ids()) == len(ids) })
	s.pause("one", true)
	admin, err := stream.NewAdmin(s.config.Kafka)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	group := s.config.Kafka.Group(currentsfanout.Group("one"))
	r.await("the group to be left", func() bool {
		members, err := admin.Members(t.Context(), group)
		return err == nil && len(members) == 0
	})
	to := map[int32]int64{}
	for n := range int32(partitions) {
		to[n] = 0
	}
	if err := admin.MoveOffsets(t.Context(), group, s.config.Kafka.Topic(schema.BrazeEngagements), to); err != nil {
		t.Fatal(err)
	}
	s.pause("one", false)
	r.await("all of it once more", func() bool { return len(s.ends["one"].ids()) == 2*len(ids) })
	for id, n := range s.ends["one"].times() {
		if n != 2 {
			t.Errorf("%s came %d times", id, n)
		}
	}
}

func TestASinkThatBeginsLatestSeesWhatComesAfter(t *testing.T) {
	t.Parallel()
	s := newScene(t, "sinks: [{name: new, kind: fake, start: latest, "+quick+"}]", "new")
	s.produce(s.engagement("old", "u1", "users.messages.email.Click"))
	r := s.start()
	r.await("the partitions", func() bool { return r.stats("new").Partitions == 2*partitions })
	s.produce(s.engagement("young", "u1", "users.messages.email.Click"))
	r.await("what came after", func() bool { return len(s.ends["new"].ids()) > 0 })
	if got := s.ends["new"].ids(); !slices.Equal(got, []string{"young"}) {
		t.Errorf("the sink got %v", got)
	}
}

// TestAStopInTheMiddleSendsNothingTwice: what was handed over out of order is made whole before the partitions go.
func TestAStopInTheMiddleSendsNothingTwice(t *testing.T) {
	t.Parallel()
	s := newScene(t, "sinks: [{name: one, kind: fake, concurrency: 5, batch: {events: 20, linger: 10ms}}]", "one")
	records, ids, byUser := s.clicks(2000, 40)
	s.produce(records...)
	s.ends["one"].answer(func(_ context.Context, call int, _ []*sink.Event) sink.Answer {
		<-time.After(time.Duration(call%7) * time.Millisecond) // lanes run apart
		return sink.Delivered()
	})
	r := s.start()
	for len(s.ends["one"].ids()) < len(ids) {
		want := min(len(s.ends["one"].ids())+300, len(ids))
		r.await("some more", func() bool { return len(s.ends["one"].ids()) >= want })
		r.stop()
		r.holds("one")
		r = s.start()
	}
	if diff := cmp.Diff(ids, sorted(s.ends["one"].ids())); diff != "" {
		t.Errorf("not each event once:\n%s", diff)
	}
	if diff := cmp.Diff(byUser, s.ends["one"].byKey()); diff != "" {
		t.Error(diff)
	}
}

// TestABatchThatIsCutOffComesAgain: a far end that does not answer while the service stops.
func TestABatchThatIsCutOffComesAgain(t *testing.T) {
	t.Parallel()
	s := newScene(t, "sinks: [{name: one, kind: fake, "+quick+"}]", "one")
	s.config.Fanout.Drain = 50 * time.Millisecond
	asked := make(chan struct{}, 100)
	s.ends["one"].answer(func(ctx context.Context, _ int, _ []*sink.Event) sink.Answer {
		asked <- struct{}{}
		<-ctx.Done()
		return sink.Deferred("timeout", "", 0)
	})
	records, ids, byUser := s.clicks(200, 9)
	s.produce(records...)
	r := s.start()
	<-asked
	r.stop()
	r.holds("one")
	s.ends["one"].answer(nil)
	r = s.start()
	r.await("all of it", func() bool { return len(s.ends["one"].ids()) == len(ids) })
	if diff := cmp.Diff(byUser, s.ends["one"].byKey()); diff != "" {
		t.Error(diff)
	}
}
