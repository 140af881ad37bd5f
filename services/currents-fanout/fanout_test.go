package currentsfanout_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	currentsfanout "github.com/sluicehq/sluice/services/currents-fanout"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

const quick = "batch: {events: 50, bytes: 64KiB, linger: 50ms}"

func TestEachSinkGetsWhatItWantsOnceInTheOrderOfEachCustomer(t *testing.T) {
	t.Parallel()
	s := newScene(t, `sinks:
  - {name: all, kind: fake, `+quick+`}
  - {name: opens, kind: fake, filter: {types: ["*.Open"]}, redact: [{fields: [email_address], how: mask}, {fields: [external_user_id], how: hash}], `+quick+`}
`, "all", "opens")
	records, ids, byUser := s.clicks(500, 7)
	records = append(records, s.engagement("open", "u1", "users.messages.email.Open"), s.engagement("open", "u1", "users.messages.email.Open"))
	byUser["u1"] = append(byUser["u1"], "open")
	s.produce(records...)
	r := s.start()
	r.await("all events", func() bool { _, ended := r.law("all"); return ended["delivered"] == 501 })
	r.await("the open", func() bool {
		_, ended := r.law("opens")
		return ended["delivered"] == 1 && ended["skipped type"] == 500
	})
	if diff := cmp.Diff(byUser, s.ends["all"].byKey()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(sorted(append(ids, "open")), sorted(s.ends["all"].ids())); diff != "" {
		t.Error(diff)
	}
	for _, name := range []string{"all", "opens"} {
		if _, ended := r.law(name); ended["skipped double"] != 1 {
			t.Errorf("%s: %v, want one double", name, ended)
		}
		r.holds(name)
	}
	opened := s.ends["opens"].got[0]
	if opened.id != "open" || len(opened.key) != 64 {
		t.Errorf("the redacted event is %+v", opened)
	}
	for _, part := range []string{`"email_address":"[REDACTED]"`, `"n":1.10`, `"external_user_id":"` + opened.key + `"`} {
		if !slices.ContainsFunc(s.ends["opens"].got, func(g got) bool { return strings.Contains(g.json, part) }) {
			t.Errorf("the document is %s, want %s in it", opened.json, part)
		}
	}
}

// TestNothingIsLostOrOutOfOrderWhateverTheFarEndDoes: and every record ends in one way, by the law.
func TestNothingIsLostOrOutOfOrderWhateverTheFarEndDoes(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			s := newScene(t, "sinks: [{name: rough, kind: fake, concurrency: 3, "+quick+"}]", "rough")
			var mu sync.Mutex
			rng := rand.New(rand.NewPCG(seed, 7))
			bad := func(id string) bool { return id[len(id)-1]-'0' == byte(seed) }
			refusals := 0
			s.ends["rough"].answer(func(_ context.Context, _ int, batch []*sink.Event) sink.Answer {
				mu.Lock()
				defer mu.Unlock()
				switch rng.IntN(8) {
				case 0:
					return sink.Deferred("unavailable", "500", 0)
				case 1:
					a := sink.Deferred("unauthorized", "401", 0)
					a.Halt = rng.IntN(8) == 0
					return a
				case 2:
					if len(batch) > 1 {
						return sink.Answer{All: outcome.Outcome{Kind: outcome.Deferred, Reason: "too_large"}, Split: true}
					}
				case 3: // one after the other, until one is put off
					each := make([]outcome.Outcome, len(batch))
					upTo := rng.IntN(len(batch) + 1)
					for i := range each {
						each[i] = outcome.Outcome{Kind: outcome.Delivered}
						switch {
						case i >= upTo:
							each[i] = outcome.Outcome{Kind: outcome.Deferred, Reason: "later"}
						case bad(batch[i].ID):
							each[i] = outcome.Outcome{Kind: outcome.Refused, Reason: "bad", Detail: "I do not like it"}
							refusals++
						}
					}
					return sink.Answer{Each: each}
				}
				each := make([]outcome.Outcome, len(batch))
				for i, e := range batch {
					each[i] = outcome.Outcome{Kind: outcome.Delivered}
					if bad(e.ID) {
						each[i] = outcome.Outcome{Kind: outcome.Refused, Reason: "bad", Detail: "I do not like it"}
						refusals++
					}
				}
				return sink.Answer{Each: each}
			})
			records, ids, byUser := s.clicks(600, 11)
			for user, list := range byUser {
				byUser[user] = slices.DeleteFunc(list, bad)
			}
			done := func(r *replica) bool {
				seen := s.ends["rough"].times()
				for _, id := range ids {
					if seen[id] == 0 && !bad(id) {
						return false
					}
				}
				return true
			}
			s.produce(records[:300]...)
			r := s.start()
			r.await("a part of it", func() bool { return len(s.ends["rough"].ids()) > 60 })
			r.stop()
			r.holds("rough")
			s.produce(records[300:]...)
			r = s.start()
			r.await("all of it", func() bool { return done(r) })
			r.await("rest", func() bool { return r.stats("rough").Held == 0 })
			r.holds("rough")
			if diff := cmp.Diff(byUser, s.ends["rough"].byKey()); diff != "" {
				t.Errorf("not in order, or something is missing:\n%s", diff)
			}
			wantBad := 0
			for _, id := range ids {
				if bad(id) {
					wantBad++
				}
			}
			letters := s.letters(wantBad)
			told := map[string]bool{}
			for _, l := range letters {
				told[l.EventID] = true
				if l.Reason != "bad" || l.Detail != "sink rough: I do not like it" || string(header(l.Headers, "sink")) != "rough" || string(header(l.Headers, "origin-topic")) != schema.BrazeEngagements {
					t.Errorf("a dead letter is %+v", l)
				}
			}
			if len(told) != wantBad {
				t.Errorf("%d events have a dead letter, want %d", len(told), wantBad)
			}
			for id, n := range s.ends["rough"].times() {
				if n > 2 { // what was settled before something that was not comes once more after a restart
					t.Errorf("%s was taken %d times, and there was one restart", id, n)
				}
			}
		})
	}
}

