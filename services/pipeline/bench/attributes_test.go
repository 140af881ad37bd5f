package bench

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// The first sync of so many customers is followed by updates of them. Five million take many minutes:
// BENCH_SYNC_USERS=5000000 asks for them.
var syncSizes = []int{10_000, 100_000, 1_000_000, 5_000_000}

const syncUpdates = 400_000

// BenchmarkAttributeSync lets attribute-sync take in whole profiles of ten fields, of which nine in ten say
// nothing new, for customers that it all knows already and that come in no order. It has one core. Beside it
// stand two limits: a loop that does nothing but read the same records and write the same bytes in
// transactions, and Pebble by itself with the same state.
func BenchmarkAttributeSync(b *testing.B) {
	s := newStage(b)
	for _, users := range syncSizes {
		if users > intEnv("BENCH_SYNC_USERS", 1_000_000) {
			continue
		}
		b.Run(fmt.Sprintf("users=%d", users), func(b *testing.B) {
			for b.Loop() {
				benchmarkSync(b, s, newSyncload(users, intEnv("BENCH_SYNC_UPDATES", syncUpdates)))
			}
		})
	}
}

func benchmarkSync(b *testing.B, s *stage, w *syncload) {
	b.Helper()
	prefix := "bench-" + strings.ToLower(rand.Text()[:8]) + "."
	s.fillProfiles(b, prefix, w.first)
	sync := s.startSync(b, prefix, b.TempDir())
	first := sync.untilSettled(w.users, w.users)
	sync.freeze()
	s.fillProfiles(b, prefix, w.updates)
	sync.thaw()
	ours := sync.untilSettled(w.users+w.count, w.count)
	sent, known := sync.count("data_points_total", `fate="sent"`)+sync.count("data_points_total", `fate="folded"`), w.users*syncFields+w.changed
	if sent != known {
		b.Errorf("%d data points were sent or folded, and %d values differed", sent, known)
	}
	memory := sync.memory()
	peak := sync.end()

	env := []string{fmt.Sprintf("BENCH_EVENTS=%d", w.count), fmt.Sprintf("BENCH_USERS=%d", w.users)}
	limit := s.alone(b, "sync-limit", prefix, env...)
	pebble := s.alone(b, "sync-pebble", prefix, append(env, "STATE_DIR="+b.TempDir())...)

	b.ReportMetric(ours.PerSecond(), "updates/s")
	b.ReportMetric(ours.PerCPUSecond(), "updates/cpu-s")
	b.ReportMetric(limit.Loop.PerCPUSecond(), "limit-updates/cpu-s")
	b.ReportMetric(100*ours.PerCPUSecond()/limit.Loop.PerCPUSecond(), "%-of-limit")
	b.ReportMetric(pebble.Loop.PerCPUSecond(), "pebble-rmw/cpu-s")
	b.ReportMetric(first.PerSecond(), "first-sync/s")
	b.ReportMetric(memory, "MB")
	b.ReportMetric(peak, "peak-MB")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkAttributeRestore lets attribute-sync come up with an empty disk: the state of every customer is
// read from Kafka. Its limits are a consumer that only reads the same topic, and Pebble that is only filled.
func BenchmarkAttributeRestore(b *testing.B) {
	users := intEnv("BENCH_SYNC_USERS", 1_000_000)
	s := newStage(b)
	for b.Loop() {
		prefix := "bench-" + strings.ToLower(rand.Text()[:8]) + "."
		w := newSyncload(users, 0)
		s.fillProfiles(b, prefix, w.first)
		first := s.startSync(b, prefix, b.TempDir())
		first.untilSettled(users, users)
		first.end()
		again := s.startSync(b, prefix, b.TempDir())
		ours := again.untilRestored(users)
		peak := again.end()
		env := fmt.Sprintf("BENCH_USERS=%d", users)
		kafka := s.alone(b, "restore-kafka", prefix, env).Loop
		pebble := s.alone(b, "sync-pebble", prefix, env, "BENCH_EVENTS=0", "STATE_DIR="+b.TempDir()).Load

		b.ReportMetric(ours.PerSecond(), "users/s")
		b.ReportMetric(ours.PerCPUSecond(), "users/cpu-s")
		b.ReportMetric(kafka.PerSecond(), "kafka-users/s")
		b.ReportMetric(kafka.PerCPUSecond(), "kafka-users/cpu-s")
		b.ReportMetric(pebble.PerCPUSecond(), "pebble-users/cpu-s")
		both := 1 / (1/kafka.PerCPUSecond() + 1/pebble.PerCPUSecond())
		b.ReportMetric(100*ours.PerCPUSecond()/both, "%-of-both")
		b.ReportMetric(peak, "peak-MB")
		b.ReportMetric(0, "ns/op")
	}
}

// solo is what a limit says of itself: filling its state, and the loop that follows.
type solo struct{ Load, Loop Result }

// alone runs a limit to its end.
func (s *stage) alone(b *testing.B, subject, prefix string, env ...string) (r solo) {
	b.Helper()
	out, err := role(subject, append(s.env(prefix, "GOMAXPROCS=1"), env...)...).Output()
	if err != nil {
		b.Fatalf("%s: %v", subject, err)
	}
	if err := json.Unmarshal(out, &r); err != nil {
		b.Fatalf("%s: %v", subject, err)
	}
	return r
}

// quietFor is how long nothing may happen before a benchmark gives up.
const quietFor = 2 * time.Minute
