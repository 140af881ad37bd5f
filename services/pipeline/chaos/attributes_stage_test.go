package chaos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/kafkatest"
	"github.com/sluicehq/sluice/pkg/registry"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	kafka "github.com/sluicehq/sluice/pkg/stream/embedded"
	"github.com/sluicehq/sluice/pkg/topics"
	"github.com/sluicehq/sluice/schemas"
)

// Syncer is the role of attribute-sync.
const Syncer = "attribute-sync"

// stage is where services stand that are killed, stopped and started again, and the topics between them.
type stage struct {
	t        *testing.T
	dice     *rand.Rand
	kafka    stream.Config
	registry string
	ids      topics.IDs
	producer *stream.Producer
	dir      string // of logs and states
	began    time.Time
	stands   []*stand
	done     func() int // how far the story is

	killed, stopped, wiped map[string]int // by role; wiped are those that lost their state as well

	frozen int
	deaths map[string]time.Time // of those that were killed, by the process's name
}

// stand is a place where one process after another does the same work.
type stand struct {
	s      *stage
	role   string
	name   string
	bin    string
	env    []string
	group  *group
	busy   func() <-chan struct{} // closed when its next piece of work begins; nil where it is busy anyway
	starts int
	now    *child
}

// newStage prepares topics on the Kafka of the run, or on the embedded one.
func newStage(t *testing.T, seed uint64) *stage {
	t.Helper()
	s := &stage{
		t: t, dice: rand.New(rand.NewPCG(seed, 3)), dir: t.TempDir(), began: time.Now(), done: func() int { return 0 },
		deaths: map[string]time.Time{}, killed: map[string]int{}, stopped: map[string]int{}, wiped: map[string]int{},
	}
	s.kafka = stream.Config{
		Brokers:     strings.FieldsFunc(os.Getenv(kafkatest.EnvBrokers), func(r rune) bool { return r == ',' || r == ' ' }),
		TopicPrefix: kafkatest.Prefix(t), Compression: "lz4", CreateTopics: true, Partitions: partitions, ReplicationFactor: -1,
	}
	s.registry = os.Getenv(kafkatest.EnvRegistryURL)
	if len(s.kafka.Brokers) == 0 {
		t.Logf("kafka: embedded (%s is not set)", kafkatest.EnvBrokers)
		broker, err := kafka.Start(t.Context(), kafka.Config{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = broker.Close() })
		s.kafka.Brokers = broker.Brokers()
	} else {
		t.Logf("kafka: %v", s.kafka.Brokers)
	}
	if s.registry == "" {
		s.registry = anEmbeddedRegistry(t)
	}
	reg, err := registry.New(registry.Config{URL: s.registry})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reg.Close)
	s.ids, err = topics.Prepare(t.Context(), s.kafka, reg, schema.CustomerEvents, schema.CustomerProfiles, schema.CommerceEvents, schema.SupportCases,
		schema.BrazeAttributes, schema.BrazeDeliveries, schema.DeadLetters(Syncer), schema.DeadLetters(Sender), schema.State(Syncer))
	if err != nil {
		t.Fatal(err)
	}
	if s.producer, err = stream.NewProducer(s.kafka, stream.ProducerOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.producer.Close)
	t.Cleanup(s.killAll)
	return s
}

// stand makes a place for a service. Progress of its group is that on the topic.
func (s *stage) stand(role, name, bin, topic string, env ...string) *stand {
	p := &stand{s: s, role: role, name: name, bin: bin, group: &group{s.kafka.Brokers, s.kafka.Group(role), s.kafka.Topic(topic)}}
	p.env = append([]string{
		"KAFKA_BROKERS=" + strings.Join(s.kafka.Brokers, ","), "TOPIC_PREFIX=" + s.kafka.TopicPrefix, "SCHEMA_REGISTRY_URL=" + s.registry,
		// One that is killed while it joins is a member whom nobody sees, and everybody waits for, as long as this.
		"KAFKA_SESSION_TIMEOUT=8s",
		"KAFKA_COMPRESSION=snappy", "STATE_DIR=" + filepath.Join(s.dir, "state-"+name),
	}, env...)
	s.stands = append(s.stands, p)
	return p
}

// start puts a process on the place, and waits until it is ready only where wait says so.
func (p *stand) start(ctx context.Context, wait bool) error {
	p.starts++
	name := fmt.Sprintf("%s.%d", p.name, p.starts)
	c, err := startChild(p.role, name, p.bin, p.s.dir, append(slices.Clone(p.env), "KAFKA_CLIENT_ID="+name, "BRAZE_API_KEY="+name))
	if err != nil {
		return fmt.Errorf("starting %s: %w", name, err)
	}
	p.now = c
	if wait {
		return c.ready(ctx)
	}
	return nil
}