func header(list []stream.Header, key string) []byte {
	for _, h := range list {
		if h.Key == key {
			return h.Value
		}
	}
	return nil
}

func TestASinkThatNeverAnswersDelaysNoOther(t *testing.T) {
	t.Parallel()
	s := newScene(t, "sinks: [{name: stuck, kind: fake, memory: 1MiB, "+quick+"}, {name: down, kind: fake, memory: 1MiB, "+quick+"}, {name: well, kind: fake, "+quick+"}]", "stuck", "down", "well")
	release := make(chan struct{})
	s.ends["stuck"].answer(func(ctx context.Context, _ int, _ []*sink.Event) sink.Answer {
		select {
		case <-release:
			return sink.Delivered()
		case <-ctx.Done():
			return sink.Deferred("timeout", "", 0)
		}
	})
	s.ends["down"].answer(func(context.Context, int, []*sink.Event) sink.Answer { return sink.Deferred("unavailable", "503", 0) })
	r := s.start()
	records, _, _ := s.clicks(5000, 50)
	s.produce(records...)
	r.await("the one that is well", func() bool { _, ended := r.law("well"); return ended["delivered"] == 5000 })
	for _, name := range []string{"stuck", "down"} {
		r.await("held by "+name, func() bool { return r.stats(name).Held > 0 })
		if held := r.stats(name); held.HeldBytes > 1<<20 {
			t.Errorf("%s holds %d bytes of records, and may hold 1 MiB", name, held.HeldBytes)
		}
	}
	if is := r.stats("down"); is.State != "open" && is.State != "failing" || is.Failing.IsZero() {
		t.Errorf("the one that is down is %+v", is)
	}
	close(release)
	s.ends["down"].answer(nil)
	r.await("the others", func() bool {
		_, stuck := r.law("stuck")
		_, down := r.law("down")
		return stuck["delivered"] == 5000 && down["delivered"] == 5000
	})
	for _, name := range []string{"stuck", "down", "well"} {
		r.holds(name)
	}
}

