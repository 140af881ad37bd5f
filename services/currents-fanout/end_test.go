package currentsfanout_test

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

type fakeOptions struct {
	Word string `yaml:"word" default:"please" doc:"anything"`
}

func (o *fakeOptions) Validate() error { return nil }

// end is the far end of a sink: it remembers what it was given, and answers from a script.
type end struct {
	mu     sync.Mutex
	got    []got // what it has taken, in order
	calls  int
	most   int // events in one call
	script func(ctx context.Context, call int, batch []*sink.Event) sink.Answer

	stretches map[string]int64 // begun: where they end, by where they begin
	asked     []sink.Stretch   // all that were handed over
	files     map[sink.Stretch][]string
}

type got struct{ id, key, json string }

func (e *end) answer(script func(ctx context.Context, call int, batch []*sink.Event) sink.Answer) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.script = script
}

func (e *end) write(ctx context.Context, batch []*sink.Event) sink.Answer {
	e.mu.Lock()
	e.calls++
	e.most = max(e.most, len(batch))
	script, call := e.script, e.calls
	e.mu.Unlock()
	a := sink.Delivered()
	if script != nil {
		a = script(ctx, call, batch)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, ev := range batch {
		if a.Of(i).Kind == outcome.Delivered {
			e.got = append(e.got, got{strings.Clone(ev.ID), strings.Clone(ev.Key), string(ev.JSON)})
		}
	}
	return a
}

// ids are those of what it has taken, in order.
func (e *end) ids() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	ids := make([]string, len(e.got))
	for i, g := range e.got {
		ids[i] = g.id
	}
	return ids
}

// times says how often it has taken each event.
func (e *end) times() map[string]int {
	n := map[string]int{}
	for _, id := range e.ids() {
		n[id]++
	}
	return n
}

// byKey are the ids that it has taken by customer, each at its first coming, in order.
func (e *end) byKey() map[string][]string {
	e.mu.Lock()
	defer e.mu.Unlock()
	by, seen := map[string][]string{}, map[string]bool{}
	for _, g := range e.got {
		if !seen[g.id] {
			seen[g.id] = true
			by[g.key] = append(by[g.key], g.id)
		}
	}
	return by
}

type fake struct{ *end }

func (f fake) Write(ctx context.Context, batch []*sink.Event) sink.Answer { return f.write(ctx, batch) }
func (f fake) Close() error                                               { return nil }

type fakeStretcher struct{ fake }

func at(topic string, partition int32, first int64) string {
	return fmt.Sprintf("%s/%d/%d", topic, partition, first)
}

func (f fakeStretcher) Begun(_ context.Context, topic string, partition int32, first int64) (int64, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	end, ok := f.stretches[at(topic, partition, first)]
	return end, ok, nil
}

func (f fakeStretcher) WriteStretch(ctx context.Context, s sink.Stretch, events []*sink.Event) sink.Answer {
	f.mu.Lock()
	f.asked = append(f.asked, s)
	if end, ok := f.stretches[at(s.Topic, s.Partition, s.First)]; ok && end != s.End {
		f.mu.Unlock()
		return sink.Deferred(sink.Overtaken, "", 0)
	}
	f.stretches[at(s.Topic, s.Partition, s.First)] = s.End
	f.calls++
	script, call := f.script, f.calls
	f.mu.Unlock()
	a := sink.Delivered()
	if script != nil {
		a = script(ctx, call, events)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if a.All.Kind == outcome.Delivered || a.Each != nil {
		if f.files == nil {
			f.files = map[sink.Stretch][]string{}
		}
		var ids []string
		for i, e := range events {
			if a.Of(i).Kind == outcome.Delivered {
				ids = append(ids, strings.Clone(e.ID))
			}
		}
		f.files[s] = ids
	}
	return a
}
