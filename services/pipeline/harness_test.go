package pipeline_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/pkg/kafkatest"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/pipeline"
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
		"INGEST_ADDR=:0", "OPS_ADDR=:0", "SANDBOX_BRAZE_ADDR=:0", "LOG_LEVEL=warn",
		"TOPIC_PREFIX=" + kafkatest.Prefix(t), "KAFKA_PARTITIONS=4", "BRAZE_LINGER=20ms", "INGEST_DRAIN_PAUSE=10ms",
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
const patience = 2 * time.Minute

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

// settled waits until the sender has taken n records and holds none.
func (r *rig) settled(n int) pipeline.Law {
	r.t.Helper()
	var law pipeline.Law
	await(r.t, fmt.Sprintf("%d records are settled", n), func() bool {
		law = r.Law()
		if law.Accepted > n {
			r.t.Fatalf("the sender took %d records, more than the %d there are", law.Accepted, n)
		}
		return law.Accepted == n && law.Held == 0
	})
	return law
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
