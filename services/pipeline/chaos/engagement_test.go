package chaos

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// The short form of the way back, which `make test` runs. CHAOS_ENGAGEMENTS=1000000 is the one of the promise.
const (
	defaultEngagements = 60_000
	defaultStrikes     = 6
)

// TestEngagementsReachEverySinkOnce is the promise of the way back: events of every type, many of them twice and in no
// order, come in through the front door and from elsewhere, and go to six sinks, of which one is slow, one answers 500 half
// the time and one is not there at first. Meanwhile Kafka goes away for a moment, and the two processes that hand them out
// are killed, stopped, taken for dead, and come back with their state and without it. Afterwards every sink has every event,
// each customer's in order, and those that know ids have each once.
func TestEngagementsReachEverySinkOnce(t *testing.T) {
	seed := number(t, "CHAOS_SEED", uint64(time.Now().UnixNano())%1_000_000)
	events := number(t, "CHAOS_ENGAGEMENTS", defaultEngagements)
	n := number(t, "CHAOS_STRIKES", defaultStrikes)
	t.Logf("CHAOS_SEED=%d CHAOS_ENGAGEMENTS=%d CHAOS_STRIKES=%d", seed, events, n)
	w := newWayBack(t, seed, events)
	r := &reports{events: events, absent: absentSink, well: []string{healthySink, filesSink, postgresSink}}
	ctx, cancel := within(t.Context(), 4*time.Minute+time.Duration(events)*time.Millisecond, "the whole run")
	defer cancel()
	if err := w.run(ctx, r, n); err != nil {
		t.Fatal(err)
	}
	r.check()
	t.Logf("seed %d, %v in all: %s, %d of ingest killed\n%s", seed, time.Since(w.began).Round(100*time.Millisecond), w.told(), w.killed[Door], r)
	if len(r.findings) > 0 {
		t.Errorf("%d findings; again with CHAOS_SEED=%d CHAOS_ENGAGEMENTS=%d", len(r.findings), seed, events)
	}
	if w.killed[Fanout] == 0 || w.frozen == 0 || w.stopped[Fanout] == 0 || w.wiped[Fanout] == 0 || r.doubles == 0 || r.posted.away == 0 {
		t.Error("the run tries too little")
	}
}

func (w *wayBack) told() string {
	return fmt.Sprintf("%s %d killed, %d left, %d taken for dead, %d without their state afterwards", Fanout, w.killed[Fanout], w.stopped[Fanout], w.frozen, w.wiped[Fanout])
}

// run plays the story and gathers what it leaves behind.
func (w *wayBack) run(ctx context.Context, r *reports, strikes int) error {
	if err := w.open(ctx); err != nil {
		return err
	}
	w.stir()
	posting := make(chan error, 1)
	go func() { posting <- w.braze.post(ctx) }()
	c := &commits{g: w.groups[healthySink]}
	w.done = func() int { return int(c.committed) }
	if err := w.tell(ctx, c, blows(w.dice, strikes, len(w.braze.direct))); err != nil {
		return err
	}
	if err := <-posting; err != nil {
		return err
	}
	w.say("everything is on the topic")
	if err := w.settle(ctx, r); err != nil {
		return err
	}
	for _, p := range w.stands[:2] {
		r.books = append(r.books, w.booksOf(ctx, p.now)...)
	}
	if err := w.close(ctx); err != nil {
		return err
	}
	return w.gather(ctx, r)
}

// tell reports the events, never far ahead of the sink in good health, and has the blows fall.
func (w *wayBack) tell(ctx context.Context, c *commits, list []blow) error {
	const chunk = 2_000
	ahead := max(3*chunk, len(w.braze.direct)/10)
	outage, doorDies := len(w.braze.direct)/4, len(w.braze.direct)/2
	for made := 0; made < len(w.braze.direct) || len(list) > 0; {
		if made < len(w.braze.direct) {
			records, err := w.braze.take(made, chunk)
			if err != nil {
				return err
			}
			if err := w.producer.ProduceAll(ctx, records...); err != nil {
				return err
			}
			made += len(records)
		}
		if made >= outage {
			outage = 1 << 62
			if err := w.outage(ctx); err != nil {
				return err
			}
		}
		if made >= doorDies {
			doorDies = 1 << 62
			if err := w.killDoor(ctx); err != nil {
				return err
			}
		}
		enough := int64(made - ahead)
		if made == len(w.braze.direct) && len(list) > 0 {
			enough = int64(list[0].after)
		}
		for {
			if err := w.await(ctx, c, func() bool {
				w.watchUnrest(ctx)
				return c.committed >= enough || len(list) > 0 && c.committed >= int64(list[0].after)
			}); err != nil {
				return err
			}
			if len(list) == 0 || c.committed < int64(list[0].after) {
				break
			}
			if err := w.strikeFanout(ctx, list[0]); err != nil {
				return err
			}
			list = list[1:]
			c.asked = time.Time{}
		}
	}
	return nil
}

// settle waits until the sinks in good health have everything while one is down, lets that one come up, and waits until all
// have everything.
func (w *wayBack) settle(ctx context.Context, r *reports) error {
	began := time.Now()
	if err := w.everything(ctx, r.well, func(name string) {
		w.say("%s has everything, %v after the last record", name, time.Since(began).Round(10*time.Millisecond))
	}); err != nil {
		return err
	}
	r.halfway = map[string]int64{}
	for _, name := range allSinks {
		_, committed, err := w.groups[name].progress(ctx)
		if err != nil {
			return err
		}
		r.halfway[name] = committed
	}
	w.say("%s comes up", absentSink)
	if err := w.ends[absentSink].open(w.t); err != nil {
		return err
	}
	began = time.Now()
	return w.everything(ctx, allSinks, func(name string) {
		w.say("%s has everything, %v later", name, time.Since(began).Round(10*time.Millisecond))
	})
}

// everything waits until the groups of some sinks have committed all that is on the topic.
func (w *wayBack) everything(ctx context.Context, sinks []string, told func(name string)) error {
	for _, name := range sinks {
		c := &commits{g: w.groups[name]}
		if err := w.await(ctx, c, func() bool {
			w.watchUnrest(ctx)
			return c.records > 0 && c.committed == c.records
		}); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if told != nil {
			told(name)
		}
	}
	return nil
}