// alive fails where a process has ended that nobody has asked to.
func (s *stage) alive() error {
	for _, p := range s.stands {
		if p.now == nil {
			continue
		}
		select {
		case <-p.now.done:
			return fmt.Errorf("%s ended by itself: %w; its log ends:\n%s", p.now.name, p.now.err, p.now.lastWords())
		default:
		}
	}
	return nil
}

// kill ends the process with SIGKILL, and has its group and Kafka's transactions know of it sooner than they
// would by themselves: the run would spend its time waiting.
func (p *stand) kill(ctx context.Context) error {
	c := p.now
	if err := c.signal(syscall.SIGKILL); err != nil {
		return err
	}
	if err := c.gone(ctx); err != nil {
		return err
	}
	p.now = nil
	p.s.killed[p.role]++
	p.s.deaths[c.name] = time.Now()
	p.s.say("killed %s after %v", c.name, time.Since(c.born).Round(time.Millisecond))
	return p.bury(ctx, c, true)
}

// bury takes a process out of its group, and ends what it has begun if it is gone for good.
func (p *stand) bury(ctx context.Context, c *child, gone bool) error {
	ctx, cancel := within(ctx, 30*time.Second, "burying "+c.name)
	defer cancel()
	var last error
	if err := until(ctx, 50*time.Millisecond, func() bool {
		if last = p.group.bury(ctx, c.name); last == nil && gone {
			last = p.group.giveUp(ctx, c.cmd.Process.Pid)
		}
		return last == nil
	}); err != nil {
		p.s.say("%v: %v; Kafka will find out by itself", err, last)
	}
	return nil
}

// giveUp ends the transaction that a dead process has left open: its next owner has to wait for that, and Kafka's own
// patience is fifteen seconds and more.
func (g *group) giveUp(ctx context.Context, pid int) error {
	return g.asking(ctx, "giving up transactions", func(ctx context.Context, client *kgo.Client) error {
		listed, err := kadm.NewClient(client).ListTransactions(ctx, nil, []string{"Ongoing", "PrepareCommit", "PrepareAbort"})
		if err != nil {
			return err
		}
		for _, txn := range listed {
			if !strings.HasPrefix(txn.TxnID, g.name+"-") || !strings.Contains(txn.TxnID, fmt.Sprintf("-%d-", pid)) {
				continue
			}
			req := kmsg.NewPtrInitProducerIDRequest()
			req.TransactionalID, req.TransactionTimeoutMillis = &txn.TxnID, 15_000
			req.ProducerID, req.ProducerEpoch = -1, -1
			resp, err := req.RequestWith(ctx, client)
			if err != nil {
				return err
			}
			if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
				return err
			}
		}
		return nil
	})
}

// settled reports whether nobody is joining or leaving, and a process is one of the members.
func (g *group) settled(ctx context.Context, clientID string) (yes bool) {
	err := g.asking(ctx, "asking for the members", func(ctx context.Context, client *kgo.Client) error {
		described, err := kadm.NewClient(client).DescribeGroups(ctx, g.name)
		yes = described[g.name].State == "Stable" && slices.ContainsFunc(described[g.name].Members, func(m kadm.DescribedGroupMember) bool { return m.ClientID == clientID })
		return err
	})
	return yes && err == nil
}

// leave asks the process to go, and gives it time to do so in good order.
func (p *stand) leave(ctx context.Context) error {
	c := p.now
	if err := c.ready(ctx); err != nil { // it does not listen to signals from its first moment on
		return err
	}
	began := time.Now()
	if err := c.signal(syscall.SIGTERM); err != nil {
		return err
	}
	ctx, cancel := within(ctx, time.Minute, c.name+" does not leave")
	defer cancel()
	if err := c.gone(ctx); err != nil {
		return fmt.Errorf("%w; its log ends:\n%s", err, c.lastWords())
	}
	p.now = nil
	if c.err != nil {
		return fmt.Errorf("%s was told to stop: %w; its log ends:\n%s", c.name, c.err, c.lastWords())
	}
	p.s.stopped[p.role]++
	p.s.say("%s left within %v", c.name, time.Since(began).Round(time.Millisecond))
	return nil
}

