package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicehq/sluice/pkg/kafkatest"
	"github.com/sluicehq/sluice/pkg/pgtest"
	"github.com/sluicehq/sluice/pkg/registry"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/topics"
	currentsfanout "github.com/sluicehq/sluice/services/currents-fanout"
)

// Fanout is the role of currents-fanout.
const Fanout = currentsfanout.Name

// The sinks of the story.
const (
	healthySink  = "healthy"
	slowSink     = "slow"
	failingSink  = "failing"
	absentSink   = "absent"
	filesSink    = "files"
	postgresSink = "postgres"
)

var allSinks = []string{healthySink, slowSink, failingSink, absentSink, filesSink, postgresSink}

// wayBack is the stage on which Braze's reports go to everybody who needs them.
type wayBack struct {
	*stage
	cluster *kafkatest.Cluster
	braze   *bulletin
	crew    *crew
	ends    map[string]*end
	groups  map[string]*group
	door    *stand
	harm    map[string]harm // by start of a process
	unrest  []span
	calm    bool      // the last of them has ended
	looked  time.Time // when somebody looked whether it had
	lake    string    // folder of the files
	dsn     string
	layout  string // of the tables
}

// newWayBack has a Kafka and a database of its own: the Kafka is harmed.
func newWayBack(t *testing.T, seed uint64, events int) *wayBack {
	t.Helper()
	began := time.Now()
	w := &wayBack{
		cluster: kafkatest.StartFor(t, kafkatest.Config{Nodes: 1}), braze: newBulletin(seed, events), crew: &crew{numbers: map[string]uint16{}},
		ends: map[string]*end{}, groups: map[string]*group{}, harm: map[string]harm{},
		lake: filepath.Join(t.TempDir(), "lake"), dsn: pgtest.Open(t),
	}
	w.stage = &stage{
		t: t, dice: rand.New(rand.NewPCG(seed, 3)), dir: t.TempDir(), began: time.Now(), done: func() int { return 0 },
		deaths: map[string]time.Time{}, killed: map[string]int{}, stopped: map[string]int{}, wiped: map[string]int{},
		kafka: stream.Config{
			Brokers: w.cluster.Brokers(), TopicPrefix: kafkatest.Prefix(t), Compression: "lz4", CreateTopics: true, Partitions: 6, ReplicationFactor: -1,
		},
	}
	if w.registry = os.Getenv(kafkatest.EnvRegistryURL); w.registry == "" {
		w.registry = anEmbeddedRegistry(t)
	}
	w.layout = []string{"single", "per_type"}[w.dice.IntN(2)]
	reg, err := registry.New(registry.Config{URL: w.registry})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reg.Close)
	w.ids, err = topics.Prepare(t.Context(), w.kafka, reg, schema.BrazeEngagements, schema.BrazeActions,
		schema.DeadLetters(Fanout), schema.Retries(Fanout), schema.State(Fanout))
	if err != nil {
		t.Fatal(err)
	}
	if w.producer, err = stream.NewProducer(w.kafka, stream.ProducerOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.producer.Close)
	t.Cleanup(w.killAll)
	w.braze.topic, w.braze.schema = w.kafka.Topic(schema.BrazeEngagements), w.ids[schema.BrazeEngagements]
	w.far(events, seed)
	w.places()
	t.Logf("kafka: real %s; PostgreSQL: real, tables %s; everything is there after %v", w.cluster.Version(), w.layout, time.Since(began).Round(time.Millisecond))
	return w
}

// far makes the far ends of the sinks, of which one stays away.
func (w *wayBack) far(events int, seed uint64) {
	w.t.Helper()
	for i, name := range []string{healthySink, slowSink, failingSink, absentSink} {
		e := newEnd(w.t, name, events, seed+uint64(i), w.crew, func() time.Duration { return time.Since(w.began) })
		w.ends[name] = e
		switch name {
		case slowSink:
			e.after = [2]time.Duration{50 * time.Millisecond, 100 * time.Millisecond}
		case failingSink:
			e.failOf = 2
		case absentSink:
			continue
		}
		if err := e.open(w.t); err != nil {
			w.t.Fatal(err)
		}
	}
	for _, name := range allSinks {
		w.groups[name] = &group{w.kafka.Brokers, w.kafka.Group(currentsfanout.Group(name)), w.braze.topic}
	}
}

