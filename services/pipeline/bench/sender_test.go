package bench

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	twmb "github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/schemas"
	brazesender "github.com/sluicehq/sluice/services/braze-sender"
)

// BenchmarkSender moves a full topic to a Braze that answers at once.
func BenchmarkSender(b *testing.B) { benchmarkSender(b, 0, 0) }

// BenchmarkSenderSlowBraze moves it to a Braze that takes 50 to 100 ms for an answer, where
// throughput means many requests under way.
func BenchmarkSenderSlowBraze(b *testing.B) {
	benchmarkSender(b, 50*time.Millisecond, 100*time.Millisecond)
}

// BenchmarkSenderAllLanes keeps every lane busy: of ten events one is a campaign with the highest
// priority, by a condition and a property in jq, and three are backfill. Braze's published 1,000 requests
// of 75 objects a second are the mark.
func BenchmarkSenderAllLanes(b *testing.B) {
	const file = `routes:
- name: payment-failed
  match: {topic: customer.events, event: Payment Failed}
  when: .properties.price > 50
  priority: transactional
  send:
  - campaign: {id: bench, properties: {amount: .properties.price}}
`
	path := filepath.Join(b.TempDir(), "routes.yaml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		b.Fatal(err)
	}
	w := Workload{Events: intEnv("BENCH_EVENTS", 600_000), Users: intEnv("BENCH_USERS", 20_000)}
	s := newStage(b)
	for b.Loop() {
		prefix := "bench-" + strings.ToLower(rand.Text()[:8]) + "."
		fill := func(i int, e *event.Event, r *stream.Record) {
			switch {
			case i%w.Users%10 == 0:
				e.Name = "Payment Failed"
			case i%w.Users%10 < 4: // a user's events are all of one kind: none has to wait for another
				r.Headers = []stream.Header{{Key: "priority", Value: []byte("backfill")}}
			}
		}
		s.fillWith(b, prefix, w, fill)
		s.fillWith(b, prefix+"again.", w, fill)
		env := []string{"ROUTES_FILE=" + path, "BRAZE_RATE_GENERAL=1000000/1s"}
		r := s.measureWith(b, "sender", prefix, w, "gaps", env...)
		strict := s.measureWith(b, "sender", prefix+"again.", w, "gaps", append(env, "BRAZE_REST_ENDPOINT="+s.Sink+sandboxPath)...)
		if r.Misordered+strict.Misordered > 0 {
			b.Errorf("%d events out of order", r.Misordered+strict.Misordered)
		}
		b.ReportMetric(strict.PerSecond(), "sandbox-objects/s")
		b.ReportMetric(float64(strict.Requests)/strict.Wall.Seconds(), "sandbox-requests/s")
		b.ReportMetric(r.PerSecond(), "objects/s")
		b.ReportMetric(float64(r.Requests)/r.Wall.Seconds(), "requests/s")
		b.ReportMetric(r.PerCPUSecond(), "objects/cpu-s")
		b.ReportMetric(r.PeakMB, "peak-MB")
		b.ReportMetric(0, "ns/op")
	}
}

func benchmarkSender(b *testing.B, lo, hi time.Duration) {
	w := Workload{Events: intEnv("BENCH_EVENTS", 600_000), Users: intEnv("BENCH_USERS", 20_000)}
	s := newStage(b)
	for b.Loop() {
		var limit, bytesOnly, ours Result
		for range intEnv("BENCH_ROUNDS", 3) { // one by itself says little on a machine that others use as well
			prefix := "bench-" + strings.ToLower(rand.Text()[:8]) + "."
			s.fill(b, prefix, w)
			limit.add(s.measure(b, "sender-limit", prefix, w, lo, hi))
			bytesOnly.add(s.measure(b, "sender-bytes", prefix, w, lo, hi))
			ours.add(s.measure(b, "sender", prefix, w, lo, hi))
		}
		if ours.Misordered > 0 {
			b.Errorf("%d events out of order", ours.Misordered)
		}
		b.ReportMetric(ours.PerSecond(), "events/s")
		b.ReportMetric(ours.PerCPUSecond(), "events/cpu-s")
		b.ReportMetric(limit.PerCPUSecond(), "limit-events/cpu-s")
		b.ReportMetric(limit.PerSecond(), "limit-events/s")
		b.ReportMetric(float64(limit.Misordered), "limit-misordered")
		b.ReportMetric(bytesOnly.PerCPUSecond(), "bytes-events/cpu-s")
		b.ReportMetric(100*ours.PerCPUSecond()/limit.PerCPUSecond(), "%-of-limit")
		b.ReportMetric(100*ours.PerCPUSecond()/bytesOnly.PerCPUSecond(), "%-of-bytes")
		b.ReportMetric(ours.PeakMB, "peak-MB")
		b.ReportMetric(0, "ns/op")
	}
}

// measure runs a subject until the sink has every event, then asks it to stop.
func (s *stage) measure(b *testing.B, subject, prefix string, w Workload, lo, hi time.Duration) Result {
	b.Helper()
	return s.measureWith(b, subject, prefix, w, "min="+lo.String()+"&max="+hi.String())
}

