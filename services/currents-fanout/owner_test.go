package currentsfanout_test

import (
	"context"
	"sync"
	"testing"

	"github.com/sluicehq/sluice/services/currents-fanout/sink"

	currentsfanout "github.com/sluicehq/sluice/services/currents-fanout"
)

// owner counts how often it was told of a partition.
type owner struct {
	fakeStretcher
	mu    sync.Mutex
	owned map[string]int // how often
	early int            // questions about a partition that nobody has told it of
}

func (o *owner) Owned(topic string, partition int32) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.owned[at(topic, partition, 0)]++
}

func (o *owner) Begun(ctx context.Context, topic string, partition int32, first int64) (int64, bool, error) {
	o.mu.Lock()
	if o.owned[at(topic, partition, 0)] == 0 {
		o.early++
	}
	o.mu.Unlock()
	return o.fakeStretcher.Begun(ctx, topic, partition, first)
}

func TestASinkOfStretchesIsToldOfAPartitionThatComesBack(t *testing.T) {
	t.Parallel()
	s := newSceneOf(t, 1, "sinks: [{name: files, kind: owner, batch: {events: 10, bytes: 1MiB, linger: 10ms}}]", "files")
	o := &owner{fakeStretcher: fakeStretcher{fake{s.ends["files"]}}, owned: map[string]int{}}
	s.kinds["owner"] = currentsfanout.KindOf(func(context.Context, fakeOptions, sink.Deps) (sink.Sink, error) { return o, nil })
	taken := func() int {
		o.end.mu.Lock()
		defer o.end.mu.Unlock()
		n := 0
		for _, list := range o.files {
			n += len(list)
		}
		return n
	}
	records, _, _ := s.clicks(20, 5)
	s.produce(records[:10]...)
	r := s.start()
	r.await("the first half", func() bool { return taken() == 10 })
	s.pause("files", true)
	r.await("the pause", func() bool { return r.stats("files").Partitions == 0 })
	s.pause("files", false)
	s.produce(records[10:]...)
	r.await("the second half", func() bool { return taken() == 20 })
	o.mu.Lock()
	defer o.mu.Unlock()
	if n := o.owned[at("braze.engagements", 0, 0)]; n != 2 || o.early > 0 {
		t.Errorf("it was told %d times of its partition, and asked %d times before", n, o.early)
	}
}
