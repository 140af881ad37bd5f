package brazesender_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/braze/brazefake"
	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/receipt"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	brazesender "github.com/sluicehq/sluice/services/braze-sender"
)

// newWindowScene is a scene with the sandbox, in which repeats are skipped for an hour.
func newWindowScene(t *testing.T) *scene {
	t.Helper()
	s := newSandboxScene(t, brazefake.Options{})
	s.config.Sender.DedupWindow = time.Hour
	return s
}

// skippedAs counts the skipped by their reason.
func (s *scene) skippedAs(t *testing.T) map[string]int {
	t.Helper()
	reasons := map[string]int{}
	for _, slip := range s.receipts(t) {
		if slip.Outcome.Kind == outcome.Skipped {
			reasons[slip.Outcome.Reason]++
		}
	}
	return reasons
}

// assertOnce holds what Braze has of users to one event of each number from 0 to n-1, in order.
func (s *scene) assertOnce(t *testing.T, users, n int) {
	t.Helper()
	got := accepted(t, s.front.seen())
	for u := range users {
		user := fmt.Sprint("user-", u)
		var want []thing
		for seq := range n {
			want = append(want, thing{user, "happened", fmt.Sprint(seq)})
		}
		if diff := cmp.Diff(want, got[user]); diff != "" {
			t.Errorf("%s (-want +got)\n%s", user, diff)
		}
	}
}

// twice is a crowd of which every event comes again, right behind itself or behind the next.
func twice(users, each int) (list []event.Event) {
	for i, e := range crowd(users, each) {
		list = append(list, e)
		if i%3 == 0 {
			list = append(list, e)
		}
	}
	return append(list, crowd(users, each)...)
}

func TestARepeatInTheSamePollIsSkipped(t *testing.T) {
	t.Parallel()
	s := newWindowScene(t)
	s.produce(t, twice(20, 10)...)
	r := s.start(t)
	s.awaitSettled(t)
	r.assertBooks(t, 0)
	if n := r.sum(t, "sluice_sender_dedup_entries"); n != 200 {
		t.Errorf("%v entries, want 200", n)
	}
	r.drain(t)
	s.assertManners(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 200, outcome.Skipped: s.produced - 200})
	if n := s.skippedAs(t)["duplicate"]; n != s.produced-200 {
		t.Errorf("%d are skipped as duplicates, want %d", n, s.produced-200)
	}
	s.assertOnce(t, 20, 10)
}

func TestARepeatAfterARestartIsSkipped(t *testing.T) {
	t.Parallel()
	for name, dir := range map[string]string{"with the local copy": t.TempDir(), "without it": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newWindowScene(t)
			s.config.State.Dir = dir
			s.produce(t, crowd(20, 5)...)
			r := s.start(t)
			s.awaitSettled(t)
			r.drain(t)
			for range 2 {
				s.produce(t, crowd(20, 5)...)
				r = s.start(t)
				s.awaitSettled(t)
				r.assertBooks(t, 0)
				r.drain(t)
			}
			s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 100, outcome.Skipped: 200})
			s.assertOnce(t, 20, 5)
		})
	}
}

// TestAWindowOfAnotherLengthForgetsNothing: how it is divided on the disk depends on it.
func TestAWindowOfAnotherLengthForgetsNothing(t *testing.T) {
	t.Parallel()
	s := newWindowScene(t)
	s.config.State.Dir = t.TempDir()
	for _, window := range []time.Duration{time.Hour, 24 * time.Hour, 2 * time.Minute} {
		s.config.Sender.DedupWindow = window
		s.produce(t, crowd(20, 1)...)
		r := s.start(t)
		s.awaitSettled(t)
		r.assertBooks(t, 0)
		r.drain(t)
	}
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 20, outcome.Skipped: 40})
}

func TestARepeatIsSkippedByWhoeverTakesOver(t *testing.T) {
	t.Parallel()
	s := newWindowScene(t)
	s.produce(t, crowd(30, 5)...)
	a := s.start(t)
	s.awaitSettled(t)
	b := s.start(t)
	s.awaitMembers(t, a, b)
	s.produce(t, crowd(30, 8)...) // five repeats and three more of each
	s.awaitSettled(t)
	a.drain(t)
	s.produce(t, crowd(30, 8)...) // b has everything now
	s.awaitSettled(t)
	b.drain(t)
	s.assertManners(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 240, outcome.Skipped: s.produced - 240})
	s.assertOnce(t, 30, 8)
}