// measureWith is measure with settings for the sink, and variables for the subject.
func (s *stage) measureWith(b *testing.B, subject, prefix string, w Workload, sink string, env ...string) Result {
	b.Helper()
	s.reset(b, sink)
	cmd := role(subject, append(s.env(prefix, fmt.Sprintf("BENCH_EVENTS=%d", w.Events)), env...)...)
	if profile := os.Getenv("BENCH_CPUPROFILE"); profile != "" && subject == "sender" {
		cmd.Env = append(cmd.Env, "BENCH_PROFILE_TO="+profile)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(5 * time.Minute)
	var stats sinkStats
	for stats.Events < w.Events {
		select {
		case err := <-ended:
			b.Fatalf("%s ended too early: %v", subject, err)
		case <-tick.C:
			stats = s.stats(b)
		case <-deadline:
			b.Fatalf("%s: %d of %d events after 5 minutes", subject, stats.Events, w.Events)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		b.Fatal(err)
	}
	if err := <-ended; err != nil {
		b.Fatalf("%s: %v", subject, err)
	}
	stats = s.stats(b)
	if stats.Events != w.Events {
		b.Errorf("%s: the sink has %d events, want %d", subject, stats.Events, w.Events)
	}
	r := Result{Events: w.Events, Requests: stats.Requests, Usage: usageOf(cmd.ProcessState), Misordered: stats.Misordered}
	r.Wall = time.Duration(stats.Nanos)
	return r
}

// runSender is the real service, as its own binary runs it.
func runSender() error {
	stop := profile()
	defer stop()
	daemon.Main("braze-sender", brazesender.Open)
	return nil
}

// encoder makes an event object of a record's body.
type encoder func(dst, body []byte) ([]byte, error)

// structCodec decodes a record into a struct and encodes that, as a careful program would that does
// only what cannot be left out.
func structCodec(dst, body []byte) ([]byte, error) {
	var w struct {
		ID            string    `avro:"event_id"`
		UserID        string    `avro:"user_id"`
		ExternalID    string    `avro:"external_id"`
		BrazeID       *string   `avro:"braze_id"`
		AliasLabel    *string   `avro:"alias_label"`
		AliasName     *string   `avro:"alias_name"`
		Email         *string   `avro:"email"`
		Phone         *string   `avro:"phone"`
		Name          string    `avro:"event_name"`
		Kind          string    `avro:"event_kind"`
		Time          time.Time `avro:"occurred_at"`
		ReceivedAt    time.Time `avro:"received_at"`
		Source        string    `avro:"source"`
		Properties    string    `avro:"properties_json"`
		Attributes    *string   `avro:"attributes_json"`
		AppID         *string   `avro:"app_id"`
		BrazeDisabled *bool     `avro:"braze_disabled"`
		IdentifiedAs  *string   `avro:"identified_as"`
	}
	if _, err := customerEvent.Decode(body, &w); err != nil {
		return dst, err
	}
	dst = braze.AppendString(append(dst, `{"external_id":`...), w.ExternalID)
	dst = braze.AppendString(append(dst, `,"name":`...), w.Name)
	dst = braze.AppendTime(append(dst, `,"time":`...), w.Time)
	dst = append(append(dst, `,"properties":`...), w.Properties...)
	return append(dst, '}'), nil
}

var customerEvent = twmb.MustParse(schemas.Latest(schema.CustomerEvents))

// bytesOnly copies the bytes that make the object, with the codec written by hand that the sender
// uses: less cannot be done at all.
func bytesOnly(dst, body []byte) ([]byte, error) {
	r := avro.NewReader(body)
	r.Bytes("event_id")
	r.Bytes("user_id")
	externalID := r.OptString("external_id")
	for range 5 {
		r.OptBytes("other identifiers")
	}
	name := r.String("event_name")
	r.Bytes("event_kind")
	at := r.Time("occurred_at")
	r.Long("received_at")
	r.Bytes("source")
	properties := r.OptBytes("properties_json")
	dst = braze.AppendString(append(dst, `{"external_id":`...), externalID)
	dst = braze.AppendString(append(dst, `,"name":`...), name)
	dst = braze.AppendTime(append(dst, `,"time":`...), at)
	dst = append(append(dst, `,"properties":`...), properties...)
	return append(dst, '}'), nil
}

// runSenderLimit consumes, decodes, encodes and posts, and nothing else: no groups, no order, no
// commits, no receipts, no checks, no reading of answers.
func runSenderLimit(encode encoder) error {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(os.Getenv("KAFKA_BROKERS"), ",")...),
		kgo.ConsumeTopics(os.Getenv("TOPIC_PREFIX")+"customer.events"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	transport := &http.Transport{MaxIdleConnsPerHost: 512}
	post := &http.Client{Transport: transport}
	batches := make(chan []byte, 128)
	free := make(chan []byte, 256)
	var posts sync.WaitGroup
	for range 128 {
		posts.Go(func() {
			for body := range batches {
				req, _ := http.NewRequest(http.MethodPost, os.Getenv("BRAZE_REST_ENDPOINT")+"/users/track", bytes.NewReader(body))
				req.Header.Set("Content-Type", "application/json")
				req.Header.Set("Authorization", "Bearer bench")
				resp, err := post.Do(req)
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					continue
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				select {
				case free <- body[:0]:
				default:
				}
			}
		})
	}
	var request braze.Request
	left := intEnv("BENCH_EVENTS", 0)
	for ctx.Err() == nil && left > 0 {
		fetches := client.PollRecords(ctx, 5000)
		fetches.EachRecord(func(r *kgo.Record) {
			request.AppendFunc(braze.Events, func(dst []byte) []byte {
				out, err := encode(dst, r.Value[avro.HeaderSize:])
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				return out
			})
			left--
			if request.Len() == 75 || left == 0 {
				var body []byte
				select {
				case body = <-free:
				default:
				}
				batches <- request.AppendBody(body)
				request.Reset()
			}
		})
	}
	close(batches)
	posts.Wait()
	<-ctx.Done()
	return nil
}
