package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/kafkatest"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
)

// story is what a run is made of.
type story struct {
	seed   uint64
	kills  int
	events int
	users  int

	brokers  []string
	cluster  *kafkatest.Cluster // nil where the brokers are left alone
	registry string
	door     string   // the binary
	sender   string   // the binary
	env      []string // of every process

	ahead    int           // events that may be accepted beyond the schedule's next step
	patience time.Duration // for the whole run
	stall    time.Duration // after which nothing more will happen
}

// run plays a story with real processes.
type run struct {
	t     testing.TB
	s     story
	kafka stream.Config
	dir   string // of logs
	began time.Time

	door    *post
	first   *post // senders
	second  *post
	load    *load
	braze   *witness
	papers  *papers
	group   *group
	outages int
	joined  int
	took    time.Duration
	broker  struct {
		away *kafkatest.Node
		back sync.WaitGroup // brokers that are on their way back
	}
	watchers sync.WaitGroup
	over     atomic.Bool // nobody is replaced any more

	mu   sync.Mutex
	ends []End
}

// post is a place where a process of a service stands, one after another.
type post struct {
	run  *run
	role string
	name string
	bin  string
	env  func(name string) []string

	mu     sync.Mutex
	starts int
	now    *child // nil while nobody stands there
}

// play runs a story and returns its history. It fails the test where the story cannot go on.
func play(t testing.TB, s story) *History {
	t.Helper()
	r := &run{t: t, s: s, dir: t.TempDir(), began: time.Now()}
	prefix := kafkatest.Prefix(t)
	r.kafka = stream.Config{Brokers: s.brokers, TopicPrefix: prefix, Compression: "lz4"}
	r.braze = startWitness(t, s.seed)
	r.papers = newPapers(r.kafka)
	r.group = &group{s.brokers, r.kafka.Group(Sender), r.kafka.Topic(schema.CustomerEvents)}
	ctx, cancel := within(t.Context(), s.patience, "the whole run")
	defer cancel()
	err := r.play(ctx)
	r.over.Store(true)
	r.stopAll()
	r.watchers.Wait()
	r.broker.back.Wait()
	if err != nil {
		t.Fatalf("%v\n%s", err, r.lastWords())
	}
	return r.history()
}

func (r *run) play(ctx context.Context) error {
	if err := r.open(ctx); err != nil {
		return err
	}
	reading, stopReading := context.WithCancel(ctx)
	var readers sync.WaitGroup
	readers.Go(func() { r.papers.follow(reading) })
	defer readers.Wait()
	defer stopReading()

	r.say("the front door is open, senders are there")
	r.began = time.Now()
	loaded := make(chan error, 1)
	loading, stopLoading := context.WithCancelCause(ctx)
	defer stopLoading(nil)
	go func() { loaded <- r.load.run(loading) }()

	brokers := 1
	if r.s.cluster != nil {
		brokers = 3
	}
	for _, step := range Plan(r.s.seed, r.s.kills, r.s.events, brokers) {
		err := r.do(ctx, step)
		if errors.Is(err, errStuck) {
			r.say("%v: %v; the rest of the schedule is left out", step, err)
			break
		}
		if err != nil {
			stopLoading(err)
			return errors.Join(fmt.Errorf("%v: %w", step, err), <-loaded)
		}
	}
	r.load.allow(r.s.events)
	if err := <-loaded; err != nil {
		return err
	}
	r.say("all events are accepted")
	r.broker.back.Wait()
	if err := r.quiet(ctx); err != nil {
		return err
	}
	r.took = time.Since(r.began)
	r.say("quiet")
	return r.close(ctx)
}

