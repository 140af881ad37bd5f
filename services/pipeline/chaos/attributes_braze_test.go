package chaos

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/braze/brazefake"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
)

// confusion makes up records as no system should send them: clocks that lie, versions that go astray, sources that
// overtake one another, operators beside whole values, and every fourth record once more.
type confusion struct {
	dice  *rand.Rand
	users int
	base  int64
	made  []change
}

func newConfusion(dice *rand.Rand, users int) *confusion {
	return &confusion{dice: dice, users: users, base: time.Now().Add(-time.Hour).UnixMilli()}
}

func (f *confusion) next() change {
	c := f.makeUp()
	f.made = append(f.made, c)
	return c
}

func (f *confusion) makeUp() change {
	d := f.dice
	if n := len(f.made); n > 0 && d.IntN(4) == 0 {
		return f.made[d.IntN(n)]
	}
	c := change{user: int32(d.IntN(f.users)), id: strconv.Itoa(len(f.made)), source: []string{"crm", "shop", "zoo", tierOwner}[d.IntN(4)], time: f.base + d.Int64N(12)}
	if c.source == "crm" || c.source == "shop" && d.IntN(2) == 0 {
		c.version = 1 + d.Int64N(6)
	}
	for range 1 + d.IntN(3) {
		w := write{field: uint8(d.IntN(len(attributes)))}
		if slices.ContainsFunc(c.writes, func(other write) bool { return other.field == w.field }) {
			continue
		}
		w.value = possible[w.field][d.IntN(len(possible[w.field]))]
		switch dice := d.IntN(3); {
		case w.field == tags && dice == 0:
			w.verb, w.value = add, elements[d.IntN(len(elements))]
		case w.field == tags && dice == 1:
			w.verb, w.value = remove, elements[d.IntN(len(elements))]
		case w.field == visits && dice > 0:
			w.verb, w.n = increment, d.Int64N(7)-3
		}
		c.writes = append(c.writes, w)
	}
	return c
}

// elements of arrays.
var elements = []string{`"a"`, `"b"`, `"c"`, `1`, `true`}

// ruled are the profiles as the rules of precedence have them, by user.
func ruled(changes []change) map[string]*[len(attributes)]attribute {
	people := map[string]*[len(attributes)]attribute{}
	for i := range changes {
		c := &changes[i]
		p := people[c.name()]
		if p == nil {
			p = &[len(attributes)]attribute{}
			people[c.name()] = p
		}
		for _, w := range c.writes {
			if w.field != tier || c.source == tierOwner {
				p[w.field].tell(&stamped{w, c.id, c.source, c.version, c.time})
			}
		}
	}
	return people
}

// TestProfilesReachBrazeAsTheRulesSay is the whole way: whatever sources say, in whatever order, doubled and late, with
// both services killed in the middle of it and Braze ill throughout, each profile in the sandbox ends as the rules of
// precedence say.
func TestProfilesReachBrazeAsTheRulesSay(t *testing.T) {
	seed := number(t, "CHAOS_SEED", uint64(time.Now().UnixNano())%1_000_000)
	users, n := number(t, "CHAOS_CONFUSED", 2_000), number(t, "CHAOS_BLOWS", 12)
	t.Logf("CHAOS_SEED=%d CHAOS_CONFUSED=%d CHAOS_BLOWS=%d", seed, users, n)
	s := newStage(t, seed)
	s.replicas(build(t, Syncer), schema.CustomerProfiles, ownedFields, "ATTRIBUTE_BATCH=200", "ATTRIBUTE_LINGER=0s")
	w := &wholeWay{stage: s, braze: startWitness(t, seed), papers: newPapers(s.kafka), confusion: newConfusion(s.dice, users), refused: map[string]bool{}}
	ill := mishaps
	ill.PItemError = 0.003
	if err := w.braze.sandbox.SetKnobs(ill); err != nil {
		t.Fatal(err)
	}
	bin := build(t, Sender)
	for _, name := range []string{"sender-a", "sender-b"} {
		p := s.stand(Sender, name, bin, schema.BrazeAttributes, "BRAZE_REST_ENDPOINT="+w.braze.url,
			"BRAZE_RATE=100000/1s", "BRAZE_LINGER=20ms", "BRAZE_USER_SPACING=20ms")
		p.busy = func() <-chan struct{} { return w.braze.nextOf(name) }
	}
	ctx, cancel := within(t.Context(), 6*time.Minute+time.Duration(n)*10*time.Second, "the whole run")
	defer cancel()
	if err := w.play(ctx, users*14, n); err != nil {
		t.Fatal(err)
	}
	w.check()
	t.Logf("seed %d, %v in all: %s; %s\n%s", seed, time.Since(s.began).Round(100*time.Millisecond), s.blown(Syncer), s.blown(Sender), w)
	if len(w.findings) > 0 {
		t.Errorf("%d findings; again with CHAOS_SEED=%d", len(w.findings), seed)
	}
	if s.killed[Syncer] == 0 || s.killed[Sender] == 0 || s.frozen == 0 || len(w.refused) == 0 {
		t.Error("the run tries too little")
	}
}

