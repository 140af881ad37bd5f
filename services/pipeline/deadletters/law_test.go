package deadletters_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/braze/brazefake"
	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/registry"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/pipeline"
	"github.com/sluicehq/sluice/services/pipeline/deadletters"
	"github.com/sluicehq/sluice/services/pipeline/replay"
	"github.com/sluicehq/sluice/services/pipeline/trace"
)

// run starts a pipeline with everything in it, and looks at its cluster as an operator does.
func run(t *testing.T) (*pipeline.Pipeline, *replay.Cluster, deadletters.Marker) {
	t.Helper()
	cfg, _, err := pipeline.Load(config.Options{Environ: []string{
		"EMBEDDED_KAFKA_ADDR=:0", "EMBEDDED_REGISTRY_ADDR=:0", "SANDBOX_BRAZE_ADDR=:0", "SANDBOX_CRM_ADDR=:0", "INGEST_ADDR=:0", "CONTENT_ADDR=:0", "OPS_ADDR=:0",
		"LOG_LEVEL=error", "BRAZE_LINGER=20ms", "BRAZE_COMMIT_EVERY=10ms", "INGEST_DRAIN_PAUSE=10ms", "KAFKA_PARTITIONS=4", "TOPIC_PREFIX=eu.",
	}})
	if err != nil {
		t.Fatal(err)
	}
	// Not the test's own context: that ends before cleanups run, and so before the drain.
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	p, err := daemon.NewProcess(ctx, "sluice", cfg.DaemonConfig(), os.Stderr)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	l, err := pipeline.Open(ctx, cfg, pipeline.Options{}, p)
	if err != nil {
		cancel()
		p.Close()
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- daemon.Run(ctx, p, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("running the pipeline: %v", err)
		}
		p.Close()
	})
	kafka := cfg.Sender.Kafka
	kafka.Brokers = []string{l.Places().Kafka}
	admin, err := stream.NewAdmin(kafka)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(admin.Close)
	reg, err := registry.New(registry.Config{URL: l.Places().Registry})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reg.Close)
	marker := func(service string) (*deadletter.Writer, error) {
		topic, _ := schema.Find(schema.DeadLetters(service))
		id, _, err := reg.Lookup(t.Context(), schema.Subject(kafka.Topic(topic.Name)), topic.Text())
		if err != nil {
			return nil, err
		}
		return deadletter.Open(kafka, service, id)
	}
	return l, &replay.Cluster{Kafka: kafka, Admin: admin, Schemas: avro.FromRegistry(reg)}, marker
}

func post(t *testing.T, l *pipeline.Pipeline, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, l.Places().Door+"/v1/events", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer dev")
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusAccepted {
		t.Fatalf("the front door answers %s", resp.Status)
	}
}

// settled waits until the sender has taken n records, and has committed past all of them: its counters
// run ahead of its letters and receipts, its commits do not.
func settled(t *testing.T, l *pipeline.Pipeline, c *replay.Cluster, n int) pipeline.Law {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(time.Minute)
	for {
		if law := l.Law(); law.Accepted == n && law.Held == 0 && caughtUp(t, c, n) {
			return law
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("waited in vain for %d records: %v", n, l.Law())
		}
	}
}

func caughtUp(t *testing.T, c *replay.Cluster, n int) bool {
	t.Helper()
	committed, err := c.Admin.Committed(t.Context(), c.Kafka.Group("braze-sender"))
	if err != nil {
		t.Fatal(err)
	}
	for _, offset := range committed[c.Kafka.Topic(schema.CustomerEvents)] {
		n -= int(offset)
	}
	return n == 0
}

// applied is which of a customer's events the sandbox has, by their properties' seq, in order.
func applied(t *testing.T, l *pipeline.Pipeline) map[string][]int {
	t.Helper()
	got := map[string][]int{}
	for o := range l.Sandbox().Received() {
		if !o.Fate.Applied() || len(o.Properties) == 0 {
			continue
		}
		var properties struct{ Seq int }
		if err := json.Unmarshal(o.Properties, &properties); err != nil {
			t.Fatal(err)
		}
		got[o.User] = append(got[o.User], properties.Seq)
	}
	return got
}

// Refused, sent back once the cause is gone, delivered once: and however often an operator replays,
// it stays at once.
func TestReplayAfterRefusalEndsDeliveredOnce(t *testing.T) {
	t.Parallel()
	l, c, marker := run(t)
	if err := l.Sandbox().SetKnobs(brazefake.Knobs{PItemError: 1}); err != nil {
		t.Fatal(err)
	}
	want := map[string][]int{}
	for i := range 12 {
		user := fmt.Sprintf("cus-%d", i%3)
		want[user] = append(want[user], i)
		post(t, l, fmt.Sprintf(`{"id":"e-%d","user":{"external_id":%q},"name":"Order Completed","properties":{"seq":%d}}`, i, user, i))
	}
	if law := settled(t, l, c, 12); law.Refused != 12 {
		t.Fatalf("the law is %v, want all refused", law)
	}
	send := func(step string, want int) {
		t.Helper()
		p, err := deadletters.Make(t.Context(), c, deadletters.Filter{Service: "braze-sender", Reason: "item_error"})
		if err != nil {
			t.Fatal(err)
		}
		done, err := p.Do(t.Context(), marker, func(int, int) {})
		if err != nil || done.Replayed != want || len(done.Failed) > 0 {
			t.Fatalf("%s: %+v, %v; want %d", step, done, err, want)
		}
	}
	send("while Braze still refuses", 12)
	if law := settled(t, l, c, 24); law.Refused != 24 {
		t.Fatalf("the law is %v, want the copies refused, too", law)
	}
	if err := l.Sandbox().SetKnobs(brazefake.Knobs{}); err != nil {
		t.Fatal(err)
	}
	send("the copies' own letters", 12)
	law := settled(t, l, c, 36)
	if law.Delivered != 12 || law.Refused != 24 {
		t.Errorf("the law is %v", law)
	}
	send("once more", 0)
	send("and once more", 0)
	if diff := cmp.Diff(want, applied(t, l)); diff != "" {
		t.Errorf("what Braze has of each customer (-want +got):\n%s", diff)
	}

	s, err := trace.Tell(t.Context(), c, trace.Query{Text: "cus-1"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]trace.Law{{Service: "braze-sender", Accepted: 12, Delivered: 4, Refused: 8}}, s.Laws); diff != "" {
		t.Errorf("what the trace says (-want +got):\n%s", diff)
	}
	// The records can be copied as well as the letters: nor does that double anything.
	o := replay.Order{Topic: schema.CustomerEvents, Service: "braze-sender", From: replay.Edge{ByOffset: true}, Copy: true}
	p, err := replay.Make(t.Context(), c, o)
	if err != nil || p.Estimate.Again != 0 || p.Estimate.Records != 36 {
		t.Errorf("a copy of everything would send %+v, %v", p.Estimate, err)
	}
}
