package contentcacher_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/registry"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/topics"
)

// last is what compaction would leave: the last record of each key.
func (s *scene) last() map[string]*stream.Record {
	s.t.Helper()
	last := map[string]*stream.Record{}
	err := stream.Read(s.t.Context(), s.config.Kafka, stream.Range{Topic: s.config.Kafka.Topic(schema.ContentItems)}, func(r *stream.Record) error {
		last[string(r.Key)] = r
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return last
}

// compacted is a scene whose topic has nothing but what compaction would leave of another's.
func (s *scene) compacted() *scene {
	s.t.Helper()
	next := *s
	next.config.Kafka.TopicPrefix += "compacted."
	next.config.State.Dir = s.t.TempDir()
	client, err := registry.New(next.config.Registry)
	if err != nil {
		s.t.Fatal(err)
	}
	defer client.Close()
	if _, err := topics.Prepare(s.t.Context(), next.config.Kafka, client, schema.ContentItems); err != nil {
		s.t.Fatal(err)
	}
	for key, r := range s.last() {
		if r.Value != nil {
			next.write(&stream.Record{Key: []byte(key), Value: r.Value, Headers: r.Headers})
		}
	}
	return &next
}

func numbered(n int64) func(*event.Content) { return func(c *event.Content) { c.Version = &n } }

// TestTheHigherVersionStandsAfterAColdStart lets older versions come last, before the service is there and while
// it runs, and throws away everything but what the topic keeps.
func TestTheHigherVersionStandsAfterAColdStart(t *testing.T) {
	onBoth(t, func(t *testing.T, s *scene) {
		s.write(
			s.item("early", "third", numbered(3)), s.item("early", "second", numbered(2)),
			s.item("late", "ninth", numbered(9)),
			s.item("mended", "five", numbered(5)), s.item("mended", "four", numbered(4)), s.item("mended", "six", numbered(6)),
		)
		r, other := s.start(), s.copied().start()
		r.ready()
		other.ready()
		s.write(s.item("late", "eighth", numbered(8)), s.item("late", "seventh", numbered(7)))
		want := map[string]int64{"banners/early": 3, "banners/late": 9, "banners/mended": 6}
		r.await("the topic says last what stands", func() bool { return cmp.Equal(s.versions(), want) })
		r.stop()
		other.stop()

		cold := s.compacted().start()
		cold.ready()
		for id, text := range map[string]string{"early": "third", "late": "ninth", "mended": "six"} {
			if got := cold.get("banners/" + id); got.Text != text {
				t.Errorf("%s: %+v, want %q", id, got, text)
			}
		}
	})
}

// copied is the same scene for another replica.
func (s *scene) copied() *scene {
	next := *s
	next.config.State.Dir = s.t.TempDir()
	return &next
}

// versions are those that the topic says last, of what is not removed.
func (s *scene) versions() map[string]int64 {
	s.t.Helper()
	client, err := registry.New(s.config.Registry)
	if err != nil {
		s.t.Fatal(err)
	}
	defer client.Close()
	decoder := avro.NewContentDecoder(avro.FromRegistry(client))
	versions := map[string]int64{}
	for key, r := range s.last() {
		if r.Value == nil {
			continue
		}
		var c event.Content
		if _, err := decoder.Decode(s.t.Context(), r.Value, &c); err != nil {
			s.t.Fatal(err)
		}
		versions[key] = 0
		if c.Version != nil {
			versions[key] = *c.Version
		}
	}
	return versions
}

// TestWhatIsWrittenAgainDoesNotBringBackWhatIsGone lets another replica write what stood, when it has been removed
// meanwhile.
func TestWhatIsWrittenAgainDoesNotBringBackWhatIsGone(t *testing.T) {
	onBoth(t, func(t *testing.T, s *scene) {
		s.write(s.item("a", "eighth", numbered(8)))
		r := s.start()
		r.ready()
		again := s.item("a", "eighth", numbered(8))
		again.Headers = []stream.Header{{Key: "stands"}}
		s.write(s.item("a", "seventh", numbered(7)), &stream.Record{Key: []byte("banners/a")}, again)
		r.await("the topic says last that it is gone", func() bool {
			last := s.last()["banners/a"]
			return last.Value == nil && len(last.Headers) == 1
		})
		if got := r.get("banners/a"); got.code != 404 {
			t.Errorf("%+v", got)
		}
		r.stop()
		cold := s.copied().start()
		cold.ready()
		if got := cold.get("banners/a"); got.code != 404 {
			t.Errorf("after a cold start: %+v", got)
		}
	})
}

// TestTheLaterWordOfAWithdrawalStandsAfterAColdStart lets word of an earlier withdrawal come last, as it does where two
// doors pass each other, with something between them that only the later one takes back.
func TestTheLaterWordOfAWithdrawalStandsAfterAColdStart(t *testing.T) {
	onBoth(t, func(t *testing.T, s *scene) {
		ago := func(minutes int) func(*event.Content) {
			return func(c *event.Content) { c.ReceivedAt = time.Now().Add(-time.Duration(minutes) * time.Minute) }
		}
		withdraws := func(c *event.Content) { c.Withdraws, c.Approved = true, false }
		s.placed(s.item("a", "between", ago(20)), s.item("a", "", withdraws, ago(10)), s.item("a", "", withdraws, ago(30)))
		r := s.start()
		r.ready()
		if got := r.get("banners/a"); got.code != 404 {
			t.Errorf("%+v", got)
		}
		r.await("the topic says last what stands", func() bool { return len(s.last()["banners/a#*"].Headers) == 1 })
		r.stop()
		cold := s.compacted().start()
		cold.ready()
		if got := cold.get("banners/a"); got.code != 404 {
			t.Errorf("after a cold start: %+v", got)
		}
	})
}

// TestWordOfAWithdrawalDoesNotStandForEver looks at what is left of a withdrawal of two days ago.
func TestWordOfAWithdrawalDoesNotStandForEver(t *testing.T) {
	onBoth(t, func(t *testing.T, s *scene) {
		ago := func(days int) func(*event.Content) {
			return func(c *event.Content) { c.ReceivedAt = time.Now().AddDate(0, 0, -days) }
		}
		in := func(locale string) func(*event.Content) { return func(c *event.Content) { c.Locale = locale } }
		withdraws := func(c *event.Content) { c.Withdraws, c.Approved = true, false }
		records := []*stream.Record{
			s.item("old", "deutsch", in("de"), ago(3)), s.item("old", "français", in("fr"), ago(1)), s.item("old", "", withdraws, ago(2)),
			s.item("gone", "", withdraws, ago(2)), s.item("new", "", withdraws, ago(0)), s.item("new", "hidden", ago(1)),
		}
		s.placed(records...)
		r := s.start()
		r.ready()
		want := []string{"banners/new", "banners/new#*", "banners/old#fr"}
		r.await("only what is of use stands", func() bool {
			var standing []string
			for _, key := range []string{"banners/gone#*", "banners/new", "banners/new#*", "banners/old#*", "banners/old#de", "banners/old#fr"} {
				if s.last()[key].Value != nil {
					standing = append(standing, key)
				}
			}
			return cmp.Equal(standing, want)
		})
		for path, text := range map[string]string{"old?locale=fr": "français", "old?locale=de": "", "gone": "", "new": ""} {
			if got := r.get("banners/" + path); got.Text != text {
				t.Errorf("%s: %+v", path, got)
			}
		}
		// A tombstone that was written for what stood then does not take away what was published meanwhile.
		fresh := s.item("old", "neu", in("de"))
		late := &stream.Record{Key: fresh.Key, Headers: []stream.Header{{Key: "clears", Value: []byte("1000")}}}
		s.placed(fresh, late)
		r.await("what was published stands", func() bool { return s.last()["banners/old#de"].Value != nil })
		if got := r.get("banners/old?locale=de"); got.Text != "neu" {
			t.Errorf("%+v", got)
		}
		r.stop()
		cold := s.copied().start()
		cold.ready()
		if got := cold.get("banners/old?locale=de"); got.Text != "neu" {
			t.Errorf("after a cold start: %+v", got)
		}
	})
}

// placed writes all records of an item to one partition, as ingest puts them.
func (s *scene) placed(records ...*stream.Record) {
	s.t.Helper()
	topic := s.config.Kafka.Topic(schema.ContentItems)
	p, err := stream.NewProducer(s.config.Kafka, stream.ProducerOptions{ByPartition: []string{topic}})
	if err != nil {
		s.t.Fatal(err)
	}
	defer p.Close()
	for _, r := range records {
		own, _, _ := bytes.Cut(r.Key, []byte("#"))
		r.Topic, r.Partition = topic, stream.PartitionOf(own, s.config.Kafka.Partitions)
	}
	if err := p.ProduceAll(s.t.Context(), records...); err != nil {
		s.t.Fatal(err)
	}
}