// freeze lets the process stand still in the middle of whatever it does, while its group gives its partitions to others.
// Then it goes on with a transaction that is still open, and must find out that nothing is its own any more.
func (p *stand) freeze(ctx context.Context, d time.Duration) error {
	// One that is about to join has nothing that could be taken from it.
	if err := until(ctx, 20*time.Millisecond, func() bool { return p.group.settled(ctx, p.now.name) || p.s.alive() != nil }); err != nil {
		return fmt.Errorf("waiting for %s to be a member: %w", p.now.name, err)
	}
	if err := p.now.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	p.s.frozen++
	if err := p.bury(ctx, p.now, false); err != nil {
		return err
	}
	if err := pause(ctx, d); err != nil {
		return err
	}
	p.s.say("%s goes on after it was taken for dead", p.now.name)
	return p.now.signal(syscall.SIGCONT)
}

// blown says what has happened to the processes of a role.
func (s *stage) blown(role string) string {
	frozen := ""
	if role == Syncer {
		frozen = fmt.Sprintf(", %d taken for dead", s.frozen)
	}
	return fmt.Sprintf("%s %d killed, %d left%s, %d without their state afterwards", role, s.killed[role], s.stopped[role], frozen, s.wiped[role])
}

// wipe deletes what the place keeps on the disk.
func (p *stand) wipe() error {
	p.s.wiped[p.role]++
	return os.RemoveAll(filepath.Join(p.s.dir, "state-"+p.name))
}

func (s *stage) killAll() {
	for _, p := range s.stands {
		if p.now != nil {
			_ = p.now.signal(syscall.SIGKILL)
			<-p.now.done
		}
	}
}

func (s *stage) say(format string, args ...any) {
	s.t.Logf("%6.2fs  %6d done  %s", time.Since(s.began).Seconds(), s.done(), fmt.Sprintf(format, args...))
}

// blow is one thing that happens to a process.
type blow struct {
	after int // records done
	delay time.Duration
	hard  bool // SIGKILL, or it is asked to go
	cold  bool // neither: it stands still until its group takes it for dead, and goes on then
	wiped bool // it comes back without its state
	pick  int
	pause time.Duration // until it comes back
}

// blows spreads so many over a run, of each sort some: killed and asked to go, with state and without.
func blows(dice *rand.Rand, n, records int) []blow {
	var list []blow
	for i := range n {
		at := 0.03 + 0.87*(float64(i)+dice.Float64())/float64(n)
		b := blow{
			after: int(at * float64(records)), delay: time.Duration(dice.Int64N(int64(40 * time.Millisecond))),
			hard: i%3 != 2, cold: i%5 == 3, wiped: i%2 == 1, pick: dice.IntN(8),
		}
		if dice.IntN(3) == 0 {
			b.pause = time.Duration(dice.Int64N(int64(time.Second)))
		}
		list = append(list, b)
	}
	return list
}

// victim is who is hit. Of a sender that stood still and goes on Braze would take what is old, and nothing can be done
// about that: so it is another who does.
func (s *stage) victim(b blow) *stand {
	p := s.stands[b.pick%len(s.stands)]
	if b.cold && p.role != Syncer {
		p = s.stands[b.pick%2]
	}
	return p
}

