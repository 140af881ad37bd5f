package currentsfanout_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

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
			done := func() bool {
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
			r.await("all of it", done)
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