// wholeWay is a run from customer.profiles to the sandbox.
type wholeWay struct {
	*stage
	braze     *witness
	papers    *papers
	confusion *confusion
	whose     map[spot]string // users of updates
	refused   map[string]bool // users of whom Braze has refused something

	findings                           []Finding
	profiles, values, doubled, objects int
}

func (w *wholeWay) broken(law, format string, args ...any) {
	w.findings = append(w.findings, Finding{law, fmt.Sprintf(format, args...)})
}

func (w *wholeWay) play(ctx context.Context, records, n int) error {
	if err := w.open(ctx); err != nil {
		return err
	}
	reading, stopReading := context.WithCancel(ctx)
	var readers sync.WaitGroup
	readers.Go(func() { w.papers.follow(reading) })
	defer readers.Wait()
	defer stopReading()
	c := &commits{g: w.stands[0].group}
	err := w.stage.play(ctx, c, story{events: records, ahead: 1_500}, blows(w.dice, n, records), func(most int) ([]*stream.Record, func()) {
		chunk := make([]*stream.Record, min(most, 500))
		for i := range chunk {
			made := w.confusion.next()
			chunk[i] = w.changeRecord(&made)
		}
		return chunk, func() {}
	})
	if err == nil {
		err = w.quiet(ctx)
	}
	if err == nil {
		err = w.sayAgain(ctx, c)
	}
	if err != nil {
		return err
	}
	return w.close(ctx)
}

// quiet waits until each update has its end at Braze.
func (w *wholeWay) quiet(ctx context.Context) error {
	w.whose = map[spot]string{}
	err := w.tellings(ctx, func(r *stream.Record, _ *event.Update) error {
		w.whose[spot{r.Partition, r.Offset}] = string(r.Key)
		return nil
	})
	if err != nil {
		return err
	}
	var failed error
	if err := until(ctx, 50*time.Millisecond, func() bool {
		failed = w.alive()
		return failed != nil || w.papers.done() >= len(w.whose)
	}); err != nil {
		return fmt.Errorf("%w: %d of %d updates have their end", err, w.papers.done(), len(w.whose))
	}
	w.say("all %d updates have their end", len(w.whose))
	return failed
}

// sayAgain has everything said once more of those of whom Braze has refused something: what was refused is forgotten,
// and sent although it was sent before.
func (w *wholeWay) sayAgain(ctx context.Context, c *commits) error {
	well := mishaps
	well.PItemError = 0
	if err := w.braze.sandbox.SetKnobs(well); err != nil {
		return err
	}
	w.papers.mu.Lock()
	for _, r := range w.papers.receipts {
		if r.Kind == outcome.Refused {
			w.refused[w.whose[spot{r.Partition, r.Offset}]] = true
		}
	}
	w.papers.mu.Unlock()
	heard := &commits{g: &group{w.kafka.Brokers, w.kafka.Group(Syncer), w.kafka.Topic(schema.BrazeDeliveries)}}
	if err := w.await(ctx, heard, func() bool { return heard.records > 0 && heard.committed == heard.records }); err != nil {
		return err
	}
	var again []change
	for _, made := range w.confusion.made {
		if w.refused[made.name()] {
			again = append(again, made)
		}
	}
	w.say("Braze has refused something of %d, and %d records are said again", len(w.refused), len(again))
	w.confusion.made = append(w.confusion.made, again...)
	next := 0
	if err := w.stage.play(ctx, c, story{events: len(again), ahead: len(again)}, nil, func(most int) ([]*stream.Record, func()) {
		var chunk []*stream.Record
		for i := range most {
			chunk = append(chunk, w.changeRecord(&again[next+i]))
		}
		next += most
		return chunk, func() {}
	}); err != nil {
		return err
	}
	return w.quiet(ctx)
}