// strike lets a blow fall on a place.
func (p *stand) strike(ctx context.Context, b blow) error {
	if p.busy != nil {
		select {
		case <-p.busy():
		case <-time.After(2 * time.Second):
		case <-ctx.Done():
		}
	}
	if err := pause(ctx, b.delay); err != nil {
		return err
	}
	if b.cold {
		return p.freeze(ctx, 200*time.Millisecond+b.pause)
	}
	end := p.leave
	if b.hard {
		end = p.kill
	}
	if err := end(ctx); err != nil {
		return err
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

// open starts a process on every place.
func (s *stage) open(ctx context.Context) error {
	for _, p := range s.stands {
		if err := p.start(ctx, true); err != nil {
			return err
		}
	}
	s.began = time.Now()
	return nil
}

// close asks everybody to go.
func (s *stage) close(ctx context.Context) error {
	for _, p := range s.stands {
		if err := p.leave(ctx); err != nil {
			return err
		}
	}
	return nil
}

// play produces the records of a story, as far ahead of the commits as may be, lets blows fall on every place in its
// turn, and returns when all is committed. More makes up records, and is told when they have their offsets.
func (s *stage) play(ctx context.Context, c *commits, what story, list []blow, more func(most int) ([]*stream.Record, func())) error {
	if err := s.await(ctx, c, func() bool { return true }); err != nil {
		return err
	}
	before := c.records // of an earlier story
	s.done = func() int { return int(c.committed) }
	for made := 0; made < what.events || len(list) > 0; {
		if made < what.events {
			chunk, produced := more(min(2_000, what.events-made))
			if err := s.producer.ProduceAll(ctx, chunk...); err != nil {
				return err
			}
			produced()
			made += len(chunk)
		}
		enough := int64(made - what.ahead)
		if made == what.events && len(list) > 0 {
			enough = int64(list[0].after)
		}
		for {
			if err := s.await(ctx, c, func() bool {
				done := c.committed - before
				return done >= enough || len(list) > 0 && done >= int64(list[0].after)
			}); err != nil {
				return err
			}
			if len(list) == 0 || c.committed-before < int64(list[0].after) {
				break
			}
			if err := s.victim(list[0]).strike(ctx, list[0]); err != nil {
				return err
			}
			list = list[1:]
			c.asked = time.Time{}
		}
	}
	all := before + int64(what.events)
	if err := s.await(ctx, c, func() bool { return c.records == all && c.committed == all }); err != nil {
		return err
	}
	s.say("all is committed")
	return nil
}

// commits watches how many records of a topic a group has committed.
type commits struct {
	g                  *group
	records, committed int64
	asked              time.Time
}

// look asks again, if the last answer is not quite fresh.
func (c *commits) look(ctx context.Context) error {
	if time.Since(c.asked) < 40*time.Millisecond {
		return nil
	}
	records, committed, err := c.g.progress(ctx)
	if err != nil {
		return err
	}
	c.records, c.committed, c.asked = records, committed, time.Now()
	return nil
}

// await waits until a group has come so far.
func (s *stage) await(ctx context.Context, c *commits, enough func() bool) error {
	var failed error
	err := until(ctx, 20*time.Millisecond, func() bool {
		if failed = s.alive(); failed != nil {
			return true
		}
		return c.look(ctx) == nil && enough()
	})
	if err != nil {
		return fmt.Errorf("%w: %d of %d records are committed", err, c.committed, c.records)
	}
	return failed
}

// changeRecord is a change as it stands on customer.profiles.
func (s *stage) changeRecord(c *change) *stream.Record {
	r := &stream.Record{Topic: s.kafka.Topic(schema.CustomerProfiles), Key: []byte(c.name())}
	if c.refusal == "not_avro" {
		r.Value = []byte(`{"plan":"gold"} ` + c.id)
		return r
	}
	r.Value = avro.AppendProfile(nil, s.ids[schema.CustomerProfiles], c.record())
	return r
}

// latest says that everything on a topic was written with our newest schema of it.
type latest string

// SchemaByID implements [avro.Source].
func (l latest) SchemaByID(context.Context, int) (string, error) {
	return schemas.Latest(string(l)), nil
}

// tellings reads what stands on braze.attributes.
func (s *stage) tellings(ctx context.Context, each func(r *stream.Record, u *event.Update) error) error {
	decoder := avro.NewUpdateDecoder(latest(schema.BrazeAttributes))
	return stream.Read(ctx, s.kafka, stream.Range{Topic: s.kafka.Topic(schema.BrazeAttributes)}, func(r *stream.Record) error {
		var u event.Update
		user, err := decoder.Decode(ctx, r.Value, &u)
		if err == nil && (user != string(r.Key) || u.User.Key() != user) {
			err = errors.New("key and user differ")
		}
		if err != nil {
			return fmt.Errorf("update %d/%d: %w", r.Partition, r.Offset, err)
		}
		return each(r, &u)
	})
}

// telling takes out of an update what the laws need; nothing of it is shared with the record.
func tellingOf(r *stream.Record, u *event.Update) (telling, error) {
	t := telling{spot: spot{r.Partition, r.Offset}, id: strings.Clone(u.ID), user: string(r.Key), points: u.DataPoints}
	for _, c := range u.Causes {
		t.causes = append(t.causes, cause{spot{c.Partition, c.Offset}, strings.Clone(c.ID), strings.Clone(c.Source)})
	}
	for _, d := range u.Declined {
		t.declined = append(t.declined, declinedWrite(d.ID, d.Source, d.Field, d.Reason))
	}
	var err error
	t.attributes, err = members(u.Attributes)
	return t, err
}

// notices reads the dead letters.
func (s *stage) notices(ctx context.Context, value func(spot) []byte) (list []notice, err error) {
	topic, _ := schema.Find(schema.DeadLetters(Syncer))
	codec, err := avro.NewCodec(topic.Text(), 1)
	if err != nil {
		return nil, err
	}
	return list, stream.Read(ctx, s.kafka, stream.Range{Topic: s.kafka.Topic(topic.Name)}, func(r *stream.Record) error {
		l, err := deadletter.Read(codec, r.Value)
		if err != nil {
			return fmt.Errorf("dead letter %d/%d: %w", r.Partition, r.Offset, err)
		}
		at := spot{l.OriginPartition, l.OriginOffset}
		list = append(list, notice{at, strings.Clone(l.Reason), bytes.Equal(l.Value, value(at))})
		return nil
	})
}