// places makes places for the front door and two of currents-fanout.
func (w *wayBack) places() {
	w.t.Helper()
	addr, err := freeAddr()
	if err != nil {
		w.t.Fatal(err)
	}
	w.braze.url = "http://" + addr + "/v1/braze/currents?ws=eu"
	file := filepath.Join(w.dir, "sinks.yaml")
	if err := os.WriteFile(file, []byte(w.sinks()), 0o600); err != nil {
		w.t.Fatal(err)
	}
	bin := build(w.t, Fanout)
	commit := []string{"FANOUT_COMMIT_EVERY=50ms", "FANOUT_COMMIT_EVERY=500ms"}[w.dice.IntN(2)]
	for _, name := range []string{"fanout-a", "fanout-b"} {
		w.stand(Fanout, name, bin, schema.BrazeEngagements, "SINKS_FILE="+file, "WAREHOUSE_DSN="+w.dsn, commit)
	}
	w.door = w.stand(Door, "ingest", build(w.t, Door), schema.BrazeEngagements, "INGEST_ADDR="+addr, "INGEST_KEYS=chaos:chaos-key",
		"BRAZE_CURRENTS_TOKENS="+connectorToken, "INGEST_DELIVERY_TIMEOUT=1s")
}

// sinks is the sinks.yaml of the story.
func (w *wayBack) sinks() string {
	var b strings.Builder
	b.WriteString("sinks:\n")
	http := func(name string, concurrency, batch int) {
		fmt.Fprintf(&b, "  - {name: %s, kind: http, concurrency: %d, batch: {events: %d, linger: 200ms}, http: {url: \"http://%s/\", headers: {%s: \"${KAFKA_CLIENT_ID}\"}}}\n",
			name, concurrency, batch, w.ends[name].addr, processHeader)
	}
	http(healthySink, 4, 500)
	http(slowSink, 2, 100)
	http(failingSink, 4, 250)
	http(absentSink, 4, 500)
	folder := url.URL{Scheme: "file", Path: filepath.ToSlash(w.lake)}
	fmt.Fprintf(&b, "  - {name: %s, kind: files, batch: {events: 20000, linger: 2s}, files: {url: %q}}\n", filesSink, folder.String())
	fmt.Fprintf(&b, "  - {name: %s, kind: postgres, batch: {events: 2000, linger: 200ms}, postgres: {dsn: \"${WAREHOUSE_DSN}\", layout: %s}}\n", postgresSink, w.layout)
	return b.String()
}

// strikeFanout lets a blow fall on one of the two.
func (w *wayBack) strikeFanout(ctx context.Context, b blow) error {
	p := w.stands[b.pick%2]
	if err := pause(ctx, b.delay); err != nil {
		return err
	}
	w.stir()
	switch {
	case b.cold:
		return w.freezeFanout(ctx, p, 200*time.Millisecond+b.pause)
	case b.hard:
		if err := w.killFanout(ctx, p); err != nil {
			return err
		}
	default:
		if err := p.leave(ctx); err != nil {
			return err
		}
	}
	if b.wiped {
		if err := p.wipe(); err != nil {
			return err
		}
	}
	if err := pause(ctx, b.pause); err != nil {
		return err
	}
	return p.start(ctx, false)
}

// killFanout ends a process with SIGKILL, and has its groups know of it sooner than they would by themselves.
func (w *wayBack) killFanout(ctx context.Context, p *stand) error {
	c := p.now
	h := w.harm[c.name]
	h.killed = true
	w.harm[c.name] = h
	if err := c.signal(syscall.SIGKILL); err != nil {
		return err
	}
	if err := c.gone(ctx); err != nil {
		return err
	}
	p.now = nil
	w.killed[p.role]++
	w.say("killed %s after %v", c.name, time.Since(c.born).Round(time.Millisecond))
	return w.buryFanout(ctx, c)
}

// buryFanout takes a process out of the groups of all sinks.
func (w *wayBack) buryFanout(ctx context.Context, c *child) error {
	for _, name := range allSinks {
		var last error
		giveUp, cancel := within(ctx, 20*time.Second, "burying "+c.name)
		if err := until(giveUp, 50*time.Millisecond, func() bool { last = w.groups[name].bury(giveUp, c.name); return last == nil }); err != nil {
			w.say("%v: %v; Kafka will find out by itself", err, last)
		}
		cancel()
	}
	return ctx.Err()
}

