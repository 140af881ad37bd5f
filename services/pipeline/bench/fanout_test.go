package bench

import (
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/currents"
	"github.com/sluicehq/sluice/pkg/currents/sample"
	"github.com/sluicehq/sluice/pkg/registry"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/topics"
)

const (
	fanoutSinks       = 4
	fanoutConcurrency = 4
	fanoutBatch       = 500
	fanoutRounds      = 2
)

// BenchmarkFanout hands events of every type to four HTTP sinks, and beside that to four bare forwarders. Then once more with a
// fifth sink whose far end is down: what that one takes of the machine until it holds its share is in the figure.
func BenchmarkFanout(b *testing.B) {
	events := intEnv("BENCH_ENGAGEMENTS", 200_000)
	s := newStage(b)
	for b.Loop() {
		prefix := "bench-" + strings.ToLower(rand.Text()[:8]) + "."
		s.fillEngagements(b, prefix, events)
		limit := s.fanOut(b, "fanout-limit", prefix, events, "", 0)
		var ours, beside Result
		for round := range fanoutRounds { // in turn: other work on the machine falls on both
			ours.add(s.fanOut(b, "fanout", prefix, events, fmt.Sprint("of-4-", round), 0))
			beside.add(s.fanOut(b, "fanout", prefix, events, fmt.Sprint("of-5-", round), 1))
		}
		b.ReportMetric(ours.PerSecond(), "events/s")
		b.ReportMetric(ours.PerCPUSecond(), "events/cpu-s")
		b.ReportMetric(limit.PerCPUSecond(), "limit-events/cpu-s")
		b.ReportMetric(100*ours.PerCPUSecond()/limit.PerCPUSecond(), "%-of-limit")
		b.ReportMetric(100*beside.PerSecond()/ours.PerSecond(), "%-beside-one-down")
		b.ReportMetric(ours.PeakMB, "peak-MB")
		b.ReportMetric(0, "ns/op")
	}
}

// BenchmarkFanoutMemory has fifty sinks of which forty take nothing, so that each of those holds as much as it may: what
// the process has in all beside FANOUT_MEMORY, which is what it may hold.
func BenchmarkFanoutMemory(b *testing.B) {
	const well, down = 10, 40
	events := intEnv("BENCH_ENGAGEMENTS", 200_000) / 4
	s := newStage(b)
	for b.Loop() {
		prefix := "bench-" + strings.ToLower(rand.Text()[:8]) + "."
		s.fillEngagements(b, prefix, events)
		far := startCollector(b)
		p := s.startFanout(b, "fanout", prefix, sinksFile(far.url, "of-50", well, down), "FANOUT_MEMORY=256MiB", "LOG_LEVEL=error")
		far.await(b, well, events)
		held := p.untilFull()
		b.ReportMetric(256, "bound-MB")
		b.ReportMetric(held, "held-MB")
		b.ReportMetric(p.end().PeakMB, "peak-MB")
		b.ReportMetric(0, "ns/op")
	}
}

// fanOut runs a subject until four far ends have everything.
func (s *stage) fanOut(b *testing.B, subject, prefix string, events int, names string, down int) Result {
	b.Helper()
	far := startCollector(b)
	p := s.startFanout(b, subject, prefix, sinksFile(far.url, names, fanoutSinks, down), "BENCH_FAR="+far.url, fmt.Sprintf("BENCH_EVENTS=%d", events), fmt.Sprintf("BENCH_SINKS=%d", fanoutSinks))
	got, requests, took := far.await(b, fanoutSinks, events)
	if got != fanoutSinks*events {
		b.Errorf("%s: the far ends have %d events, want %d", subject, got, fanoutSinks*events)
	}
	r := Result{Events: got, Requests: requests, Usage: p.end()}
	r.Wall = took
	return r
}

// dispatcher is a running subject.
type dispatcher struct {
	b   *testing.B
	cmd *exec.Cmd
	ops *syncer // reads its metrics
}

func (s *stage) startFanout(b *testing.B, subject, prefix, sinks string, env ...string) *dispatcher {
	b.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	ops := ln.Addr().String()
	ln.Close()
	dir := b.TempDir()
	file := filepath.Join(dir, "sinks.yaml")
	if err := os.WriteFile(file, []byte(sinks), 0o600); err != nil {
		b.Fatal(err)
	}
	env = append([]string{
		"OPS_ADDR=" + ops, "SINKS_FILE=" + file, "STATE_DIR=" + filepath.Join(dir, "state"),
	}, env...)
	if profile := os.Getenv("BENCH_CPUPROFILE"); profile != "" && subject == "fanout" {
		env = append(env, "BENCH_PROFILE_TO="+profile)
	}
	p := &dispatcher{b: b, cmd: role(subject, s.env(prefix, env...)...), ops: &syncer{b: b, addr: ops}}
	if err := p.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	return p
}

// sinksFile names so many sinks with a far end, and so many whose far end is no more. Other
// names make other groups, which begin at the topic's beginning.
func sinksFile(far, names string, well, down int) string {
	var text strings.Builder
	text.WriteString("sinks:\n")
	for i := range well + down {
		url := fmt.Sprint(far, "/", i)
		if i >= well {
			url = "http://127.0.0.1:9/" // discard, which nobody serves
		}
		fmt.Fprintf(&text, "  - {name: sink-%d-%s, kind: http, concurrency: %d, batch: {events: %d, linger: 100ms}, http: {url: %q}}\n", i, names, fanoutConcurrency, fanoutBatch, url)
	}
	return text.String()
}

// untilFull waits until nothing more is held than was held two seconds ago, and returns how much that is, in MB.
func (p *dispatcher) untilFull() float64 {
	p.b.Helper()
	was, since := 0.0, time.Now()
	p.ops.await(200*time.Millisecond, func() (int, bool) {
		held := p.ops.metric("sluice_fanout_held_bytes")
		if held > was {
			was, since = held, time.Now()
		}
		return int(held), time.Since(since) > 2*time.Second
	})
	return was / (1 << 20)
}

// end lets the process finish, and returns what it took.
func (p *dispatcher) end() Usage {
	p.b.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.b.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil {
		p.b.Fatal("the subject: ", err)
	}
	return usageOf(p.cmd.ProcessState)
}

// fillEngagements puts events of every type on braze.engagements.
func (s *stage) fillEngagements(b *testing.B, prefix string, events int) {
	b.Helper()
	kafka := s.kafka(prefix)
	reg, err := registry.New(registry.Config{URL: s.Registry})
	if err != nil {
		b.Fatal(err)
	}
	defer reg.Close()
	ids, err := topics.Prepare(b.Context(), kafka, reg, schema.BrazeEngagements)
	if err != nil {
		b.Fatal(err)
	}
	p, err := stream.NewProducer(kafka, stream.ProducerOptions{Linger: 10 * time.Millisecond})
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	topic, types := kafka.Topic(schema.BrazeEngagements), currents.Types()
	dice := mathrand.New(mathrand.NewPCG(1, 2))
	var failed atomic.Pointer[error]
	for i := range events {
		e, err := currents.Read(sample.Event(dice, types[i%len(types)].Name, i), "eu", time.Now())
		if err != nil {
			b.Fatal(err)
		}
		r := &stream.Record{Topic: topic, Key: []byte(e.Key()), Value: avro.AppendEngagement(nil, ids[schema.BrazeEngagements], &e)}
		p.Produce(b.Context(), r, func(_ *stream.Record, err error) {
			if err != nil {
				failed.Store(&err)
			}
		})
	}
	if err := p.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	if err := failed.Load(); err != nil {
		b.Fatal(*err)
	}
}