// open starts the processes of the beginning.
func (r *run) open(ctx context.Context) error {
	addr, err := freeAddr()
	if err != nil {
		return err
	}
	r.load = &load{
		url: "http://" + addr, key: "chaos-key", seed: r.s.seed, users: r.s.users, events: r.s.events,
	}
	common := append([]string{
		"KAFKA_BROKERS=" + strings.Join(r.s.brokers, ","),
		"TOPIC_PREFIX=" + r.kafka.TopicPrefix,
		"SCHEMA_REGISTRY_URL=" + r.s.registry,
		// Reading thousands of small batches back, the race detector spends a minute on lz4's buffers.
		"KAFKA_COMPRESSION=snappy",
	}, r.s.env...)
	r.door = r.newPost(Door, "ingest", r.s.door, func(string) []string {
		return append(common, "INGEST_ADDR="+addr, "INGEST_KEYS=chaos:chaos-key")
	})
	sender := func(name string) []string {
		return append(common,
			"KAFKA_CLIENT_ID="+name,
			"BRAZE_REST_ENDPOINT="+r.braze.url, "BRAZE_API_KEY="+name,
			"BRAZE_RATE=100000/1s", "BRAZE_LINGER=50ms", "BRAZE_USER_SPACING=20ms")
	}
	r.first = r.newPost(Sender, "sender-a", r.s.sender, sender)
	r.second = r.newPost(Sender, "sender-b", r.s.sender, sender)
	for _, p := range []*post{r.door, r.first} {
		if err := p.start(); err != nil {
			return err
		}
	}
	for _, p := range []*post{r.door, r.first} {
		if err := p.child().ready(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) newPost(role, name, bin string, env func(string) []string) *post {
	return &post{run: r, role: role, name: name, bin: bin, env: env}
}

// start puts a new process on the post, and another whenever one ends that nobody has asked to.
func (p *post) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.starts++
	name := fmt.Sprintf("%s.%d", p.name, p.starts)
	if p.starts > 500 {
		return fmt.Errorf("%s: started too often", name)
	}
	c, err := startChild(p.role, name, p.bin, p.run.dir, p.env(name))
	if err != nil {
		return fmt.Errorf("starting %s: %w", name, err)
	}
	p.now = c
	p.run.watchers.Go(func() { p.watch(c) })
	return nil
}

// watch notes the end of a process that nobody asked for, and puts another in its place.
func (p *post) watch(c *child) {
	<-c.done
	p.mu.Lock()
	asked := c.asked
	p.mu.Unlock()
	if asked {
		return
	}
	now := time.Now()
	p.run.ended(End{Process: c.name, Role: c.role, How: Died, Begun: now, Gone: now, Words: fmt.Sprintf("%v; its log ends:\n%s", c.err, c.lastWords())})
	p.run.say("%s ended by itself: %v", c.name, c.err)
	if !p.run.over.Load() {
		if err := p.start(); err != nil {
			p.run.say("%v", err)
		}
	}
	p.run.bury(c)
}

// child is who stands there; nil for nobody.
func (p *post) child() *child {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

// kill ends the process with SIGKILL.
func (p *post) kill(ctx context.Context) error {
	c, ok := p.ask()
	if !ok {
		return nil // it has ended by itself a moment ago
	}
	end := End{Process: c.name, Role: c.role, How: Killed, Begun: time.Now()}
	if err := c.signal(syscall.SIGKILL); err != nil {
		return err
	}
	if err := c.gone(ctx); err != nil {
		return err
	}
	end.Gone = time.Now()
	p.run.ended(end)
	p.run.say("killed %s after %v", c.name, time.Since(c.born).Round(time.Millisecond))
	p.run.watchers.Go(func() { p.run.bury(c) })
	return nil
}

// ask notes that the process is about to be ended by us, so that nobody wonders.
func (p *post) ask() (*child, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.now
	if c == nil {
		return nil, false
	}
	select {
	case <-c.done:
		return nil, false
	default:
	}
	c.asked = true
	p.now = nil
	return c, true
}

// leave asks the process to go, and gives it time to do so in good order.
func (p *post) leave(ctx context.Context) error {
	c, ok := p.ask()
	if !ok {
		return nil
	}
	if err := c.ready(ctx); err != nil { // it does not listen to signals from its first moment on
		return err
	}
	end := End{Process: c.name, Role: c.role, How: Left, Begun: time.Now()}
	if err := c.signal(syscall.SIGTERM); err != nil {
		return err
	}
	ctx, cancel := within(ctx, time.Minute, c.name+" does not leave")
	defer cancel()
	if err := c.gone(ctx); err != nil {
		return errors.Join(fmt.Errorf("%w; its log ends:\n%s", err, c.lastWords()), c.signal(syscall.SIGKILL))
	}
	end.Gone = time.Now()
	if c.err != nil {
		end.How, end.Words = Died, fmt.Sprintf("told to stop: %v; its log ends:\n%s", c.err, c.lastWords())
	}
	p.run.ended(end)
	p.run.say("%s left within %v", c.name, end.Gone.Sub(end.Begun).Round(time.Millisecond))
	return nil
}

func (r *run) ended(e End) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ends = append(r.ends, e)
}

// bury takes a dead sender out of its group.
func (r *run) bury(c *child) {
	if c.role != Sender {
		return
	}
	ctx, cancel := within(r.t.Context(), 30*time.Second, "burying "+c.name)
	defer cancel()
	var last error
	if err := until(ctx, 100*time.Millisecond, func() bool { last = r.group.bury(ctx, c.name); return last == nil }); err != nil {
		r.say("%v: %v; its session will end by itself", err, last)
	}
}

// errStuck says that records which must have had their end by now have none, and will have none: the
// checker tells which.
var errStuck = errors.New("nothing goes on any more")

// do waits for a step's moment and takes it.
func (r *run) do(ctx context.Context, s Step) error {
	r.load.allow(s.After + r.s.ahead)
	watch := r.watchProgress()
	err := until(ctx, 2*time.Millisecond, func() bool { return r.papers.done() >= s.After || watch() > r.s.stall })
	switch {
	case err != nil:
		return fmt.Errorf("%w: %d records have their end", err, r.papers.done())
	case r.papers.done() < s.After:
		return errStuck
	}
	switch s.Do {
	case KillDoor:
		return r.replace(ctx, s, r.door, r.load.posted.heard())
	case KillSender:
		victim := r.first
		if s.Pick == 1 && r.second.child() != nil {
			victim = r.second
		}
		return r.replace(ctx, s, victim, r.braze.nextOf(victim.name))
	case Join:
		r.joined++
		r.say("a second sender joins")
		return r.second.start()
	case Leave:
		if err := r.catch(ctx, s, r.second, r.braze.nextOf(r.second.name)); err != nil {
			return err
		}
		if s.Hard {
			return r.second.kill(ctx)
		}
		return r.second.leave(ctx)
	case StopBroker:
		return r.stopBroker(ctx, s)
	case StartBroker:
		r.startBroker(ctx)
	}
	return nil
}

// replace kills who stands on a post in the middle of its work, and puts another in its place.
func (r *run) replace(ctx context.Context, s Step, p *post, busy <-chan struct{}) error {
	if err := r.catch(ctx, s, p, busy); err != nil {
		return err
	}
	if err := p.kill(ctx); err != nil {
		return err
	}
	if p.child() != nil {
		return nil // it had ended by itself, and another stands there already
	}
	return p.start()
}

// catch waits until who stands on a post has a request under way. Where there is nothing left to do it
// lets the load bring more, and where there is no more it does not wait in vain.
func (r *run) catch(ctx context.Context, s Step, p *post, busy <-chan struct{}) error {
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	watch := r.watchProgress()
	for {
		select {
		case <-busy:
			return pause(ctx, s.Delay)
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-look.C:
		}
		still := watch()
		accepted := int(r.load.accepted.Load())
		switch {
		case accepted >= r.s.events && (p.role == Door || r.papers.done() >= accepted):
			return nil
		case still > r.s.stall:
			return errStuck
		case p.role == Door || still > 200*time.Millisecond:
			r.load.allowMore() // a trickle, so that some is left for the rest of the schedule
		}
	}
}

// watchProgress returns how long it has been, whenever it is asked, that no record had its end.
func (r *run) watchProgress() func() time.Duration {
	before, moved := r.papers.done(), time.Now()
	return func() time.Duration {
		if done := r.papers.done(); done != before {
			before, moved = done, time.Now()
		}
		return time.Since(moved)
	}
}

// stopBroker takes a broker away, once the others have all that it has.
func (r *run) stopBroker(ctx context.Context, s Step) error {
	r.broker.back.Wait()
	waiting, cancel := within(ctx, 2*time.Minute, "waiting for the brokers to be in sync")
	defer cancel()
	if err := r.s.cluster.AwaitInSync(waiting); err != nil {
		return err
	}
	r.broker.away = r.s.cluster.Node(s.Pick)
	r.outages++
	if s.Hard {
		r.say("killed broker %d", r.broker.away.ID())
		return r.broker.away.Kill()
	}
	err := r.broker.away.Stop()
	r.say("broker %d has stopped", r.broker.away.ID())
	return err
}

// startBroker brings it back, while the story goes on.
func (r *run) startBroker(ctx context.Context) {
	node := r.broker.away
	r.broker.back.Go(func() {
		if err := node.Restart(ctx); err != nil {
			r.t.Errorf("broker %d does not come back: %v", node.ID(), err)
			return
		}
		r.say("broker %d is back", node.ID())
	})
}

// quiet waits until every record on the topic has its end and is committed, or until nothing has
// happened for so long that nothing will.
func (r *run) quiet(ctx context.Context) error {
	var records, committed, before int64
	var last error
	moved := time.Now()
	err := until(ctx, 100*time.Millisecond, func() bool {
		if records, committed, last = r.group.progress(ctx); last != nil {
			return false
		}
		done := int64(r.papers.done())
		if now := records + committed + done; now != before {
			before, moved = now, time.Now()
		}
		return done == records && committed == records || time.Since(moved) > r.s.stall
	})
	if err != nil {
		return errors.Join(err, last)
	}
	if done := int64(r.papers.done()); done != records || committed != records {
		r.say("nothing has happened for %v: %d records on the topic, %d committed, %d have their end", r.s.stall, records, committed, done)
	}
	return nil
}

// close asks everybody to go.
func (r *run) close(ctx context.Context) error {
	return errors.Join(r.first.leave(ctx), r.second.leave(ctx), r.door.leave(ctx))
}

// stopAll ends what is still there when a run cannot go on.
func (r *run) stopAll() {
	for _, p := range []*post{r.door, r.first, r.second} {
		if p == nil {
			continue
		}
		if c, ok := p.ask(); ok {
			_ = c.signal(syscall.SIGKILL)
		}
	}
}

// history gathers what the run has left behind.
func (r *run) history() *History {
	h := &History{
		Asked: r.load.asked, Strange: r.load.strange, Most: braze.MaxObjects,
		Joined: r.joined, Outages: r.outages, Took: r.took,
	}
	r.mu.Lock()
	h.Ends = r.ends
	r.mu.Unlock()
	h.Requests, h.Sandbox = r.braze.requests(&h.Strange)
	r.say("%d requests are read from the sandbox", len(h.Requests))
	if err := r.papers.gather(r.t.Context(), h); err != nil {
		r.t.Fatal(err)
	}
	r.say("%d records, %d receipts, %d dead letters are read from the topics", len(h.Topic), len(h.Receipts), len(h.Letters))
	return h
}

func (r *run) say(format string, args ...any) {
	r.t.Logf("%6.2fs  %6d done  %s", time.Since(r.began).Seconds(), r.papers.done(), fmt.Sprintf(format, args...))
}

// lastWords is the end of every log, for a run that cannot go on.
func (r *run) lastWords() string {
	var b strings.Builder
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		return err.Error()
	}
	for _, e := range entries {
		c := child{log: r.dir + "/" + e.Name()}
		fmt.Fprintf(&b, "%s ends:\n%s\n", e.Name(), c.lastWords())
	}
	return b.String()
}