// TestWhatOnlyLooksAlikeIsSent: an id is unique within its source, its customer and its topic.
func TestWhatOnlyLooksAlikeIsSent(t *testing.T) {
	t.Parallel()
	s := newWindowScene(t)
	base := newEvent("u", 0)
	other, someone, nameless, unsourced := base, base, base, base
	other.Source = "another"
	someone.User.ExternalID = "v"
	nameless.ID, unsourced.Source = "", ""
	o := order("u", "so-1", event.OrderPlaced)
	o.ID, o.Source = base.ID, base.Source
	r := s.start(t)
	s.produce(t, base, other, someone, nameless, nameless, unsourced, unsourced)
	s.produceCommerce(t, o)
	s.produceUpdates(t,
		triggers(base.ID, base.User, "case_opened", ""), triggers(base.ID, base.User, "case_opened", ""),
		differs("same", base.User, `{"plan":1}`), differs("same", base.User, `{"plan":2}`),
	)
	s.awaitSettled(t)
	r.assertBooks(t, 0)
	r.drain(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: s.produced - 1, outcome.Skipped: 1})
	if diff := cmp.Diff(map[string]int{"duplicate": 1}, s.skippedAs(t)); diff != "" {
		t.Errorf("only the trigger is a repeat (-want +got)\n%s", diff)
	}
}

// TestWhatWasNotDeliveredMayComeAgain: refused by Braze, by us, or given up; the repeat waits right behind it.
func TestWhatWasNotDeliveredMayComeAgain(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]reply{
		"an object is refused":     {status: http.StatusCreated, body: `{"message":"success","errors":[{"index":0,"input_array":"events","type":"no"}]}`},
		"the request is refused":   {status: http.StatusBadRequest, body: `{"message":"no"}`},
		"nobody knows, it is lost": {status: dropConnection},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newWindowScene(t)
			s.config.Sender.InDoubt = "park"
			s.front.script(func(w wire) reply {
				if w.Place == 0 {
					return first
				}
				return reply{}
			})
			e := newEvent("user-0", 0)
			s.produce(t, e, e, e)
			r := s.start(t)
			s.awaitSettled(t)
			r.assertBooks(t, 0)
			r.drain(t)
			s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 1, outcome.Refused: 1, outcome.Skipped: 1})
			if diff := cmp.Diff([]string{"happened"}, s.names("user-0")); diff != "" {
				t.Errorf("what Braze has (-want +got)\n%s", diff)
			}
		})
	}
}

// TestWhatWasRefusedMayComeAgainAfterARestart: its receipt is no entry, nor is that of what was skipped.
func TestWhatWasRefusedMayComeAgainAfterARestart(t *testing.T) {
	t.Parallel()
	s := newWindowScene(t)
	s.front.script(func(w wire) reply {
		if w.Place == 0 {
			return reply{status: http.StatusBadRequest, body: `{"message":"no"}`}
		}
		return reply{}
	})
	page := newEvent("user-0", 1)
	page.Kind = event.KindPage
	for round, want := range []map[outcome.Kind]int{
		{outcome.Refused: 1, outcome.Skipped: 1},
		{outcome.Refused: 1, outcome.Skipped: 1, outcome.Delivered: 2},
		{outcome.Refused: 1, outcome.Skipped: 3, outcome.Delivered: 2},
	} {
		s.produce(t, newEvent("user-0", 0), page)
		r := s.start(t)
		s.awaitSettled(t)
		r.drain(t)
		s.assertLaw(t, want)
		s.config.Sender.PageEvents = round < 2
	}
	if diff := cmp.Diff([]string{"happened", "happened"}, s.names("user-0")); diff != "" {
		t.Errorf("what Braze has (-want +got)\n%s", diff)
	}
}

// TestARepeatWaitsForTheFirst: while Braze is away nobody knows what becomes of it.
func TestARepeatWaitsForTheFirst(t *testing.T) {
	t.Parallel()
	s := newWindowScene(t)
	var up atomic.Bool
	s.front.script(func(wire) reply {
		if !up.Load() {
			return reply{status: http.StatusServiceUnavailable, body: `{"message":"later"}`}
		}
		return reply{}
	})
	s.produce(t, newEvent("user-0", 0))
	r := s.start(t)
	s.front.await(t, "a first try", func(w []wire) bool { return len(w) > 0 })
	s.produce(t, newEvent("user-0", 0), newEvent("user-0", 1), newEvent("user-0", 0), newEvent("user-0", 1), newEvent("user-0", 2))
	s.awaitGauge(t, r, 6)
	if n := len(s.receipts(t)); n != 0 {
		t.Errorf("%d records have come to an end", n)
	}
	up.Store(true)
	s.awaitSettled(t)
	r.assertBooks(t, 0)
	r.drain(t)
	s.assertManners(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 3, outcome.Skipped: 3})
	s.assertOnce(t, 1, 3)
}