// freezeFanout lets a process stand still until its groups take it for dead, and go on then with batches in its hands
// that are no more its own.
func (w *wayBack) freezeFanout(ctx context.Context, p *stand, d time.Duration) error {
	if err := until(ctx, 20*time.Millisecond, func() bool {
		return w.groups[healthySink].settled(ctx, p.now.name) || w.alive() != nil
	}); err != nil {
		return fmt.Errorf("waiting for %s to be a member: %w", p.now.name, err)
	}
	w.harm[p.now.name] = harm{takenForDead: true}
	if err := p.now.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	w.frozen++
	if err := w.buryFanout(ctx, p.now); err != nil {
		return err
	}
	if err := pause(ctx, d); err != nil {
		return err
	}
	w.say("%s goes on after it was taken for dead", p.now.name)
	return p.now.signal(syscall.SIGCONT)
}

// killDoor has another front door in the place of one that is killed.
func (w *wayBack) killDoor(ctx context.Context) error {
	c := w.door.now
	if err := c.signal(syscall.SIGKILL); err != nil {
		return err
	}
	if err := c.gone(ctx); err != nil {
		return err
	}
	w.killed[Door]++
	w.say("killed %s", c.name)
	return w.door.start(ctx, false)
}

// outage takes Kafka away until the front door has told Braze to come again.
func (w *wayBack) outage(ctx context.Context) error {
	w.stir()
	node, before := w.cluster.Node(0), w.braze.turnedAway()
	killed := w.dice.IntN(3) == 0
	away, back := node.Freeze, func(context.Context) error { return node.Thaw() }
	if killed {
		away, back = node.Kill, node.Restart
	}
	if err := away(); err != nil {
		return err
	}
	w.say("kafka is away, killed %t", killed)
	w.braze.hand(w.braze.handed + 2*callersAtOnce)
	wait, cancel := within(ctx, 20*time.Second, "a 503 for Currents")
	defer cancel()
	err := until(wait, 20*time.Millisecond, func() bool { return w.braze.turnedAway() > before })
	if err := back(ctx); err != nil {
		return err
	}
	w.say("kafka is back; %d calls were told to come again", w.braze.turnedAway()-before)
	return err
}

// stir notes that groups are about to share partitions out anew.
func (w *wayBack) stir() {
	now := time.Since(w.began)
	w.unrest = append(w.unrest, span{now, now})
	w.calm = false
}

// watchUnrest looks now and then whether the groups have come to rest: all members are those who are there, and have been told
// what is theirs.
func (w *wayBack) watchUnrest(ctx context.Context) {
	if w.calm || time.Since(w.looked) < 100*time.Millisecond {
		return
	}
	w.looked = time.Now()
	var names, there []string
	for _, g := range w.groups {
		names = append(names, g.name)
	}
	for _, p := range w.stands[:2] {
		there = append(there, p.now.name)
	}
	rest := false
	err := w.groups[healthySink].asking(ctx, "asking for the members", func(ctx context.Context, client *kgo.Client) error {
		described, err := kadm.NewClient(client).DescribeGroups(ctx, names...)
		rest = err == nil
		for _, name := range names {
			var members []string
			for _, m := range described[name].Members {
				members = append(members, m.ClientID)
			}
			slices.Sort(members)
			rest = rest && described[name].State == "Stable" && slices.Equal(members, there)
		}
		return err
	})
	w.unrest[len(w.unrest)-1].to = time.Since(w.began)
	w.calm = rest && err == nil
}

// metricOf sums one of a process's metrics over those that have a label.
func metricOf(text, name string, labels ...string) (sum int) {
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), name+"{")
		if !ok {
			continue
		}
		at := strings.LastIndexByte(rest, ' ')
		for _, label := range labels {
			ok = ok && strings.Contains(rest[:max(at, 0)], label)
		}
		if n, err := strconv.ParseFloat(rest[at+1:], 64); ok && err == nil {
			sum += int(n)
		}
	}
	return sum
}

// booksOf are what a process says of every sink.
func (w *wayBack) booksOf(ctx context.Context, c *child) (list []books) {
	text := c.metrics(ctx)
	for _, name := range allSinks {
		sink := fmt.Sprintf("sink=%q", name)
		done := func(outcome string) int {
			return metricOf(text, "sluice_fanout_records_total", sink, fmt.Sprintf("outcome=%q", outcome))
		}
		list = append(list, books{
			process: c.name, sink: name, accepted: metricOf(text, "sluice_fanout_accepted_total", sink),
			delivered: done("delivered"), skipped: done("skipped"), refused: done("refused"),
			back: metricOf(text, "sluice_fanout_returned_total", sink), held: metricOf(text, "sluice_fanout_held", sink),
		})
	}
	return list
}