// check compares profiles in the sandbox with those of the rules.
func (w *wholeWay) check() {
	doubts := w.doubts()
	for user, fields := range ruled(w.confusion.made) {
		w.profiles++
		has, _ := w.braze.sandbox.Profile(user)
		custom := map[string]string{}
		for name, value := range has.Custom {
			custom[name] = string(value)
		}
		if state := has.Subscriptions[newsletter]; state != "" {
			custom[attributes[letters]] = strconv.Quote(state)
		}
		for i := range fields {
			name := attributes[i]
			want, got := alike(fields[i].value()), alike(custom[name])
			if want != "" {
				w.values++
			}
			if i == visits && w.refused[user] {
				continue // what was added to something that Braze does not have is not added again
			}
			if i == visits && want != got && w.excused(want, got, doubts[user]) {
				w.doubled++
				continue
			}
			if want != got {
				w.broken(Untold, "%s: %s is %s, and ought to be %s", user, name, got, want)
			}
		}
	}
	for _, v := range w.braze.sandbox.Violations() {
		w.broken(Sandbox, "%s", v)
	}
	if n := w.braze.sandbox.Stats().ValuesIgnored; n > 0 {
		w.broken(Sandbox, "%d values were ignored", n)
	}
}

// doubts are the increments that may have been applied twice, by user: Braze took them, and their sender did not hear
// of it, or was killed about then.
func (w *wholeWay) doubts() map[string][]int64 {
	const about = time.Second // a receipt follows its answer within milliseconds, even on busy cores
	w.braze.mu.Lock()
	defer w.braze.mu.Unlock()
	doubts := map[string][]int64{}
	for o := range w.braze.sandbox.Received() {
		if !o.Fate.Applied() {
			continue
		}
		w.objects++
		_, text, found := strings.Cut(string(o.Properties), `"visits":{"inc":`)
		if !found {
			continue
		}
		n, err := strconv.ParseInt(text[:strings.IndexByte(text, '}')], 10, 64)
		s := w.braze.seen[o.Request]
		if err != nil || s == nil {
			w.broken(Strange, "request %d: %s: %v", o.Request, o.Properties, err)
			continue
		}
		death, killed := w.deaths[s.sender]
		if o.Fate != brazefake.Answered || s.status != 201 || killed && death.Sub(s.left) < about {
			doubts[o.User] = append(doubts[o.User], n)
		}
	}
	return doubts
}

// excused reports whether a number is what it ought to be and some of the increments that are in doubt.
func (w *wholeWay) excused(want, got string, doubts []int64) bool {
	wanted, _ := strconv.ParseInt(cmp.Or(want, "0"), 10, 64)
	found, _ := strconv.ParseInt(cmp.Or(got, "0"), 10, 64)
	sums := map[int64]bool{0: true}
	for _, n := range doubts {
		for sum := range sums {
			sums[sum+n] = true
		}
	}
	return sums[found-wanted]
}

// String is the report for a person.
func (w *wholeWay) String() string {
	return fmt.Sprintf("  %-12s %d, of which %d are told once more\n", "records", len(w.confusion.made), len(w.confusion.made)-unique(w.confusion.made)) +
		fmt.Sprintf("  %-12s %d; Braze has taken %d objects\n", "updates", len(w.whose), w.objects) +
		fmt.Sprintf("  %-12s %d with %d values; %d of them with an increment in doubt that counted twice, %d refused in part and said again\n",
			"profiles", w.profiles, w.values, w.doubled, len(w.refused)) +
		listed(w.findings, "every profile in the sandbox as the rules have it")
}

func unique(changes []change) int {
	seen := map[string]bool{}
	for i := range changes {
		seen[changes[i].id] = true
	}
	return len(seen)
}