// TestARepeatOnPurposeIsSent: replayed, and where somebody has moved our offset back.
func TestARepeatOnPurposeIsSent(t *testing.T) {
	t.Parallel()
	s := newWindowScene(t)
	s.produce(t, newEvent("user-0", 0), newEvent("user-0", 0))
	r := s.start(t)
	s.awaitSettled(t)
	s.produceRaw(t, s.record("user-0", "happened", 0, "replayed-from", "customer.events/0@0"))
	s.awaitSettled(t)
	s.produce(t, newEvent("user-0", 0))
	s.awaitSettled(t)
	r.drain(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 2, outcome.Skipped: 2})

	s2 := newWindowScene(t)
	s2.produce(t, crowd(5, 2)...)
	s2.produce(t, crowd(5, 2)...)
	r = s2.start(t)
	s2.awaitSettled(t)
	r.drain(t)
	s2.assertOnce(t, 5, 2)
	s2.rewind(t)
	r = s2.start(t)
	s2.awaitEnded(t, r, 20)
	r.assertBooks(t, 0)
	r.drain(t)
	s2.assertManners(t)
	s2.assertOnce(t, 5, 2) // once more, and its repeats are skipped once more
	again := map[outcome.Kind]int{}
	s2.slips(t, func(slip receipt.Receipt) { again[slip.Outcome.Kind]++ })
	if diff := cmp.Diff(map[outcome.Kind]int{outcome.Delivered: 20, outcome.Skipped: 20}, again); diff != "" {
		t.Errorf("receipts of both times (-want +got)\n%s", diff)
	}
}

// rewind moves the sender's offsets to the beginning, as another tool would.
func (s *scene) rewind(t *testing.T) {
	t.Helper()
	admin, err := stream.NewAdmin(s.config.Kafka)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	to := map[int32]int64{}
	for n := range s.config.Kafka.Partitions {
		to[n] = 0
	}
	if err := admin.MoveOffsets(t.Context(), s.config.Kafka.Group(brazesender.Name), s.config.Kafka.Topic(schema.CustomerEvents), to); err != nil {
		t.Fatal(err)
	}
}

