package currentsfanout_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"

	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

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

// TestAStretchThatNeedsMoreMemoryThanThereIsGetsIt: it was begun when the sink had more, or by two processes that had
// twice as much. Without it nothing would ever be committed.
func TestAStretchThatNeedsMoreMemoryThanThereIsGetsIt(t *testing.T) {
	t.Parallel()
	s := newScene(t, "sinks: [{name: files, kind: stretches, batch: {events: 100000, bytes: 1GiB, linger: 1h}}]", "files")
	s.config.Fanout.Memory = 1 << 20 // room for some 500 records
	records, ids, _ := s.clicks(6000, 100)
	s.produce(records...)
	admin, err := stream.NewAdmin(s.config.Kafka)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	extents, err := admin.Extents(t.Context(), s.config.Kafka.Topic(schema.BrazeEngagements))
	if err != nil {
		t.Fatal(err)
	}
	end := s.ends["files"]
	for number, extent := range extents {
		end.stretches[at(schema.BrazeEngagements, number, 0)] = extent.End
	}
	r := s.start()
	r.await("the stretches", func() bool {
		end.mu.Lock()
		defer end.mu.Unlock()
		n := 0
		for _, list := range end.files {
			n += len(list)
		}
		return n == len(ids)
	})
	r.await("rest", func() bool { return r.stats("files").Held == 0 })
	r.holds("files")
}
