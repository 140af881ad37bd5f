package pipeline_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/pkg/kafkatest"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/receipt"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/pipeline"

	attributesync "github.com/sluicehq/sluice/services/attribute-sync"
)

// cluster is a Kafka with a schema registry to run on.
type cluster struct {
	name    string
	environ []string // what points a pipeline at it
}

// onEveryCluster runs a test on the embedded Kafka always, and on the real one when there is one.
func onEveryCluster(t *testing.T, test func(*testing.T, cluster)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		t.Log("on the embedded Kafka and registry")
		test(t, cluster{"embedded", []string{"EMBEDDED_KAFKA_ADDR=:0", "EMBEDDED_REGISTRY_ADDR=:0"}})
	})
	t.Run("real", func(t *testing.T) {
		t.Parallel()
		brokers, registry := kafkatest.Brokers(t), kafkatest.RegistryURL(t)
		t.Logf("on the real Kafka at %s with the registry at %s", strings.Join(brokers, ","), registry)
		test(t, cluster{"real", []string{"KAFKA_BROKERS=" + strings.Join(brokers, ","), "SCHEMA_REGISTRY_URL=" + registry}})
	})
}

// rig is a running pipeline.
type rig struct {
	*pipeline.Pipeline
	t        *testing.T
	config   pipeline.Config
	kafka    stream.Config // with the ports that were picked
	terminal *screen
	stop     func() error // drains, and says how Run ended
}

// screen is what a person would have seen.
type screen struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// load reads a configuration whose every port is picked freely and whose topics are its own.
func load(t *testing.T, environ ...string) pipeline.Config {
	t.Helper()
	cfg, _, err := pipeline.Load(config.Options{Environ: append([]string{
		"INGEST_ADDR=:0", "CONTENT_ADDR=:0", "OPS_ADDR=:0", "SANDBOX_BRAZE_ADDR=:0", "SANDBOX_CRM_ADDR=:0", "LOG_LEVEL=warn",
		"TOPIC_PREFIX=" + kafkatest.Prefix(t), "KAFKA_PARTITIONS=4", "BRAZE_LINGER=20ms", "INGEST_DRAIN_PAUSE=10ms", "ATTRIBUTE_LINGER=50ms",
		// What comes back is for tests of its own: it would count among what others count.
		"SANDBOX_CURRENTS=false",
	}, environ...)})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// start runs a pipeline until the test ends or stops it.
func start(t *testing.T, cfg pipeline.Config, o pipeline.Options) *rig {
	t.Helper()
	r := &rig{t: t, config: cfg, kafka: cfg.Sender.Kafka, terminal: &screen{}}
	if o.Terminal == nil {
		o.Terminal = r.terminal
	}
	// Not the test's own context: that ends before cleanups run, and so before the drain.
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	p, err := daemon.NewProcess(ctx, "sluice", cfg.DaemonConfig(), testWriter{t})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	r.Pipeline, err = pipeline.Open(p.Log.WithContext(ctx), cfg, o, p)
	if err != nil {
		cancel()
		p.Close()
		t.Fatal(err)
	}
	r.kafka.Brokers = []string{r.Places().Kafka}
	ended := make(chan error, 1)
	go func() { ended <- daemon.Run(ctx, p, r.Pipeline) }()
	r.stop = sync.OnceValue(func() error {
		cancel()
		err := <-ended
		p.Close()
		return err
	})
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Errorf("running the pipeline: %v", err)
		}
		if t.Failed() {
			t.Logf("the terminal showed:\n%s", r.terminal)
		}
	})
	return r
}

// testWriter puts logs where the test's own output is.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	_, _ = fmt.Fprintf(os.Stderr, "%s: %s", w.t.Name(), p)
	return len(p), nil
}

// patience is how long a test waits for what has to come. Machines may be busy.
const patience = 15 * time.Second

// await waits until a condition holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-limit.C:
			t.Fatalf("waited %v in vain until %s", patience, what)
		case <-tick.C:
		}
	}
}

// forProfiles are the topics (without prefix) of which attribute-sync makes what Braze is to be told.
var forProfiles = []string{schema.CustomerProfiles, schema.CommerceEvents, schema.SupportCases}

// beside are the topics that the sender reads beside events and commerce events: what attribute-sync has
// made, and cases, which nobody routes here.
var beside = []string{schema.BrazeAttributes, schema.SupportCases}

// settled waits until attribute-sync has done with everything that concerns profiles, and the sender has
// taken n events and commerce events, all that there is beside, and holds none. It returns the law without
// what is beside: how many records attribute-sync makes depends on what came within one linger.
func (r *rig) settled(n int) pipeline.Law {
	r.t.Helper()
	var law pipeline.Law
	await(r.t, fmt.Sprintf("%d records are settled", n), func() bool {
		if r.Metrics(attributesync.Name) != nil {
			concern := 0
			for _, topic := range forProfiles {
				concern += len(r.read(topic))
			}
			law = r.Law()
			if law.Sync.Accepted < concern {
				return false
			}
		}
		others := 0
		for _, topic := range beside {
			others += len(r.read(topic))
		}
		law = r.Law()
		if law.Accepted != n+others || law.Held > 0 {
			return false // more: something has come since it was counted
		}
		ended := r.besides()
		law.Accepted -= others
		law.Delivered -= ended[outcome.Delivered]
		law.Skipped -= ended[outcome.Skipped]
		law.Refused -= ended[outcome.Refused]
		return others == ended[outcome.Delivered]+ended[outcome.Skipped]+ended[outcome.Refused]
	})
	return law
}

// besides are the outcomes of what there is beside events and commerce events, as the sender's receipts say.
func (r *rig) besides() map[outcome.Kind]int {
	r.t.Helper()
	outcomes := map[outcome.Kind]int{}
	for _, rec := range r.read(schema.BrazeDeliveries) {
		slip, err := receipt.Read(rec.Value)
		if err != nil {
			r.t.Fatal(err)
		}
		if slices.Contains(beside, strings.TrimPrefix(slip.Topic, r.kafka.TopicPrefix)) {
			outcomes[slip.Outcome.Kind]++
		}
	}
	return outcomes
}

// post sends a body to the front door, and returns the answer.
func (r *rig) post(path, body string) (status int, answer string) {
	r.t.Helper()
	return r.ask(http.MethodPost, path, body)
}

// ask makes a request to the front door.
func (r *rig) ask(method, path, body string) (status int, answer string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.Places().Door+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer dev")
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(got)
}

// read returns every record that a topic (without prefix) has now.
func (r *rig) read(topic string) []*stream.Record {
	r.t.Helper()
	var records []*stream.Record
	err := stream.Read(r.t.Context(), r.kafka, stream.Range{Topic: r.kafka.Topic(topic)}, func(rec *stream.Record) error {
		records = append(records, rec)
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return records
}