// slips reads the final receipts, however many there are of a record.
func (s *scene) slips(t *testing.T, each func(receipt.Receipt)) {
	t.Helper()
	err := stream.Read(t.Context(), s.config.Kafka, stream.Range{Topic: s.config.Kafka.Topic(schema.BrazeDeliveries)}, func(r *stream.Record) error {
		slip, err := receipt.Read(r.Value)
		if err == nil && slip.Outcome.Kind.Final() {
			each(slip)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestARecordWhoseReceiptDoesNotCountIsSentAgain: its own entry makes it no repeat of itself. The receipt is
// that of a killed owner, which Kafka appended after the next had looked.
func TestARecordWhoseReceiptDoesNotCountIsSentAgain(t *testing.T) {
	t.Parallel()
	s := newWindowScene(t)
	s.config.Kafka.Partitions = 3
	s.produce(t, newEvent("user-0", 0), newEvent("user-0", 0), newEvent("user-0", 1))
	e := newEvent("user-0", 0)
	number := stream.PartitionOf([]byte(e.User.Key()), 3)
	late := receipt.Receipt{
		EventID: e.ID, Source: e.Source, UserID: e.User.Key(), Topic: s.config.Kafka.Topic(schema.CustomerEvents), Partition: number, Offset: 0,
		Outcome: outcome.Outcome{Kind: outcome.Delivered}, SettledAt: time.Now(),
	}
	writer, err := stream.NewProducer(s.config.Kafka, stream.ProducerOptions{ByPartition: []string{s.config.Kafka.Topic(schema.BrazeDeliveries)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(writer.Close)
	if err := writer.ProduceAll(t.Context(), &stream.Record{
		Topic: s.config.Kafka.Topic(schema.BrazeDeliveries), Partition: number, Key: []byte(e.User.Key()), Timestamp: time.Now(),
		Value: late.Append(nil, s.ids[schema.BrazeDeliveries]),
	}); err != nil {
		t.Fatal(err)
	}
	r := s.start(t)
	s.awaitEnded(t, r, 3)
	r.drain(t)
	s.assertOnce(t, 1, 2)
	counts := map[outcome.Kind]int{}
	s.slips(t, func(slip receipt.Receipt) { counts[slip.Outcome.Kind]++ })
	if diff := cmp.Diff(map[outcome.Kind]int{outcome.Delivered: 3, outcome.Skipped: 1}, counts); diff != "" {
		t.Errorf("receipts, the late one among them (-want +got)\n%s", diff)
	}
}

func TestWithoutAWindowEverythingIsSent(t *testing.T) {
	t.Parallel()
	s := newSandboxScene(t, brazefake.Options{})
	s.produce(t, newEvent("user-0", 0), newEvent("user-0", 0))
	r := s.start(t)
	s.awaitSettled(t)
	r.drain(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 2})
}

// TestALongRestorationHoldsUpNoRebalance: the records wait until it is done, in their order, and then repeats
// are known.
func TestALongRestorationHoldsUpNoRebalance(t *testing.T) {
	t.Parallel()
	s := newWindowScene(t)
	s.produce(t, crowd(10, 3)...)
	r := s.start(t)
	s.awaitSettled(t)
	r.drain(t)

	restore := make(chan struct{})
	s.produce(t, crowd(10, 4)...)
	r = s.startWith(t, func(sender *brazesender.Sender) { sender.SlowWindow(restore, 10*time.Millisecond) })
	s.awaitGauge(t, r, 40)
	awaitFailing(t, r, "dedup", "red", func(err error) bool { return err != nil })
	if n := len(s.receipts(t)); n != 30 {
		t.Errorf("%d records have come to an end", n-30)
	}
	close(restore)
	s.awaitSettled(t)
	awaitFailing(t, r, "dedup", "green", func(err error) bool { return err == nil })
	r.assertBooks(t, 0)
	r.drain(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 40, outcome.Skipped: 30})
	s.assertOnce(t, 10, 4)

	r = s.startWith(t, func(sender *brazesender.Sender) { sender.SlowWindow(make(chan struct{}), 10*time.Millisecond) })
	s.produce(t, newEvent("user-0", 4))
	s.awaitGauge(t, r, 1)
	r.drain(t) // a restoration that never ends does not keep the process
}

// startWith is start with something done to the sender before it runs.
func (s *scene) startWith(t *testing.T, prepare func(*brazesender.Sender)) *running {
	t.Helper()
	p := &daemon.Process{Name: brazesender.Name, Log: zerolog.Nop(), Metrics: prometheus.NewRegistry(), Health: &daemon.Health{}}
	svc, err := brazesender.Open(t.Context(), s.config, p)
	if err != nil {
		t.Fatal(err)
	}
	sender, ok := svc.(*brazesender.Sender)
	if !ok {
		t.Fatalf("a %T", svc)
	}
	prepare(sender)
	return work(t, p, sender)
}

// TestRepeatsByChance: whatever comes again, whenever, through failures and restarts, Braze has
// everything that it does not refuse exactly once, in the order in which it was first said.
func TestRepeatsByChance(t *testing.T) {
	t.Parallel()
	s := newSandboxScene(t, brazefake.Options{Seed: 3, Knobs: brazefake.Knobs{LatencyMax: 3 * time.Millisecond, P5xxBefore: 0.05}})
	s.config.Sender.DedupWindow = time.Hour
	s.config.State.Dir = t.TempDir()
	s.front.script(func(w wire) reply {
		if strings.Contains(w.Body, `"bad"`) {
			return reply{status: http.StatusBadRequest, body: `{"message":"bad"}`}
		}
		return reply{}
	})
	dice := rand.New(rand.NewPCG(7, 11))
	const users = 25
	next := make([]int, users)
	want := map[string][]thing{}
	var running *running
	for range 6 {
		if running != nil && dice.IntN(2) == 0 {
			running.drain(t)
			running = nil
		}
		var events []event.Event
		for range 400 {
			u := dice.IntN(users)
			user := fmt.Sprint("user-", u)
			seq := next[u]
			if seq > 0 && dice.IntN(2) == 0 {
				seq = max(0, seq-1-dice.IntN(4))
			}
			e := newEvent(user, seq)
			if seq%7 == 6 {
				e.Name = "bad"
			}
			if seq == next[u] {
				next[u]++
				if e.Name != "bad" {
					want[user] = append(want[user], thing{user, "happened", fmt.Sprint(seq)})
				}
			}
			events = append(events, e)
		}
		s.produce(t, events...)
		if running == nil {
			running = s.start(t)
		}
		if dice.IntN(2) == 0 {
			s.awaitSettled(t)
		}
	}
	s.awaitSettled(t)
	running.assertBooks(t, 0)
	running.drain(t)
	s.assertManners(t)
	s.assertLaw(t, nil)
	got := accepted(t, s.front.seen())
	for user, list := range want {
		if diff := cmp.Diff(list, got[user]); diff != "" {
			t.Errorf("%s (-want +got)\n%s", user, diff)
		}
	}
	if n := s.skippedAs(t)["duplicate"]; n < 200 {
		t.Errorf("%d repeats were skipped, which is hardly any", n)
	}
}
