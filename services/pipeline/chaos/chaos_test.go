package chaos

import (
	"errors"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/kafkatest"
	"github.com/sluicehq/sluice/pkg/registry/embedded"
	kafka "github.com/sluicehq/sluice/pkg/stream/embedded"
)

// The short form, which `make test` runs; `make chaos` sets SEED and KILLS.
const (
	defaultKills  = 12
	defaultEvents = 100_000
	defaultUsers  = 2_000
)

// TestCrashSuite is the promise under fire: three brokers, of which one is away now and then, processes
// that are killed in the middle of their work, a Braze that is ill throughout; and afterwards nothing is
// lost, nobody out of order, and every duplicate explained.
func TestCrashSuite(t *testing.T) {
	s := story{
		seed:   number(t, "CHAOS_SEED", uint64(time.Now().UnixNano())%1_000_000),
		kills:  number(t, "CHAOS_KILLS", defaultKills),
		events: number(t, "CHAOS_EVENTS", defaultEvents),
		users:  number(t, "CHAOS_USERS", defaultUsers),
		stall:  90 * time.Second, // a dead member's session is over long before
	}
	t.Logf("CHAOS_SEED=%d CHAOS_KILLS=%d CHAOS_EVENTS=%d CHAOS_USERS=%d", s.seed, s.kills, s.events, s.users)
	s.patience = 3*time.Minute + time.Duration(s.kills)*10*time.Second + time.Duration(s.events)*time.Millisecond
	s.ahead = s.events / 10
	began := time.Now()
	s.cluster = kafkatest.Cluster3(t)
	s.brokers = s.cluster.Brokers()
	s.registry = aRegistry(t)
	s.env = []string{"KAFKA_REPLICATION_FACTOR=3"}
	s.door, s.sender = build(t, "ingest"), build(t, "braze-sender")
	t.Logf("kafka: real %s, 3 nodes, started in %v; everything is there after %v",
		s.cluster.Version(), s.cluster.Took().Round(time.Millisecond), time.Since(began).Round(time.Millisecond))

	r := Check(play(t, s))
	t.Logf("seed %d, %v in all\n%s", s.seed, time.Since(began).Round(time.Millisecond), r)
	if len(r.Findings) > 0 {
		t.Errorf("%d findings; again with make chaos SEED=%d KILLS=%d", len(r.Findings), s.seed, s.kills)
	}
	if got := r.KilledSenders + r.KilledDoors; got < s.kills {
		t.Errorf("%d kills, want %d", got, s.kills)
	}
}

// TestTheCheckerNoticesBrokenBuilds proves that the suite can fail: each rule on which everything
// rests is broken in a build of braze-sender, and must be found out; the build that is shipped has no
// findings in the same story.
func TestTheCheckerNoticesBrokenBuilds(t *testing.T) {
	broker, err := kafka.Start(t.Context(), kafka.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = broker.Close() })
	registry := anEmbeddedRegistry(t)
	door := build(t, "ingest")
	for _, tc := range []struct {
		name  string
		tags  []string
		want  []string // laws that are broken; none at all when empty
		stall time.Duration
	}{
		{name: "the build that is shipped has no findings", stall: 30 * time.Second},
		{name: "a commit before the receipt loses records", tags: []string{"break_receipts"}, want: []string{Lost}, stall: 3 * time.Second},
		{name: "two requests in flight for a user are noticed", tags: []string{"break_flights"}, want: []string{Sandbox}, stall: 3 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := Check(play(t, story{
				seed: 11, kills: 5, events: 16_000, users: 160,
				brokers: broker.Brokers(), registry: registry,
				door: door, sender: build(t, "braze-sender", tc.tags...),
				// Much is taken and committed early, and little sent at once.
				ahead: 2_000, env: []string{"BRAZE_COMMIT_EVERY=20ms", "BRAZE_IN_FLIGHT=4"},
				patience: 2 * time.Minute, stall: tc.stall,
			}))
			t.Logf("%v\n%s", tc.tags, r)
			if len(tc.want) == 0 && len(r.Findings) > 0 {
				t.Errorf("%d findings in the build that is shipped", len(r.Findings))
			}
			for _, law := range tc.want {
				if !r.Broken(law) {
					t.Errorf("nothing %q was found", law)
				}
			}
		})
	}
}

// aRegistry is the run's own, or a real one, or else the embedded.
func aRegistry(t *testing.T) string {
	t.Helper()
	if url := os.Getenv(kafkatest.EnvRegistryURL); url != "" {
		return url
	}
	r, err := kafkatest.StartRegistry(t.Context(), kafkatest.RegistryConfig{})
	if _, lacking := errors.AsType[*kafkatest.UnavailableError](err); lacking {
		t.Logf("registry: embedded (%v)", err)
		return anEmbeddedRegistry(t)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	t.Logf("registry: real %s, started in %v", r.Version(), r.Took().Round(time.Millisecond))
	return r.URL()
}

func anEmbeddedRegistry(t *testing.T) string {
	t.Helper()
	r, err := embedded.Start(t.Context(), embedded.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r.URL()
}

// number reads a number from the environment.
func number[N int | uint64](t *testing.T, name string, otherwise N) N {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || n == 0 {
		t.Fatalf("%s=%q: want a number above 0", name, text)
	}
	return N(n)
}