func TestAPausedSinkLeavesItsGroupAndCanBeSentBack(t *testing.T) {
	t.Parallel()
	s := newScene(t, "sinks: [{name: one, kind: fake, "+quick+"}]", "one")
	s.pause("one", true)
	records, ids, _ := s.clicks(60, 5)
	s.produce(records...)
	r := s.start()
	if is := r.stats("one"); is.State != "paused" || is.Said != "test: to see" {
		t.Errorf("the sink is %+v", is)
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

// TestDoublesAreTheSameForEverybodyWheneverTheyAsk: shuffled doubles, a restart with the local copy and one without.
func TestDoublesAreTheSameForEverybodyWheneverTheyAsk(t *testing.T) {
	t.Parallel()
	s := newScene(t, "sinks: [{name: early, kind: fake, "+quick+"}]", "early", "late", "last")
	records, ids, _ := s.clicks(400, 9)
	rng := rand.New(rand.NewPCG(3, 3))
	var stream []int
	for i := range records {
		stream = append(stream, i, i)
	}
	rng.Shuffle(len(stream), func(i, j int) { stream[i], stream[j] = stream[j], stream[i] })
	produce := func(list []int) {
		for _, i := range list {
			again := *records[i]
			s.produce(&again)
		}
	}
	produce(stream[:500])
	r := s.start()
	r.await("the first half", func() bool { return len(s.ends["early"].ids()) > 0 && r.stats("early").Held == 0 })
	r.stop()
	s.rewrite("sinks: [{name: early, kind: fake, " + quick + "}, {name: late, kind: fake, " + quick + "}]")
	produce(stream[500:])
	r = s.start() // warm
	complete := func(name string) func() bool {
		return func() bool { return len(s.ends[name].times()) == len(ids) && r.stats(name).Held == 0 }
	}
	r.await("early", complete("early"))
	r.await("late", complete("late"))
	r.stop()
	s.config.State.Dir = t.TempDir()
	s.rewrite("sinks: [{name: early, kind: fake, " + quick + "}, {name: late, kind: fake, " + quick + "}, {name: last, kind: fake, " + quick + "}]")
	r = s.start() // cold
	r.await("last", complete("last"))
	r.stop()
	for _, name := range []string{"early", "late", "last"} {
		if diff := cmp.Diff(sorted(ids), sorted(s.ends[name].ids())); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

func TestTwoProcessesShareTheWorkOfASink(t *testing.T) {
	t.Parallel()
	s := newScene(t, "sinks: [{name: shared, kind: fake, "+quick+"}]", "shared")
	records, ids, byUser := s.clicks(900, 13)
	s.produce(records[:300]...)
	first := s.start()
	s.config.State.Dir = t.TempDir() // a process has its own
	second := s.start()
	s.produce(records[300:600]...)
	second.await("a share", func() bool { return second.stats("shared").Partitions > 0 })
	s.produce(records[600:]...)
	second.await("all of it", func() bool { return len(s.ends["shared"].times()) == len(ids) })
	first.stop()
	first.holds("shared")
	second.await("rest", func() bool { return second.stats("shared").Held == 0 })
	second.holds("shared")
	if diff := cmp.Diff(byUser, s.ends["shared"].byKey()); diff != "" {
		t.Error(diff)
	}
}

// TestWhatIsPutOntoTheRetriesComesOnceMoreToItsSink: and is no double of anything.
func TestWhatIsPutOntoTheRetriesComesOnceMoreToItsSink(t *testing.T) {
	t.Parallel()
	s := newScene(t, "sinks: [{name: one, kind: fake, "+quick+"}, {name: two, kind: fake, "+quick+"}]", "one", "two")
	s.ends["one"].answer(func(context.Context, int, []*sink.Event) sink.Answer { return sink.Refused("bad", "not today") })
	s.produce(s.engagement("e1", "u1", "users.messages.email.Click"))
	r := s.start()
	l := s.letters(1)[0]
	if l.OriginTopic != s.config.Kafka.Topic(schema.BrazeEngagements) || l.EventID != "e1" || l.Attempts != 1 {
		t.Errorf("the dead letter is %+v", l)
	}
	s.ends["one"].answer(nil)
	retry := &stream.Record{Topic: s.config.Kafka.Topic(schema.Retries(currentsfanout.Name)), Key: l.Key, Value: l.Value, Headers: l.Headers}
	unreadable := &stream.Record{Topic: s.config.Kafka.Topic(schema.Retries(currentsfanout.Name)), Key: l.Key, Value: []byte("?"), Headers: l.Headers}
	s.produce(retry, unreadable)
	r.await("the retry", func() bool { return len(s.ends["one"].ids()) == 1 })
	if again := s.letters(2); len(again) != 2 || again[1].Reason != "not_avro" && again[0].Reason != "not_avro" {
		t.Errorf("the dead letters are %+v", again)
	}
	r.await("rest", func() bool {
		_, one := r.law("one")
		_, two := r.law("two")
		return one["delivered"] == 1 && one["refused not_avro"] == 1 && two["skipped other_sink"] == 2 && two["delivered"] == 1
	})
}

func TestStretchesAreRedoneExactlyAfterACrash(t *testing.T) {
	t.Parallel()
	s := newScene(t, "sinks: [{name: files, kind: stretches, filter: {not_types: [\"*.Open\"]}, batch: {events: 40, bytes: 1MiB, linger: 100ms}}]", "files")
	records, ids, _ := s.clicks(200, 9)
	for i := range 50 {
		records = append(records, s.engagement(fmt.Sprint("open", i), fmt.Sprint("u", i%9), "users.messages.email.Open"))
	}
	end := s.ends["files"]
	end.answer(func(_ context.Context, call int, _ []*sink.Event) sink.Answer {
		if call > 2 {
			return sink.Deferred("unavailable", "the disk is gone", 0)
		}
		return sink.Delivered()
	})
	s.produce(records[:150]...)
	r := s.start()
	r.await("stretches that fail", func() bool { end.mu.Lock(); defer end.mu.Unlock(); return end.calls > 6 })
	r.stop() // in the middle of them
	r.holds("files")
	end.mu.Lock()
	begun := len(end.stretches)
	end.mu.Unlock()
	s.rewrite("sinks: [{name: files, kind: stretches, filter: {not_types: [\"*.Open\"]}, batch: {events: 7, bytes: 1MiB, linger: 100ms}}]")
	end.answer(nil)
	s.produce(records[150:]...)
	r = s.start()
	taken := func() []string {
		end.mu.Lock()
		defer end.mu.Unlock()
		var all []string
		for _, list := range end.files {
			all = append(all, list...)
		}
		return sorted(all)
	}
	r.await("all of it", func() bool { return len(taken()) >= len(ids) && r.stats("files").Held == 0 })
	r.stop()
	if diff := cmp.Diff(ids, taken()); diff != "" {
		t.Errorf("not each event in one file:\n%s", diff)
	}
	end.mu.Lock()
	defer end.mu.Unlock()
	ends := map[string]int64{}
	for _, asked := range end.asked {
		where := at(asked.Topic, asked.Partition, asked.First)
		if before, ok := ends[where]; ok && before != asked.End {
			t.Errorf("the stretch at %s ended at %d, and then at %d", where, before, asked.End)
		}
		ends[where] = asked.End
	}
	if begun == 0 || len(end.stretches) <= begun {
		t.Errorf("%d stretches were begun before the crash, %d in all", begun, len(end.stretches))
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
	s.ends["one"].answer(func(_ context.Context, call int, batch []*sink.Event) sink.Answer {
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
